"""fastMRI's single-coil knee volumes, as archives or unpacked, to slices that are half-way images.

https://fastmri.med.nyu.edu (registration).  Stored: a member for each volume, a row for each slice:
`kspace` (complex64 [W, h]: transformed over the rows, see kspace.py), `target` (float32 [h, w]),
`width` (uint16: W), `max` (float32: of the volume).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from algoperf_pt.data.preparer import Preparer, RawFile, Unreadable
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import DataError
from workloads.fastmri.kspace import row_transform
from workloads.fastmri.volumes import Sizes, VolumeError, read_volume, unpack, volume_files

FOLDERS = {"train": "singlecoil_train", "validation": "singlecoil_val", "test": "singlecoil_val"}
ARCHIVES = {folder: f"knee_{folder}.tar.xz" for folder in FOLDERS.values()}
_TYPICAL_WIDTH = 372  # columns, for the estimate of the disk space


class FastmriPreparer(Preparer):
    """Train: all volumes of train; validation: the first of val, by name; test: the others of val.

    An archive cannot be entered in its middle, and splits are ordered by name, so `begin` unpacks
    the archives to the scratch folder; a unit is then the volumes of one shard.

    Args:
        rows, height, width: sizes that all volumes have: H, h, w.
        volumes: number of volumes of each split.
        slices: number of slices of each split.
        volumes_per_shard: and per unit.
        name: of the dataset.
    """

    raw_files = tuple(RawFile(name) for name in ARCHIVES.values())

    def __init__(
        self,
        rows: int,
        height: int,
        width: int,
        volumes: dict[str, int],
        slices: dict[str, int],
        volumes_per_shard: int,
        name: str = "fastmri",
    ) -> None:
        self.name, self.sizes = name, Sizes(rows, height, width)
        self.volumes, self.slices = volumes, slices
        self.samples_per_shard = volumes_per_shard
        self._scratch: Path | None = None

    def expected_rows(self, split: str) -> int:
        return self.slices[split]

    def members(self, split: str) -> int:
        return self.volumes[split]

    def estimate_bytes(self, raw: Path) -> int:
        """Of the shards, and of archives once they are unpacked."""
        sizes = self.sizes
        target = 4 * sizes.height * sizes.width
        stored = 8 * sizes.height * _TYPICAL_WIDTH + target
        unpacked = 8 * sizes.rows * _TYPICAL_WIDTH + 2 * target
        packed = any(path.is_file() for path in self._places(raw).values())
        return sum(self.slices.values()) * (stored + packed * unpacked)

    def find(self, raw: Path, file: RawFile) -> Path | None:
        """The archive, or what it unpacks to, or that as the reference names it."""
        folder = file.name.removesuffix(".tar.xz")
        tried = (raw / folder, raw / folder.removeprefix("knee_"), raw / file.name)
        return next((path for path in tried if path.exists()), None)

    def check_raw(self, raw: Path) -> list[Path]:
        """Archives, and the volumes of folders."""
        found: list[Path] = []
        for path in super().check_raw(raw):
            files = volume_files(path) if path.is_dir() else [path]
            if not files:
                raise DataError(f"{path} holds no volumes", expected="files named *.h5")
            found += files
        return found

    def begin(self, raw: Path, out: Path, scratch: Path) -> None:
        """Unpack the archives."""
        self._scratch = scratch
        for folder, path in self._places(raw).items():
            if path.is_file():
                unpack(path, scratch / folder)

    def units(self, split: str, raw: Path) -> Sequence[str]:
        count = len(self._files(split, raw))
        return [f"{first:06d}" for first in range(0, count, self.samples_per_shard)]

    def unit_samples(self, split: str, raw: Path, unit: str) -> Iterator[Sample | Unreadable]:
        first = int(unit)
        for path in self._files(split, raw)[first : first + self.samples_per_shard]:
            try:
                yield self._sample(path)
            except VolumeError as error:
                yield Unreadable(path.name, error.reason, error.slices)

    def _sample(self, path: Path) -> Sample:
        volume = read_volume(path, self.sizes)
        slices, _, width = volume.kspace.shape
        parts = {
            "kspace": row_transform(volume.kspace, self.sizes.height).tobytes(),
            "target": volume.target.tobytes(),
            "width": np.full(slices, width, np.uint16).tobytes(),
            "max": np.full(slices, volume.maximum, np.float32).tobytes(),
        }
        return Sample(path.stem, parts, slices)

    def _places(self, raw: Path) -> dict[str, Path]:
        """Folder of the release -> where it is, or its archive."""
        found = {name: self.find(raw, RawFile(ARCHIVES[name])) for name in ARCHIVES}
        return {name: path for name, path in found.items() if path is not None}

    def _files(self, split: str, raw: Path) -> list[Path]:
        """The volumes of a split, in order."""
        name = FOLDERS[split]
        place = self._places(raw)[name]
        if place.is_file():
            assert self._scratch is not None  # `begin` came before
            place = self._scratch / name
        files = volume_files(place)
        sharing = [other for other, folder in FOLDERS.items() if folder == name]
        expected = sum(self.volumes[other] for other in sharing)
        if len(files) != expected:
            raise DataError(
                f"{self._places(raw)[name]} holds {len(files)} volumes",
                expected=f"{expected}, for {' and '.join(sharing)}",
                fix="the raw files are incomplete or of another release",
            )
        first = self.volumes["validation"] if split == "test" else 0
        return files[first : first + self.volumes[split]]
