"""What are the raw files' checksums?  Taken once: hundreds of gigabytes are not read at every
call.
"""

import json
from contextlib import suppress
from pathlib import Path

from algoperf_pt.data.index import sha256
from algoperf_pt.records import write_atomically

RAW_SUMS = ".raw.json"


class RawSums:
    """SHA-256 by file, kept in the prepared folder while a file's size and time stay as they were.

    Args:
        out: the prepared folder.
        fresh: take them all again.
    """

    def __init__(self, out: Path, fresh: bool = False) -> None:
        self._path, self._known = out / RAW_SUMS, dict[str, list[int | str]]()
        with suppress(OSError, ValueError):
            self._known = {} if fresh else json.loads(self._path.read_text())

    def sha256(self, path: Path) -> str:
        """Of a raw file."""
        stat, name = path.stat(), str(path.resolve())
        state: list[int | str] = [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(name, [])
        if known[:2] != state:
            known = self._known[name] = [*state, sha256(path)]
            with suppress(OSError):  # somebody else's folder: next time they are taken again
                write_atomically(self._path, json.dumps(self._known))
        return str(known[2])
