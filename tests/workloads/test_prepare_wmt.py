"""wmt's raw archives: read whole, or refused with the file's name; and the trained vocabulary."""

import shutil

import numpy as np
import pytest
import sentencepiece
import torch

from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.prepare import find_preparer, main, prepare
from algoperf_pt.errors import DataError
from algoperf_pt.ranks import Ranks
from tests.support.runs import ROOT
from workloads.wmt.corpora import ALL, TEST, TRAIN, VALIDATION, lines, pairs
from workloads.wmt.data import VOCABULARY, WmtData
from workloads.wmt.prepare import GIVEN_VOCABULARY, WmtPreparer
from workloads.wmt.tiny import write_archive, write_raw
from workloads.wmt.vocabulary import Vocabulary

GOLDEN = ROOT / "tests" / "golden" / "wmt"
PAIRS = [
    ("Guten Tag.", "Good day."),
    ("Ja, \r ja\u2028ja", "Yes  yes"),
    ("", "Sad."),
    ("Nein.", "No."),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_raw(folder, seed=1)
    return folder


@pytest.fixture
def raw(written, tmp_path):
    return shutil.copytree(written, tmp_path / "raw")


def side(number, count=3):
    return "".join(pair[number] + "\n" for pair in PAIRS * count).encode()


def sgm(number):
    segments = "".join(f'<seg id="{n}">{pair[number]}</seg>\n' for n, pair in enumerate(PAIRS))
    return f"<srcset>\n<doc>\n<p>\n{segments}</p>\n</doc>\n</srcset>\n".encode()


def archives(folder, **changes):
    """Small raw archives; `changes`: a member without its folder -> other bytes, or None."""
    folder.mkdir()
    changes = {name.replace("__", "-").replace("_", "."): data for name, data in changes.items()}
    for archive in dict.fromkeys(corpus.archive for corpus in ALL):
        files = {}
        for corpus in (corpus for corpus in ALL if corpus.archive == archive):
            for number, member in enumerate((corpus.source, corpus.target)):
                made = sgm(number) if corpus is TEST else side(number)
                data = changes.get(member.rpartition("/")[2], made)
                if data is not None:
                    files[member] = data
        write_archive(folder / archive, files)
    return folder


def preparer(rows=None, vocab_size=200):
    """With the golden vocabulary, so that nothing needs to be trained."""
    return WmtPreparer(vocab_size, 10**6, rows or {"train": 36, "validation": 9, "test": 3}, "x")


def opened(folder, length):
    """The prepared small archives."""
    return WmtData(
        max_length=length,
        root=folder,
        dataset="x",
        preparer_version=1,
        num_examples={"train": 36, "eval_train": 36, "validation": 9, "test": 3},
        eval_batch_size=2,
    )


def with_vocabulary(folder):
    shutil.copy(GOLDEN / "tiny_sp.model", folder / GIVEN_VOCABULARY)
    return folder


# ---- the road


def test_every_pair_comes_back_as_its_ids(tmp_path):
    raw = with_vocabulary(archives(tmp_path / "raw"))
    index = prepare(preparer(), raw, tmp_path / "out", quiet=True)
    data = opened(tmp_path / "out", 256)
    vocabulary = Vocabulary(GOLDEN / "tiny_sp.model")
    kept = [pair for pair in PAIRS if all(pair)]
    for split, repeats in (("train", 12), ("validation", 3), ("test", 1)):
        batch = data.build(split, np.arange(index.rows(split)), None)
        for name, number in (("inputs", 0), ("targets", 1)):
            expected = vocabulary.encode([pair[number] for pair in kept]) * repeats
            found = [row[: len(ids)] for row, ids in zip(batch[name].tolist(), expected)]
            assert found == expected
        assert (batch["weights"] == (batch["targets"] > 0)).all()


def test_a_training_batch_holds_the_pairs_of_its_order(tmp_path):
    raw = with_vocabulary(archives(tmp_path / "raw"))
    prepare(preparer(), raw, tmp_path / "out", quiet=True)
    data = opened(tmp_path / "out", 64)
    ranks = Ranks(torch.device("cpu"))
    order = data.train_order(4, 7, ranks)
    batch = next(data.train_batches(4, 7, ranks))
    chosen, rows = order.rows(0)
    for name, number in (("inputs", 0), ("targets", 1)):
        for row in range(4):
            of_row = chosen[rows == row]
            single = data.build("train", of_row, None)[name]
            counted = data.table("train").counted[of_row, number]
            ids = [single[i, : counted[i]].tolist() for i in range(len(of_row))]
            place = batch[f"{name}_position"][row].tolist()
            segment = batch[f"{name}_segmentation"][row].tolist()
            flat = [token for part in ids for token in part]
            assert batch[name][row].tolist() == flat + [0] * (64 - len(flat))
            assert place[: len(flat)] == [i for part in ids for i in range(len(part))]
            wanted = [n * (t > 0) for n, part in enumerate(ids, 1) for t in part]
            assert segment == wanted + [0] * (64 - len(flat))


def test_the_tiny_archives_are_the_same_for_the_same_seed(written, tmp_path):
    write_raw(tmp_path / "same", seed=1)
    write_raw(tmp_path / "other", seed=2)
    for path in written.iterdir():
        assert (tmp_path / "same" / path.name).read_bytes() == path.read_bytes()
        assert (tmp_path / "other" / path.name).read_bytes() != path.read_bytes()


def test_the_vocabulary_is_trained_and_kept_with_the_shards(written, tmp_path):
    index = prepare(find_preparer("wmt_tiny"), written, tmp_path / "out", quiet=True)
    vocabulary = Vocabulary(index.asset(VOCABULARY))
    assert len(vocabulary) == find_preparer("wmt_tiny").vocab_size
    sentences = ["Das ist gut.", "the and not"]
    assert vocabulary.decode(vocabulary.encode(sentences))[1] == "the and not"
    assert vocabulary.encode([""]) == [[2]] and vocabulary.decode([[]]) == [""]
    assert not index.verify()


def test_variants_are_prepared_as_their_base():
    assert find_preparer("wmt_post_ln").name == "wmt"
    assert find_preparer("wmt_post_ln").rows["train"] == find_preparer("wmt").rows["train"]


def test_lines_end_at_line_feeds_alone(tmp_path):
    archives(tmp_path / "raw")
    (tmp_path / "x.de").write_bytes("a\rb\u2028c\n\nlast".encode())
    assert list(lines(tmp_path / "x.de")) == ["a\rb\u2028c".encode(), b"", b"last"]


def test_segments_keep_their_entities(tmp_path):
    text = b'<doc>\n<seg id="1">a &amp; &quot;b&quot;</seg>\n <seg id="2">no</seg>\n<hl>\n'
    (tmp_path / "x.sgm").write_bytes(text + b'<seg id="3"></seg>\n')
    assert list(lines(tmp_path / "x.sgm")) == [b"a &amp; &quot;b&quot;", b""]


def test_line_numbers_count_dropped_pairs(tmp_path):
    for number, name in enumerate((VALIDATION.source, VALIDATION.target)):
        (tmp_path / name.rpartition("/")[2]).write_bytes(side(number, 1))
    assert [number for number, _, _ in pairs(VALIDATION, tmp_path)] == [0, 1, 3]


# ---- flaws


@pytest.mark.parametrize(
    "flaw, message",
    [
        ({"commoncrawl_de__en_en": None}, "commoncrawl.tgz has no member commoncrawl.de-en.en"),
        (
            {"rapid2016_de__en_de": side(0) + b"mehr\n"},
            "rapid2016.de-en.de has 13 lines, rapid2016.de-en.en has 12",
        ),
        (
            {"europarl__v7_de__en_en": side(1, 2) + b"Good \xff\xfe day\n" + side(1, 2)},
            "europarl-v7.de-en.de has 12 lines, europarl-v7.de-en.en has 17",
        ),
        (
            {"newstest2013_de": side(0, 2) + b"Tag \xe4h\n" + b"Ja.\n" * 3},
            r"newstest2013.de, line 9: bytes that are no UTF-8 \(.* at 4: b'.xe4h'\)",
        ),
        ({"news__commentary__v12_de__en_de": b""}, "news-commentary-v12.de-en.de has 0 lines"),
        (
            {"newstest2014__deen__src_de_sgm": b"", "newstest2014__deen__ref_en_sgm": b""},
            "newstest2014-deen-src.de.sgm has no sentences",
        ),
    ],
)
def test_a_flaw_is_named(tmp_path, flaw, message):
    raw = with_vocabulary(archives(tmp_path / "raw", **flaw))
    with pytest.raises(DataError, match=message):
        prepare(preparer(), raw, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out" / "index.json").exists()


def test_a_missing_archive_is_named(raw, tmp_path):
    (raw / "dev.tgz").unlink()
    with pytest.raises(DataError, match="raw files are missing .*: dev.tgz"):
        prepare(find_preparer("wmt_tiny"), raw, tmp_path / "out", quiet=True)


@pytest.mark.parametrize("damage", [lambda d: d[: len(d) // 2], lambda d: b"", lambda d: b"x" + d])
def test_a_damaged_archive_is_named(raw, tmp_path, damage):
    path = raw / TRAIN[0].archive
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=f"{TRAIN[0].archive} (cannot be unpacked|has no member)"):
        prepare(find_preparer("wmt_tiny"), raw, tmp_path / "out", quiet=True)


def test_too_few_pairs_are_refused(tmp_path):
    raw = with_vocabulary(archives(tmp_path / "raw"))
    rows = {"train": 40, "validation": 9, "test": 3}
    with pytest.raises(DataError, match="hold 36 examples for the split 'train'"):
        prepare(preparer(rows), raw, tmp_path / "out", quiet=True)


def test_a_vocabulary_of_another_size_is_refused_and_not_kept(tmp_path):
    raw = with_vocabulary(archives(tmp_path / "raw"))
    with pytest.raises(DataError, match=f"{GIVEN_VOCABULARY} has 200 pieces"):
        prepare(preparer(vocab_size=32000), raw, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out" / VOCABULARY).exists()
    (raw / GIVEN_VOCABULARY).write_bytes(b"no model")
    with pytest.raises(DataError, match="is no SentencePiece model"):
        prepare(preparer(), raw, tmp_path / "out2", quiet=True)


def test_too_little_text_for_a_vocabulary(tmp_path):
    raw = archives(tmp_path / "raw")
    with pytest.raises(DataError, match="a vocabulary of 500 pieces cannot be trained"):
        prepare(preparer(vocab_size=500), raw, tmp_path / "out", quiet=True)


def test_other_special_ids_are_refused(tmp_path):
    text = tmp_path / "text"
    text.write_bytes(side(0, 20) + side(1, 20))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "odd"), vocab_size=30, pad_id=0, unk_id=3,
        minloglevel=2,
    )
    with pytest.raises(DataError, match=r"has the ids \(3, 1, 2\) for unknown, begin and end"):
        Vocabulary(tmp_path / "odd.model")


def test_shards_of_another_version_and_a_damaged_shard(written, tmp_path, capsys):
    out = tmp_path / "out"
    prepare(find_preparer("wmt_tiny"), written, out, quiet=True)
    with pytest.raises(DataError, match="preparer version 1"):
        DataIndex.open(out, "wmt_tiny", preparer_version=2)
    shard = DataIndex.open(out).shards("train")[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(SystemExit):
        main(["wmt_tiny", "--raw", str(written), "--out", str(out), "--verify"])
    assert f"{shard.name}: SHA-256" in capsys.readouterr().err


def test_an_interrupted_preparation_goes_on(written, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    prepare(find_preparer("wmt_tiny"), written, whole, quiet=True)
    out, made = tmp_path / "out", WmtPreparer._member

    def stop(self, key, block):
        if key.startswith("newscommentary"):
            raise KeyboardInterrupt
        return made(self, key, block)

    monkeypatch.setattr(WmtPreparer, "_member", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(find_preparer("wmt_tiny"), written, out, quiet=True)
    monkeypatch.setattr(WmtPreparer, "_member", made)
    prepare(find_preparer("wmt_tiny"), written, out, quiet=True)
    for path in whole.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
