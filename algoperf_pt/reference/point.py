"""Which file is run, and are its hyperparameters such as it can read?  Settled while the
configuration is composed.  No torch here.
"""

import hashlib
import keyword
from pathlib import Path
from typing import Any

from algoperf_pt.errors import ConfigError

_REFERENCE = "algoperf_pt.reference.submission.ReferenceSubmission"


def settle(config: dict[str, Any]) -> None:
    """Make `submission.path` absolute and record what the file is; check the point.

    Raises:
        ConfigError: no such file, or hyperparameters that it cannot read.
    """
    submission = config["submission"]
    if submission["path"] is None:
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
    _check_point(submission)


def _check_point(submission: dict[str, Any]) -> None:
    for name in submission["hparams"]:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ConfigError(
                f"the hyperparameter {name!r} cannot be an attribute",
                expected="a name as in Python: submissions read hyperparameters.NAME",
                where="submission.space",
            )
    points, space = submission["points"], submission["space"]
    names = list(points[0] if points else space or submission["hparams"])
    unknown = [name for name in submission["hparams"] if name not in names]
    if unknown:
        raise ConfigError(
            f"submission.hparams.{unknown[0]}: the search space has no such hyperparameter",
            expected=f"one of {', '.join(names)}",
            where=f"command line: +submission.hparams.{unknown[0]}=...",
        )
