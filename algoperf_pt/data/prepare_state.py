"""How far is a preparation?  Written after each shard, so a kill costs one shard at the most."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.data.preparer import Unreadable
from algoperf_pt.errors import DataError
from algoperf_pt.records import write_atomically

STATE = ".prepare.json"  # of an interrupted preparation
PLACES = ".{}.places.npz"  # arrays of a finished shard, by its name
_LAYOUT = 3  # of STATE


class PrepareState:
    """Finished shards, finished stretches, and what was left out.

    Args:
        out: the folder of the shards.
        identity: dataset, version and raw files.

    Raises:
        DataError: the folder holds an unfinished preparation of something else.
    """

    def __init__(self, out: Path, identity: dict[str, Any]) -> None:
        self._out, self._path = out, out / STATE
        self.content: dict[str, Any] = {
            "layout": _LAYOUT,
            "identity": identity,
            "splits": {},
            "complete": [],
            "left_out": {},
        }
        if self._path.exists():
            before = json.loads(self._path.read_text())
            if before.get("layout") != _LAYOUT or before["identity"] != identity:
                raise DataError(
                    f"{out} holds an unfinished preparation of other raw files or versions",
                    fix="--force starts anew",
                )
            self.content = before
        self._noted: list[tuple[str, Unreadable]] = []  # since the last save

    def shards(self, split: str) -> list[dict[str, Any]]:
        """Lines of the split's finished shards."""
        found: list[dict[str, Any]] = self.content["splits"].setdefault(split, [])
        return found

    def complete(self, split: str, unit: str | None = None) -> bool:
        """Whether a split, or one of its units, is done."""
        return [split, unit] in self.content["complete"]

    def add(self, split: str, entry: dict[str, Any], arrays: dict[str, Any]) -> None:
        """A shard is finished."""
        np.savez(self._arrays_path(entry["name"]), **arrays)
        self.shards(split).append(entry)
        self._save()

    def close(self, split: str, unit: str | None = None) -> None:
        """A split, or one of its units, is done."""
        self.content["complete"].append([split, unit])
        self._save()

    def leave_out(self, split: str, sample: Unreadable, limit: int) -> None:
        """Note a sample that cannot be read; it is saved with the shard that would have held it.

        Raises:
            DataError: it is one more than `limit`.
        """
        self._noted.append((split, sample))
        count = self.number_left_out + len(self._noted)
        if count > limit:
            raise DataError(
                f"{sample.name} cannot be read: {sample.reason}",
                expected=f"at most {limit} unreadable samples; this is number {count}",
                fix="fetch the raw file again, or leave samples out knowingly: --max-corrupt N "
                "permits N of them, and index.json will name them",
            )

    @property
    def number_left_out(self) -> int:
        """Unreadable samples of all splits, as far as saved."""
        return sum(len(samples) for samples in self.content["left_out"].values())

    def left_out(self, split: str) -> list[dict[str, Any]]:
        """Name and reason of each of a split, as far as saved; rows where they are not 1."""
        found: list[dict[str, Any]] = self.content["left_out"].get(split, [])
        return found

    def arrays(self, name: str) -> dict[str, Any]:
        """Arrays of a finished shard."""
        with np.load(self._arrays_path(name), allow_pickle=False) as file:
            return dict(file)

    def remove(self) -> None:
        """The preparation is finished."""
        for path in self._out.glob(PLACES.format("*")):
            path.unlink()
        self._path.unlink()

    def _arrays_path(self, name: str) -> Path:
        return self._out / PLACES.format(name)

    def _save(self) -> None:
        for split, sample in self._noted:
            line: dict[str, Any] = {"name": sample.name, "reason": sample.reason}
            if sample.rows != 1:
                line["rows"] = sample.rows
            self.content["left_out"].setdefault(split, []).append(line)
        self._noted.clear()
        write_atomically(self._path, json.dumps(self.content))
