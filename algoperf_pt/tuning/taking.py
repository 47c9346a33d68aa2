"""Which hyperparameters does a trial run with?  Settled on the composed configuration before it is
resolved, so that its interpolations see them.  No torch here.

The point comes from `submission.points` or else from `submission.space`, by (study, trial); what
stands on the command line holds instead of the point's value.  Without points and space
`submission.hparams` are taken as they are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from algoperf_pt.errors import ConfigError
from algoperf_pt.tuning.assignment import assigned
from algoperf_pt.tuning.files import read_space
from algoperf_pt.tuning.space import Point, Space, parse_space

Place = tuple[int, int]  # study, trial
_KEY = "submission.hparams"


def take_point(node: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """Put the trial's point into `submission.hparams`.

    Args:
        node: the composed configuration.
        overrides: as typed.

    Returns:
        {"from": "points" | "space" | "hparams", "typed": names that the command line gave}.

    Raises:
        ConfigError: no valid space, no such study or trial, hyperparameters of a submission that
            tunes itself.
    """
    typed = typed_hparams(overrides)
    record = {"from": "hparams", "typed": sorted(typed)}
    submission = plain(node.submission)
    numbers = node.targets.rulesets.get(node.ruleset.name)
    place = (node.study, node.trial)
    if node.ruleset.tuning != node.submission.tuning or numbers is None or min(place) < 0:
        return record  # the checks will say what is wrong
    if node.submission.tuning == "self":
        _refuse_tuned(submission)
        return record
    content, where = _content(submission)
    if content is None:
        return record
    space = parse_space(content, where)
    dealt = assigned(space, numbers.studies, numbers.trials, node.base_seed)
    if place not in dealt:
        raise _outside(place, dealt, space, node)
    point = {name: value for name, value in dealt[place].items() if name not in typed}
    with open_dict(node):
        node.submission.hparams.update(point)
        if isinstance(submission["space"], str):  # what the file says is recorded, not where it is
            listed, ranges = (content, None) if space.listed else (None, content)
            node.submission.points, node.submission.space = listed, ranges
    return {**record, "from": "points" if space.listed else "space"}


def deal(
    submission: Mapping[str, Any], studies: int, trials: int, seed: int
) -> dict[Place, Point]:
    """(study, trial) -> point.  A submission that tunes itself, or has no points and no space, has
    one trial a study, whose point is empty.

    Args:
        submission: the node `submission` as plain containers.
        studies: of the rule set, from 0.
        trials: of the rule set, from 1.
        seed: in which order quasi-random points are dealt: `base_seed`.
    """
    space = None if submission["tuning"] == "self" else space_of(submission)
    return assigned(space, studies, trials, seed)


def space_of(submission: Mapping[str, Any]) -> Space | None:
    """The points or ranges of a submission, checked; None: it has none."""
    content, where = _content(submission)
    return None if content is None else parse_space(content, where)


def plain(submission: DictConfig) -> dict[str, Any]:
    """The node `submission` as plain containers; what may be without a value stays unresolved."""
    found: Any = OmegaConf.to_container(submission, resolve=False)
    for key in ("tuning", "space", "points"):
        found[key] = submission[key]
        if OmegaConf.is_config(found[key]):
            found[key] = OmegaConf.to_container(found[key], resolve=True)
    return found  # type: ignore[no-any-return]


def typed_hparams(words: Sequence[str]) -> set[str]:
    """Names of the hyperparameters that stand on the command line."""
    parser = OverridesParser.create()
    names: set[str] = set()
    for word in parser.parse_overrides([word for word in words if _KEY in word]):
        key, value = word.key_or_group, word.value()
        if key == _KEY and isinstance(value, dict):
            names |= set(map(str, value))
        elif key.startswith(f"{_KEY}."):
            names.add(key.split(".")[2])
    return names


def _content(submission: Mapping[str, Any]) -> tuple[Any, str]:
    """(ranges or points, where they stand).  A file comes before points, points before ranges."""
    space, points, path = (submission[key] for key in ("space", "points", "path"))
    if isinstance(space, str):
        folder = Path(path).expanduser().resolve().parent if path else Path()
        return read_space(space, folder), f"submission.space={space}"
    return (space, "submission.space") if points is None else (points, "submission.points")


def _refuse_tuned(submission: Mapping[str, Any]) -> None:
    for key in ("hparams", "space", "points"):
        if submission[key]:
            raise ConfigError(
                f"submission.{key}: {submission['name']!r} tunes itself, and has "
                f"{submission[key]!r}",
                expected="no hyperparameters: under self-tuning nothing is tuned from outside",
                where=f"submission.{key}",
                fix="write the values where they are used, or tuning: external with "
                "ruleset=external",
            )


def _outside(
    place: Place, dealt: Mapping[Place, Point], space: Space, node: DictConfig
) -> ConfigError:
    studies, trials = ({at[axis] for at in dealt} for axis in (0, 1))
    key, value, known = ("study", place[0], studies)
    if value in studies:
        key, value, known = ("trial", place[1], trials)
    if key == "trial" and len(trials) == len(space.listed) < value:
        return ConfigError(
            f"trial={value}: the search space lists {len(trials)} points",
            expected=f"trial=1 to trial={len(trials)}, a point each",
            where="submission.points",
        )
    rules, many = node.ruleset.name, {"trial": "trials", "study": "studies"}[key]
    return ConfigError(
        f"{key}={value}: ruleset={rules} of version {node.targets.version} has "
        f"{len(known)} {many}",
        expected=f"{key}={min(known)} to {key}={max(known)}",
        where=f"{key}={value}",
        fix=f"for more of them targets.rulesets.{rules}.{many}=N",
    )
