"""finewebedu_lm's road from parquet text to windows, and every flaw of the raw files by name."""

import base64
import json
import shutil
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.order import feistel
from algoperf_pt.data.prepare import prepare
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.errors import ConfigError, DataError
from workloads.finewebedu_lm import prepare as module
from workloads.finewebedu_lm.corpus import Stream
from workloads.finewebedu_lm.prepare import FinewebEduPreparer
from workloads.finewebedu_lm.tiny import story, write_parquet, write_raw, write_tokenizer
from workloads.finewebedu_lm.tokens import END, byte_characters, load_tokenizer, tokenizer_files

VOCABULARY = 280
WINDOWS = {"train": 60, "validation": 20}
ODD = ["", "x", f"a {END} inside", "naïve café — 日本語 🙂\n\n  it's 1234\t!", " ", ""]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three parquet files of stories and odd texts, with a tokenizer."""
    folder = tmp_path_factory.mktemp("source")
    rng = np.random.default_rng(0)
    texts = [story(rng) for _ in range(40)] + ODD
    for number in range(3):
        write_parquet(folder / f"{number:03d}_00000.parquet", texts[number::3])
    write_tokenizer(folder, texts, VOCABULARY)
    return folder


@pytest.fixture
def raw(source, tmp_path):
    """A copy that may be changed."""
    return shutil.copytree(source, tmp_path / "raw")


def preparer(**changes):
    given = {"windows": WINDOWS, "window": 17, "vocabulary": VOCABULARY, "threads": 1}
    return FinewebEduPreparer("lm", **(given | changes))


def refused(raw, tmp_path, message, **changes):
    """The error of a preparation that must fail, whose message matches."""
    with pytest.raises(DataError, match=message) as caught:
        prepare(preparer(**changes), raw, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out" / "index.json").exists()
    return caught.value


def stored(index, split):
    return ShardReader(index, split).all_rows("ids").view(np.uint16)


def tars(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


# ---- tokens


def test_bytes_have_the_ids_that_gpt2_gives_them():
    order = list(byte_characters())
    assert sorted(order) == list(range(256)) and len(set(byte_characters().values())) == 256
    known = {"!": 0, "0": 15, "A": 32, "a": 64, "~": 93, "\n": 198, " ": 220}  # of GPT-2's files
    assert {char: order.index(ord(char)) for char in known} == known
    assert byte_characters()[ord(" ")] == "Ġ" and byte_characters()[ord("\n")] == "Ċ"


def test_merges_are_made_in_their_order_and_not_across_pieces(tmp_path):
    write_merges(tmp_path, ["a b", "b c", "ab c", "Ġ ab"])
    tokenizer = load_tokenizer(tokenizer_files(tmp_path), 261)
    assert tokenizer.encode("abc").tolist() == [258]  # ab first, then ab + c
    assert tokenizer.encode("bc").tolist() == [257]
    assert tokenizer.encode(" ab").tolist() == [259]
    assert tokenizer.encode("a1bc").tolist() == [64, 16, 257]
    assert tokenizer.encode("a'bc").tolist() == [64, 6, 257]


def write_merges(folder, merges):
    tokens = [*byte_characters().values(), *(m.replace(" ", "") for m in merges), END]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), "utf-8")
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))


def test_text_comes_back_and_the_end_of_text_is_known_everywhere(source):
    tokenizer = load_tokenizer(tokenizer_files(source), VOCABULARY)
    assert tokenizer.end == VOCABULARY - 1
    for text in ODD:
        ids = tokenizer.document(text)
        assert ids.dtype == np.uint16
        assert tokenizer.decode(ids) == (text + END if text else "")
        assert (ids == tokenizer.end).sum() == text.count(END) + bool(text)


def test_three_forms_of_one_tokenizer(source, tmp_path):
    first = load_tokenizer(tokenizer_files(source), VOCABULARY)
    openai, ranks = tmp_path / "openai", tmp_path / "ranks"
    openai.mkdir(), ranks.mkdir()
    shutil.copy(source / "merges.txt", openai / "vocab.bpe")
    shutil.copy(source / "vocab.json", openai / "encoder.json")
    lines = [
        f"{base64.b64encode(first._encoding.decode_single_token_bytes(i)).decode()} {i}\n"
        for i in range(VOCABULARY - 1)
    ]
    (ranks / "gpt2.tiktoken").write_text("".join(lines))
    text = " ".join(ODD) + story(np.random.default_rng(5))
    for folder in (openai, ranks):
        other = load_tokenizer(tokenizer_files(folder), VOCABULARY)
        assert np.array_equal(other.encode(text), first.encode(text))
    (ranks / "gpt2.tiktoken").write_text("".join(lines[:-1] + ["!!! 278\n"]))
    with pytest.raises(DataError, match="line 279: '!!! 278' is no token with its rank"):
        load_tokenizer(tokenizer_files(ranks), VOCABULARY)
    (ranks / "gpt2.tiktoken").write_text("".join(lines[256:]))
    with pytest.raises(DataError, match="line 1: .* is no token with its rank"):
        load_tokenizer(tokenizer_files(ranks), VOCABULARY)


# ---- windows


def test_the_road_by_hand(source, tmp_path):
    """Documents in the fixed order, behind one another, cut; validation from the next one on."""
    index = prepare(preparer(), source, tmp_path / "out", quiet=True)
    tokenizer = load_tokenizer(tokenizer_files(source), VOCABULARY)
    texts = [
        text
        for path in sorted(source.glob("*.parquet"))
        for text in pq.read_table(path).column("text").to_pylist()
    ]
    documents = [tokenizer.document(texts[i]).tolist() for i in feistel(np.arange(46), 46, 0)]
    position = 0
    for split, count in WINDOWS.items():
        ids = []
        while len(ids) < count * 17:
            ids += documents[position]
            position += 1
        assert np.array_equal(stored(index, split), np.reshape(ids[: count * 17], (count, 17)))
    assert index.splits == ["train", "validation"] and index.rows("test") == 0
    assert not (tmp_path / "out" / ".scratch").exists()


def test_a_stream_knows_no_borders():
    ids, lengths = np.arange(20, dtype=np.uint16), np.array([3, 0, 5, 0, 0, 8, 4])
    stream = Stream(ids, lengths, np.array([5, 1, 0, 3, 6, 2, 4]), 3)
    whole = [*range(8, 16), *range(0, 3), *range(16, 20), *range(3, 8)]
    assert stream.windows(0, 0, 6).ravel().tolist() == whole[:18]
    assert stream.windows(2, 1, 4).ravel().tolist() == whole[5:14]
    # the last document that a split touches is left out of the next one; empty ones are skipped
    assert stream.origins({"a": 1, "b": 1}) == {"a": 0, "b": 8}
    assert stream.origins({"a": 3, "b": 2, "c": 0}) == {"a": 0, "b": 11, "c": 20}
    with pytest.raises(DataError, match="1 windows of 3 are left for the split 'b'"):
        stream.origins({"a": 4, "b": 2})


def test_another_seed_is_another_order_and_threads_change_nothing(source, tmp_path):
    first = prepare(preparer(), source, tmp_path / "first", quiet=True)
    prepare(preparer(threads=3), source, tmp_path / "threads", quiet=True)
    other = prepare(preparer(seed=1), source, tmp_path / "seed", quiet=True)
    assert tars(tmp_path / "threads") == tars(tmp_path / "first")
    assert not np.array_equal(stored(other, "train"), stored(first, "train"))


def test_the_tokenizer_may_lie_elsewhere(raw, tmp_path):
    place = tmp_path / "gpt2"
    place.mkdir()
    for name in ("merges.txt", "vocab.json"):
        (raw / name).rename(place / name)
    refused(raw, tmp_path, "holds no tokenizer")
    index = prepare(preparer(tokenizer=str(place)), raw, tmp_path / "out", quiet=True)
    names = [entry["name"] for entry in index.content["raw_files"]]
    assert names == [f"00{i}_00000.parquet" for i in range(3)] + ["merges.txt", "vocab.json"]


# ---- interruptions


@pytest.mark.parametrize("stop", ["001_00000.parquet", "002_00000.parquet"])
def test_a_file_that_was_tokenised_is_not_tokenised_again(raw, tmp_path, monkeypatch, stop):
    whole, out = tmp_path / "whole", tmp_path / "out"
    prepare(preparer(), raw, whole, quiet=True)
    read, seen = module.read_texts, []

    def interrupted(path):
        seen.append(path.name)
        for batch in read(path):
            yield batch[:2]  # some of it is written
            if path.name == stop:
                raise KeyboardInterrupt
            yield batch[2:]

    monkeypatch.setattr(module, "read_texts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(preparer(), raw, out, quiet=True)
    before = list(seen)
    stop, names = None, [f"00{i}_00000.parquet" for i in range(3)]
    seen.clear()
    prepare(preparer(), raw, out, quiet=True)
    assert before[:-1] + seen == names and before[-1] == seen[0]
    assert tars(out) == tars(whole)


def test_other_files_after_an_interruption_are_tokenised(raw, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(Stream, "origins", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        prepare(preparer(), raw, out, quiet=True)
    monkeypatch.undo()
    write_parquet(raw / "001_00000.parquet", [story(np.random.default_rng(9)) for _ in range(20)])
    prepare(preparer(), raw, out, quiet=True)
    prepare(preparer(), raw, tmp_path / "fresh", quiet=True)
    assert tars(out) == tars(tmp_path / "fresh")


def test_finished_shards_are_not_cut_again(source, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 8)
    monkeypatch.setattr(FinewebEduPreparer, "samples_per_shard", 3)
    prepare(preparer(), source, tmp_path / "whole", quiet=True)
    cut, calls = Stream.windows, []

    def failing(self, origin, first, last):
        calls.append((origin > 0, first))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return cut(self, origin, first, last)

    monkeypatch.setattr(Stream, "windows", failing)
    with pytest.raises(KeyboardInterrupt):
        prepare(preparer(), source, tmp_path / "out", quiet=True)
    prepare(preparer(), source, tmp_path / "out", quiet=True)
    assert calls[5] == (False, 24)  # the second shard is made anew, the first one is left
    assert tars(tmp_path / "out") == tars(tmp_path / "whole") and len(calls) == 5 + 8
    assert sorted(tars(tmp_path / "out")) == [
        *(f"train-00000{i}.tar" for i in range(3)),
        "validation-000000.tar",
    ]


# ---- flaws


def test_no_parquet_files(raw, tmp_path):
    for path in raw.glob("*.parquet"):
        path.unlink()
    assert "sample/10BT" in refused(raw, tmp_path, "holds no parquet files").expected


@pytest.mark.parametrize("keep", [0, 500, -100])
def test_a_truncated_file(raw, tmp_path, keep):
    path = raw / "001_00000.parquet"
    path.write_bytes(path.read_bytes()[:keep] if keep else b"")
    error = refused(raw, tmp_path, r"001_00000.parquet \(\d+ bytes\) cannot be read")
    assert "fetch it again" in error.fix


def test_a_damaged_page(raw, tmp_path):
    path = raw / "002_00000.parquet"
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)  # the first page's header
    path.write_bytes(content)
    refused(raw, tmp_path, "002_00000.parquet .* cannot be read")


@pytest.mark.parametrize(
    "table, found",
    [
        ({"content": ["a"]}, "content"),
        ({"text": [1, 2]}, "text"),
        ({"text": [b"a"]}, "text"),
    ],
)
def test_no_column_of_text(raw, tmp_path, table, found):
    pq.write_table(pa.table(table), raw / "000_00000.parquet")
    refused(raw, tmp_path, f"000_00000.parquet has no column 'text' of strings, but {found}")


def test_a_text_that_is_null(raw, tmp_path):
    pq.write_table(pa.table({"text": ["a", None, "b"]}), raw / "000_00000.parquet")
    refused(raw, tmp_path, "000_00000.parquet, row 1: the text is null")


def test_a_text_that_is_no_utf8(raw, tmp_path):
    offsets = pa.py_buffer(np.array([0, 2, 6], np.int32).tobytes())
    data = pa.py_buffer(b"ok" + b"a\xff\xfeb")
    texts = pa.StringArray.from_buffers(2, offsets, data)
    pq.write_table(pa.table({"text": texts}), raw / "000_00000.parquet")
    refused(raw, tmp_path, "000_00000.parquet, row 1: the text is no UTF-8 .*at byte 1")


def test_a_tokenizer_of_the_wrong_vocabulary(raw, tmp_path):
    error = refused(raw, tmp_path, "wrong vocabulary: 280 ids", vocabulary=50257)
    assert "50257" in error.expected


def test_merges_and_vocabulary_that_do_not_fit_together(raw, tmp_path):
    vocab = json.loads((raw / "vocab.json").read_text())
    last = next(token for token, number in vocab.items() if number == 278)
    (raw / "vocab.json").write_text(json.dumps(vocab | {last: 999}))
    refused(raw, tmp_path, f"do not fit together: 1 tokens differ, first '{last}' with the id 999")
    (raw / "vocab.json").write_text(json.dumps(vocab | {"more": 280}))
    refused(raw, tmp_path, "1 tokens differ, first 'more'")
    (raw / "vocab.json").write_text("[]")
    refused(raw, tmp_path, "280 tokens differ, first '!'")
    (raw / "vocab.json").write_text("{")
    refused(raw, tmp_path, "vocab.json cannot be read")


@pytest.mark.parametrize("line", ["x", "a b c", "nowhere b", "Ġ"])
def test_a_line_that_is_no_merge(raw, tmp_path, line):
    lines = (raw / "merges.txt").read_text().split("\n")
    (raw / "merges.txt").write_text("\n".join([*lines[:3], line, *lines[3:]]))
    refused(raw, tmp_path, f"merges.txt, line 4: '{line}' merges no two tokens")


def test_a_merge_that_stands_twice(raw, tmp_path):
    lines = (raw / "merges.txt").read_text().split("\n")
    (raw / "merges.txt").write_text("\n".join([*lines[:3], lines[1], *lines[3:]]))
    refused(raw, tmp_path, "merges.txt, line 4: .* into a new one")


def test_a_tokenizer_that_is_no_text(raw, tmp_path):
    (raw / "merges.txt").write_bytes(b"#version\n\xff\xfe")
    refused(raw, tmp_path, "merges.txt cannot be read")


def test_too_few_ids(raw, tmp_path):
    many = {"train": 10**6, "validation": 1}
    error = refused(raw, tmp_path, "windows of 17 are left for the split 'train'", windows=many)
    assert error.expected == "1000000 windows"
    many = {"train": 60, "validation": 10**6}
    refused(raw, tmp_path, "are left for the split 'validation'", windows=many)


def test_nothing_but_empty_texts(raw, tmp_path):
    for path in raw.glob("*.parquet"):
        write_parquet(path, ["", ""])
    refused(raw, tmp_path, "^0 ids are too few")


def test_shards_of_another_preparer_version(source, tmp_path):
    prepare(preparer(), source, tmp_path / "out", quiet=True)
    with pytest.raises(DataError, match="preparer version 1") as caught:
        DataIndex.open(tmp_path / "out", "lm", 2)
    assert "algoperf-prepare lm" in caught.value.fix


def test_a_checksum_that_fails(source, tmp_path):
    index = prepare(preparer(), source, tmp_path / "out", quiet=True)
    path = tmp_path / "out" / "train-000000.tar"
    content = bytearray(path.read_bytes())
    content[600] ^= 1
    path.write_bytes(content)
    (problem,) = index.verify()
    assert problem.startswith("train-000000.tar: SHA-256")
    with pytest.raises(DataError, match="part 'ids' of member 0 .* is corrupt"):
        stored(index, "train")


def test_without_the_packages(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(ConfigError, match="'tiktoken' is not installed") as caught:
        prepare(preparer(), source, tmp_path / "out", quiet=True)
    assert "algoperf-pt[finewebedu_lm]" in caught.value.fix


# ---- the tiny twin's raw files


def test_stories_are_the_same_for_the_same_seed(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_raw(tmp_path / name, seed)
    texts = [pq.read_table(tmp_path / n / "000_00000.parquet")["text"].to_pylist() for n in "abc"]
    assert texts[0] == texts[1] and texts[0] != texts[2] and "" in texts[0]
    assert all(text.endswith(".\n") for text in texts[0] if text)
    schema = pq.read_schema(tmp_path / "a" / "000_00000.parquet")
    assert schema.names[:3] == ["text", "id", "dump"] and len(schema.names) == 10
