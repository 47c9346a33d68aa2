"""Which file is run, and with which hyperparameters?  Settled while the configuration is composed,
so that the point is part of it.  No torch here.
"""

import hashlib
import json
import keyword
from pathlib import Path
from typing import Any

from algoperf_pt.errors import ConfigError

_REFERENCE = "algoperf_pt.reference.submission.ReferenceSubmission"
Space = dict[str, Any] | list[dict[str, Any]]


def settle(config: dict[str, Any]) -> None:
    """Make `submission.path` absolute, read the file of `submission.space`, choose the point.

    Raises:
        ConfigError: no such file, no search space in it, or no point that follows from it.
    """
    submission = config["submission"]
    if submission["path"] is None:
        if isinstance(submission["space"], str):
            raise ConfigError(
                f"submission.space={submission['space']} is a file",
                expected="ranges by name; files belong to submission=algoperf submission.path=...",
                where="submission.space",
            )
        if submission["_target_"] == _REFERENCE:
            raise ConfigError(
                "submission.path has no value",
                expected="the submission.py of a submission for AlgoPerf",
                where="command line",
                fix="submission.path=FOLDER/submission.py",
            )
        return
    path = Path(submission["path"]).expanduser().resolve()
    if not path.is_file():
        raise ConfigError(
            f"submission.path: there is no file {path}",
            expected="the submission.py of a submission for AlgoPerf",
            where=f"submission.path={submission['path']}",
        )
    submission["path"] = submission["options"]["path"] = str(path)
    submission["options"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    _settle_point(submission, path.parent, config["trial"])


def _settle_point(submission: dict[str, Any], folder: Path, trial: int) -> None:
    typed, space = submission["hparams"], submission["space"]
    if isinstance(space, str):
        space = read_space(space, folder)
    listed = isinstance(space, list)
    submission["space"], points = (None, space) if listed else (space, submission["points"])
    submission["points"] = points
    if points:
        submission["hparams"] = _with_typed(_listed(points, trial), typed)
    elif space:
        submission["hparams"] = _only_point(space, typed)
    for name in submission["hparams"]:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ConfigError(
                f"the hyperparameter {name!r} cannot be an attribute",
                expected="a name as in Python: submissions read hyperparameters.NAME",
                where="submission.space",
            )


def read_space(name: str, folder: Path) -> Space:
    """The content of a search space file: ranges by name, or a list of points.

    Args:
        name: path from the current folder, or else from the submission's.
        folder: the submission's.
    """
    tried = [Path(name).expanduser(), folder / name]
    path = next((path for path in tried if path.is_file()), None)
    if path is None:
        raise ConfigError(
            f"submission.space: there is no file {tried[0]}, nor {tried[1]}",
            expected="a JSON file of a search space",
            where=f"submission.space={name}",
        )
    try:
        space: Any = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(
            f"submission.space: {path} is no JSON: {error}", where=f"submission.space={name}"
        ) from error
    points = space if isinstance(space, list) else [space]
    if not points or not all(isinstance(point, dict) for point in points):
        raise ConfigError(
            f"submission.space: {path} holds no search space",
            expected='{"name": {"feasible_points": [...]} or {"min", "max", "scaling"}}, or a list '
            "of points",
            where=f"submission.space={name}",
        )
    return space  # type: ignore[no-any-return]


def _listed(points: list[dict[str, Any]], trial: int) -> dict[str, Any]:
    if trial > len(points):
        raise ConfigError(
            f"trial={trial}: the search space lists {len(points)} points",
            expected=f"trial=1 to trial={len(points)}, a point each",
            where="submission.space",
        )
    return dict(points[trial - 1])


def _only_point(space: dict[str, Any], typed: dict[str, Any]) -> dict[str, Any]:
    """The point of a space that has no choice left once the typed values are taken."""
    found = {name: _only_value(name, entry) for name, entry in space.items()}
    point = _with_typed(found, typed)
    free = [name for name, value in point.items() if value is None]
    if free:
        raise ConfigError(
            f"submission.space leaves a choice: {', '.join(free)}",
            expected="one value for each hyperparameter: a list of points, or a value typed for "
            "each range",
            where="submission.space",
            fix=" ".join(f"+submission.hparams.{name}=..." for name in free),
        )
    return point


def _only_value(name: str, entry: Any) -> Any:
    """The value of an entry of a space; None if there are several."""
    good = isinstance(entry, dict) and (
        isinstance(entry.get("feasible_points"), list) or {"min", "max"} <= entry.keys()
    )
    if not good:
        raise ConfigError(
            f"submission.space: {name} is {entry!r}",
            expected='{"feasible_points": [...]}, or {"min": ..., "max": ..., "scaling": "log"}',
            where="submission.space",
        )
    choices = entry.get("feasible_points", [])
    return choices[0] if len(choices) == 1 else None


def _with_typed(point: dict[str, Any], typed: dict[str, Any]) -> dict[str, Any]:
    unknown = [name for name in typed if name not in point]
    if unknown:
        raise ConfigError(
            f"submission.hparams.{unknown[0]}: the search space has no such hyperparameter",
            expected=f"one of {', '.join(point)}",
            where=f"command line: +submission.hparams.{unknown[0]}=...",
        )
    return point | typed
