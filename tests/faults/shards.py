"""Prepared data that something has changed: does a wrong row ever pass for a right one?"""

import shutil

import numpy as np

from algoperf_pt.assemble import make_data
from algoperf_pt.config import compose_config
from algoperf_pt.data.index import DataIndex
from algoperf_pt.errors import DataError
from tests.faults.table import Fault, Seen
from tests.support.runs import assert_same
from tests.support.workloads import node, version_of

# how their rows are read: whole splits, checked; blocks of rows; stretches of ragged parts
WORKLOADS = ("digits", "criteo1tb_tiny", "wmt_tiny")
_HARMS = ("bit", "bit", "bit", "truncated", "empty", "grown", "gone", "swapped", "sector lost")
_SECTOR = 512  # bytes
_ROWS = 4096  # rows that are compared of a split


def mutated(place, rng):
    name = str(rng.choice(WORKLOADS))
    source = place.all_data.prepared(name) / node(name).data["dataset"]
    sound = place.cached(("rows", name), lambda: _rows(place, name, place.all_data.root))
    folder = place.scratch / source.name
    shutil.copytree(source, folder)
    # .raw.json holds checksums of raw files, for the next preparation: no data
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    chances = [1.0 if path.suffix == ".tar" else 0.2 for path in files]
    victim = files[int(rng.choice(len(files), p=np.array(chances) / sum(chances)))]
    how = str(rng.choice(_HARMS))
    changed = _harm(victim, how, [path for path in files if path != victim], rng)
    seen = _read(place, name, sound, changed)
    shutil.rmtree(place.scratch)
    return Seen(seen.outcome, f"{victim.name} {how}: {seen.message}", seen.lost)


def _harm(path, how, others, rng):
    """Change the file (and another, if they are swapped); the names of what was changed."""
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
        return (path.name,)
    if how == "swapped":
        other = others[int(rng.integers(len(others)))]
        path.write_bytes(other.read_bytes()), other.write_bytes(content)
        return (path.name, other.name)
    if how == "bit":
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    elif how == "truncated":
        del content[int(rng.integers(1, len(content))) :]
    elif how == "empty":
        content.clear()
    elif how == "grown":
        content += rng.bytes(int(rng.integers(1, 2000)))
    else:
        start = int(rng.integers(len(content))) // _SECTOR * _SECTOR
        content[start : start + _SECTOR] = rng.bytes(min(_SECTOR, len(content) - start))
    path.write_bytes(content)
    return (path.name,)


def _rows(place, name, root):
    """Rows of every split, by way of the workload's own reading: what training would get."""
    words = [f"workload={name}", f"targets={version_of(name)}"]
    config = place.cached(("config", name), lambda: compose_config(words, needs_data=False))
    data = make_data({**config, "data": {**config["data"], "dir": str(root)}})
    splits = {s: min(_ROWS, data.num_examples[s]) for s in ("train", "validation", "test")}
    return {s: data.build(s, np.arange(n), None) for s, n in splits.items() if n}


def _read(place, name, sound, changed):
    problems, found = _verified(place.scratch, name), None
    try:
        found = _rows(place, name, place.scratch)
    except DataError as error:
        named = any(file in str(error) for file in changed)
        lost = "" if named else f"the message names none of {changed}: {error}"
        return Seen("data_error (24), named", str(error), lost)
    except Exception as error:
        return Seen("another error", lost=f"{type(error).__name__}: {error}")
    known = any(file in problem for problem in problems for file in changed)
    told = "; ".join(problems)
    if not _same(sound, found):
        lost = "" if known else "WRONG ROWS, and --verify finds nothing"
        return Seen("other rows are read; --verify names it", told, lost)
    if changed == ("index.json",) and not problems:  # it has no checksum, but makes the fingerprint
        return Seen("the same rows are read; index.json says something else of their origin")
    outcome = "the same rows are read; --verify names it"
    return Seen(outcome, told, "" if known else "--verify finds nothing")


def _verified(root, name):
    """What algoperf-prepare --verify says."""
    try:
        return DataIndex.open(root / node(name).data["dataset"]).verify()
    except DataError as error:
        return [str(error)]


def _same(sound, found):
    try:
        assert_same(sound, found)
    except AssertionError:
        return False
    return True


FAULTS = [
    Fault(
        "a file of prepared data changed: bit, sector, cut, empty, grown, gone, swapped",
        "an error names the file, or `--verify` does; see below on rows",
        mutated,
        times=200,
        few=8,
        outcomes=(
            "data_error (24), named",
            "other rows are read; --verify names it",
            "the same rows are read; --verify names it",
            "the same rows are read; index.json says something else",
        ),
    )
]
