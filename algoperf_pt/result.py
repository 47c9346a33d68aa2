"""How did the trial end?  `result.json`, written once by whoever knows first; everybody else agrees
with it.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from algoperf_pt.status import EXIT_CODES, FINAL, Status

RESULT = "result.json"
_RESERVE = ".reserve"
_ROOM = 1 << 17  # bytes; result.json and a line of the event log need less


def write_result(folder: Path, result: dict[str, Any]) -> bool:
    """Write result.json unless there is one; True if this call wrote it.  `link` fails if the name
    is taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{RESULT}.{os.getpid()}"
    with temporary.open("w") as file:
        file.write(json.dumps({**result, "ended": time.time()}, indent=2, default=str) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, folder / RESULT)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def read_result(folder: Path) -> dict[str, Any] | None:
    """The content of result.json, or None if there is none (the trial never ran, or goes on)."""
    try:
        result: dict[str, Any] = json.loads((folder / RESULT).read_text())
    except FileNotFoundError:
        return None
    return result


def fail(folder: Path, status: Status, message: str, rank: int, log_hash: str = "") -> None:
    """Record a failure, unless another process was first.  `log_hash`: where the event log is."""
    result = {"status": status.value, "message": message, "rank": rank}
    write_result(folder, result | ({"log_hash": log_hash} if log_hash else {}))


def keep_room(folder: Path) -> None:
    """Set a little of the disk aside, so that a trial can say that the disk is full."""
    with (folder / _RESERVE).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _ROOM)


def free_room(folder: Path) -> None:
    """Give back what `keep_room` has set aside."""
    (folder / _RESERVE).unlink(missing_ok=True)


def exit_code_of(folder: Path, otherwise: Status) -> int:
    """The exit code of the recorded status, the same for every process of the trial."""
    result = read_result(folder)
    return EXIT_CODES[Status(result["status"]) if result else otherwise]


def is_final(result: dict[str, Any] | None) -> bool:
    """Whether the trial is over, so that the same command only shows the result."""
    return result is not None and Status(result["status"]) in FINAL


def set_aside(folder: Path, attempt: int) -> None:
    """Before a new attempt: keep the result of the last one under its own name."""
    path = folder / RESULT
    if path.exists():
        path.replace(folder / f"result_{attempt}.json")
