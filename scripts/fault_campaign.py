"""What does the project survive?  Every fault of the reliability campaign, done to real trials.

    python scripts/fault_campaign.py [--only WORD ...] [--share 0.1] [--out DIR]
        [--markdown docs/reliability.md]

Trials are killed, disks filled, checkpoints, data and logs changed, wrong configurations tried;
what came of it is compared with trials that nothing disturbed.  --markdown puts the table into the
page, between its two marks.  --out keeps the finished lines: the same command goes on where it was.
Exit code 1: something was lost, or ended otherwise than it must.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run from a checkout, not installed
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch  # noqa: E402

from tests.conftest import Data  # noqa: E402
from tests.faults.campaign import FAULTS  # noqa: E402
from tests.faults.place import Place  # noqa: E402
from tests.faults.table import Fault, Row, markdown, run  # noqa: E402

_BEGIN, _END = "<!-- table: scripts/fault_campaign.py -->", "<!-- end of the table -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = _options(arguments)
    torch.set_num_threads(1)
    chosen = [f for f in FAULTS if not options.only or any(w in f.name for w in options.only)]
    rows = []
    with tempfile.TemporaryDirectory(prefix="faults_") as folder:
        data = Path(folder, "data")
        data.mkdir()
        place = Place(folder, Data(data))
        for fault in chosen:
            times = max(1, round(fault.times * options.share))
            rows.append(_kept(fault, place, times, options))
    text = f"{markdown(rows)}\n\n{_summary(rows, options)}"
    print(text)
    wrong = [line for row in rows for line in row.wrong]
    print("\n".join(wrong), file=sys.stderr)
    if options.markdown:
        put(options.markdown, text)
    return int(bool(wrong))


def _kept(fault: Fault, place: Place, times: int, options: argparse.Namespace) -> Row:
    """The line of a fault, or what --out has of it."""
    digest = hashlib.sha256(f"{fault.name} {times} {options.seed}".encode()).hexdigest()[:16]
    path = options.out and options.out / f"{digest}.json"
    if path and path.exists():
        return Row(fault, **json.loads(path.read_text()))
    row = run(fault, place, times, options.seed, _tell)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"outcomes": row.outcomes, "message": row.message, "wrong": row.wrong}
        path.write_text(json.dumps(kept))
    return row


def _tell(text: str) -> None:
    print(text, flush=True)


def put(page: Path, text: str) -> None:
    """Replace what stands between the page's marks."""
    before, _, rest = page.read_text().partition(_BEGIN)
    _, found, after = rest.partition(_END)
    if not found:
        raise SystemExit(f"{page} lacks the lines {_BEGIN} and {_END}")
    page.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}")


def _summary(rows: list[Row], options: argparse.Namespace) -> str:
    cases = sum(sum(row.outcomes.values()) for row in rows)
    wrong = sum(len(row.wrong) for row in rows)
    words = f"--seed {options.seed}" + (f" --share {options.share:g}" if options.share != 1 else "")
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    return (
        f"{cases} cases, {wrong} of them not as they must be: `python scripts/fault_campaign.py "
        f"{words}`, {time.strftime('%Y-%m-%d')}, {versions}, {os.cpu_count()} cores."
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="WORD", help="faults with this in their name")
    parser.add_argument("--share", type=float, default=1.0, help="of the cases of each fault")
    parser.add_argument("--seed", type=int, default=1, help="of instants, places and values")
    parser.add_argument("--out", type=Path, help="folder for the finished lines")
    parser.add_argument("--markdown", type=Path, help="page to put the table into")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
