"""Which class has a WordNet id, and which validation picture?  From ImageNet's development kit.

A class's index is the place of its WordNet id among the sorted ones.  The kit numbers the classes
otherwise, from 1 on (ILSVRC2012_ID); meta.mat leads from the one to the other.
"""

import io
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from algoperf_pt.errors import DataError
from algoperf_pt.optional import need

NAME = "ILSVRC2012_devkit_t12.tar.gz"
META, TRUTH = "meta.mat", "ILSVRC2012_validation_ground_truth.txt"


class Devkit:
    """The classes, and those of the validation pictures.

    Args:
        path: the archive as downloaded.
        classes: how many there must be.

    Raises:
        DataError: it cannot be unpacked, lacks a file, or has other classes.
    """

    def __init__(self, path: Path, classes: int) -> None:
        self.path = path
        found = _unpack(path)
        self._wnid_of = _wnids(path, found[META], classes)  # by ILSVRC2012_ID
        self.wnids = sorted(self._wnid_of.values())
        self._truth = found[TRUTH].split()

    def validation_labels(self, rows: int) -> list[int]:
        """Class index of each validation picture, in the order of their names.

        Raises:
            DataError: the ground truth has another length, or names no class.
        """
        if len(self._truth) != rows:
            raise DataError(
                f"{self.path}: {TRUTH} has {len(self._truth)} lines",
                expected=f"{rows}, one for each validation picture",
                fix="fetch the development kit of ILSVRC2012, tasks 1 and 2",
            )
        rank = {wnid: index for index, wnid in enumerate(self.wnids)}
        index_of = {str(number): rank[wnid] for number, wnid in self._wnid_of.items()}
        for line, text in enumerate(self._truth, 1):
            if text.decode(errors="replace") not in index_of:
                raise DataError(
                    f"{self.path}: line {line} of {TRUTH} is {text!r}",
                    expected=f"a number from 1 to {len(self.wnids)}",
                )
        return [index_of[text.decode()] for text in self._truth]


def _unpack(path: Path) -> dict[str, bytes]:
    """The two files that count, by name."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                stream = archive.extractfile(member) if name in (META, TRUTH) else None
                if stream is not None:
                    found[name] = stream.read()
    except (EOFError, OSError, tarfile.TarError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be unpacked: {error}", fix="it is truncated or corrupt: fetch it again"
        ) from error
    missing = [name for name in (META, TRUTH) if name not in found]
    if missing:
        raise DataError(
            f"{path} has no file {', '.join(missing)}",
            expected=f"data/{META} and data/{TRUTH}",
            fix="fetch the development kit of ILSVRC2012, tasks 1 and 2",
        )
    return found


def _wnids(path: Path, content: bytes, classes: int) -> dict[int, str]:
    """ILSVRC2012_ID -> WordNet id of the classes: the leaves of the tree in meta.mat."""
    try:
        loaded = need("scipy.io", "imagenet").loadmat(io.BytesIO(content), squeeze_me=True)
        synsets: Any = np.atleast_1d(loaded["synsets"])
        leaves = synsets[synsets["num_children"].astype(int) == 0]
        numbers = leaves["ILSVRC2012_ID"].astype(int).tolist()
        wnids = [str(wnid) for wnid in leaves["WNID"]]
    except (KeyError, ValueError, TypeError, IndexError, NotImplementedError, OSError) as error:
        raise DataError(
            f"{path}: {META} cannot be read: {error}", expected="a table `synsets`"
        ) from error
    found = dict(zip(numbers, wnids))
    if sorted(found) != list(range(1, classes + 1)) or len(set(wnids)) != classes:
        raise DataError(
            f"{path}: {META} has {len(set(wnids))} classes without children",
            expected=f"{classes}, numbered from 1 on",
            fix="fetch the development kit of ILSVRC2012, tasks 1 and 2",
        )
    return found
