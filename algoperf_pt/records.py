"""What does a trial leave behind?  AlgoPerf's files and columns, a JSON-lines event log with a
running hash.

Rows are written by the harness alone, on rank 0, and only appended: a resumed trial first cuts the
files back to what they were at its checkpoint.  Layout of the folder: docs/experiment_folder.md.
"""

import csv
import hashlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any

EVAL_ROWS = "eval_measurements.csv"
ALL_ROWS = "measurements.csv"
EVENTS = "events.jsonl"
FIRST_HASH = "0" * 64  # before the first line of the event log


class Records:
    """Files of one trial folder.

    Args:
        folder: the trial folder.
        active: False on ranks other than 0: every method then does nothing.
    """

    def __init__(self, folder: Path, active: bool = True) -> None:
        self.folder, self.active = folder, active
        self._columns: dict[str, list[str]] = {}
        self._hash = FIRST_HASH

    def training_row(self, row: dict[str, Any]) -> None:
        """A row of a step's metrics; `global_step` is the step's number before the update."""
        self._append(ALL_ROWS, row)

    def evaluation_row(self, row: dict[str, Any]) -> None:
        """A row of an evaluation, in both CSV files and the event log."""
        self._append(EVAL_ROWS, row)
        self._append(ALL_ROWS, row)
        self.event("evaluation", row)

    def final_row(self, row: dict[str, Any]) -> None:
        """The last row of measurements.csv: score, global_step, preemption_count."""
        self._append(ALL_ROWS, row)

    def event(self, kind: str, content: dict[str, Any]) -> None:
        """Append {"time", "kind", ..., "hash"}; the hash covers the previous one, so a cut or an
        edit shows.
        """
        if not self.active:
            return
        event = {"time": round(time.time(), 3), "kind": kind, **content}
        following = next_hash(self._hash, event)
        line = json.dumps({**event, "hash": following}, sort_keys=True)
        self._write(EVENTS, line + "\n")
        self._hash = following

    def write_json(self, name: str, content: Any) -> None:
        """A whole JSON file, atomically."""
        if self.active:
            write_atomically(self.folder / name, json.dumps(content, indent=2, default=str) + "\n")

    # ---- state

    @property
    def log_hash(self) -> str:
        """Hash of the event log's last line: kept elsewhere, it shows that a tail was cut off."""
        return self._hash

    def state_dict(self) -> dict[str, Any]:
        """Sizes of the files, columns, and the running hash."""
        names = (EVAL_ROWS, ALL_ROWS, EVENTS)
        sizes = {n: (self.folder / n).stat().st_size for n in names if (self.folder / n).exists()}
        return {"sizes": sizes, "columns": dict(self._columns), "hash": self._hash}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut the files back to the checkpoint and go on from there."""
        self._columns = {name: list(columns) for name, columns in state["columns"].items()}
        self._hash = state["hash"]
        if not self.active:
            return
        for name in (EVAL_ROWS, ALL_ROWS, EVENTS):
            path, size = self.folder / name, state["sizes"].get(name, 0)
            if path.exists():
                os.truncate(path, size)

    def clear(self) -> None:
        """Start the files anew: no checkpoint was written, or none is sound."""
        self.load_state_dict({"sizes": {}, "columns": {}, "hash": FIRST_HASH})

    # ---- CSV

    def _append(self, name: str, row: dict[str, Any]) -> None:
        if not self.active:
            return
        columns = self._columns.get(name)
        if columns is None:
            columns = self._columns[name] = sorted(row)
            self._write(name, _line(columns))
        new = sorted(row.keys() - set(columns))
        if new:
            self._widen(name, columns, new)
        self._write(name, _line([row.get(column, "") for column in columns]))

    def _widen(self, name: str, columns: list[str], new: list[str]) -> None:
        """Later columns are appended at the right, as in AlgoPerf's files; happens once or twice a
        trial.
        """
        columns.extend(new)
        header, *rows = (self.folder / name).read_text().splitlines()
        text = _line(columns) + "".join(f"{row}{',' * len(new)}\n" for row in rows)
        write_atomically(self.folder / name, text)

    def _write(self, name: str, text: str) -> None:
        """Append all of `text` or, on a full disk, nothing."""
        path, content = self.folder / name, text.encode()
        with path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                while content:
                    content = content[file.write(content) :]
            except OSError:
                os.truncate(path, size)
                raise


def next_hash(before: str, event: dict[str, Any]) -> str:
    """The hash of a line of the event log: over that of the line before it and its own content."""
    return hashlib.sha256((before + json.dumps(event, sort_keys=True)).encode()).hexdigest()


def verify_events(path: Path) -> int:
    """Number of events of a sound log.

    Raises:
        ValueError: naming the first line whose hash does not follow from the lines before it.
    """
    running = FIRST_HASH
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        event = json.loads(line)
        found = event.pop("hash")
        running = next_hash(running, event)
        if found != running:
            raise ValueError(f"{path}:{number}: the event does not follow from the lines before it")
    return len(lines)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by rename: a reader, or a kill, sees the old or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _line(values: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()
