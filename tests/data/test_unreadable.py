"""Raw samples that cannot be read: named, counted, never left out unnoticed."""

import numpy as np
import pytest

from algoperf_pt.data.prepare import prepare
from algoperf_pt.data.preparer import Unreadable
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.errors import DataError
from tests.support.toy import Toy


class Corrupt(Toy):
    """Toy, of whose texts two cannot be read."""

    bad = (2, 5)

    def samples(self, split, raw):
        for number, sample in enumerate(super().samples(split, raw)):
            unreadable = split == "train" and number in self.bad
            yield Unreadable(f"text_{number}", "it is cut short") if unreadable else sample

    def expected_rows(self, split):
        return 40 if split == "test" else 40 - 4 * len(self.bad)  # each holds 5 and counts as 1


def test_an_unreadable_sample_ends_the_preparation_and_is_named(raw, tmp_path):
    with pytest.raises(DataError, match="text_2 cannot be read: it is cut short") as caught:
        prepare(Corrupt(), raw, tmp_path / "out", quiet=True)
    assert "--max-corrupt N" in caught.value.fix
    some = Corrupt()
    some.max_corrupt = 1
    with pytest.raises(DataError, match="(?s)text_5 .*at most 1 .* number 2"):
        prepare(some, raw, tmp_path / "out", quiet=True)


@pytest.mark.parametrize("where", [None, ("train", 1), ("train", 4), ("train", 7), ("test", 1)])
def test_as_many_unreadable_samples_as_stated_are_left_out_and_listed(raw, tmp_path, where):
    out, some = tmp_path / "out", Corrupt()
    some.max_corrupt, some.stop_after = 2, where
    if where:
        with pytest.raises(KeyboardInterrupt):
            prepare(some, raw, out, quiet=True)
        some.stop_after = None
    index = prepare(some, raw, out, quiet=True)
    listed = [{"name": f"text_{n}", "reason": "it is cut short"} for n in Corrupt.bad]
    assert index.left_out("train") == listed and index.left_out("test") == []
    assert index.rows("train") == 30 and index.rows("test") == 40
    rows = ShardReader(index, "train").read_rows(np.arange(30), "id").view(np.int32).ravel()
    assert rows.tolist() == [r for n in (0, 1, 3, 4, 6, 7) for r in range(5 * n, 5 * n + 5)]


@pytest.mark.parametrize(
    "lost, expected, right",
    [(5, 40, True), (5, 41, False), (None, 40, True), (None, 99, True), (None, 34, False)],
)
def test_unreadable_samples_of_several_examples(raw, tmp_path, lost, expected, right):
    """35 of 40 are left; the number of the other five is known, or not."""

    class Blocks(Toy):
        max_corrupt = 1

        def samples(self, split, raw):
            for number, sample in enumerate(super().samples(split, raw)):
                unreadable = split == "train" and number == 3
                yield Unreadable("block_3", "it is cut short", lost) if unreadable else sample

        def expected_rows(self, split):
            return 40 if split == "test" else expected

    if right:
        index = prepare(Blocks(), raw, tmp_path / "out", quiet=True)
        assert index.rows("train") == 35
        (line,) = index.left_out("train")
        assert line == {"name": "block_3", "reason": "it is cut short", "rows": lost}
    else:
        with pytest.raises(DataError, match="hold 35 examples for the split 'train'"):
            prepare(Blocks(), raw, tmp_path / "out", quiet=True)
