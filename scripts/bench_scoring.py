"""What does scoring cost?  Seconds and peak memory from a cold start to scores, profiles, tables,
and with 10,000 resamples more; a JSON line each.

    python scripts/bench_scoring.py LOGS --rules 0.5 [--repeats 3] [--resamples 10000]

LOGS: a folder of submissions, or a .tar.gz of one.  `cpu` is what the command itself computed,
which another command beside it does not change; `wall` is what somebody waits.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("logs", type=Path)
    parser.add_argument("--rules", default="0.5")
    parser.add_argument("--ruleset", default="external")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        logs = unpacked(options.logs, Path(folder) / "logs")
        files = sum(1 for _ in logs.rglob("eval_measurements.csv"))
        plain = [str(logs), "--rules", options.rules, "--ruleset", options.ruleset]
        plain += ["--out", str(Path(folder) / "out")]
        more = [*plain, "--bootstrap", str(options.resamples)]
        for what, arguments in (("scores", plain), (f"bootstrap {options.resamples}", more)):
            runs = [measured(arguments) for _ in range(options.repeats)]
            best = {name: min(run[name] for run in runs) for name in runs[0]}
            print(json.dumps({"what": what, "csv_files": files, "repeats": len(runs), **best}))


def unpacked(logs: Path, folder: Path) -> Path:
    """The folder of submissions, from an archive if need be."""
    if logs.is_dir():
        return logs
    with tarfile.open(logs) as archive:
        archive.extractall(folder, filter="data")
    return next(path.parents[1] for path in sorted(folder.rglob("study_0")))


def measured(arguments: list[str]) -> dict[str, float]:
    """Wall and CPU seconds and peak memory (MB) of one command."""
    command = [sys.executable, "-m", "scoring", *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    wall, cpu = time.perf_counter() - start, used.ru_utime + used.ru_stime
    return {"wall": round(wall, 2), "cpu": round(cpu, 2), "peak_mb": round(used.ru_maxrss / 1024)}


if __name__ == "__main__":
    main()
