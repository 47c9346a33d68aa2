"""Which algorithm reaches which tiny target, how fast?  Every submission on every tiny workload.

    python scripts/algorithm_table.py --out DIR [--submissions lion_self soap]
        [--workloads wmt_tiny] [--jobs 2] [--budget 60] [--markdown FILE]

Each trial is a process of its own on one CPU thread, with the submission's default point, under the
rule set that it is for.  DIR keeps data and trials: the same command goes on where it was, and
shows what is there.  The table tells that an algorithm trains; it ranks nothing: defaults are meant
for the full workloads, and some plan with their step hints.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run from a checkout, not installed

from rich.progress import track  # noqa: E402

from algoperf_pt.data.find_preparer import find_preparer  # noqa: E402
from algoperf_pt.data.prepare import prepare  # noqa: E402
from scripts.choices import command, ready_submissions, tiny_workloads  # noqa: E402

_ENDS = {"reached": "", "budget": "target not reached", "submission_done": "ended itself"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 1 if a trial ended in an error."""
    options = _options(arguments)
    for workload in options.workloads:
        _prepare(workload, options.out)
    cells = [(s, w) for w in options.workloads for s in options.submissions]
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(_trial, *cell, options) for cell in cells]
        results = [future.result() for future in track(futures, "trials")]
    rows = [{"submission": s, "workload": w, **found} for (s, w), found in zip(cells, results)]
    (options.out / "algorithm_table.json").write_text(json.dumps(rows, indent=1) + "\n")
    text = table(rows, options.submissions, options.workloads)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n")
    return int(any(row["status"] not in (*_ENDS, "diverged") for row in rows))


def table(rows: list[dict[str, Any]], submissions: list[str], workloads: list[str]) -> str:
    """Markdown: a line for each submission, in the cells seconds and steps to the validation
    target, or how far it came.
    """
    cells = {(row["submission"], row["workload"]): row for row in rows}
    lines = [["submission", *workloads], ["---"] * (len(workloads) + 1)]
    for submission in submissions:
        lines.append([submission, *(_cell(cells[submission, name]) for name in workloads)])
    counts = [sum(cells[s, w]["status"] == "reached" for s in submissions) for w in workloads]
    lines.append(["reached", *(f"{count} of {len(submissions)}" for count in counts)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(row: dict[str, Any]) -> str:
    if row["status"] == "reached":
        return f"{row['seconds']:.1f} s, {row['steps']}"
    best = row.get("best")
    far = "" if best is None else f"{row['metric']} {best:.3g} of {row['target']:g}"
    note = _ENDS.get(row["status"], row["status"])
    if row.get("message"):
        note += f": {row['message']}".replace("|", "/")  # which would end the cell
    return f"{note} ({far})" if far and note else note or far


def _trial(submission: str, workload: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run it, or read what it was; a summary of its result."""
    folder = options.out / "trials"
    found = sorted((folder / submission).glob(f"study_0/{workload}/trial_1/result.json"))
    if not found:
        line = [sys.executable, str(ROOT / "train.py"), *command(workload, submission)]
        line += [f"targets.workloads.{workload}.max_runtime={options.budget}"]
        line += ["trainer=cpu", "trainer.threads=1", "display=none", "logger=csv"]
        line += [f"data.dir={options.out / 'data'}", f"experiment_dir={folder}"]
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        done = subprocess.run(line, env={**os.environ, **threads}, capture_output=True)
        found = sorted((folder / submission).glob(f"study_0/{workload}/trial_1/result.json"))
        if not found:
            lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
            return {"status": "config_error", "message": lines[-1]}
    return _summary(found[0].parent)


def _summary(trial: Path) -> dict[str, Any]:
    result = json.loads((trial / "result.json").read_text())
    if "targets" not in result:
        return {"status": result["status"], "message": result.get("message")}
    key = f"validation/{result['metric']}"
    return {
        "status": result["status"],
        "seconds": result["time_to_target"]["validation"],
        "steps": result["steps_to_target"]["validation"],
        "metric": result["metric"],
        "target": result["targets"]["validation"],
        "best": result["last"].get(key),
        "elapsed": result["elapsed"],
    }


def _prepare(workload: str, out: Path) -> None:
    """Raw files in their real format, then the usual preparation; nothing if it is there."""
    preparer = find_preparer(workload)
    raw = preparer.raw_folder() or out / "raw" / preparer.name
    if not raw.exists():
        package = type(preparer).__module__.rpartition(".")[0]
        importlib.import_module(f"{package}.tiny").write_raw(raw)
    prepare(preparer, raw, out / "data" / preparer.name, quiet=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for data and trials")
    parser.add_argument("--submissions", nargs="+", default=ready_submissions())
    parser.add_argument("--workloads", nargs="+", default=tiny_workloads())
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time")
    parser.add_argument("--budget", type=float, default=60.0, help="timed seconds of a trial")
    parser.add_argument("--markdown", type=Path, help="write the table to this file too")
    options = parser.parse_args(arguments)
    options.out = options.out.resolve()
    return options


if __name__ == "__main__":
    sys.exit(main())
