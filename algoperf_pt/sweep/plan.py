"""Which trials are there, where, with which point, and what has become of them so far?

A pair (one workload with one submission) is composed once; its trials differ in study, trial, seed
and point alone.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from algoperf_pt.config import Config, explain, finish, trial_folder
from algoperf_pt.driver import CONFIG
from algoperf_pt.errors import ConfigError
from algoperf_pt.result import is_final, read_result
from algoperf_pt.spec import WorkloadSpec, make_spec
from algoperf_pt.sweep.arguments import Request
from algoperf_pt.tuning.space import Point
from algoperf_pt.tuning.taking import Place, deal, plain, typed_hparams

Compose = Callable[[Sequence[str]], DictConfig]
_NO_POINTS = ("submission.points=null", "submission.space=null")


class Pair:
    """A workload with a submission: what their trials have in common.

    Args:
        words: the command line of a trial, without study and trial.
        compose: words to Hydra's node, nothing resolved yet.
        needs_data: False where nothing will be read.
    """

    def __init__(self, words: Sequence[str], compose: Compose, needs_data: bool = True) -> None:
        self.words, self._needs_data = tuple(words), needs_data
        try:
            self._node = compose(words)
        except (HydraException, OmegaConfBaseException) as error:
            raise explain(error, list(words)) from error

    def place(self) -> Place:
        """(study, trial) as the words say, or else (0, 1)."""
        return self._node.study, self._node.trial

    def points(self) -> dict[Place, Point]:
        """The places of the rule set, with the point of each without what was typed."""
        numbers = self._node.targets.rulesets.get(self._node.ruleset.name)
        if numbers is None or self._node.ruleset.tuning != self._node.submission.tuning:
            self.config(0, 1)  # says what is wrong
        typed = typed_hparams(self.words)
        dealt = deal(
            plain(self._node.submission), numbers.studies, numbers.trials, self._node.base_seed
        )
        return {
            place: {name: value for name, value in point.items() if name not in typed}
            for place, point in dealt.items()
        }

    def config(self, study: int, trial: int) -> Config:
        """The configuration of one trial, resolved and checked."""
        node = self._node.copy()
        node.study, node.trial = study, trial
        try:
            return finish(node, list(self.words), self._needs_data)
        except OmegaConfBaseException as error:
            raise explain(error, list(self.words)) from error


@dataclass(eq=False)
class Planned:
    """One trial of the plan.

    Args:
        pair: its workload and submission.
        study: from 0.
        trial: from 1.
        point: hyperparameters that it is given by the rules; the YAML's hold for the others.
        first: the checked configuration of the pair's first trial.
        pause_at: s of its clock at which its next attempt is to pause; None: it runs to its end.
    """

    pair: Pair
    study: int
    trial: int
    point: Point
    first: Config = field(repr=False)
    pause_at: float | None = None

    def __post_init__(self) -> None:
        here = {**self.first, "study": self.study, "trial": self.trial}
        self.folder: Path = trial_folder(here)
        self.spec: WorkloadSpec = make_spec(self.first)

    @property
    def workload(self) -> str:
        """Name of the workload."""
        return str(self.first["workload"]["name"])

    @property
    def submission(self) -> str:
        """Name of the submission."""
        return str(self.first["submission"]["name"])

    @property
    def label(self) -> str:
        """The trial in a line of text."""
        return f"{self.workload} / {self.submission}, study {self.study}, trial {self.trial}"

    @property
    def started(self) -> bool:
        """Whether an attempt has begun."""
        return (self.folder / CONFIG).exists()

    @property
    def finished(self) -> bool:
        """Whether the trial is over."""
        return is_final(read_result(self.folder))

    def config(self) -> Config:
        """The configuration, composed now."""
        config = self.pair.config(self.study, self.trial)
        if trial_folder(config) != self.folder:
            raise ConfigError(
                f"the folder of {self.label} is {trial_folder(config)} instead of {self.folder}",
                expected="experiment_dir and submission.name without study, trial or point",
                where="experiment_dir, submission.name",
            )
        return config if self.pause_at is None else {**config, "pause_at": self.pause_at}


def plan(request: Request, compose: Compose, needs_data: bool = True) -> list[Planned]:
    """All trials of a request, one study after the other.

    Raises:
        ConfigError: the request cannot be composed, or two of its trials have one folder.
    """
    trials: list[Planned] = []
    for words in request.pairs():
        if request.others:
            trials += _combinations(request, words, compose, needs_data)
        else:
            trials += _studies(request, Pair(words, compose, needs_data))
    _refuse_shared_folders(trials)
    return sorted(trials, key=lambda planned: planned.study)


def plan_words(jobs: Sequence[Sequence[str]], compose: Compose) -> list[Planned]:
    """One trial for each list of words: another sweeper's jobs."""
    trials = []
    for words in jobs:
        pair = Pair(words, compose)
        study, trial = pair.place()
        trials.append(Planned(pair, study, trial, {}, pair.config(study, trial)))
    _refuse_shared_folders(trials)
    return trials


def _studies(request: Request, pair: Pair) -> Iterator[Planned]:
    """The rule set's studies and trials, or the typed ones of them."""
    points = pair.points()
    studies = request.studies or sorted({study for study, _ in points})
    trials = request.trials or sorted({trial for _, trial in points})
    first = pair.config(studies[0], trials[0])
    for place in itertools.product(studies, trials):
        if place not in points:
            pair.config(*place)  # says which there are
        yield Planned(pair, *place, points[place], first)


def _combinations(
    request: Request, words: tuple[str, ...], compose: Compose, needs_data: bool
) -> Iterator[Planned]:
    """An ordinary sweep: its combinations are the trials 1, 2, ... of study 0, unless typed, and
    take no points: only what is swept differs between them.
    """
    for number, more in enumerate(request.combinations(), 1):
        pair = Pair((*words, *more, *_NO_POINTS), compose, needs_data)
        for place in itertools.product(request.studies or (0,), request.trials or (number,)):
            yield Planned(pair, *place, {}, pair.config(*place))


def _refuse_shared_folders(trials: Sequence[Planned]) -> None:
    taken: dict[Path, Planned] = {}
    for planned in trials:
        other = taken.setdefault(planned.folder, planned)
        if other is not planned:
            words = set(planned.pair.words) ^ set(other.pair.words)
            raise ConfigError(
                f"two trials of the plan have the folder {planned.folder}",
                expected="a folder for each trial",
                where=f"command line: {' '.join(sorted(words)) or planned.label}",
                fix="leave study= and trial= out (the combinations are then numbered), or let "
                "submission.name or experiment_dir differ",
            )
