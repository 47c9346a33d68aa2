"""python -m algoperf_pt.doctor [KEY=VALUE ...]: is this machine fit for a trial?"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from algoperf_pt.calibrate.record import look_at_calibration
from algoperf_pt.command import check_overrides, exit_code_of
from algoperf_pt.doctor.data import look_at_data
from algoperf_pt.doctor.finding import Examined, examined
from algoperf_pt.doctor.gpu import look_at_gpus
from algoperf_pt.doctor.machine import (
    look_at_clock,
    look_at_cores,
    look_at_disk,
    look_at_files,
    look_at_memory,
    look_at_shared_memory,
)
from algoperf_pt.doctor.numerics import look_at_numerics
from algoperf_pt.doctor.ranks import look_at_ranks
from algoperf_pt.doctor.versions import look_at_versions
from algoperf_pt.versions import compose_somehow

_PLACES = "workload=digits"  # any: places of data and experiments do not depend on it


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 no problem, 1 problems, 2 bad input."""
    typed = _parser().parse_intermixed_args(arguments)
    return exit_code_of(lambda: _examine(typed))


def _examine(typed: argparse.Namespace) -> int:
    config, named = _compose(typed.overrides, typed.config_dir)
    parts = examine(config, named, typed.hash, typed.limit)
    problems = sum(len(part.problems) for part in parts)
    if typed.json:
        content = {part.part: part.as_dict() for part in parts}
        print(json.dumps({"problems": problems, "parts": content}, indent=1))
    else:
        _print(parts, problems)
    return 1 if problems else 0


def examine(
    config: dict[str, Any], named: bool, hashes: bool = False, limit: float = 120.0
) -> list[Examined]:
    """Everything, one part after the other; a part that cannot be examined is a problem.

    Args:
        config: the composed configuration.
        named: the user named the workload: its data must be there.
        hashes: read all data.
        limit: s, for the all-reduce.
    """
    shards: list[int] = [0]

    def data(found: Examined) -> None:
        root = Path(config["data"]["dir"])
        for index in look_at_data(found, root, config if named else None, hashes):
            shards.append(max(len(index.shards(split)) for split in index.splits))

    looks: dict[str, Callable[[Examined], None]] = {
        "versions": look_at_versions,
        "numerics": look_at_numerics,
        "gpu": look_at_gpus,
        "ranks": lambda found: look_at_ranks(found, limit),
        "data": data,
        "disk": lambda found: look_at_disk(found, Path(config["experiment_dir"])),
        "shared memory": look_at_shared_memory,
        "open files": lambda found: look_at_files(found, max(shards)),
        "memory": look_at_memory,
        "cores": look_at_cores,
        "clock": look_at_clock,
        "calibration": lambda found: look_at_calibration(found.facts.append, found.wrong),
    }
    return [examined(part, look) for part, look in looks.items()]


def _compose(words: Sequence[str], config_dir: str | None) -> tuple[dict[str, Any], bool]:
    """(configuration, whether a workload was typed)."""
    check_overrides(words, fix="workload=NAME")
    named = any(word.startswith("workload=") for word in words)
    every = list(words) if named else [_PLACES, *words]
    return compose_somehow(every, config_dir)[0], named


def _print(parts: Sequence[Examined], problems: int) -> None:
    for part in parts:
        for line in filter(None, part.lines()):
            print(line)
    print(f"{problems or 'no'} problem{'s' * (problems > 1)} found")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m algoperf_pt.doctor",
        description="Is this machine fit for a trial?  docs/doctor.md says what is looked at.",
        epilog="Nothing is written outside a temporary folder.",
    )
    words = "as for algoperf-train: workload=W, data.dir=DIR"
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=words)
    parser.add_argument("--config-dir", metavar="DIR", help="your own configuration groups")
    parser.add_argument("--hash", action="store_true", help="read all data, compare SHA-256")
    parser.add_argument("--limit", type=float, default=120.0, help="s, for the all-reduce (120)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
