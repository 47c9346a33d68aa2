"""How are the functions of a submission.py called?  As AlgoPerf's harness calls them, from the
methods of an ordinary Submission.

Source: AlgoPerf's documentation, section on the submission interface; versions 0.5, 0.6 and 1.0.
"""

import inspect
import re
from collections import namedtuple
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from algoperf_pt.errors import SubmissionError
from algoperf_pt.hparams import Hparams
from algoperf_pt.reference import loading
from algoperf_pt.reference.api import pytorch_utils, random_utils
from algoperf_pt.reference.api.spec import TrainingCompleteError
from algoperf_pt.reference.container import Replica, adopt
from algoperf_pt.reference.state import encode, restore
from algoperf_pt.reference.workload import ReferenceWorkload
from algoperf_pt.spec import WorkloadSpec
from algoperf_pt.submission import Metrics, Submission
from algoperf_pt.view import WorkloadView
from algoperf_pt.workload_data import Batch

_REQUIRED = ("get_batch_size", "init_optimizer_state", "update_params", "data_selection")
_OLD = re.compile(r"^\s*(?:from|import)\s+algorithmic_efficiency\b", re.MULTILINE)
_SELECT, _UPDATE, _PREPARE = 0, 1, 2  # places of the keys of a step


class ReferenceSubmission(Submission):
    """A submission.py, run as it is.

    Args:
        path: of the file.
        tier: the workload's; a small one may have the workload's own batch size.
        batch_size: global, examples; None: what the file says.
        version: of AlgoPerf: "0.5" takes the dropout rate of all passes from the hyperparameters;
            "auto" is 0.5 for a file that imports `algorithmic_efficiency`.
        sha256: of the file, for the record.
    """

    def __init__(
        self,
        path: str,
        tier: str = "full",
        batch_size: int | None = None,
        version: Any = "auto",
        sha256: str = "",
    ) -> None:
        if str(version) not in ("auto", "0.5", "0.6", "1.0"):
            raise SubmissionError(
                f"submission.options.version={version} is no version of AlgoPerf",
                expected="auto, 0.5, 0.6 or 1.0",
            )
        self._path, self._tier, self._batch_size = Path(path), tier, batch_size
        self._version = str(version)
        self._module: ModuleType | None = None
        self._stale = True  # whether there may be evaluations that the submission has not seen

    @property
    def module(self) -> ModuleType:
        """The file as a module; imported when it is first needed, once the ranks are set up."""
        if self._module is None:
            self._module = loading.load(self._path)
            missing = [name for name in _REQUIRED if not callable(vars(self._module).get(name))]
            if missing:
                raise SubmissionError(
                    f"{self._path} defines no function {missing[0]}",
                    expected=f"the functions {', '.join(_REQUIRED)}",
                    where="submission.path",
                )
        return self._module

    # ---- set-up

    def batch_size(self, spec: WorkloadSpec) -> int:
        module = self.module
        if self._batch_size is not None:
            return self._batch_size
        for name in spec.known_as:
            try:
                size = module.get_batch_size(name)
            except (ValueError, KeyError):
                continue
            if size is not None:
                return int(size)
        if self._tier == "full":
            raise SubmissionError(
                f"get_batch_size knows no {' and no '.join(map(repr, spec.known_as))}",
                expected="a number of examples",
                where=str(self._path),
                fix="give one: submission.batch_size=...",
            )
        if pytorch_utils.pytorch_setup()[1] == 0:
            print(f"note: get_batch_size knows no {spec.name!r}; the workload's own is taken")
        return spec.baseline_batch_size

    def setup(self, workload: WorkloadView, hparams: Hparams) -> None:  # type: ignore[override]
        self._view, values = workload, dict(hparams)
        point = namedtuple("Hyperparameters", list(values))  # type: ignore[misc]
        self._hyperparameters = point(**values) if values else None
        network, several = workload.model, workload.world_size > 1
        self._container = Replica(network, workload.no_sync) if several else network
        self._workload = ReferenceWorkload(workload, self._default_dropout(values))
        seed = workload.generator("reference").initial_seed()
        keys = random_utils.split(random_utils.PRNGKey(seed), 4)
        self._loop_word = random_utils.fold_in(keys[3], 0)[0]  # the step is only its other word
        self._keys_of: tuple[int, Any] = (-1, None)
        self._model_state: Any = None
        given = (self._workload, self._container, None, self._hyperparameters, keys[1])
        self._state = self._call(self.module.init_optimizer_state, *given)

    def _default_dropout(self, hparams: dict[str, Any]) -> float | None:
        """That of passes which give none: in 0.5 the harness took it from the point."""
        old = self._version == "0.5"
        if self._version == "auto":
            old = bool(_OLD.search(self._path.read_text()))
        rate = hparams.get("dropout_rate") if old else None
        aux = hparams.get("aux_dropout_rate", rate)
        if old and aux != rate and self._view.rank == 0:
            print(f"note: aux_dropout_rate={aux} has no effect: all layers have {rate}")
        return rate

    # ---- training

    def select(self, batches: Iterator[Batch]) -> Iterator[Any]:
        select = self.module.data_selection
        while True:
            given = (self._state, self._container, self._model_state, self._hyperparameters)
            yield self._call(
                select, self._workload, batches, *given, self._view.step, self._key(_SELECT)
            )

    def step(self, workload: WorkloadView, batch: Any) -> Metrics:
        logger = self._workload.metrics_logger
        try:
            function = self.module.update_params
            given = {"batch": batch, "train_state": _Lazy(self._train_state)}
            self._take(self._update(function, self._key(_UPDATE), **given), "update_params")
        except TrainingCompleteError:
            self.done = True
        return logger.take()

    def prepare_for_eval(self, workload: WorkloadView) -> None:
        function = getattr(self.module, "prepare_for_eval", None)
        if function is not None:
            self._take(self._update(function, self._key(_PREPARE)), "prepare_for_eval")

    def resume_training(self, workload: WorkloadView) -> None:
        self._stale = True  # there is one more evaluation; training goes on with what was judged

    def _update(self, function: Callable[..., Any], key: Any, **more: Any) -> Any:
        """Call by keywords; what the function's signature does not have is left out."""
        given = {
            "workload": self._workload,
            "current_param_container": self._container,
            "current_params_types": self._workload.model_params_types,
            "model_state": self._model_state,
            "hyperparameters": self._hyperparameters,
            "loss_type": self._workload.loss_type,
            "optimizer_state": self._state,
            "eval_results": self._eval_results(),
            "global_step": self._view.step,
            "rng": key,
            **more,
        }
        accepted = _accepted(function)
        chosen = {n: v for n, v in given.items() if accepted is None or n in accepted}
        called = {n: v.make() if isinstance(v, _Lazy) else v for n, v in chosen.items()}
        return self._call(function, **called)

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except ImportError as error:
            raise loading.explain_import(error, self._path) from error
        except (ValueError, RuntimeError) as error:
            if "process group has not been" not in str(error):
                raise
            raise SubmissionError(
                f"{function.__name__} communicates between ranks, of which there is one",
                expected="several ranks, or if pytorch_setup()[0]: around what communicates",
                where=str(self._path),
                fix="trainer.devices=2",
            ) from error
        except AttributeError as error:
            asks_none = error.name is not None and "'NoneType'" in str(error)
            if self._hyperparameters is not None or not asks_none:
                raise
            raise SubmissionError(
                f"{function.__name__} asks None for {error.name!r}",
                expected="a submission for self-tuning, or a point",
                where=str(self._path),
                fix=f"submission.space=FILE.json, or +submission.hparams.{error.name}=...",
            ) from error

    def _take(self, returned: Any, name: str) -> None:
        if not (isinstance(returned, tuple) and len(returned) == 3):
            raise SubmissionError(
                f"{name} returned a {type(returned).__name__}",
                expected="(optimizer_state, parameters, model_state)",
                where=str(self._path),
            )
        self._state, container, self._model_state = returned
        if container is not self._container:
            adopt(self._view.model, container)

    def _key(self, place: int) -> Any:
        """The reference's key [2] int32 of this step for one of its calls."""
        step = self._view.step
        if self._keys_of[0] != step:
            self._keys_of = step, random_utils.split([self._loop_word, step], 4)
        return self._keys_of[1][place]

    # ---- what it is told

    def _eval_results(self) -> list[tuple[int, dict[str, float]]]:
        """(global step, row) of each evaluation: copies, made anew when there is another one."""
        if self._stale:
            rows = self._view.time.evaluations
            self._results = [(int(row["global_step"]), row) for row in rows]
            self._stale = False
        return self._results

    def _train_state(self) -> MappingProxyType[str, Any]:
        """The reference's bookkeeping, on the timed clock."""
        time, rows = self._view.time, [row for _, row in self._eval_results()]
        last = rows[-1] if rows else {}
        workload = self._workload
        return MappingProxyType(
            {
                "validation_goal_reached": any(map(workload.has_reached_validation_target, rows)),
                "test_goal_reached": any(map(workload.has_reached_test_target, rows)),
                "is_time_remaining": time.remaining > 0,
                "last_eval_time": last.get("score", 0),
                "training_complete": self.done,
                "accumulated_submission_time": time.elapsed,
                "accumulated_eval_time": last.get("accumulated_eval_time", 0),
                "accumulated_logging_time": last.get("accumulated_logging_time", 0),
                "last_step_end_time": time.elapsed,
            }
        )

    # ---- checkpoints: on several ranks each saves its own, as nothing says that they are equal

    def state_dict(self) -> dict[str, Any]:
        return self._encoded() if self._view.world_size == 1 else {}

    def rank_state_dict(self) -> dict[str, Any]:
        return self._encoded() if self._view.world_size > 1 else {}

    def _encoded(self) -> dict[str, Any]:
        device = self._view.device
        return {
            "optimizer_state": encode(self._state, device),
            "model_state": encode(self._model_state, device, "model_state"),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict:
            device = self._view.device
            self._state = restore(self._state, state_dict["optimizer_state"], device)
            self._model_state = restore(None, state_dict["model_state"], device)

    def load_rank_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.load_state_dict(state_dict)


@lru_cache
def _accepted(function: Callable[..., Any]) -> frozenset[str] | None:
    """Names of the arguments that a function takes; None: any."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return None
    return frozenset(parameters)


class _Lazy:
    """A value that is made only for functions that take it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
