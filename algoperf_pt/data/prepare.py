"""algoperf-prepare: raw files in, verified shards out.  Idempotent, resumable by shard, never less
data than expected.
"""

import argparse
import errno
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from algoperf_pt.data.download import download
from algoperf_pt.data.find_preparer import find_preparer
from algoperf_pt.data.index import FORMAT, JSON_NAME, NPZ_NAME, DataIndex, sha256
from algoperf_pt.data.prepare_state import PLACES, STATE, PrepareState
from algoperf_pt.data.preparer import Preparer, Unreadable
from algoperf_pt.data.raw_sums import RawSums
from algoperf_pt.data.row_cache import FOLDER as CACHE
from algoperf_pt.data.shards import Sample, write_shard
from algoperf_pt.errors import AlgoperfError, ConfigError, DataError
from algoperf_pt.instantiate import find_own_modules
from algoperf_pt.records import write_atomically

SCRATCH = ".scratch"  # folder for intermediate files of a preparation
_NAMES = {"sha256": "SHA-256", "md5": "MD5"}
_MARGIN = 1.1  # of the estimate, that must be free on the disk


def prepare(
    preparer: Preparer, raw: Path, out: Path, force: bool = False, quiet: bool = False
) -> DataIndex:
    """Make `out` the prepared dataset of the raw files; does nothing if it is already.

    Raises:
        DataError: raw files missing, corrupt or of the wrong number of examples; `out` holds
            another dataset.
    """
    console = Console(quiet=quiet, soft_wrap=True)
    raw_files = preparer.check_raw(raw)
    out.mkdir(parents=True, exist_ok=True)
    identity = _identity(preparer, raw_files, RawSums(out, fresh=force))
    if force:
        _clear(out, preparer.assets)
    done = _existing(out, identity)
    if done is not None:
        console.print(
            f"{out}: already prepared, nothing to do ({preparer.name}, version {preparer.version})"
        )
        return done
    _check_disk(preparer.estimate_bytes(raw), out, console)
    state = PrepareState(out, identity)
    scratch = out / SCRATCH
    try:
        scratch.mkdir(exist_ok=True)
        preparer.begin(raw, out, scratch)
        for split in preparer.splits:
            _write_split(preparer, split, raw, out, state, console, quiet)
        _write_index(preparer, out, identity, state)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(out, preparer, state) from error
        raise
    shutil.rmtree(scratch)
    return DataIndex.open(out, preparer.name, preparer.version)


def _no_space(out: Path, preparer: Preparer, state: PrepareState) -> DataError:
    made = [shard for split in preparer.splits for shard in state.shards(split)]
    return DataError(
        f"no space is left in {out}",
        expected=f"room for the rest; {len(made)} finished shards "
        f"({_mb(sum(shard['bytes'] for shard in made))}) are kept",
        fix="make space, then give the same command again: it goes on after the last of them",
    )


