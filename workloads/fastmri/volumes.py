"""Raw volumes: HDF5 files in a folder, or in the archive in which they are mailed.

Shapes: S slices of a volume, H and W rows and columns of k-space, h and w of an image.
"""

import lzma
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from algoperf_pt.errors import DataError
from algoperf_pt.optional import need

SUFFIX = ".h5"
KSPACE, TARGET, MAXIMUM = "kspace", "reconstruction_esc", "max"

Array = np.ndarray[Any, Any]


class VolumeError(Exception):
    """A file that holds no usable volume.

    Args:
        reason: what is wrong.
        slices: S, if it is known.
    """

    def __init__(self, reason: str, slices: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.slices = reason, slices


@dataclass(frozen=True)
class Volume:
    """kspace complex64 [S, H, W], target float32 [S, h, w], and the largest value of the volume."""

    kspace: Array
    target: Array
    maximum: float


@dataclass(frozen=True)
class Sizes:
    """What every volume must have: H, h, w, and W no less than w."""

    rows: int
    height: int
    width: int

    def check(self, kspace: tuple[int, ...], target: tuple[int, ...]) -> None:
        """Compare the shapes of both parts.

        Raises:
            VolumeError: they are others.
        """
        slices = kspace[0] if len(kspace) == 3 else None
        if slices is None or kspace[1] != self.rows or slices == 0:
            raise VolumeError(
                f"{KSPACE!r} has the shape {list(kspace)}, not [slices, {self.rows}, columns]",
                slices,
            )
        if kspace[2] < self.width:
            raise VolumeError(f"it has {kspace[2]} columns, less than {self.width}", slices)
        wanted = (slices, self.height, self.width)
        if target != wanted:
            reason = f"{TARGET!r} has the shape {list(target)}, not {list(wanted)}"
            raise VolumeError(reason, slices)


def read_volume(path: Path, sizes: Sizes) -> Volume:
    """A volume, checked.

    Raises:
        VolumeError: the file cannot be read, or what it holds cannot be used.
    """
    h5py = need("h5py", "fastmri")
    try:
        with h5py.File(path, "r") as file:
            missing = [name for name in (KSPACE, TARGET) if name not in file]
            if missing:
                raise VolumeError(f"it has no {missing[0]!r}")
            sizes.check(file[KSPACE].shape, file[TARGET].shape)
            kspace, target = file[KSPACE][()], file[TARGET][()]
            maximum = float(file.attrs.get(MAXIMUM, 0.0))
    except (OSError, RuntimeError, KeyError, AttributeError) as error:  # as h5py reports damage
        raise VolumeError(str(error)) from error
    found = Volume(kspace.astype(np.complex64), target.astype(np.float32), maximum)
    if not (np.isfinite(found.kspace).all() and np.isfinite(found.target).all()):
        raise VolumeError("it holds values that are not finite", len(kspace))
    return found


def unpack(archive: Path, folder: Path) -> None:
    """The volumes of an archive, beside one another in `folder`.  After an interruption those that
    are there are passed over, though the archive must be read from its beginning.

    Raises:
        DataError: it is truncated or corrupt.
    """
    done = folder / "complete"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in _volumes(tar):
                _extract(tar, member, folder / PurePosixPath(member.name).name)
    except (EOFError, tarfile.TarError, lzma.LZMAError) as error:
        raise DataError(
            f"{archive} cannot be unpacked: {error}",
            expected=f"a tar archive of {SUFFIX} files",
            fix="it is truncated or corrupt: fetch it again",
        ) from error
    done.touch()


def _volumes(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Members that are volumes, not what else an operating system has left there."""
    for member in tar:
        name = PurePosixPath(member.name).name
        if member.isfile() and name.endswith(SUFFIX) and not name.startswith("."):
            yield member


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if path.exists():
        return
    partial = path.with_name(f"{path.name}.partial")
    stream = tar.extractfile(member)
    assert stream is not None  # a file, as `_volumes` says
    with partial.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    partial.rename(path)


def volume_files(folder: Path) -> list[Path]:
    """The volumes of an unpacked folder, by name."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))
