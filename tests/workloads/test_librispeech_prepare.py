"""LibriSpeech's raw files: the same shards whatever the order in the archives, and a name for every
flaw."""

import gzip
import io
import json
import tarfile

import numpy as np
import pytest
import soundfile

from algoperf_pt.data.prepare import main, prepare
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.errors import ConfigError, DataError
from workloads.librispeech.audio import AudioError, Header, decode
from workloads.librispeech.prepare import COUNTS, SUBSETS, LibrispeechPreparer
from workloads.librispeech.tiny import chapter, flac, write_archive, write_raw
from workloads.librispeech.vocabulary import FILE, Vocabulary

ALL = [subset for part in SUBSETS.values() for subset in part]
COUNT = {"train": 12, "validation": 8, "test": 4}  # utterances of two chapters of two a subset
TEXTS = ("THE CAT SAT", "IT'S A HAT", "A MAT AND A RAT", "THE HEN")


def sound(seed, samples=4000):
    noise = np.random.default_rng(seed).normal(0, 1000, samples)
    return np.clip(noise, -32768, 32767).astype(np.int16)


def contents():
    """subset -> the files of its archive; speakers whose order as words is not that as numbers."""
    made = {}
    for place, subset in enumerate(ALL):
        files = {"LibriSpeech/SPEAKERS.TXT": b"; a list\n"}
        for speaker in (9, 10):
            seeds = 100 * place + 10 * speaker + np.arange(2)
            spoken = [(TEXTS[seed % 4], sound(seed, 12_000 + 10 * seed)) for seed in seeds]
            files |= chapter(subset, speaker, 7 + speaker, spoken)
        made[subset] = files
    return made


def write(folder, made, seed=None):
    folder.mkdir(parents=True)
    for subset, files in made.items():
        names = list(files)
        if seed is not None:
            np.random.default_rng(seed).shuffle(names)
        write_archive(folder / f"{subset}.tar.gz", {name: files[name] for name in names})
    return folder


def preparer(rows=COUNT, found=COUNT, vocab=18, characters=40, samples=30_000, **more):
    options = (found, rows, vocab, characters, samples)
    return LibrispeechPreparer(*options, released=False, name="small", **more)


def run(tmp_path, made, seed=None, max_corrupt=0, **options):
    """The index of what is written and prepared."""
    folder = tmp_path / f"raw{len(list(tmp_path.iterdir()))}"
    made_by = preparer(**options)
    made_by.max_corrupt = max_corrupt
    return prepare(made_by, write(folder, made, seed), folder.with_suffix(".out"), quiet=True)


def key(made, subset, number=0):
    """Name of the `number`th FLAC file of an archive."""
    return [name for name in made[subset] if name.endswith(".flac")][number]


def transcript(made, subset):
    return next(name for name in made[subset] if name.endswith(".trans.txt"))


@pytest.fixture
def made():
    return contents()


# ---- the road


def test_samples_texts_and_their_order(tmp_path, made):
    index = run(tmp_path, made)
    vocabulary = Vocabulary(index.asset(FILE))
    assert len(vocabulary) == 18
    for split, subsets in SUBSETS.items():
        held = ShardReader(index, split).read(np.arange(COUNT[split]))
        names = [
            f"LibriSpeech/{subset}/{speaker}/{7 + speaker}/{speaker}-{7 + speaker}-{number:04d}"
            for subset in subsets
            for speaker in (9, 10)
            for number in (0, 1)
        ]
        for name, member in zip(names, held, strict=True):
            subset = name.split("/")[1]
            audio = np.frombuffer(member["pcm"], np.int16)
            wanted, rate = soundfile.read(io.BytesIO(made[subset][f"{name}.flac"]), dtype="int16")
            assert np.array_equal(audio, wanted) and rate == 16_000
            folder, _, last = name.rpartition("/")
            lines = made[subset][f"{folder}/{last[:-5]}.trans.txt"].decode().splitlines()
            text = dict(line.split(" ", 1) for line in lines)[last]
            ids = np.frombuffer(member["token"], np.uint16).tolist()
            assert ids[-1] == 2 and 2 not in ids[:-1] and vocabulary.decode([ids]) == [text]
            repeats = sum(a == b for a, b in zip(ids, ids[1:]))
            length = np.frombuffer(member["length"], np.int32).tolist()
            assert length == [len(audio), len(ids), len(ids) + repeats]


