"""What lies between tokenising and cutting?  The ids of all documents in one file, read back in
another order.

Pass 1 (`collect`) writes the ids of each document behind those of the one before; pass 2 (`Stream`)
sees the documents in a given order as one long row of ids and cuts windows anywhere in it.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.errors import DataError
from algoperf_pt.records import write_atomically

Ids = np.ndarray[Any, np.dtype[np.uint16]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_IDS, _LENGTHS, _DONE = "ids.bin", "lengths.bin", "tokenised.json"  # uint16, uint32


def collect(
    folder: Path,
    files: Sequence[Path],
    tokenizer: str,
    documents: Callable[[Path], Iterator[list[Ids]]],
    progress: Callable[[Path], None] = lambda path: None,
) -> tuple[Ids, Ints]:
    """(ids of all documents, memory-mapped; length of each).  Files that an earlier call finished
    are not tokenised again.

    Args:
        folder: for the intermediate files, which stay there.
        files: raw files in order.
        tokenizer: says with which tokenizer; another one starts anew.
        documents: file -> its documents' ids, in batches.
        progress: called with each file that is begun.
    """
    done = _finished(folder / _DONE, files, tokenizer)
    with (folder / _IDS).open("ab") as ids, (folder / _LENGTHS).open("ab") as lengths:
        ids.truncate(2 * sum(entry["ids"] for entry in done))
        lengths.truncate(4 * sum(entry["documents"] for entry in done))
        for path in files[len(done) :]:
            progress(path)
            counts = np.zeros(2, np.int64)
            for batch in documents(path):
                each = np.array([len(document) for document in batch], np.uint32)
                ids.write(b"".join(document.tobytes() for document in batch))
                lengths.write(each.tobytes())
                counts += len(batch), int(each.sum())
            for file in (ids, lengths):
                file.flush()
                os.fsync(file.fileno())
            numbers = dict(zip(("documents", "ids"), counts.tolist()))
            done.append({**_identity(path, tokenizer), **numbers})
            write_atomically(folder / _DONE, json.dumps(done))
    whole = np.fromfile(folder / _LENGTHS, np.uint32).astype(np.int64)
    empty = not whole.sum()  # an empty file cannot be mapped
    return np.empty(0, np.uint16) if empty else np.memmap(folder / _IDS, np.uint16, "r"), whole


def _finished(path: Path, files: Sequence[Path], tokenizer: str) -> list[dict[str, Any]]:
    """What an earlier call did with the first of the files, if they are still the same."""
    before = json.loads(path.read_text()) if path.is_file() else []
    same: list[dict[str, Any]] = []
    for entry, file in zip(before, files):
        if any(entry[key] != value for key, value in _identity(file, tokenizer).items()):
            break
        same.append(entry)
    return same


def _identity(path: Path, tokenizer: str) -> dict[str, Any]:
    stat = path.stat()
    return {
        "file": path.name,
        "bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "tokenizer": tokenizer,
    }


class Stream:
    """Documents in an order of ours, behind one another, as one row of ids.

    Args:
        ids: uint16, all documents as they are stored.
        lengths: int64 [documents] of each.
        order: int64 [documents], which one comes when.
        window: ids of a window.
    """

    def __init__(self, ids: Ids, lengths: Ints, order: Ints, window: int) -> None:
        self.window, self._ids = window, ids
        self._starts = (np.cumsum(lengths) - lengths)[order]  # where each is stored
        self._lengths = lengths[order]
        self._ends = np.cumsum(self._lengths)  # where each ends in the stream

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def origins(self, windows: dict[str, int]) -> dict[str, int]:
        """Where each split begins: after the last document that the split before it has touched.

        Args:
            windows: split -> its number of windows, in order.

        Raises:
            DataError: there are not enough ids.
        """
        found, begin = {}, 0
        for split, count in windows.items():
            if begin + count * self.window > len(self):
                raise DataError(
                    f"{len(self)} ids are too few: {(len(self) - begin) // self.window} windows "
                    f"of {self.window} are left for the split {split!r}",
                    expected=f"{count} windows",
                    fix="the raw files are incomplete or of another release",
                )
            found[split] = begin
            last = np.searchsorted(self._ends, begin + count * self.window)
            begin = int(self._ends[last]) if len(self) else 0
        return found

    def windows(self, origin: int, first: int, last: int) -> Ids:
        """uint16 [last - first, window]: windows of those numbers, the first beginning at `origin`.
        They do not overlap, and know no borders of documents.
        """
        begin, end = origin + first * self.window, origin + last * self.window
        pieces = []
        number = int(np.searchsorted(self._ends, begin, side="right"))
        while begin < end:
            skip = begin - int(self._ends[number] - self._lengths[number])
            count = min(int(self._lengths[number]) - skip, end - begin)
            start = int(self._starts[number]) + skip
            pieces.append(self._ids[start : start + count])
            begin, number = begin + count, number + 1
        return np.concatenate(pieces).reshape(-1, self.window)
