"""ogbg: which of 128 assays a molecule is active in, by a graph network, judged by mean average
precision.
"""

from typing import Any

import torch
from torch import Tensor

from algoperf_pt.workload import EvalOutput, Loss, Workload
from algoperf_pt.workload_data import Batch
from workloads.ogbg.metrics import mean_average_precision, task_loss
from workloads.ogbg.model import GraphNetwork

_NODES, _EDGES = ("inputs", "node_graph"), ("edges", "senders", "receivers", "edge_graph")


class OgbgWorkload(Workload):
    """Batches as of `workloads.ogbg.data.OgbgData`; logits [B, 128]."""

    model: GraphNetwork
    output_params = ("decoder.weight", "decoder.bias")

    def build_model(self, eval_rows: int = 512, **sizes: Any) -> GraphNetwork:
        """Args:
        eval_rows: molecules that a rank evaluates at once; a matter of memory, not of figures.
        sizes: of `workloads.ogbg.model.GraphNetwork`.
        """
        self._eval_rows = eval_rows
        return GraphNetwork(**sizes)

    def reset_parameters(self, generator: torch.Generator) -> None:
        self.model.reset_parameters(generator)

    def model_forward(self, batch: Batch) -> Tensor:
        names = ("inputs", "edges", "senders", "receivers", "node_graph", "edge_graph")
        logits: Tensor = self.model(*(batch[name] for name in names), len(batch["targets"]))
        return logits

    def loss(self, batch: Batch, logits: Tensor, label_smoothing: float = 0.0) -> Loss:
        """Sigmoid cross entropy of all tasks; `per_example` [B, 128], and `n_valid` counts its
        entries with a weight, not molecules.
        """
        return task_loss(logits, batch["targets"], batch.get("weights"), label_smoothing)

    def eval_step(self, batch: Batch) -> EvalOutput:
        """Loss and accuracy of the labelled entries; all entries for the average precisions."""
        logits = torch.cat([self(part) for part in parts(batch, self._eval_rows)])
        return self.judged(batch, logits)

    def judged(self, batch: Batch, logits: Tensor) -> EvalOutput:
        """Sums and rows of a batch's logits."""
        targets, weights = batch["targets"], batch["weights"]
        hits = ((logits > 0) == (targets > 0)) * weights
        sums = {"loss": self.loss(batch, logits).per_example, "hits": hits, "entries": weights}
        found = {name: value.sum(dtype=torch.float64) for name, value in sums.items()}
        labels = {"targets": targets.to(torch.uint8), "weights": weights.to(torch.uint8)}
        return EvalOutput(found, {"logits": logits, **labels})

    def metrics(
        self, split: str, sums: dict[str, float], rows: dict[str, Tensor]
    ) -> dict[str, float]:
        names = ("logits", "targets", "weights")
        return {
            "mean_average_precision": mean_average_precision(*(rows[name] for name in names)),
            "loss": sums["loss"] / sums["entries"],
            "accuracy": sums["hits"] / sums["entries"],
        }


def parts(batch: Batch, rows: int) -> list[Batch]:
    """A batch cut into batches of at most so many rows, in order."""
    count, device = len(batch["targets"]), batch["targets"].device
    first = torch.arange(0, count + rows, rows, device=device, dtype=torch.int32).clamp(max=count)
    cuts = torch.stack([torch.searchsorted(batch[n], first) for n in ("node_graph", "edge_graph")])
    nodes, edges = cuts.tolist()  # the one time that the host waits for the device
    return [
        _part(batch, slice(row, row + rows), slice(*nodes[i : i + 2]), slice(*edges[i : i + 2]))
        for i, row in enumerate(range(0, count, rows))
    ]


def _part(batch: Batch, rows: slice, nodes: slice, edges: slice) -> Batch:
    cut = {name: batch[name][rows] for name in ("targets", "weights")}
    cut |= {name: batch[name][nodes] for name in _NODES}
    cut |= {name: batch[name][edges] for name in _EDGES}
    for name in ("node_graph", "edge_graph"):
        cut[name] = cut[name] - rows.start
    for name in ("senders", "receivers"):
        cut[name] = cut[name] - nodes.start
    return cut