def _write_split(
    preparer: Preparer,
    split: str,
    raw: Path,
    out: Path,
    state: PrepareState,
    console: Console,
    quiet: bool,
) -> None:
    if state.complete(split):
        return
    members = sum(shard["members"] for shard in state.shards(split))
    columns = (
        TextColumn(f"{preparer.name}/{split}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=quiet) as bar:
        task = bar.add_task(split, total=preparer.members(split), completed=members)

        def advance() -> None:
            bar.advance(task)

        for unit in preparer.units(split, raw):
            if not state.complete(split, unit):
                _write_unit(preparer, split, raw, unit, out, state, advance)
    _check_rows(preparer, split, state)
    state.close(split)


def _write_unit(
    preparer: Preparer,
    split: str,
    raw: Path,
    unit: str,
    out: Path,
    state: PrepareState,
    advance: Callable[[], None],
) -> None:
    """The shards of one stretch of a split; goes on after those that are there."""
    made = sum(s["members"] for s in state.shards(split) if s["unit"] == unit)
    every = preparer.unit_samples(split, raw, unit)
    before = (sample for sample in every if isinstance(sample, Sample))
    for _ in islice(before, made):  # made before the interruption, as what was left out there
        pass
    samples = _readable(every, split, state, preparer.max_corrupt)

    def counted(part: Iterator[Sample]) -> Iterator[Sample]:
        for sample in part:
            yield sample
            advance()

    while (first := next(samples, None)) is not None:
        name = f"{split}-{len(state.shards(split)):06d}.tar"
        rest = islice(samples, preparer.samples_per_shard - 1)
        shard = write_shard(out / name, counted(_prepend(first, rest)))
        state.add(split, {**shard.entry, "unit": unit}, shard.arrays)
    state.close(split, unit)


def _readable(
    samples: Iterator[Sample | Unreadable], split: str, state: PrepareState, limit: int
) -> Iterator[Sample]:
    for sample in samples:
        if isinstance(sample, Sample):
            yield sample
        else:
            state.leave_out(split, sample, limit)


def _prepend(first: Sample, rest: Iterator[Sample]) -> Iterator[Sample]:
    yield first
    yield from rest


def _check_rows(preparer: Preparer, split: str, state: PrepareState) -> None:
    expected, left_out = preparer.expected_rows(split), state.left_out(split)
    rows = sum(shard["rows"] for shard in state.shards(split))
    lost = [line.get("rows", 1) for line in left_out]
    least = rows + sum(count for count in lost if count is not None)
    unknown = None in lost  # of a sample that nobody could look into
    if expected is None:
        right = rows > 0
    else:
        right = rows > 0 and (least == expected or (unknown and least < expected))
    if not right:
        raise DataError(
            f"the raw files of {preparer.name} hold {rows} examples for the split {split!r}",
            expected=str(expected if expected is not None else "at least 1"),
            fix="the raw files are incomplete or of another release",
        )


def _write_index(
    preparer: Preparer, out: Path, identity: dict[str, Any], state: PrepareState
) -> None:
    """index.npz, then index.json: a folder without index.json is not prepared."""
    arrays: dict[str, Any] = {}
    splits: dict[str, Any] = {}
    for split in preparer.splits:
        shards = state.shards(split)
        parts = shards[0]["parts"]
        places = [state.arrays(shard["name"]) for shard in shards]
        arrays[f"{split}/rows"] = np.concatenate([p["rows"] for p in places]).astype(np.int32)
        number = np.repeat(np.arange(len(shards)), [s["members"] for s in shards]).astype(np.int32)
        for ext in parts:
            arrays[f"{split}/{ext}/shard"] = number
            for name in ("offset", "size", "crc32"):
                arrays[f"{split}/{ext}/{name}"] = np.concatenate(
                    [p[f"{ext}/{name}"] for p in places]
                )
        splits[split] = {
            "rows": sum(s["rows"] for s in shards),
            "members": sum(s["members"] for s in shards),
            "parts": parts,
            "shards": [{k: v for k, v in s.items() if k not in ("parts", "unit")} for s in shards],
        }
        if state.left_out(split):
            splits[split]["left_out"] = state.left_out(split)
    np.savez(out / NPZ_NAME, **arrays)
    content = {"format": FORMAT, **identity, "splits": splits, "npz_sha256": sha256(out / NPZ_NAME)}
    if preparer.assets:
        content["assets"] = {
            name: {"bytes": (out / name).stat().st_size, "sha256": sha256(out / name)}
            for name in preparer.assets
        }
    write_atomically(out / JSON_NAME, json.dumps(content, indent=1) + "\n")
    state.remove()


def _identity(preparer: Preparer, raw_files: list[Path], sums: RawSums) -> dict[str, Any]:
    by_name, raw = {file.name: file.checksums for file in preparer.raw_files}, []
    for path in raw_files:
        known = by_name.get(path.name, {})
        found = sums.of(path, tuple({"sha256": "", **known}))
        for kind, checksum in known.items():
            if found[kind] != checksum:
                raise DataError(
                    f"raw file {path.name} has the {_NAMES[kind]} {found[kind]}",
                    expected=checksum,
                    fix="it is corrupt or of another release: fetch it again",
                )
        size = path.stat().st_size
        raw.append({"name": path.name, "bytes": size, "sha256": found["sha256"]})
    identity = {"dataset": preparer.name, "preparer_version": preparer.version, "raw_files": raw}
    return identity | ({"options": preparer.options} if preparer.options else {})


def _existing(out: Path, identity: dict[str, Any]) -> DataIndex | None:
    if not (out / JSON_NAME).exists():
        return None
    index = DataIndex.open(out)
    keys = dict.fromkeys([*identity, "options"])
    differ = [key for key in keys if index.content.get(key) != identity.get(key)]
    if differ:
        raise DataError(
            f"{out} already holds {index.dataset!r}, prepared with other {', '.join(differ)}",
            expected=", ".join(f"{k}: {v}" for k, v in identity.items() if k != "raw_files"),
            fix="--force prepares it anew, or choose another --out",
        )
    return index


def _check_disk(needed: int, out: Path, console: Console) -> None:
    free = shutil.disk_usage(out).free
    console.print(f"disk: {_mb(needed)} needed, {_mb(free)} free in {out}")
    if free < needed * _MARGIN:
        raise DataError(
            f"{out} has {_mb(free)} free",
            expected=f"{_mb(int(needed * _MARGIN))}",
            fix="another --out",
        )


def _clear(out: Path, assets: tuple[str, ...]) -> None:
    """Take away what an earlier preparation wrote, and nothing else."""
    for folder in (SCRATCH, CACHE):
        shutil.rmtree(out / folder, ignore_errors=True)
    for name in assets:
        (out / name).unlink(missing_ok=True)
    for pattern in ("*.tar", ".*.partial", PLACES.format("*"), JSON_NAME, NPZ_NAME, STATE):
        for path in out.glob(pattern):
            path.unlink()


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def main(arguments: list[str] | None = None) -> None:
    """algoperf-prepare NAME --out DIR [--raw DIR] and options; see --help."""
    parser = argparse.ArgumentParser("algoperf-prepare", description=__doc__)
    parser.add_argument("name", help="workload, e.g. digits")
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="KEY=VALUE",
        help="in place of what stands under `prepare` in conf/workload/NAME.yaml",
    )
    parser.add_argument(
        "--config-dir", type=Path, metavar="DIR", help="your own: DIR/workload/NAME.yaml"
    )
    parser.add_argument("--raw", type=Path, help="folder with the raw files as downloaded")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the shards, usually DATA_DIR/NAME"
    )
    parser.add_argument(
        "--download", action="store_true", help="fetch the raw files into --raw first"
    )
    parser.add_argument(
        "--max-corrupt",
        type=int,
        default=0,
        metavar="N",
        help="leave out up to N unreadable samples (0: stop at the first); index.json names them",
    )
    parser.add_argument("--force", action="store_true", help="prepare anew, whatever --out holds")
    parser.add_argument(
        "--verify", action="store_true", help="read every shard again and compare checksums"
    )
    options = parser.parse_intermixed_args(arguments)
    find_own_modules()
    try:
        _run(options)
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)


