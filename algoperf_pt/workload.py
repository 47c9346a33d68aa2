"""What is fixed in a trial?  Model, data, loss, metric: a LightningModule that is complete without
any submission.

Shapes: B batch (local to the rank); everything else is documented by the workload.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from algoperf_pt.ranks import Ranks
from algoperf_pt.roles import ParamType, param_types
from algoperf_pt.spec import WorkloadSpec
from algoperf_pt.workload_data import Batch, WorkloadData


@dataclass
class Loss:
    """The training loss of this rank's part of a batch, not reduced over ranks.

    `summed` []: float32, sum over valid entries; `n_valid` []: float32, their number;
    `per_example`: as the workload says, zero where the weight is zero.
    """

    summed: Tensor
    n_valid: Tensor
    per_example: Tensor


@dataclass
class EvalOutput:
    """What one evaluation batch adds: sums (float64 [], added over batches and ranks once) and
    rows.

    `rows`: [B, ...] per example, for metrics that need the whole split (average precision); padding
    is removed and the split's order restored before `Workload.metrics` sees them.
    """

    sums: dict[str, Tensor]
    rows: dict[str, Tensor] = field(default_factory=dict)


def in_parts(
    batch: Batch, rows: int, evaluate: Callable[[Batch], dict[str, Tensor]]
) -> EvalOutput:
    """The sums of an evaluation batch of which a device can hold but some rows at once.

    Args:
        batch: of tensors whose first axis is that of the rows.
        rows: at once; a matter of memory, not of figures.
        evaluate: a part of the batch -> its sums.
    """
    parts = zip(*(tensor.split(rows) for tensor in batch.values()))
    outputs = [evaluate(dict(zip(batch, part))) for part in parts]
    return EvalOutput({name: sum(o[name] for o in outputs) for name in outputs[0]})


class Workload(L.LightningModule):
    """Subclass this in workloads/<name>/workload.py; see workloads/mnist for the smallest complete
    one.

    Args:
        spec: the numbers of the rules.
        data: the splits.
        model: keyword arguments of `build_model`, from conf/workload/<name>.yaml.
    """

    output_params: tuple[str, ...] = ()  # names of the output layer's parameters

    def __init__(self, spec: WorkloadSpec, data: WorkloadData, model: dict[str, Any]) -> None:
        super().__init__()
        self.automatic_optimization = False  # the submission owns the update
        self.spec = spec
        self.data = data
        self.model = self.build_model(**model)
        self.param_types: dict[str, ParamType] = param_types(self.model)
        self._dropouts = [
            m for m in self.model.modules() if isinstance(m, nn.modules.dropout._DropoutNd)
        ]
        self._default_rates = [m.p for m in self._dropouts]
        self._batch_norms = [
            m for m in self.model.modules() if isinstance(m, nn.modules.batchnorm._NormBase)
        ]
        self.trial_step: Callable[[Batch], dict[str, Any]] | None = (
            None  # set by the bridge to L.Trainer
        )

    # ---- what a workload defines

    @abstractmethod
    def build_model(self, **model: Any) -> nn.Module:
        """The network with uninitialised or default weights; `reset_parameters` fills them."""

    @abstractmethod
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the initial parameters in place from `generator` (CPU) alone."""

    @abstractmethod
    def loss(self, batch: Batch, logits: Any, label_smoothing: float = 0.0) -> Loss:
        """The training loss of a batch, weights respected."""

    @abstractmethod
    def eval_step(self, batch: Batch) -> EvalOutput:
        """What one evaluation batch (model in evaluation mode, no gradients) adds to the split's
        metrics.
        """

    @abstractmethod
    def metrics(
        self, split: str, sums: dict[str, float], rows: dict[str, Tensor]
    ) -> dict[str, float]:
        """The split's metrics, global over ranks, e.g. {"accuracy": ..., "loss": ...}."""

    # ---- what every workload has

    def forward(
        self, batch: Batch, dropout_rate: float | None = None, update_batch_norm: bool = True
    ) -> Any:
        """The model's outputs for a batch, in the mode (train or eval) that the module is in.

        Args:
            batch: as `WorkloadData` makes it.
            dropout_rate: rate of every dropout layer in this call; None: the workload's defaults.
            update_batch_norm: False leaves the running statistics alone.
        """
        self._set_dropout(dropout_rate)
        if update_batch_norm or not self._batch_norms:
            return self.model_forward(batch)
        with self._frozen_statistics():
            return self.model_forward(batch)

    def model_forward(self, batch: Batch) -> Any:
        """Call the model on a batch; override when it takes more than `inputs`."""
        return self.model(batch["inputs"])

    @torch.no_grad()
    def evaluate(self, split: str, ranks: Ranks) -> dict[str, float]:
        """Metrics of a split ("train" is its evaluated part): each example once, the same on any
        number of ranks.
        """
        self.eval()
        sums: dict[str, Tensor] = {}
        rows: dict[str, list[Tensor]] = {}
        for batch in self.data.eval_batches(split, ranks):
            output = self.eval_step(batch)
            for name, value in output.sums.items():
                value = value.to(torch.float64)
                sums[name] = sums[name] + value if name in sums else value
            for name, value in output.rows.items():
                rows.setdefault(name, []).append(value)
        return self.metrics(split, _reduce_sums(sums, ranks), self._whole_rows(split, rows, ranks))

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Under L.Trainer only: the bridge puts the submission's update here."""
        if self.trial_step is None:
            raise RuntimeError("add algoperf_pt.bridge.TrainerBridge to the Trainer's callbacks")
        self.trial_step(batch)

    def configure_optimizers(self) -> None:
        """None: the submission owns its optimizers."""

    def statistics(self) -> list[dict[str, Tensor]]:
        """Running statistics of the batch norms, which under DDP are each rank's own."""
        return [dict(module.named_buffers()) for module in self._batch_norms]

    @torch.no_grad()
    def load_statistics(self, statistics: list[dict[str, Tensor]]) -> None:
        """Put back what `statistics` gave."""
        for module, buffers in zip(self._batch_norms, statistics, strict=True):
            for name, buffer in module.named_buffers():
                buffer.copy_(buffers[name])

    def _set_dropout(self, rate: float | None) -> None:
        for module, default in zip(self._dropouts, self._default_rates):
            wanted = default if rate is None else rate
            if module.p != wanted:
                module.p = wanted

    @contextmanager
    def _frozen_statistics(self) -> Iterator[None]:
        momenta = [m.momentum for m in self._batch_norms]
        for m in self._batch_norms:
            m.momentum = 0.0
        try:
            yield
        finally:
            for m, momentum in zip(self._batch_norms, momenta):
                m.momentum = momentum

    def _whole_rows(
        self, split: str, rows: dict[str, list[Tensor]], ranks: Ranks
    ) -> dict[str, Tensor]:
        """Batches of each rank -> [n, ...] in the order of the split: rank r holds every world-th
        row of a batch.
        """
        n = self.data.eval_rows(split)
        whole: dict[str, Tensor] = {}
        for name, parts in rows.items():
            batches = [ranks.concat(part).transpose(0, 1).flatten(0, 1) for part in parts]
            whole[name] = torch.cat(batches)[:n]
        return whole


def _reduce_sums(sums: dict[str, Tensor], ranks: Ranks) -> dict[str, float]:
    if not sums:
        return {}
    names = sorted(sums)
    packed = ranks.sum_(torch.stack([sums[name].reshape(()) for name in names]))
    return dict(zip(names, packed.tolist()))
