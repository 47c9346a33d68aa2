"""What does a submission see of a workload?  AlgoPerf's `Workload` interface over our view of it.

Everything that is called here is on the clock, as every work of a submission is.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from numbers import Number
from typing import Any

import torch
from torch import Tensor, nn

from algoperf_pt.errors import SubmissionError
from algoperf_pt.reference.api import spec
from algoperf_pt.reference.container import Replica, weights_of
from algoperf_pt.view import WorkloadView
from algoperf_pt.workload_data import Batch

_TAG = "_batch_of_algoperf_pt"  # attribute of logits: the batch that they belong to


class MetricsLogger:
    """`workload.metrics_logger`: numbers become metrics of the step, written off the clock."""

    def __init__(self) -> None:
        self._metrics: dict[str, Any] = {}

    def append_scalar_metrics(
        self,
        metrics: Mapping[str, Any],
        global_step: int,
        preemption_count: int | None = None,
        is_eval: bool = False,
    ) -> None:
        """Take the numbers among `metrics`; rows of evaluations are the harness's own."""
        if is_eval:
            raise SubmissionError(
                "the submission writes a row of evaluations",
                expected="append_scalar_metrics(..., is_eval=False): the harness evaluates",
            )
        self._metrics |= {name: value for name, value in metrics.items() if _is_number(value)}

    def finish(self) -> None:
        """Nothing is open."""

    def take(self) -> dict[str, Any]:
        """What was appended since the last call."""
        taken, self._metrics = self._metrics, {}
        return taken


class ReferenceWorkload(spec.Workload):
    """A workload for one submission.

    Args:
        view: ours.
        dropout_rate: of passes that give none; None: the workload's own.
    """

    def __init__(self, view: WorkloadView, dropout_rate: float | None = None) -> None:
        self._view, self._dropout_rate = view, dropout_rate
        self.metrics_logger = MetricsLogger()
        self.param_shapes = {
            name: spec.ShapeTuple(tuple(p.shape)) for name, p in view.named_parameters()
        }
        self.model_params_types = {
            name: spec.ParameterType[kind.name] for name, kind in view.param_types.items()
        }
        facts, counts = view.spec, view.spec.num_examples
        self.target_metric_name = facts.metric
        self.validation_target_value = facts.validation_target
        self.test_target_value = facts.test_target
        self.loss_type = spec.LossType[facts.loss_type.upper()]
        self.num_train_examples = counts["train"]
        self.num_eval_train_examples = counts["eval_train"]
        self.num_validation_examples = counts["validation"]
        self.num_test_examples = counts["test"] or None
        self.eval_batch_size = facts.eval_batch_size
        self.max_allowed_runtime_sec = facts.max_runtime
        self.eval_period_time_sec = facts.eval_period
        self.step_hint = facts.step_hint
        self._last: Batch = {}

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"the workload has no attribute {name!r} here; docs/reference_submissions.md lists "
            "what it has"
        )

    # ---- facts

    def is_output_params(self, param_key: str) -> bool:
        """Whether a parameter belongs to the output layer."""
        return param_key.removeprefix("module.") in self._view.output_params

    def has_reached_validation_target(self, eval_result: Mapping[str, float]) -> bool:
        """Whether an evaluation meets the validation target."""
        return self._reached(eval_result, "validation", self.validation_target_value)

    def has_reached_test_target(self, eval_result: Mapping[str, float]) -> bool:
        """Whether an evaluation meets the test target."""
        return self._reached(eval_result, "test", self.test_target_value)

    def _reached(self, row: Mapping[str, float], split: str, target: float | None) -> bool:
        value = row.get(f"{split}/{self.target_metric_name}", float("nan"))
        return self._view.spec.reached(value, target)

    def attach_metrics_logger(self, metrics_logger: Any) -> None:
        """Nothing: it has one."""

    # ---- work

    def model_fn(
        self,
        params: nn.Module,
        augmented_and_preprocessed_input_batch: Batch,
        model_state: Any = None,
        mode: spec.ForwardPassMode = spec.ForwardPassMode.TRAIN,
        rng: Any = None,
        update_batch_norm: bool = True,
        dropout_rate: float | None = None,
        aux_dropout_rate: float | None = None,
        use_running_average_bn: bool | None = None,
    ) -> tuple[Any, None]:
        """(logits, model state): the state of batch norms is in the module, so it is None.

        Args:
            params: the container, or without gradients a copy of it.
            augmented_and_preprocessed_input_batch: from the input queue, or made from such.
            mode: TRAIN, or EVAL (no dropout, running statistics, no gradients).
            update_batch_norm: False leaves the running statistics alone.
            dropout_rate: of every dropout layer in this pass; None: the default.
            model_state, rng, aux_dropout_rate, use_running_average_bn: have no effect.
        """
        train = mode == spec.ForwardPassMode.TRAIN
        batch = augmented_and_preprocessed_input_batch
        rate = self._dropout_rate if dropout_rate is None else dropout_rate
        network = self._view.model
        network.train(train)
        grad = nullcontext() if train else torch.no_grad()
        local = params.local() if isinstance(params, Replica) else nullcontext()
        with grad, weights_of(network, params), local:
            logits = self._view.forward(batch, rate, update_batch_norm and train)
        self._last = batch
        if isinstance(logits, Tensor):
            setattr(logits, _TAG, batch)
        return logits, None

    def loss_fn(
        self,
        label_batch: Any,
        logits_batch: Any,
        mask_batch: Tensor | None = None,
        label_smoothing: float = 0.0,
    ) -> dict[str, Tensor]:
        """`summed` [], `n_valid_examples` [], `per_example`, of this rank's part of the batch."""
        batch = {**getattr(logits_batch, _TAG, self._last), "targets": label_batch}
        batch.pop("weights", None)
        if mask_batch is not None:
            batch["weights"] = mask_batch
        loss = self._view.loss(batch, logits_batch, float(label_smoothing))
        return {
            "summed": loss.summed,
            "n_valid_examples": loss.n_valid,
            "per_example": loss.per_example,
        }

    def output_activation_fn(self, logits_batch: Tensor, framework: str = "pytorch") -> Tensor:
        """Logits as probabilities, as the type of the loss says."""
        if self.loss_type in (
            spec.LossType.MEAN_SQUARED_ERROR,
            spec.LossType.MEAN_ABSOLUTE_ERROR,
        ):
            return logits_batch
        if self.loss_type is spec.LossType.SIGMOID_CROSS_ENTROPY:
            return logits_batch.sigmoid()
        return logits_batch.softmax(-1)

    def eval_model(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Metrics of the current parameters on train and validation, on the clock; never on test
        data, which are not for training algorithms.
        """
        return {**self._view.evaluate("train"), **self._view.evaluate("validation")}

    def init_model_fn(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: the parameters are the harness's, drawn before the submission starts."""
        raise SubmissionError(
            "the submission calls init_model_fn",
            expected="the parameters that init_optimizer_state is given, initialised",
            fix="keep copies of them there, and copy these back to start anew",
        )

    def _build_input_queue(self, *args: Any, **kwargs: Any) -> Any:
        """Refused, as by the rules."""
        raise SubmissionError(
            "the submission builds an input queue",
            expected="the one that data_selection is given: the rules allow no other",
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) or (isinstance(value, Tensor) and value.numel() == 1)