def test_flac_files_keep_their_bytes(tmp_path, made):
    index = run(tmp_path, made, codec="flac")
    held = ShardReader(index, "test").read(np.arange(4))
    files = [made["test-clean"][key(made, "test-clean", number)] for number in range(4)]
    assert [member["flac"] for member in held] == files


@pytest.mark.parametrize("codec", ["int16", "flac"])
def test_the_order_in_the_archives_does_not_matter(tmp_path, made, codec):
    one, two = (run(tmp_path, made, seed, codec=codec) for seed in (1, 2))
    for split in SUBSETS:
        for a, b in zip(one.shards(split), two.shards(split), strict=True):
            assert a.read_bytes() == b.read_bytes()
    assert one.asset(FILE).read_bytes() == two.asset(FILE).read_bytes()
    assert one.asset(COUNTS).read_bytes() == two.asset(COUNTS).read_bytes()


def test_the_vocabulary_follows_from_the_first_archive_alone(tmp_path, made):
    before = run(tmp_path, made).asset(FILE).read_bytes()
    other = {name: dict(files) for name, files in made.items()}
    name = transcript(other, "train-clean-360")
    other["train-clean-360"][name] = made["train-clean-360"][name].replace(b"THE", b"A HAT")
    assert run(tmp_path, other).asset(FILE).read_bytes() == before
    name = transcript(made, "train-clean-100")
    made["train-clean-100"][name] = made["train-clean-100"][name].replace(b"THE", b"TEETH")
    assert run(tmp_path, made).asset(FILE).read_bytes() != before


def test_too_long_ones_are_left_out_of_every_split(tmp_path, made):
    for subset in ("train-other-500", "dev-clean", "test-clean"):
        name = transcript(made, subset)
        lines = made[subset][name].decode().splitlines()
        first, second = (line.split(" ")[0] for line in lines)
        lines = [f"{first} {'A' * 41}", f"{second} {'A' * 40}"]  # 40 characters are kept
        made[subset][name] = "\n".join(lines).encode()
        made[subset][key(made, subset, 2)] = flac(sound(1, 30_001))
        made[subset][key(made, subset, 3)] = flac(sound(1, 30_000))  # 30,000 samples are kept
    rows = {"train": 10, "validation": 6, "test": 2}
    index = run(tmp_path, made, rows=rows)
    assert {split: index.rows(split) for split in rows} == rows
    counts = json.loads(index.asset(COUNTS).read_text())
    for split, count in counts.items():
        assert count["found"] == COUNT[split] and count["kept"] == rows[split]
        assert count["too_long_text"] == count["too_long_sound"] == 1
    lengths = ShardReader(index, "test").all_rows("length").view(np.int32)
    assert lengths[:, 0].max() == 30_000
    with pytest.raises(DataError, match="(?s)train: 12 found, 10 kept.*expected: 11 kept"):
        run(tmp_path, made, rows={**rows, "train": 11})


def test_what_ctc_cannot_align_is_kept_and_counted(tmp_path, made, capsys):
    name = key(made, "train-clean-360")
    made["train-clean-360"][name] = flac(sound(1, 1600))  # 3 output frames
    counts = json.loads(run(tmp_path, made).asset(COUNTS).read_text())
    assert counts["train"] | {"unalignable": 1, "kept": 12} == counts["train"]
    assert "train: 12 found, 12 kept, 1 unalignable" in capsys.readouterr().out


def test_an_interrupted_preparation_goes_on(tmp_path, made, monkeypatch):
    whole = run(tmp_path, made)
    monkeypatch.setattr(LibrispeechPreparer, "samples_per_shard", 5)
    parts = run(tmp_path, made)
    assert [p.name for p in parts.shards("train")] == [f"train-{i:06d}.tar" for i in range(3)]
    raw, out = write(tmp_path / "raw_x", made), tmp_path / "x"
    real, calls = LibrispeechPreparer._sample, []

    def stops(self, kept):
        calls.append(kept.utterance.key)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return real(self, kept)

    with monkeypatch.context() as patch:
        patch.setattr(LibrispeechPreparer, "_sample", stops)
        with pytest.raises(KeyboardInterrupt):
            prepare(preparer(), raw, out, quiet=True)
    index = prepare(preparer(), raw, out, quiet=True)
    for a, b in zip(index.shards("train"), parts.shards("train"), strict=True):
        assert a.read_bytes() == b.read_bytes()
    both = [ShardReader(x, "train").all_rows("length").tobytes() for x in (whole, index)]
    assert both[0] == both[1]


