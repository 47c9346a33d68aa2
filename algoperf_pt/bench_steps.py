"""A training step and an evaluation step without clock, records and data, to be measured.

Everything else is the trial's own: workload, submission, view, engine, compilation (assemble.py).
"""

from collections.abc import Callable
from typing import Any

import torch

from algoperf_pt.assemble import compile_parts, make_fabric, make_submission, make_workload
from algoperf_pt.errors import SubmissionError
from algoperf_pt.hparams import Hparams
from algoperf_pt.measuring import Stopwatch
from algoperf_pt.random_state import seed_all, seed_step
from algoperf_pt.ranks import Ranks
from algoperf_pt.seeds import derive
from algoperf_pt.spec import make_spec
from algoperf_pt.view import Engine, TimeView, WorkloadView
from algoperf_pt.workload import Workload
from algoperf_pt.workload_data import Batch

PARTS = ("forward", "loss", "backward")  # timed apart; "update" is the rest of the step


def make_initial(config: dict[str, Any], data: Any) -> Workload:
    """The workload with its initial parameters, compiled as the configuration says, on the CPU.

    Args:
        config: the composed configuration.
        data: what stands for the workload's data, of which nothing is read.
    """
    workload = make_workload(config, make_spec(config), data)
    workload.reset_parameters(torch.Generator().manual_seed(derive(config["seed"], "init")))
    if config["trainer"]["compile"]:
        compile_parts(workload, config["workload"])
    return workload


class TrainingStep:
    """A submission's step on a workload, again and again.

    Args:
        config: the composed configuration.
        data: what stands for the workload's data.
    """

    def __init__(self, config: dict[str, Any], data: Any = None) -> None:
        fabric = make_fabric(config["trainer"])  # its own: a Fabric keeps what it has set up
        self.workload = make_initial(config, data)
        self.step = 0
        self._seed: int = config["seed"]
        self._ranks = Ranks(fabric.device)
        self._module = fabric.setup_module(self.workload)
        self._fabric = fabric
        self._view = self._make_view(self._module, fabric.backward)
        self.workload.train()
        self._submission = make_submission(config["submission"])
        read = set(config["submission"]["read"])
        seed_all(self._seed, 0)
        hparams = Hparams(config["submission"]["hparams"], read)
        self.batch_size = self._submission.batch_size(self.workload.spec)
        self._submission.setup(self._view, hparams)

    @property
    def parameters_mb(self) -> float:
        """Memory of the parameters, MB (2^20 bytes)."""
        every = self.workload.model.parameters()
        return sum(p.numel() * p.element_size() for p in every) / 2**20

    def __call__(self, batch: Batch) -> None:
        """One step; `batch` is on the device."""
        self._take(self._view, batch)

    def parts(self, batch: Batch) -> dict[str, float]:
        """Milliseconds of one step by part, on a GPU with its queue emptied between them: they are
        the whole step, "update" being what is no forward, loss or backward.
        """
        whole, *watches = (Stopwatch(self._ranks.device) for _ in ("whole", *PARTS))
        forward, loss, backward = watches
        untimed = self.workload.loss
        engine = (_timed(self._module, forward), _timed(self._fabric.backward, backward))
        view = self._make_view(*engine)
        self.workload.loss = _timed(untimed, loss)  # type: ignore[method-assign]
        try:
            with whole:
                self._take(view, batch)
        finally:
            self.workload.loss = untimed  # type: ignore[method-assign]
        spent = {name: 1e3 * watch.wall for name, watch in zip(PARTS, watches)}
        return {**spent, "update": 1e3 * whole.wall - sum(spent.values())}

    def _take(self, view: WorkloadView, batch: Batch) -> None:
        seed_step(self._seed, self.step, 0, self._ranks.device.type == "cuda")
        self._submission.step(view, batch)
        self.step += 1

    def _make_view(
        self, forward: Callable[..., Any], backward: Callable[[torch.Tensor], None]
    ) -> WorkloadView:
        return WorkloadView(
            self.workload,
            Engine(forward, backward),
            self._ranks,
            TimeView(self.workload.spec.budget, lambda: 0.0, lambda: []),
            self._seed,
            step=lambda: self.step,
            wants_metrics=lambda: False,  # as in most steps of a trial
            evaluate=_refuse_evaluation,
        )


class EvalStep:
    """The workload's evaluation step as the judged copy makes it.

    Args:
        config: the composed configuration.
        device: where.
        data: what stands for the workload's data.
    """

    def __init__(self, config: dict[str, Any], device: torch.device, data: Any = None) -> None:
        self.workload = make_initial(config, data).to(device).eval()

    @torch.no_grad()
    def __call__(self, batch: Batch) -> None:
        """One evaluation step; `batch` is on the device."""
        self.workload.eval_step(batch)


def _timed(function: Callable[..., Any], watch: Stopwatch) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:
        with watch:
            return function(*arguments, **named)

    return timed


def _refuse_evaluation(split: str) -> dict[str, float]:
    raise SubmissionError(
        f"the submission asks for an evaluation on {split!r}",
        expected="a step that can be measured without data",
        fix="measure it with --what trial",
    )
