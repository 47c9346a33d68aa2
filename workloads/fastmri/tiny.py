"""Raw archives in fastMRI's real layout, drawn by us: phantoms whose missing columns can be
learned, no download.

A slice is a heap of ellipses, like the cross section of a joint, some of them striped, with a phase
that varies slowly and receiver noise; its k-space is the Fourier transform of it.  The widths of
k-space vary between volumes, and so does the scale of the values.
"""

import io
import lzma
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.optional import need
from workloads.fastmri.prepare import ARCHIVES
from workloads.fastmri.volumes import KSPACE, MAXIMUM, TARGET

_ROWS, _SIDE = 96, 48  # pixels: of k-space's rows, and of the square image in their middle
_WIDTHS = (56, 64, 75)  # columns of k-space; one of them odd
_SLICES = 8  # of a volume
_VOLUMES = {"singlecoil_train": 24, "singlecoil_val": 8}
_NOISE = 0.02  # of an image whose brightest parts are 1

Array = np.ndarray[Any, Any]


def write_raw(folder: Path, seed: int = 0) -> None:
    """Write both archives into `folder`; the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for name, count in _VOLUMES.items():
        with lzma.open(folder / ARCHIVES[name], "wb", preset=0) as packed:
            with tarfile.open(fileobj=packed, mode="w") as tar:
                for number in rng.permutation(count):  # archives are not in order
                    data = volume(rng)
                    entry = tarfile.TarInfo(f"{name}/file{1_000_000 + number}.h5")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))


def volume(rng: np.random.Generator) -> bytes:
    """An HDF5 file of one volume."""
    width, scale = int(rng.choice(_WIDTHS)), float(np.exp(rng.normal(-8, 0.5)))
    images = np.stack([scale * draw(width, rng) for _ in range(_SLICES)])
    top, left = (_ROWS - _SIDE) // 2, (width - _SIDE) // 2
    target = np.abs(images)[:, top : top + _SIDE, left : left + _SIDE].astype(np.float32)
    return hdf5({KSPACE: to_kspace(images), TARGET: target}, {MAXIMUM: float(target.max())})


def hdf5(datasets: dict[str, Array], attributes: dict[str, Any]) -> bytes:
    """An HDF5 file, which knows no time of day."""
    buffer = io.BytesIO()
    with need("h5py", "fastmri").File(buffer, "w") as file:
        for name, values in datasets.items():
            file.create_dataset(name, data=values, track_times=False)
        for name, value in attributes.items():
            file.attrs[name] = value
    return buffer.getvalue()


def to_kspace(images: Array) -> Array:
    """complex64 [S, H, W]: centred orthonormal Fourier transform."""
    axes = (-2, -1)
    shifted = np.fft.ifftshift(images, axes=axes)
    return np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=axes).astype(np.complex64)


def draw(width: int, rng: np.random.Generator) -> Array:
    """complex128 [96, width]: an image whose middle holds the object."""
    y, x = (np.mgrid[0:_ROWS, 0:width] + 0.5) - np.array([_ROWS, width])[:, None, None] / 2
    y, x = y / (_SIDE / 2), x / (_SIDE / 2)  # the square in the middle is [-1, 1]^2
    image = np.zeros((_ROWS, width))
    image[_inside(x, y, (0, 0), rng.uniform(0.75, 0.95, 2), 0.0)] = rng.uniform(0.3, 0.5)
    for _ in range(rng.integers(6, 12)):
        centre, radii = rng.uniform(-0.6, 0.6, 2), rng.uniform(0.08, 0.4, 2)
        angle, value = rng.uniform(0, np.pi), rng.uniform(0.1, 1.0)
        where = _inside(x, y, centre, radii, angle)
        across = x * np.cos(angle) + y * np.sin(angle)
        stripes = np.sin(rng.uniform(12, 24) * across) > 0
        image = np.where(where, value * (stripes if rng.random() < 0.3 else 1.0), image)
    a, b, c = rng.uniform(-1, 1, 3)
    noise = rng.normal(0, _NOISE, (2, _ROWS, width))
    return image * np.exp(1j * (a * x + b * y + c * x * y)) + noise[0] + 1j * noise[1]


def _inside(x: Array, y: Array, centre: Any, radii: Any, angle: float) -> Array:
    """bool [H, W]: the pixels of an ellipse."""
    along = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    across = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    found: Array = (along / radii[0]) ** 2 + (across / radii[1]) ** 2 < 1
    return found
