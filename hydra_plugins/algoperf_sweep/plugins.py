"""What does Hydra find?  A sweeper and two launchers, as conf/hydra names them.  Hydra imports this
file at every start: all else is imported when it is used.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class BenchmarkSweeper(Sweeper):
    """The studies and trials of the rule set, over lists of workloads and submissions.

    Args:
        benchmark: name of a list in conf/benchmark; None: workloads are typed.
        dry_run: print the plan and start nothing.
    """

    def __init__(self, benchmark: str | None, dry_run: bool) -> None:
        self._benchmark, self._dry_run = benchmark, dry_run

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's first call."""
        from hydra.core.plugins import Plugins

        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Plan the trials and hand them to the launcher."""
        from algoperf_pt.sweep.report import print_plan
        from algoperf_pt.sweep.start import read_list, refuse_launcher, whole_plan

        loader, name = self.hydra_context.config_loader, self._benchmark
        listed = None if name is None else read_list(loader, self.config, name, arguments)
        trials = whole_plan(loader, self.config, arguments, listed, not self._dry_run)
        if not isinstance(self.launcher, TrialLauncher):
            refuse_launcher()
        if self._dry_run:
            print_plan(trials, self.launcher.backend())
            return []
        return self.launcher.run(trials, None if listed is None else listed.policy)


class TrialLauncher(Launcher):
    """Runs each trial as a process of its own, on the backend that a subclass makes."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's first call."""
        self._context, self._config = hydra_context, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        """The jobs of another sweeper."""
        from algoperf_pt.sweep.start import plan_of_jobs

        return self.run(plan_of_jobs(self._context.config_loader, self._config, job_overrides))

    def run(
        self, trials: Sequence[Any], policy: Mapping[str, Any] | None = None
    ) -> list[JobReturn]:
        """Run the trials of a plan, all or those that a policy asks for; `return_value` is the
        outcome of each.
        """
        from algoperf_pt.sweep.start import run_plan

        outcomes = run_plan(trials, self.backend(), self._config, policy)
        return [_job_return(outcome) for outcome in outcomes]

    @abstractmethod
    def backend(self) -> Any:
        """Where trials run: an algoperf_pt.sweep.backends.Backend."""


class LocalLauncher(TrialLauncher):
    """On this machine; its arguments are those of algoperf_pt.sweep.local.Local."""

    def __init__(self, **options: Any) -> None:
        self._options = options

    def backend(self) -> Any:
        """Slots with GPUs and cores of their own."""
        from algoperf_pt.sweep.local import Local

        return Local(**self._options)


class SubmititLauncher(TrialLauncher):
    """On a cluster; its arguments are those of algoperf_pt.sweep.jobs.Jobs, and submitit's."""

    def __init__(
        self, cluster: str, parallel: int | None, nodes: int, requeues: int, **parameters: Any
    ) -> None:
        self._options = (cluster, parallel, nodes, requeues)
        self._parameters = parameters

    def backend(self) -> Any:
        """A job for each trial."""
        from algoperf_pt.sweep.jobs import Jobs

        more = dict(self._parameters.pop("more", None) or {})
        return Jobs(*self._options, parameters=self._parameters | more)


def _job_return(outcome: Any) -> JobReturn:
    job = JobReturn(status=JobStatus.COMPLETED)
    job.return_value = outcome
    return job
