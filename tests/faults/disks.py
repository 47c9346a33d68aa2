"""Disks: full, not to be written, and checkpoints of which a part is missing."""

import contextlib
import io
import shutil

from algoperf_pt.records import verify_events
from tests.faults.place import ARGUMENTS, FOLDER, OVER, SAME, STEPS, end_of, outcome, told
from tests.faults.table import Fault, Seen
from tests.support.disks import READ_ONLY, on_a_small_disk, run_in_namespace
from tests.support.runs import assert_equal_runs, command, run_inside

_ROOM = (420, 560)  # kB: a trial's folder outgrows it
_FILES = ("shared.pt", "rank_0.pt", "manifest.json")
_CUTS = ("empty", "one byte", "half", "all but a byte", "gone", "a bit turned")


def full(place, rng):
    """A file system in memory that is too small; then it is made larger."""
    size = f"{int(rng.integers(*_ROOM))}k"
    codes, disks = on_a_small_disk(place.scratch, size, command(place.data, "DISK", *ARGUMENTS))
    before, after = (disk / FOLDER for disk in disks)
    lost = "" if codes[1] in OVER else f"with room, it ended with {codes[1]}"
    try:
        assert verify_events(before / "events.jsonl") >= 2
        assert_equal_runs(place.whole(), after, STEPS)
    except (AssertionError, OSError, ValueError) as error:
        lost = lost or f"the end differs: {error}"
    return Seen(outcome(before, codes[0]), told(before), lost)


def read_only(place, rng):
    """The experiments' file system may not be written."""
    line = command(place.data, place.scratch, *ARGUMENTS)
    done = run_in_namespace(READ_ONLY, [str(place.scratch), *line])
    lost = "" if not list(place.scratch.iterdir()) else "something was written"
    if "Traceback" in done.stderr:
        lost = "a traceback was shown"
    return Seen(f"nothing started ({done.returncode})", done.stderr, lost)


def read_only_data(place, rng):
    """The data's file system may not be written: nobody needs to."""
    place.whole()
    line = command(place.data, place.scratch, *ARGUMENTS)
    done = run_in_namespace(READ_ONLY, [str(place.data), *line])
    seen = end_of(place, place.scratch / FOLDER, done.returncode)
    return Seen(seen.outcome, done.stderr or "nothing", seen.lost)


def _cut(path, how, rng):
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
        return
    if how == "a bit turned":
        changed, where = bytearray(content), int(rng.integers(len(content)))
        changed[where] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        return
    kept = {"empty": 0, "one byte": 1, "half": len(content) // 2, "all but a byte": -1}[how]
    path.write_bytes(content[:kept])


def _truncated(how_many):
    def harm(place, rng):
        shutil.copytree(place.interrupted(), place.scratch, dirs_exist_ok=True)
        folder = place.scratch / FOLDER
        newest = sorted(folder.glob("checkpoint_*"), key=lambda p: int(p.name[11:]), reverse=True)
        assert len(newest) == 2
        for checkpoint in newest[:how_many]:
            _cut(checkpoint / str(rng.choice(_FILES)), str(rng.choice(_CUTS)), rng)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code, _ = run_inside(place.data, place.scratch, *ARGUMENTS)
        said = out.getvalue()
        lost = "" if code in OVER else f"it ended with {outcome(folder, code)}"
        if said.count("is not used: ") != how_many:
            lost = lost or f"the user was told {said!r}"
        try:
            assert_equal_runs(place.whole(), folder, STEPS)
        except (AssertionError, OSError) as error:
            lost = lost or f"the end differs: {error}"
        start = ("the one before it", "step 0")[how_many - 1]
        return Seen(f"went on from {start}", said.replace(str(place.scratch), "..."), lost)

    return harm


FAULTS = [
    Fault(
        "disk full (a real one), then room is made",
        f"what was written is whole; {SAME}",
        full,
        times=5,
        few=0,
        outcomes=("disk_full (27)",),
        slow=True,
    ),
    Fault(
        "read-only folder of experiments",
        "nothing is written, no traceback",
        read_only,
        times=1,
        few=1,
        outcomes=("nothing started (2)",),
        slow=True,
    ),
    Fault(
        "read-only folder of data",
        SAME,
        read_only_data,
        times=1,
        few=0,
        outcomes=("step_limit", "reached"),
        slow=True,
    ),
    Fault(
        "a file of the newest checkpoint cut, gone or with a bit turned",
        f"the user is told which; {SAME}",
        _truncated(1),
        times=36,
        few=4,
        outcomes=("went on from the one before it",),
    ),
    Fault(
        "the same in both checkpoints",
        f"the user is told which; {SAME}",
        _truncated(2),
        times=6,
        few=1,
        outcomes=("went on from step 0",),
    ),
]
