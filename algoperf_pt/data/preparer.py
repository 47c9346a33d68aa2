"""What does a dataset's preparation define?  Its raw files, its splits, and the samples made from
them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import DataError


@dataclass(frozen=True)
class RawFile:
    """A file as the user downloads it.

    Args:
        name: file name.
        url: plain address, only where the licence permits to fetch it without registration.
        sha256, md5: its checksums, if known.
        bytes: its size, if known.
    """

    name: str
    url: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    md5: str | None = None

    @property
    def checksums(self) -> dict[str, str]:
        """Kind -> checksum, of those that are known."""
        return {kind: known for kind in ("sha256", "md5") if (known := getattr(self, kind))}


@dataclass(frozen=True)
class Unreadable:
    """Stands among the samples for a raw sample that cannot be read (a corrupt picture, say).

    It ends the preparation, unless the user lets up to `Preparer.max_corrupt` of them be left out.

    Args:
        name: of the raw sample, so that a user finds it.
        reason: what is wrong with it.
        rows: examples that it would have held; None: nobody knows, so the number of examples of
            the split can no longer be checked to the last one.
    """

    name: str
    reason: str
    rows: int | None = 1


class Preparer(ABC):
    """Raw files in, samples out.  Subclass it in workloads/<name>/prepare.py.

    `samples` must give the same samples each time: an interrupted preparation starts it again and
    skips what is done.  Large datasets also define `units`, so that only one is started again.
    """

    name: str
    version: int = 1
    splits: tuple[str, ...] = ("train", "validation", "test")
    samples_per_shard: int = 10_000
    raw_files: tuple[RawFile, ...] = ()
    assets: tuple[str, ...] = ()  # files that `begin` leaves beside the shards (a vocabulary, say)
    options: Mapping[str, Any] = MappingProxyType({})  # choices that the shards follow from (JSON)
    max_corrupt: int = 0  # unreadable samples that may be left out, of all splits together

    def begin(self, raw: Path, out: Path, scratch: Path) -> None:
        """Work on all raw files that goes before the splits.  Called again after an interruption:
        what is there already need not be made again.

        Args:
            raw: folder of the raw files.
            out: where the assets belong.
            scratch: a folder for large intermediate files, removed at the end.
        """

    def units(self, split: str, raw: Path) -> Sequence[str]:
        """Names of the stretches of a split that can be made apart (a day, a file), in the order in
        which they are stored.  After an interruption, finished ones are not read again.
        """
        return ("",)

    def unit_samples(self, split: str, raw: Path, unit: str) -> Iterator[Sample | Unreadable]:
        """The samples of one stretch; override together with `units`, in place of `samples`."""
        return self.samples(split, raw)

    def samples(self, split: str, raw: Path) -> Iterator[Sample | Unreadable]:
        """The samples of a split that is made in one stretch, in the order in which they are
        stored; `Unreadable` in the place of one that cannot be read.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define samples, or units and unit_samples"
        )

    @abstractmethod
    def estimate_bytes(self, raw: Path) -> int:
        """Disk space that the shards will need."""

    def raw_folder(self) -> Path | None:
        """Where the raw files are if the user does not say (shipped by a package); None: the user
        must say.
        """
        return None

    def expected_rows(self, split: str) -> int | None:
        """Examples that a split must have, or None if any number will do."""
        return None

    def members(self, split: str) -> int | None:
        """Samples in a split, for the progress bar, if known before."""
        return None

    def check_raw(self, raw: Path) -> list[Path]:
        """The raw files, all there.

        Raises:
            DataError: naming every file that is missing, or the first of a wrong size.
        """
        if not raw.is_dir():
            raise DataError(f"the folder of raw files {raw} does not exist", fix="--raw FOLDER")
        paths = [self.find(raw, file) for file in self.raw_files]
        missing = [file.name for file, path in zip(self.raw_files, paths) if path is None]
        if missing:
            raise DataError(
                f"raw files are missing in {raw}: {', '.join(missing)}",
                expected=", ".join(file.name for file in self.raw_files),
                fix="put them there" + (", or --download" if self.has_addresses else ""),
            )
        found = [path for path in paths if path is not None]
        for file, path in zip(self.raw_files, found):
            if (
                file.bytes is not None
                and path.name == file.name
                and path.stat().st_size != file.bytes
            ):
                raise DataError(
                    f"{path} has {path.stat().st_size} bytes",
                    expected=f"{file.bytes}",
                    fix="the download was cut short: fetch it again",
                )
        return found

    @property
    def has_addresses(self) -> bool:
        """Whether every raw file can be fetched by `download`."""
        return all(file.url for file in self.raw_files)

    def find(self, raw: Path, file: RawFile) -> Path | None:
        """The path of a raw file; override where several forms are accepted."""
        path = raw / file.name
        return path if path.is_file() else None
