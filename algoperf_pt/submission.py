"""What is free in a trial?  Everything an algorithm designer may change.  Nine of ten need only
YAML (algoperf_pt/optimizer_submission.py).
"""

from collections.abc import Iterator
from typing import Any

import lightning as L

from algoperf_pt.hparams import Hparams
from algoperf_pt.spec import WorkloadSpec
from algoperf_pt.view import WorkloadView
from algoperf_pt.workload_data import Batch

Metrics = dict[str, Any]


class Submission(L.Callback):
    """Subclass this to write a training algorithm.  Every method but `step` has a default.

    Order of calls: `batch_size`, `setup` (untimed, bounded), then per step `next` on what `select`
    returned and `step` (timed); around an evaluation `prepare_for_eval` and `resume_training`
    (timed).
    """

    done = False  # set it to True in `step` to end the trial after a last evaluation

    def batch_size(self, spec: WorkloadSpec) -> int:
        """Global training batch size, examples."""
        return spec.baseline_batch_size

    def setup(self, workload: WorkloadView, hparams: Hparams) -> None:  # type: ignore[override]
        """Build the optimizer state.  Not timed, but bounded and recorded; training here is against
        the rules.
        """

    def select(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Data selection: an iterator in, an iterator out (echoing, curricula, importance
        sampling).

        The incoming stream continues after a resume where it was.  What the returned iterator
        remembers beyond it belongs into `state_dict`, updated before the `yield`.
        """
        return batches

    def step(self, workload: WorkloadView, batch: Batch) -> Metrics:
        """One update: any number of forward and backward passes.

        Returns:
            scalars to write, such as {"loss": ...} (tensors stay on the device).  A non-finite
            "loss" ends the trial.
        """
        raise NotImplementedError(f"{type(self).__name__} must define step(workload, batch)")

    def prepare_for_eval(self, workload: WorkloadView) -> None:
        """Put the parameters to be judged into the model (averages, schedule-free).  Timed."""

    def resume_training(self, workload: WorkloadView) -> None:
        """Undo `prepare_for_eval` exactly; without it training goes on with the judged parameters.
        Timed.
        """

    def state_dict(self) -> dict[str, Any]:
        """All state beyond the model's, equal on all ranks: tensors and plain Python
        values only."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over `state_dict()` of an earlier attempt; called after `setup`."""

    def rank_state_dict(self) -> dict[str, Any]:
        """State that differs between ranks (shared-out preconditioners, say); saved for
        each rank."""
        return {}

    def load_rank_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over this rank's `rank_state_dict()`."""
