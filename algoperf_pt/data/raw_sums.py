"""What are the raw files' checksums?  Taken once: hundreds of gigabytes are not read at every
call.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from algoperf_pt.data.index import digests
from algoperf_pt.records import write_atomically

RAW_SUMS = ".raw.json"


class RawSums:
    """Checksums by file, kept in the prepared folder while a file's size and time stay as they
    were.

    Args:
        out: the prepared folder.
        fresh: take them all again.
    """

    def __init__(self, out: Path, fresh: bool = False) -> None:
        self._path, self._known = out / RAW_SUMS, dict[str, dict[str, Any]]()
        with suppress(OSError, ValueError):
            self._known = {} if fresh else json.loads(self._path.read_text())

    def of(self, path: Path, kinds: tuple[str, ...]) -> dict[str, str]:
        """Checksum of a raw file by kind ("sha256", "md5"), all from one reading."""
        stat, name = path.stat(), str(path.resolve())
        state = {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        known = self._known.get(name, {})
        if any(known.get(k) != v for k, v in state.items()) or not set(kinds) <= set(known):
            known = self._known[name] = {**state, **digests(path, kinds)}
            with suppress(OSError):  # somebody else's folder: next time they are taken again
                write_atomically(self._path, json.dumps(self._known))
        return {kind: known[kind] for kind in kinds}
