"""How does a trial survive a kill?  Checkpoint folders, complete or absent, each with the checksums
of its files.

`checkpoint_<step>/` holds `shared.pt` (rank 0), `rank_<r>.pt` and `manifest.json`, which is written
last, before the folder gets its name.  Loaded with weights_only=True: no code is ever run from a
checkpoint.
"""

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch

from algoperf_pt.errors import ResumeError, SubmissionError
from algoperf_pt.ranks import Ranks
from algoperf_pt.records import write_atomically

_FORMAT = 2
State = dict[str, Any]


class Checkpoints:
    """The checkpoints of one trial folder.

    Args:
        folder: the trial folder.
        keep: how many to keep; at least two, so that a corrupt one costs one interval only.
        warn: called with a message when a checkpoint is skipped.
    """

    def __init__(self, folder: Path, keep: int = 2, warn: Any = print) -> None:
        self._folder, self._keep, self._warn = folder, max(2, keep), warn
        self._checked = False

    def save(self, step: int, shared: State, own: State, ranks: Ranks) -> None:
        """Write `checkpoint_<step>`; every rank calls this."""
        final, partial = self._folder / f"checkpoint_{step}", self._folder / f".checkpoint_{step}"
        if ranks.is_zero:
            self._delete_partial()
            partial.mkdir()
        ranks.barrier()
        own_file = f"rank_{ranks.rank}.pt"
        sums = {own_file: self._write(partial / own_file, own)}
        if ranks.is_zero:
            sums["shared.pt"] = self._write(partial / "shared.pt", shared)
        gathered = ranks.gather(sums)
        if ranks.is_zero:
            files = {name: digest for part in gathered for name, digest in part.items()}
            manifest = {"format": _FORMAT, "step": step, "world": ranks.world, "sha256": files}
            manifest["log_hash"] = shared.get("records", {}).get("hash")  # where the log was then
            write_atomically(partial / "manifest.json", json.dumps(manifest, indent=2))
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
            _sync_folder(self._folder)
            self._delete_old()
        self._checked = True

    def has(self, step: int) -> bool:
        """Whether `checkpoint_<step>` is there."""
        return (self._folder / f"checkpoint_{step}").is_dir()

    def load(self, ranks: Ranks) -> tuple[State, State] | None:
        """(shared, own) of the newest checkpoint that is sound on every rank; None if there is
        none.
        """
        for path in self._newest_first():
            problem = _problem(path, ranks)
            problems = [p for p in ranks.gather(problem) if p]
            if not problems:
                return _read(path / "shared.pt"), _read(path / f"rank_{ranks.rank}.pt")
            if ranks.is_zero:
                self._warn(f"checkpoint {path} is not used: {problems[0]}")
        return None

    def _newest_first(self) -> list[Path]:
        found = [p for p in self._folder.glob("checkpoint_*") if p.name.split("_")[1].isdigit()]
        return sorted(found, key=lambda p: int(p.name.split("_")[1]), reverse=True)

    def _delete_old(self) -> None:
        for path in self._newest_first()[self._keep :]:
            shutil.rmtree(path)

    def _delete_partial(self) -> None:
        """What a kill or a full disk left behind."""
        for path in self._folder.glob(".checkpoint_*"):
            shutil.rmtree(path, ignore_errors=True)

    def _write(self, path: Path, state: State) -> str:
        try:
            with path.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
        except Exception:
            path.unlink(missing_ok=True)
            raise
        if not self._checked:
            _check_loadable(path, state)
        return _sha256(path)


def _check_loadable(path: Path, state: State) -> None:
    """Once a trial: fail at the first checkpoint, not at the resume that needs it."""
    try:
        _read(path)
    except pickle.UnpicklingError as error:
        raise SubmissionError(
            f"the submission's state cannot be loaded safely: {str(error).splitlines()[0]}",
            expected="state_dict() with tensors and plain Python values only",
            where=f"Submission.state_dict, keys {sorted(state.get('submission', {}))}",
            fix="turn other objects into tensors, numbers, strings, lists and dicts",
        ) from error


def _read(path: Path) -> State:
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _problem(path: Path, ranks: Ranks) -> str | None:
    """Why this rank cannot use the checkpoint, or None."""
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        if manifest["format"] != _FORMAT:
            return f"format {manifest['format']}, expected {_FORMAT}"
        if manifest["world"] != ranks.world:
            raise ResumeError(
                f"{path} was written by {manifest['world']} ranks, now there are {ranks.world}",
                expected="the same number of ranks",
                fix="start with the same number of devices, or remove the trial folder",
            )
        for name in ("shared.pt", f"rank_{ranks.rank}.pt"):
            if _sha256(path / name) != manifest["sha256"][name]:
                return f"{name} does not have its checksum"
    except (OSError, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
