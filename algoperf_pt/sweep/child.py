"""python -m algoperf_pt.sweep.child FILE HASH [PARENT]: one trial of many, in an interpreter of its
own.

FILE holds the resolved configuration, HASH is what its parent computed of it (every rank compares),
PARENT the process with which the trial is to stop.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from algoperf_pt.config import Config, config_hash, register_resolvers
from algoperf_pt.driver import RANK_VARIABLES, run_here
from algoperf_pt.errors import AlgoperfError, IntegrityError
from algoperf_pt.instantiate import find_own_modules
from algoperf_pt.orphans import die_with
from algoperf_pt.records import write_atomically
from algoperf_pt.status import EXIT_CODES, Status

PLANNED = "planned.json"  # what the next attempt will be; config.json is what the first one was
CONSOLE = "console.log"


def write_planned(config: Config, folder: Path) -> list[str]:
    """Write the configuration of a trial into its folder; the words FILE HASH for its child."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / PLANNED, json.dumps(config, indent=2) + "\n")
    return [str(folder / PLANNED), config_hash(config)]


def command(words: list[str], launcher: list[str] | None = None) -> list[str]:
    """The command line of a child: `-P`, so that no folder beside the user hides a package."""
    return [sys.executable, *(launcher or ["-P"]), "-m", "algoperf_pt.sweep.child", *words]


def environment(inherited: Mapping[str, str], **more: str) -> dict[str, str]:
    """The environment of a child: of no process group, and with this package to be found."""
    kept = {k: v for k, v in inherited.items() if k not in RANK_VARIABLES}
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", **more}


def read_planned(file: Path, expected: str) -> Config:
    """The configuration in a file.

    Raises:
        IntegrityError: it is not the one that the parent wrote.
    """
    config: Config = json.loads(file.read_text())
    found = config_hash(config)
    if found != expected:
        raise IntegrityError(
            f"{file} has the hash {found[:8]}",
            expected=f"{expected[:8]}, as planned; all ranks must read the same file and code",
            fix="start the same command again",
        )
    return config


def main() -> None:
    """Run the trial, or this rank of it under a launcher; the exit code is the status's."""
    file, expected, *parent = sys.argv[1:]
    if parent:
        die_with(int(parent[0]), signal.SIGTERM)  # it saves a checkpoint and stops
    find_own_modules()
    register_resolvers()
    try:
        sys.exit(run_here(read_planned(Path(file), expected)))
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(EXIT_CODES[Status.CONFIG_ERROR])


if __name__ == "__main__":
    main()
