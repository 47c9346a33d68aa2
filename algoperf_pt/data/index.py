"""What is in a prepared dataset, and is it whole?  index.json (for people) and index.npz (where
each member lies).

A *member* is one sample of a webdataset shard; each of its *parts* (by extension) is a record, or a
block of `rows` records of equal width.  So an index of 4 billion rows stays small.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.errors import DataError

FORMAT = 1
JSON_NAME, NPZ_NAME = "index.json", "index.npz"
_CHUNK = 1 << 22  # bytes read at a time when checksums are computed

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Part:
    """Where one part of every member of a split lies: arrays over members."""

    shard: Ints
    offset: Ints  # bytes from the start of the shard
    size: Ints  # bytes
    crc32: Ints


class DataIndex:
    """A prepared folder.  Use `DataIndex.open`.

    Args:
        root: the folder.
        content: parsed index.json.
    """

    def __init__(self, root: Path, content: dict[str, Any]) -> None:
        self.root, self.content = root, content

    @staticmethod
    def open(
        root: Path | str, dataset: str | None = None, preparer_version: int | None = None
    ) -> "DataIndex":
        """Read and check the index: format, dataset, preparer version, and the size of every shard.

        Raises:
            DataError: naming the file, what was found and what was expected.
        """
        root = Path(root)
        index = DataIndex(root, _read_json(root, dataset))
        index._check_identity(dataset, preparer_version)
        index._check_sizes()
        return index

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return str(self.content["dataset"])

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return list(self.content["splits"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical index: equal fingerprints mean equal data."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()

    def rows(self, split: str) -> int:
        """Examples in a split; 0 if the dataset has no such split."""
        return int(self.content["splits"].get(split, {}).get("rows", 0))

    def left_out(self, split: str) -> list[dict[str, Any]]:
        """Name and reason of each raw sample that could not be read and is not in the split; its
        rows where they are not 1.
        """
        found: list[dict[str, Any]] = self._split(split).get("left_out", [])
        return found

    def shards(self, split: str) -> list[Path]:
        """The split's files."""
        return [self.root / shard["name"] for shard in self._split(split)["shards"]]

    def parts(self, split: str) -> list[str]:
        """Extensions that every member of the split has."""
        return list(self._split(split)["parts"])

    def asset(self, name: str) -> Path:
        """A file that belongs to the dataset beside its shards."""
        if name not in self._assets:
            raise DataError(
                f"{self.root / JSON_NAME} knows no file {name!r}",
                expected=f"one of {', '.join(self._assets) or 'none'}",
                fix=_again(self.dataset, self.root),
            )
        return self.root / name

    @property
    def _assets(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.content.get("assets", {})
        return found

    def members(self, split: str) -> tuple[Ints, dict[str, Part]]:
        """(rows of each member, extension -> places)."""
        try:
            with np.load(self.root / NPZ_NAME, allow_pickle=False) as file:
                rows = file[f"{split}/rows"].astype(np.int64)
                names = ("shard", "offset", "size", "crc32")
                found = {
                    ext: Part(*(file[f"{split}/{ext}/{name}"].astype(np.int64) for name in names))
                    for ext in self.parts(split)
                }
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self.root / NPZ_NAME} cannot be read: {error}",
                fix=_again(self.dataset, self.root),
            ) from error
        return rows, found

    def verify(self, progress: Callable[[str, int], None] = lambda name, size: None) -> list[str]:
        """Read every shard and compare its SHA-256; returns one line for each that differs (empty:
        all is well).
        """
        problems = []
        for entry in self._files():
            found = sha256(self.root / entry["name"])
            progress(entry["name"], entry["bytes"])
            if found != entry["sha256"]:
                problems.append(f"{entry['name']}: SHA-256 {found}, expected {entry['sha256']}")
        found = sha256(self.root / NPZ_NAME)
        if found != self.content["npz_sha256"]:
            problems.append(f"{NPZ_NAME}: SHA-256 {found}, expected {self.content['npz_sha256']}")
        return problems

    def _split(self, split: str) -> dict[str, Any]:
        if split not in self.content["splits"]:
            raise DataError(
                f"{self.root} has no split {split!r}", expected=f"one of {', '.join(self.splits)}"
            )
        found: dict[str, Any] = self.content["splits"][split]
        return found

    def _check_identity(self, dataset: str | None, version: int | None) -> None:
        content = self.content
        if content.get("format") != FORMAT:
            _refuse(self.root, "format", content.get("format"), FORMAT, dataset)
        if dataset is not None and content["dataset"] != dataset:
            _refuse(self.root, "dataset", content["dataset"], dataset, dataset)
        if version is not None and content["preparer_version"] != version:
            _refuse(self.root, "preparer version", content["preparer_version"], version, dataset)

    def _check_sizes(self) -> None:
        for entry in self._files():
            path = self.root / entry["name"]
            found = path.stat().st_size if path.is_file() else None
            if found != entry["bytes"]:
                raise DataError(
                    f"{'shard' if path.suffix == '.tar' else 'file'} {path} "
                    + ("is missing" if found is None else f"has {found} bytes"),
                    expected=f"{entry['bytes']} bytes",
                    where=str(self.root / JSON_NAME),
                    fix=_again(self.dataset, self.root),
                )

    def _files(self) -> Iterator[dict[str, Any]]:
        """Name, bytes and SHA-256 of every shard and asset."""
        for split in self.splits:
            yield from self._split(split)["shards"]
        for name, entry in self._assets.items():
            yield {"name": name, **entry}


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    return digests(path, ("sha256",))["sha256"]


def digests(path: Path, kinds: tuple[str, ...]) -> dict[str, str]:
    """Hexadecimal digests of a file by kind ("sha256", "md5"), all from one reading."""
    made = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for digest in made.values():
                digest.update(chunk)
    return {kind: digest.hexdigest() for kind, digest in made.items()}


def _read_json(root: Path, dataset: str | None) -> dict[str, Any]:
    path = root / JSON_NAME
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist",
            expected="a prepared dataset",
            fix=_again(dataset or "NAME", root),
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read: {error}", fix=_again(dataset or "NAME", root)
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is no JSON object", fix=_again(dataset or "NAME", root))
    return content


def _refuse(root: Path, what: str, found: Any, expected: Any, dataset: str | None) -> None:
    raise DataError(
        f"{root / JSON_NAME}: {what} {found!r}",
        expected=f"{expected!r}",
        fix=_again(dataset or "NAME", root),
    )


def _again(dataset: str, root: Path) -> str:
    return f"algoperf-prepare {dataset} --raw RAW_FILES --out {root} --force"
