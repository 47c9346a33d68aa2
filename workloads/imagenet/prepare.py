"""ImageNet from the files as downloaded: JPEG bytes go into the shards untouched, with their class.

Train and validation: ILSVRC2012 (https://www.image-net.org, Russakovsky et al. 2015,
https://arxiv.org/abs/1409.0575).  Test: ImageNet-v2, matched frequency (Recht et al. 2019,
https://arxiv.org/abs/1902.10811).  Stored: a member for each picture with the parts `jpg` (the file
as it is) and `cls` (class index, little-endian int16), keyed by the picture's file name.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from algoperf_pt.data.preparer import Preparer, RawFile, Unreadable
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import DataError
from workloads.imagenet import devkit
from workloads.imagenet.archives import Member, members, read, unpack_gzip
from workloads.imagenet.decode import flaw

TRAIN, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
TEST = "imagenetv2-matched-frequency.tar.gz"
LABEL = np.dtype("<i2")
_RELEASED_ROWS = {"train": 1_281_167, "validation": 50_000, "test": 10_000}
_RELEASED_MD5 = {
    TRAIN: "1d675b47d978889d74fa0da5fadfb00e",
    VALIDATION: "29b22e2961454d5413ddabcf34fc5622",
    devkit.NAME: "fa75699e90414af021442c21a62c3abf",
}
_PLAIN = "imagenetv2.tar"  # unpacked while preparing
_OVERHEAD = 2560  # bytes a picture: two headers, the class, padding
# Shards of 1.5 GB: a process keeps its shards open, and systems allow about 1,000 open files.
_CLASSES_A_UNIT = 10
_UNZIPPED = 1.1  # a tar file of JPEGs over its gzip, with room


class ImagenetPreparer(Preparer):
    """The three splits of ImageNet; every picture is decoded once, to know that it can be.

    Args:
        name: of the dataset.
        rows: pictures of each split, of which the files must hold just these; None: the files are
            the released ones, and their checksums are compared.
        classes: number of classes.
    """

    samples_per_shard = 13_500  # a unit of the training split is a shard: 13,000 pictures at most

    def __init__(
        self, name: str = "imagenet", rows: dict[str, int] | None = None, classes: int = 1000
    ) -> None:
        self.name, self.rows, self.classes = name, rows or _RELEASED_ROWS, classes
        md5 = {} if rows else _RELEASED_MD5
        names = (TRAIN, VALIDATION, devkit.NAME, TEST)
        self.raw_files = tuple(RawFile(name, md5=md5.get(name)) for name in names)

    def expected_rows(self, split: str) -> int:
        return self.rows[split]

    def members(self, split: str) -> int:
        return self.rows[split]

    def estimate_bytes(self, raw: Path) -> int:
        test = int((raw / TEST).stat().st_size * _UNZIPPED)  # and once more while preparing
        packed = sum((raw / name).stat().st_size for name in (TRAIN, VALIDATION)) + 2 * test
        return packed + _OVERHEAD * sum(self.rows.values())

    def begin(self, raw: Path, out: Path, scratch: Path) -> None:
        """Look into all four files before anything is written: what is missing shows at once."""
        self.raw, self.plain = raw, scratch / _PLAIN
        self.kit = devkit.Devkit(raw / devkit.NAME, self.classes)
        unpack_gzip(raw / TEST, self.plain)
        self._check_classes(raw / TRAIN, set(self.train_tars), "inner tar file", ".tar")
        self._check_classes(raw / TEST, {m.folder for m in self.test_pictures}, "folder")
        for name, pictures in ((VALIDATION, self.validation_pictures), (TEST, self.test_pictures)):
            expected = self.rows["validation" if name == VALIDATION else "test"]
            if len(pictures) != expected:
                raise DataError(
                    f"{raw / name} holds {len(pictures)} pictures",
                    expected=str(expected),
                    fix="it is incomplete or of another release: fetch it again",
                )
        self.kit.validation_labels(self.rows["validation"])

    def units(self, split: str, raw: Path) -> Sequence[str]:
        """Training pictures by stretches of classes; the other splits whole."""
        if split != "train":
            return ("",)
        wnids, step = self.kit.wnids, _CLASSES_A_UNIT
        return [" ".join(wnids[i : i + step]) for i in range(0, len(wnids), step)]

    def unit_samples(self, split: str, raw: Path, unit: str) -> Iterator[Sample | Unreadable]:
        """The pictures of a unit, sorted by class and file name (validation: by file name)."""
        if split == "train":
            return self._train(unit.split())
        return self._validation() if split == "validation" else self._test()

    def _train(self, wnids: Sequence[str]) -> Iterator[Sample | Unreadable]:
        index_of = {wnid: index for index, wnid in enumerate(self.kit.wnids)}
        path = self.raw / TRAIN
        for wnid in wnids:
            inner = self.train_tars[wnid]
            pictures = sorted(members(path, inner), key=lambda member: member.file)
            for member, data in read(path, pictures):
                name = f"{TRAIN}, {inner.name}, {member.name}"
                yield _sample(name, member.stem, index_of[wnid], data)

    def _validation(self) -> Iterator[Sample | Unreadable]:
        labels = self.kit.validation_labels(self.rows["validation"])
        pictures = read(self.raw / VALIDATION, self.validation_pictures)
        for label, (member, data) in zip(labels, pictures):
            yield _sample(f"{VALIDATION}, {member.name}", member.stem, label, data)

    def _test(self) -> Iterator[Sample | Unreadable]:
        for member, data in read(self.plain, self.test_pictures):
            label = int(member.folder)  # not its place among the names: "10" sorts before "2"
            key = f"{label:03d}_{member.stem}"
            yield _sample(f"{TEST}, {member.name}", key, label, data)

    @cached_property
    def train_tars(self) -> dict[str, Member]:
        """WordNet id -> inner tar file."""
        return {member.stem: member for member in members(self.raw / TRAIN)}

    @cached_property
    def validation_pictures(self) -> list[Member]:
        """Sorted by name, as the ground truth is."""
        return sorted(members(self.raw / VALIDATION), key=lambda member: member.file)

    @cached_property
    def test_pictures(self) -> list[Member]:
        """Sorted by class and name."""
        found = members(self.plain, known_as=str(self.raw / TEST))
        found = [member for member in found if member.folder.isdecimal()]
        return sorted(found, key=lambda member: (int(member.folder), member.file))

    def _check_classes(self, path: Path, found: set[str], what: str, suffix: str = "") -> None:
        wanted = set(self.kit.wnids) if suffix else {str(i) for i in range(self.classes)}
        missing, more = sorted(wanted - found), sorted(found - wanted)
        if missing or more:
            flaws = [f"no {what} {missing[0]}{suffix}"] if missing else []
            flaws += [f"an unknown {what} {more[0]}{suffix}"] if more else []
            raise DataError(
                f"{path} has {' and '.join(flaws)} ({len(missing)} missing, {len(more)} unknown)",
                expected=f"one {what} for each of {self.classes} classes",
                fix="it is incomplete or of another release: fetch it again",
            )


def _sample(name: str, stem: str, label: int, data: bytes) -> Sample | Unreadable:
    found = flaw(data)
    if found is not None:
        return Unreadable(name, found)
    key = stem.replace(".", "_")  # the first dot of a member's name begins its extension
    return Sample(key, {"jpg": data, "cls": np.array(label, LABEL).tobytes()})