def _run(options: argparse.Namespace) -> None:
    preparer = find_preparer(options.name, options.settings, options.config_dir)
    preparer.max_corrupt = options.max_corrupt
    out = options.out.expanduser()
    raw = options.raw.expanduser() if options.raw else preparer.raw_folder()
    if options.download:
        _download(preparer, raw)
    if raw is not None:
        index = prepare(preparer, raw, out, options.force)
    elif options.verify:
        index = DataIndex.open(out, preparer.name, preparer.version)
    else:
        raise ConfigError(f"where are the raw files of {preparer.name}?", fix="--raw FOLDER")
    print("  ".join(f"{split}: {index.rows(split)} examples" for split in index.splits))
    for split in index.splits:
        for sample in index.left_out(split):
            print(f"left out of {split}: {sample['name']}: {sample['reason']}")
    if options.verify:
        problems = index.verify()
        if problems:
            raise DataError(
                f"{out} is damaged: " + "; ".join(problems), fix="prepare it again with --force"
            )
        print(f"verified: every shard of {out} has its checksum")


def _download(preparer: Preparer, raw: Path | None) -> None:
    if raw is None:
        raise ConfigError("--download needs a folder", fix="--raw FOLDER")
    for file in preparer.raw_files:
        download(file, raw)


if __name__ == "__main__":
    main()
