"""finewebedu_lm against its golden fixture: the names are the reference's, tolerances as measured.

Three cases share one file: f (weights by the recipe), s (the same with the attention's first
scale), l (as s, one sequence of the whole context).  The reference fills up batches with rows of -1
(evaluation) or 0 (training) of weight 0; ours hold other ids there, or are left out, so rows of
weight 0 are compared by their weights alone.
"""

from collections.abc import Iterator
from functools import cache
from itertools import chain, repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.agreement import ABSOLUTE, EACH, Array, Check, Tolerance
from algoperf_pt.golden import filled
from algoperf_pt.parity import Answer, Parity, norm
from algoperf_pt.ranks import Ranks
from algoperf_pt.workload import Loss, Workload
from algoperf_pt.workload_data import Batch, Indices, Loading
from workloads.finewebedu_lm.corpus import Ids, Stream
from workloads.finewebedu_lm.data import FinewebEduData
from workloads.finewebedu_lm.metrics import perplexity, token_sums

_WEIGHTS = {"w": True, "now": False}  # with the mask, without


class FinewebEduParity(Parity):
    """Logits, losses, gradients, the rotation table, windows, metrics."""

    tolerances = {
        "case0/*_logits_abssum": Tolerance(1e-6),
        "case0/*_logits_sum": Tolerance(1e-6),
        "case0/*_logits_std": Tolerance(1e-6),
        "case0/*_logits_shape": Tolerance(0.0, ABSOLUTE),
        "case0/*_logits_*": Tolerance(2e-5, ABSOLUTE),
        "case0/*_n_valid": Tolerance(0.0, ABSOLUTE),
        "case0/*_denominator": Tolerance(0.0, ABSOLUTE),
        "case0/*_per_example": Tolerance(5e-5, ABSOLUTE),
        "case0/*_grad_norms": Tolerance(5e-4, EACH),
        "case0/*_train_loss": Tolerance(5e-6, ABSOLUTE),
        "case0/*_summed": Tolerance(1e-6),
        "case0/*_evalbatch_loss": Tolerance(1e-6),
        "case0/rope_*": Tolerance(1e-6, ABSOLUTE),
        "metrics/*": Tolerance(1e-12, EACH),
    }
    left_out = ("freqs_cis",)  # ours are two tables, compared as case0/rope_*
    unbounded = ("embed_tokens.weight", "*.w_*.weight", "*.fc?.weight")  # normal, not cut

    # ---- case0

    def answers(self) -> dict[str, Answer]:
        parts = r"loss_ls(0|01)_(w|now)_(summed|n_valid|per_example)"
        return {
            "case0/([fsl])_eval_logits_(head|sum|abssum|std|shape|probe)": self.logits_part,
            f"case0/([fsl])_{parts}": self.case_loss_part,
            "case0/([fsl])_evalbatch_(loss|denominator)": self.evaluated,
            "case0/([fs])_train_(loss|grad_norms)": lambda case, part: self.pass_of(case)[part],
            "case0/rope_(cos|sin)": self.rotation,
            "case0/freqs_cis_shape": lambda: self.rotations().shape,
            "preprocess/(validation|eval_train)_(all|two)_weights": self.row_weights,
        }

    def case_batch(self, case: str) -> Batch:
        """Inputs and next ids of a case, with its mask as weights."""
        ids = torch.from_numpy(self.fixture.case[f"{case}_in_ids"]).long()
        weights = torch.from_numpy(self.fixture.case[f"{case}_in_mask"])
        return {"inputs": ids[:, :-1], "targets": ids[:, 1:], "weights": weights}

    @torch.no_grad()
    def in_case(self, case: str) -> Workload:
        """The workload with a case's weights; drawn once, for they are many."""
        self._draw()
        for entry in self.fixture.parameters:
            if entry["name"].endswith("attn_scale"):
                drawn, first = filled(entry), self.fixture.params["attn_scale_init"]
                self.tensor(entry["name"]).fill_(float(drawn) if case == "f" else first)
        return self.workload

    @cache
    def _draw(self) -> None:
        self.fill()

    @cache
    def case_logits(self, case: str) -> Tensor:
        """[B, L, V] in evaluation mode."""
        with torch.no_grad():
            logits: Tensor = self.in_case(case).eval()(self.case_batch(case))
        return logits

    def logits_part(self, case: str, part: str) -> Any:
        """The first values, a statistic or a lattice of the logits."""
        logits = self.case_logits(case)
        if part == "head":
            return logits.flatten()[:2000]
        if part == "probe":
            return logits[:, ::31, ::12007] if case == "l" else logits[:, ::1, ::3001]
        return self.statistics(case)[part]

    @cache
    def statistics(self, case: str) -> dict[str, Any]:
        """Statistics of the logits in float64, as the fixture has them."""
        logits = self.case_logits(case)
        values = logits.numpy().astype(np.float64)
        found = {"sum": values.sum(), "abssum": np.abs(values).sum(), "std": values.std()}
        return found | {"shape": np.array(logits.shape)}

    def case_loss_part(self, case: str, smoothing: str, mask: str, part: str) -> Tensor:
        """A field of the training loss; "01" is label smoothing 0.1."""
        loss = self.case_loss(case, self.case_logits(case), _WEIGHTS[mask], int(smoothing) / 10)
        value: Tensor = getattr(loss, part)
        return value

    def case_loss(self, case: str, logits: Tensor, masked: bool, smoothing: float = 0.0) -> Loss:
        """The training loss of a case, with or without its mask."""
        batch = self.case_batch(case)
        if not masked:
            del batch["weights"]
        return self.workload.loss(batch, logits, smoothing)

    @cache
    def evaluated_sums(self, case: str) -> dict[str, Tensor]:
        """What the evaluation step adds up."""
        with torch.no_grad():
            return self.in_case(case).eval().eval_step(self.case_batch(case)).sums

    def evaluated(self, case: str, part: str) -> Tensor:
        """A sum of the evaluation step, by the reference's name."""
        return self.evaluated_sums(case)["loss" if part == "loss" else "tokens"]

    @cache
    def pass_of(self, case: str) -> dict[str, Any]:
        """A training pass without mask: mean loss and norms of the gradients."""
        workload = self.in_case(case).train()
        workload.zero_grad()
        loss = self.case_loss(case, workload(self.case_batch(case)), masked=False)
        mean = loss.summed / loss.n_valid
        torch.autograd.backward(mean)
        grads = (self.named[entry["name"]].grad for entry in self.fixture.parameters)
        found = {"loss": mean.detach(), "grad_norms": np.array([norm(grad) for grad in grads])}
        workload.zero_grad()
        return found

    def rotations(self) -> Tensor:
        """[1, context, 1, E / 2, 2] in the form of the reference's buffer."""
        model = self.workload.model
        return torch.stack([model.cos, model.sin], -1)[None, :, None]

    def rotation(self, part: str) -> Tensor:
        """[5, E / 2] of the fixture's positions."""
        positions = torch.from_numpy(self.fixture.case["rope_positions"])
        table: Tensor = getattr(self.workload.model, part)
        return table[positions]

    # ---- preprocess

    def stream(self) -> Stream:
        """The fixture's documents in their order."""
        given = self.fixture.files["preprocess"]
        ids, lengths = given["flat_tokens"].astype(np.uint16), given["doc_lengths"]
        return Stream(ids, lengths, np.arange(len(lengths)), int(given["seq_len"]) + 1)

    def batches(self, split: str, form: str) -> list[Batch]:
        """Evaluation batches as the fixture drew them: all, or five out of the first two."""
        given = self.fixture.files["preprocess"]
        size, stream = int(given[f"{split}_{form}_batch"]), self.stream()
        every = len(stream) // stream.window
        data = InMemory(stream.windows(0, 0, every), every if form == "all" else 2 * size, size)
        ours = "train" if split == "eval_train" else split
        draws = list(data.eval_batches(ours, Ranks(torch.device("cpu"))))
        wanted = len(given[f"{split}_{form}_inputs"])
        return list(chain.from_iterable(repeat(draws, wanted)))[:wanted]

    def row_weights(self, split: str, form: str) -> Tensor:
        """[batches, B, L] weights, 0 in the rows that only fill up."""
        return torch.stack([batch["weights"] for batch in self.batches(split, form)])

    def more_checks(self) -> Iterator[Check]:
        given = self.fixture.files["preprocess"]
        for split in ("validation", "eval_train"):
            for key in (f"{split}_{form}_{part}" for form in ("all", "two") for part in _IDS):
                yield self._real_rows(key, given[key])
        yield from self._training(given)
        yield from self._metrics()

    def _real_rows(self, key: str, expected: Array) -> Check:
        split, form, part = key.rsplit("_", 2)
        weights = self.fixture.files["preprocess"][f"{split}_{form}_weights"]
        found = torch.stack([batch[part] for batch in self.batches(split, form)]).numpy()
        real = weights > 0
        return self.compare(f"preprocess/{key}", found[real], expected[real])

    def _training(self, given: Any) -> Iterator[Check]:
        """An epoch in batches that divide it holds each window once; in the fixture's batches, all
        but the one that the reference fills up are the same.
        """
        key = "preprocess/train_epoch_windows_sorted"
        expected = given["train_epoch_windows_sorted"]
        filler = (expected == 0).all(1)  # zero rows of weight 0
        found = torch.cat([_windows(batch) for batch in self._epoch(2)]).numpy()
        order = np.lexsort(found.T[::-1])
        yield self.compare(key, found[order], expected[~filler])
        size = int(given["train_batch_shapes"][0, 0])
        ours, filled_up = self._epoch(size), given["train_has_weights"]
        whole = all(bool((batch["weights"] == 1).all()) for batch in ours)
        found = np.array([*[not whole] * len(ours), True])  # the last batch is left out by us
        yield self.compare("preprocess/train_has_weights", found, filled_up)
        shapes = np.array([batch["inputs"].shape for batch in ours])
        wanted = given["train_batch_shapes"][~filled_up]
        yield self.compare("preprocess/train_batch_shapes", shapes, wanted)

    def _epoch(self, size: int) -> list[Batch]:
        stream = self.stream()
        every = len(stream) // stream.window
        data = InMemory(stream.windows(0, 0, every), every, size)
        batches = data.train_batches(size, seed=1, ranks=Ranks(torch.device("cpu")))
        return [next(batches) for _ in range(every // size)]

    def _metrics(self) -> Iterator[Check]:
        given = self.fixture.json("metrics.json")
        sums: dict[str, float] = {"loss": 0.0, "tokens": 0.0}
        for losses, weights in zip(given["per_token_losses"], given["weights"]):
            mask = torch.tensor(weights, dtype=torch.float64)
            part = token_sums(torch.tensor(losses, dtype=torch.float64) * mask, mask)
            sums = {name: sums[name] + float(part[name]) for name in sums}
        for name, value in perplexity(sums).items():
            yield self.compare(f"metrics/{name}", value, np.asarray(given[name]))
        for name, value in self.workload.metrics("test", {}, {}).items():
            expected = np.asarray(given["empty_split"][name])
            yield self.compare(f"metrics/empty_split_{name}", value, expected)


_IDS = ("inputs", "targets")


class InMemory(FinewebEduData):
    """The data module on windows that no shards hold."""

    def __init__(self, windows: Ids, evaluated: int, batch_size: int) -> None:
        self._windows, self.eval_batch_size, self.loading = windows, batch_size, Loading()
        counts = {"train": len(windows), "eval_train": evaluated, "validation": evaluated}
        self.num_examples = counts

    def windows(self, split: str, indices: Indices) -> Ids:
        return self._windows[indices]


def _windows(batch: Batch) -> Tensor:
    """[B, L + 1]: inputs and the last target."""
    return torch.cat([batch["inputs"], batch["targets"][:, -1:]], 1)


PARITY = FinewebEduParity
