"""Is there one search space for all workloads?  The submission's part of the configuration,
composed for several workloads, must be the same.  No torch here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from algoperf_pt.check.findings import FAIL, Finding
from algoperf_pt.config import Config, flatten

# What may differ: batch sizes by workload, and what composing adds.
_FREE = ("batch_size", "batch_sizes.", "options.batch_size", "options.tier", "read", "given")
_SHOWN = 60  # characters of a value


def compare_spaces(configs: Mapping[str, Config]) -> list[Finding]:
    """Keys of the submission that are not the same on all workloads.

    Args:
        configs: workload -> configuration.
    """
    parts = {name: _part(config["submission"]) for name, config in configs.items()}
    first, found = next(iter(parts)), []
    for key in sorted({key for part in parts.values() for key in part}):
        values = {name: part.get(key) for name, part in parts.items()}
        other = next((n for n, value in values.items() if value != values[first]), None)
        if other is not None:
            text = f"submission.{key} is {_short(values[first])} on {first} and "
            text += f"{_short(values[other])} on {other}"
            fix = "one value, or one space, for all workloads"
            found.append(Finding("space", FAIL, text, fix=fix))
    return found


def declared(config: Config) -> Sequence[str]:
    """Names of the hyperparameters."""
    return list(config["submission"]["hparams"])


def _part(submission: dict[str, Any]) -> dict[str, Any]:
    flat = flatten(submission)
    return {k: v for k, v in flat.items() if not k.startswith(_FREE)}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