def test_another_codec_is_another_dataset(tmp_path, made):
    raw, out = write(tmp_path / "raw", made), tmp_path / "out"
    prepare(preparer(), raw, out, quiet=True)
    with pytest.raises(DataError, match="prepared with other options"):
        prepare(preparer(codec="flac"), raw, out, quiet=True)
    with pytest.raises(ConfigError, match="(?s)'mp3'.*int16 or flac"):
        preparer(codec="mp3")


# ---- flaws of an utterance: named, and left out if the user says so


def cut(data):
    return data[: len(data) * 2 // 3]


def damaged(data):
    middle = len(data) // 2
    return data[:middle] + bytes(64) + data[middle + 64 :]


FLAWS = {
    "cut short": (cut, "cannot be decoded|it ends after"),
    "damaged": (damaged, "cannot be decoded|it ends after|checksum"),
    "22,050 samples a second": (lambda _: flac(sound(1), 22_050), "it has 22,050 samples a second"),
    "stereo": (lambda _: flac(np.stack([sound(1)] * 2, 1)), "it has 2 channels, not 1"),
    "24 bits": (lambda _: flac(sound(1), subtype="PCM_24"), "its samples have 24 bits, not 16"),
    "no FLAC": (lambda _: b"RIFF" + bytes(100), "it is no FLAC file"),
    "nothing": (lambda _: b"", "it is no FLAC file"),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_bad_sound_is_named(tmp_path, made, flaw):
    change, reason = FLAWS[flaw]
    name = key(made, "dev-other", 1)
    made["dev-other"][name] = change(made["dev-other"][name])
    with pytest.raises(DataError, match=f"dev-other.tar.gz, utterance 9-16-0001.*({reason})"):
        run(tmp_path, made)
    index = run(tmp_path, made, max_corrupt=1)
    assert index.rows("validation") == 7
    (left,) = index.left_out("validation")
    assert "9-16-0001" in left["name"]


def one_text_less(files, name):
    lines = files[name].splitlines(keepends=True)
    return {**files, name: lines[0]}


def without(files, name):
    return {k: v for k, v in files.items() if k != name}


def test_a_transcript_without_sound_and_the_reverse(tmp_path, made):
    whole = made["test-clean"]
    for change, name, reason in (
        (without, key(made, "test-clean", 1), "it has a transcript and no sound"),
        (one_text_less, transcript(made, "test-clean"), "it has no transcript"),
    ):
        made["test-clean"] = change(whole, name)
        with pytest.raises(DataError, match=f"utterance 9-16-0001 .*{reason}"):
            run(tmp_path, made)
        assert run(tmp_path, made, max_corrupt=1).rows("test") == 3


@pytest.mark.parametrize(
    "text, reason",
    [("", "its transcript is empty"), ("IT COST 3 CROWNS", "holds '3'"), ("Café", "holds 'a'")],
    ids=["empty", "a digit", "small letters"],
)
def test_a_bad_text_is_named(tmp_path, made, text, reason):
    name = transcript(made, "train-clean-100")
    lines = made["train-clean-100"][name].decode().splitlines()
    lines[1] = f"{lines[1].split()[0]} {text}"
    made["train-clean-100"][name] = "\n".join(lines).encode()
    with pytest.raises(DataError, match=f"train-clean-100.tar.gz, utterance 9-16-0001.*{reason}"):
        run(tmp_path, made)
    index = run(tmp_path, made, max_corrupt=1)
    assert index.rows("train") == 11


# ---- archives that are wrong as a whole


def test_a_missing_archive(tmp_path, made):
    raw = write(tmp_path / "raw", made)
    (raw / "dev-other.tar.gz").unlink()
    with pytest.raises(DataError, match="raw files are missing in .*: dev-other.tar.gz"):
        prepare(preparer(), raw, tmp_path / "out", quiet=True)


def test_a_corrupt_gzip(tmp_path, made):
    raw = write(tmp_path / "raw", made)
    path = raw / "train-clean-360.tar.gz"
    data = path.read_bytes()
    for change in (data[:-2000], data[:2000] + bytes(50) + data[2050:]):
        path.write_bytes(change)
        with pytest.raises(DataError, match="train-clean-360.tar.gz cannot be (unpacked|read)"):
            prepare(preparer(), raw, tmp_path / "out", quiet=True, force=True)


def test_an_archive_of_another_subset(tmp_path, made):
    made["dev-other"] = made["dev-clean"]
    with pytest.raises(DataError, match="(?s)dev-other.tar.gz holds LibriSpeech/dev-clean/"):
        run(tmp_path, made)


def test_an_archive_of_nothing(tmp_path, made):
    made["dev-other"] = {"LibriSpeech/README.TXT": b""}
    with pytest.raises(DataError, match="dev-other.tar.gz holds no utterances"):
        run(tmp_path, made)


def test_the_number_of_utterances_must_be_the_release_s(tmp_path, made):
    found = {**COUNT, "validation": 9}
    message = "dev-clean, dev-other hold 8 utterances together\n.*9 for the split 'validation'"
    with pytest.raises(DataError, match=message):
        run(tmp_path, made, found=found)


def test_a_sound_or_a_text_twice(tmp_path, made):
    raw = write(tmp_path / "raw", made)
    name, data = key(made, "test-clean"), made["test-clean"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, content in [*data.items(), (name, data[name])]:
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    (raw / "test-clean.tar.gz").write_bytes(gzip.compress(buffer.getvalue()))
    with pytest.raises(DataError, match="test-clean.tar.gz holds the sound of 9-16-0000 twice"):
        prepare(preparer(), raw, tmp_path / "out", quiet=True)
    lines = transcript(made, "test-clean")
    made["test-clean"][lines] *= 2
    with pytest.raises(DataError, match="holds the transcript of 9-16-0000 twice"):
        run(tmp_path, made)


def test_a_line_of_another_chapter(tmp_path, made):
    name = transcript(made, "test-clean")
    made["test-clean"][name] = made["test-clean"][name].replace(b"9-16-0001", b"9-17-0001")
    with pytest.raises(DataError, match="9-16.trans.txt, line 2 begins with '9-17-0001'"):
        run(tmp_path, made)


def test_too_little_text_for_the_vocabulary(tmp_path, made):
    with pytest.raises(DataError, match="a vocabulary of 500 pieces cannot be trained"):
        run(tmp_path, made, vocab=500)


def test_other_files_than_the_released_ones(tmp_path, made):
    raw = write(tmp_path / "raw", made)
    options = (COUNT, COUNT, 18, 40, 30_000)
    with pytest.raises(DataError, match="train-clean-100.tar.gz has the SHA-256"):
        prepare(LibrispeechPreparer(*options), raw, tmp_path / "out", quiet=True)


# ---- sounds, and the command


def test_the_header_says_what_the_library_says():
    for rate, samples in ((16_000, 4321), (44_100, 1)):
        data = flac(sound(3, samples), rate)
        info, header = soundfile.info(io.BytesIO(data)), Header.of(data)
        assert (header.rate, header.samples) == (info.samplerate, info.frames) == (rate, samples)
        assert (header.channels, header.bits) == (1, 16)


def test_samples_that_differ_from_the_checksum():
    data = flac(sound(3))
    assert np.array_equal(decode(data), sound(3))
    other = data[:26] + bytes(15) + b"\1" + data[42:]
    with pytest.raises(AudioError, match="checksum"):
        decode(other)


def test_fewer_samples_than_the_header_says():
    data = flac(sound(3))
    packed = int.from_bytes(data[18:26], "big") + 1000
    other = data[:18] + packed.to_bytes(8, "big") + bytes(16) + data[42:]  # and no checksum
    with pytest.raises(AudioError, match="it ends after 4,000 of 5,000 samples|cannot be decoded"):
        decode(other)


def test_the_command(tmp_path, capsys):
    raw, out = tmp_path / "raw", tmp_path / "out"
    write_raw(raw)
    arguments = ["--raw", str(raw), "--out", str(out), "--verify", "codec=flac"]
    main(["librispeech_deepspeech_tiny", *arguments])
    printed = capsys.readouterr().out
    assert "train: 1030 found, 1024 kept, 3 too long sound, 3 too long text" in printed
    assert "train: 1024 examples  validation: 96 examples  test: 64 examples" in printed
    assert "verified" in printed


def test_tiny_archives_have_the_same_bytes_each_time(tmp_path):
    write_raw(tmp_path / "a", seed=5)
    write_raw(tmp_path / "b", seed=5)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
