"""ogbg against its golden fixtures: padded batches, network, losses, gradients, average precisions,
and which molecules share a batch.

The reference pads a batch of at most b molecules to fixed sizes; `padded` does the same to ours, so
the padding, which is a graph of its own, goes through our network too.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.agreement import ABSOLUTE, EACH, Array, Check, Tolerance
from algoperf_pt.parity import Answer, Parity
from algoperf_pt.workload import EvalOutput, Loss
from algoperf_pt.workload_data import Batch
from workloads.ogbg.batching import Budget, batch_starts
from workloads.ogbg.data import MISSING, Molecules
from workloads.ogbg.metrics import average_precisions


class OgbgParity(Parity):
    """The names are the reference's."""

    tolerances = {
        "case0/batch_*": Tolerance(0.0, ABSOLUTE),
        "case0/*n_valid": Tolerance(0.0, ABSOLUTE),
        "case0/*shape": Tolerance(0.0, ABSOLUTE),
        "case0/*loss*": Tolerance(1e-5, EACH),
        "case0/grad_norms": Tolerance(1e-4, EACH),
        "case0/grad_probes": Tolerance(1e-4, ABSOLUTE),  # in units of the gradient's norm
        "case0/inter_*": Tolerance(1e-5, ABSOLUTE),  # sums divided by their length
        "case0/logits_sum_abssum_std": Tolerance(1e-5, ABSOLUTE),  # the same
        "case0/logits*": Tolerance(2e-5, ABSOLUTE),
        "case0/evalmetric_*": Tolerance(1e-6, ABSOLUTE),
        "metrics/*": Tolerance(1e-6, ABSOLUTE),
        "batching*": Tolerance(0.0, ABSOLUTE),
    }

    def answers(self) -> dict[str, Answer]:
        part = "(summed|n_valid|per_example_shape|per_example_rowsum)"
        return {
            "case0/batch_(nodes|edges|senders|receivers|n_node|n_edge|targets|weights)": (
                lambda name: self.padded[name]
            ),
            "case0/inter_sum_abssum_std_numel": self.between,
            "case0/logits": lambda: self.eval_logits,
            "case0/logits_shape": lambda: np.array(self.eval_logits.shape),
            "case0/logits_sum_abssum_std": lambda: _stored(self.eval_logits),
            f"case0/loss_(ls01_|ones_)?{part}": self.loss_of,
            f"case0/train_loss_{part}": lambda name: _part(self.trained["loss"], name),
            "case0/grad_(norms|probes)": lambda name: self.trained[name],
            "case0/evalmetric_(accuracy|loss|mean_average_precision)": self.evaluated,
            "metrics/(per_task_ap|official_ogb_map)": lambda name: self.precisions[name],
            "metrics/(mean_average_precision|accuracy|loss_mean)": self.metric,
            r"(batching.*)/graphs_per_shard": self.groups,
            r"(batching.*)/padded_nodes_edges_graphs": self.sizes,
        }

    def compare(self, key: str, found: Any, expected: Array, note: str = "") -> Check:
        """Sums as means, and probes in units of their gradient's norm."""
        scale: Any = 1.0
        if key.endswith("inter_sum_abssum_std_numel"):
            count, one = expected[:, 3], np.ones(len(expected))
            scale = np.stack([count, count, one, one], 1)
        elif key.endswith("logits_sum_abssum_std"):
            scale = np.array([self.eval_logits.numel()] * 2 + [1.0])
        elif key.endswith("grad_probes"):
            scale = self.fixture.case["grad_norms"]
        elif key == "metrics/per_task_ap":
            names = self.fixture.files["metrics"]["task_names"]
            far = ~np.isclose(found, expected, rtol=0, atol=1e-6, equal_nan=True)
            note = "; ".join(names[far])
        if isinstance(scale, float):
            return super().compare(key, found, expected, note)
        return super().compare(key, np.asarray(found) / scale, expected / scale, note)

    def more_checks(self) -> Iterator[Check]:
        """What the fixture has no key of its own for."""
        real = len(self.fixture.case["raw_num_nodes"])
        with torch.no_grad():
            logits = self.fill().eval()(self.ragged)[:real]
        wanted = self.fixture.case["logits"][:real]
        yield self.compare("case0/logits_without_padding", logits, wanted)
        for name in (name for name in self.fixture.files if name.startswith("batching")):
            count = len(self.fixture.files[name]["num_nodes"])
            yield self.compare(f"{name}/graphs_in_all", self._counts(name).sum(), np.asarray(count))

    # ---- the batch

    @cached_property
    def ragged(self) -> Batch:
        """The molecules of case0 as our loader gives them."""
        case = self.fixture.case
        labels = case["raw_labels"]
        molecules = Molecules(
            nodes=case["raw_num_nodes"],
            bonds=case["raw_num_edges"],
            node_codes=case["raw_node_feat"].astype(np.uint8),
            bond_codes=case["raw_edge_feat"].astype(np.uint8),
            ends=case["raw_edge_index"].astype(np.uint16),
            labels=np.where(np.isnan(labels), MISSING, labels).astype(np.uint8),
        )
        return dict(molecules.batch(np.arange(len(labels)), int(case["batch_size"])))

    @cached_property
    def padded(self) -> dict[str, Tensor]:
        """The batch in the reference's form."""
        return padded(self.ragged, self.budget(int(self.fixture.case["batch_size"])))

    def budget(self, graphs: int) -> Budget:
        """As conf/workload has it."""
        sizes = (self.options[name] for name in ("nodes_per_graph", "edges_per_graph"))
        return Budget.of(graphs, *sizes)

    def batch(self) -> Batch:
        """The reference's batch, padding included, in our form."""
        given, rows = self.padded, len(self.padded["targets"])
        number = torch.arange(rows)
        return {
            "inputs": given["nodes"],
            **{name: given[name] for name in ("edges", "senders", "receivers")},
            "node_graph": number.repeat_interleave(given["n_node"]),
            "edge_graph": number.repeat_interleave(given["n_edge"]),
            "targets": given["targets"],
            "weights": given["weights"].float(),
        }

    # ---- network and loss

    def between(self) -> Array:
        """Sum, absolute sum, deviation and number of what each step gives, without padding."""
        names = self.fixture.case["inter_names"]
        found: dict[str, Array] = {}

        def note(number: int, outputs: tuple[Tensor, ...]) -> None:
            for part, values in zip(("edges", "nodes", "globals"), outputs):
                found[f"step{number}.{part}"] = np.append(_stored(values), values.numel())

        workload = self.fill().eval()
        hooks = [
            step.register_forward_hook(lambda *call, number=number: note(number, call[2]))
            for number, step in enumerate(workload.model.graph_network.children())
        ]
        rows = slice(len(self.fixture.case["raw_num_nodes"]))
        with torch.no_grad():
            workload(self.ragged | {"targets": self.ragged["targets"][rows]})
        for hook in hooks:
            hook.remove()
        return np.stack([found[name] for name in names])

    def loss_of(self, kind: str | None, part: str) -> Any:
        """A field of the loss of the evaluation logits."""
        batch = self.batch()
        if kind == "ones_":
            batch["weights"] = torch.ones_like(batch["weights"])
        smoothing = 0.1 if kind == "ls01_" else 0.0
        return _part(self.workload.loss(batch, self.eval_logits, smoothing), part)

    @cached_property
    def trained(self) -> dict[str, Any]:
        """Loss, and norms and probes of the gradients of its mean, without dropout."""
        workload, batch = self.fill().train(), self.batch()
        workload.zero_grad()
        loss = workload.loss(batch, workload(batch, dropout_rate=0.0))
        torch.autograd.backward(loss.summed / loss.n_valid)
        names = [entry["name"] for entry in self.fixture.parameters]
        gradients = [np.asarray(self.tensor(name).grad).ravel().astype(float) for name in names]
        return {
            "loss": loss,
            "norms": np.array([np.linalg.norm(values) for values in gradients]),
            "probes": np.array([g @ np.cos(0.37 * np.arange(len(g))) for g in gradients]),
        }

    @cache
    def evaluated(self, name: str) -> float:
        """A metric of the padded batch, whose logits are those of the network."""
        workload = self.fill().eval()
        with torch.no_grad():
            return self._metrics([workload.judged(self.batch(), self.eval_logits)])[name]

    # ---- metrics

    @cached_property
    def precisions(self) -> dict[str, Any]:
        """Of each task; and the mean over those with labels of both kinds."""
        given = self._metric_batch(slice(None))
        logits, targets, weights = (given[name] for name in ("logits", "targets", "weights"))
        found = average_precisions(logits, targets, weights)
        both = [(weights * (targets == label)).any(0) for label in (0, 1)]
        return {"per_task_ap": found, "official_ogb_map": found[both[0] & both[1]].mean()}

    def metric(self, name: str) -> float:
        """A metric of two batches whose losses are given."""
        file = self.fixture.files["metrics"]
        given = [float(number) for number in re.findall(r"\d+\.\d+", str(file["note"]))]
        cut = int(file["split_at"])
        pairs = zip((slice(cut), slice(cut, None)), given, strict=True)
        outputs = [self._given_loss(self._metric_batch(rows), loss) for rows, loss in pairs]
        return self._metrics(outputs)["loss" if name == "loss_mean" else name]

    def _metric_batch(self, rows: slice) -> dict[str, Tensor]:
        file = self.fixture.files["metrics"]
        names = {"logits": "logits", "targets": "labels", "weights": "mask"}
        return {ours: torch.from_numpy(file[n][rows]).float() for ours, n in names.items()}

    def _given_loss(self, batch: Batch, loss: float) -> EvalOutput:
        """Of a batch with `logits`, each of whose entries has the same loss."""
        own = self.workload.loss
        weights = batch["weights"]
        made = Loss(loss * weights.sum(), weights.sum(), loss * weights)
        self.workload.loss = lambda *_: made  # type: ignore[method-assign]
        try:
            output: EvalOutput = self.workload.judged(batch, batch["logits"])
        finally:
            self.workload.loss = own  # type: ignore[method-assign]
        return output

    def _metrics(self, outputs: list[EvalOutput]) -> dict[str, float]:
        sums = {name: float(sum(o.sums[name] for o in outputs)) for name in outputs[0].sums}
        rows = {name: torch.cat([o.rows[name] for o in outputs]) for name in outputs[0].rows}
        return self.workload.metrics("validation", sums, rows)

    # ---- batching

    def _counts(self, name: str) -> Array:
        """Molecules in each shard."""
        file = self.fixture.files[name]
        budget = self.budget(int(file["batch_size"]) // int(file["shards"]))
        starts = batch_starts(file["num_nodes"], 2 * file["num_edges_undirected"], budget)
        return np.diff(starts)

    def groups(self, name: str) -> Array:
        """A row for each full group of shards; the reference has no more."""
        shards = int(self.fixture.files[name]["shards"])
        counts = self._counts(name)
        return counts[: len(counts) // shards * shards].reshape(-1, shards)

    def sizes(self, name: str) -> Array:
        """Nodes, edges and graphs of a padded shard."""
        file = self.fixture.files[name]
        budget = self.budget(int(file["batch_size"]) // int(file["shards"]))
        return np.array([budget.nodes + 1, budget.edges, budget.graphs + 1])


def padded(batch: Batch, budget: Budget) -> dict[str, Tensor]:
    """A batch as the reference has it: codes as float32, int64 indices, the padding a graph of its
    own, whose edges run from its first node to itself, and graphs without nodes behind it.
    """
    nodes, edges = len(batch["inputs"]), len(batch["senders"])
    rows = budget.graphs + 1
    more = {"nodes": budget.nodes + 1 - nodes, "edges": budget.edges - edges}
    counts = {
        part: torch.bincount(batch[f"{part}_graph"], minlength=rows) for part in ("node", "edge")
    }
    real = int((counts["node"] > 0).sum())
    for part, missing in zip(counts, more.values()):
        counts[part][real] = missing
    ends = {
        name: torch.cat([batch[name].long(), torch.full((more["edges"],), nodes)])
        for name in ("senders", "receivers")
    }
    labels = {name: _longer(batch[name], rows) for name in ("targets", "weights")}
    return {
        "nodes": _longer(batch["inputs"].float(), budget.nodes + 1),
        "edges": _longer(batch["edges"].float(), budget.edges),
        **ends,
        "n_node": counts["node"],
        "n_edge": counts["edge"],
        "targets": labels["targets"],
        "weights": labels["weights"] > 0,
    }


def _longer(tensor: Tensor, rows: int) -> Tensor:
    return torch.cat([tensor, tensor.new_zeros(rows - len(tensor), *tensor.shape[1:])])


def _part(loss: Loss, name: str) -> Any:
    if name == "per_example_shape":
        return np.array(loss.per_example.shape)
    if name == "per_example_rowsum":
        return loss.per_example.detach().double().sum(1)
    value: Tensor = getattr(loss, name)
    return value.detach()


def _stored(values: Tensor) -> Array:
    """[sum, absolute sum, deviation] of an array."""
    wide = values.detach().double().numpy()
    return np.array([wide.sum(), np.abs(wide).sum(), wide.std()])


PARITY: Callable[..., Parity] = OgbgParity
