"""Raw files in ImageNet's real form, drawn by us: textures that must be learned, no download.

The pattern, not the colour, is the class: both colours, scale, place and noise are drawn for each
picture.  A pattern fills its picture, so that a window of it shows the class, and looks the same in
a mirror.  Among the files are grey ones, one in CMYK, and a PNG under a JPEG's name, as in the real
set.
"""

import gzip
import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.optional import need
from workloads.imagenet import devkit
from workloads.imagenet.prepare import TEST, TRAIN, VALIDATION

ROWS = {"train": 2000, "validation": 500, "test": 500}
_SHORT, _LONG = 48, 64  # pixels a side
_CONTRAST = 90.0  # least distance of the two colours, in grey levels
_QUALITY = 90  # of the JPEGs
_ODD = {3: "grey", 5: "CMYK", 7: "PNG", 11: "grey"}  # number of a training picture -> its kind

Array = np.ndarray[Any, Any]


def _part(x: Array) -> Array:
    """Distance from the middle of a period, 0 to 0.5."""
    found: Array = np.abs(x - np.floor(x) - 0.5)
    return found


# One pattern a class, on coordinates in periods; x to the right, y downwards; values 0 to 1.
_PATTERNS: tuple[Callable[[Array, Array], Array], ...] = (
    lambda x, y: _part(y) < 0.25,  # lying bars
    lambda x, y: _part(x) < 0.25,  # standing bars
    lambda x, y: (_part(x) < 0.25) ^ (_part(y) < 0.25),  # chequers
    lambda x, y: np.hypot(_part(x), _part(y)) < 0.3,  # dots
    lambda x, y: np.minimum(_part(x), _part(y)) < 0.1,  # a net
    lambda x, y: _part(np.hypot(x, y)) < 0.25,  # rings
    lambda x, y: _part(y + _part(x)) < 0.25,  # zigzags
    lambda x, y: _part(np.arctan2(y, x) * 4 / np.pi) < 0.25,  # rays
    lambda x, y: np.sin(3.7 * x + 2 * np.sin(y)) * np.sin(3 * y + np.sin(4 * x)) > 0,  # spots
    lambda x, y: 0.5 + 0.5 * np.tanh(x + 0.5 * y),  # a soft edge
)
WNIDS = tuple(f"n{10_000_000 + 1234 * (7 * i % 10) + i:08d}" for i in range(len(_PATTERNS)))


def write_raw(folder: Path, seed: int = 0) -> None:
    """Write the four files into `folder`; the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    labels = {split: rng.permutation(np.arange(n) % len(WNIDS)) for split, n in ROWS.items()}
    write_devkit(folder / devkit.NAME, WNIDS, labels["validation"])
    ranked = sorted(WNIDS)
    inner: dict[str, dict[str, bytes]] = {wnid: {} for wnid in WNIDS}
    for number, label in enumerate(labels["train"]):
        name = f"{ranked[label]}_{number}.JPEG"
        inner[ranked[label]][name] = picture(int(label), rng, _ODD.get(number, "colour"))
    tars = {f"{wnid}.tar": tar_of(files) for wnid, files in inner.items()}
    (folder / TRAIN).write_bytes(tar_of(tars))
    (folder / VALIDATION).write_bytes(
        tar_of(
            {
                f"ILSVRC2012_val_{number:08d}.JPEG": picture(int(label), rng)
                for number, label in enumerate(labels["validation"], 1)
            }
        )
    )
    top = "imagenetv2-matched-frequency-format-val"
    test = {f"{top}/{y}/{i:040x}.jpeg": picture(int(y), rng) for i, y in enumerate(labels["test"])}
    (folder / TEST).write_bytes(packed(tar_of(test)))


def picture(label: int, rng: np.random.Generator, kind: str = "colour") -> bytes:
    """A file of that class: a JPEG, or what `kind` says."""
    image = need("PIL.Image", "imagenet").fromarray(draw(label, rng))
    file = io.BytesIO()
    if kind == "PNG":
        image.save(file, "PNG")
    else:
        image = image.convert({"grey": "L", "CMYK": "CMYK"}.get(kind, "RGB"))
        image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def draw(label: int, rng: np.random.Generator) -> Array:
    """uint8 [height, width, 3]: one pattern in two colours."""
    height, width = rng.integers(_SHORT, _LONG + 1, 2)
    period = rng.uniform(9.0, 16.0)  # pixels
    centre = rng.uniform(0.3, 0.7, 2) * (height, width)
    y, x = (np.mgrid[0:height, 0:width] + 0.5 - centre[:, None, None]) / period
    ground = rng.uniform(0, 255, 3)
    colour = ground
    while np.abs(colour - ground).mean() < _CONTRAST:
        colour = rng.uniform(0, 255, 3)
    share = np.asarray(_PATTERNS[label](x, y), float)[..., None]
    image = share * colour + (1 - share) * ground + rng.normal(0, 8, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def write_devkit(path: Path, wnids: Sequence[str], labels: Array) -> None:
    """meta.mat with one synset that has children, and the ground truth in its numbers.

    Args:
        path: of the archive.
        wnids: WordNet ids by their number, from 1 on.
        labels: class index of each validation picture.
    """
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    rows = [(i, wnid, f"pattern {i}", 0) for i, wnid in enumerate(wnids, 1)]
    rows.append((len(wnids) + 1, "n19999999", "pattern", len(wnids)))
    meta = io.BytesIO()
    synsets = np.array(rows, dtype=fields).reshape(-1, 1)
    need("scipy.io", "imagenet").savemat(meta, {"synsets": synsets}, do_compression=True)
    header = b"MATLAB 5.0 MAT-file".ljust(116)  # scipy writes the date here
    number = {wnid: i for i, wnid in enumerate(wnids, 1)}
    truth = "".join(f"{number[wnid]}\n" for wnid in np.array(sorted(wnids))[labels])
    top = "ILSVRC2012_devkit_t12"
    files = {
        f"{top}/data/{devkit.META}": header + meta.getvalue()[len(header) :],
        f"{top}/data/{devkit.TRUTH}": truth.encode(),
    }
    path.write_bytes(packed(tar_of(files)))


def tar_of(files: dict[str, bytes]) -> bytes:
    """A tar file with these members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def packed(data: bytes) -> bytes:
    """Gzip without a date."""
    return gzip.compress(data, mtime=0)
