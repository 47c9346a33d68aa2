"""What do updates cost on all workloads, side by side?  Tables from what the benchmarks measured.

    python scripts/bench_optimizers.py --workloads ogbg --json costs/ogbg.json
    python scripts/bench_workload.py --workload ogbg --what step --batch 32 > costs/ogbg.steps
    python scripts/cost_tables.py costs/*.json [--steps costs/*.steps]

Prints Markdown: milliseconds and the ratio to AdamW; state and the share of the step; and what the
methods with matrix products send and compute.  A step is that of the workload's baseline batch:
where a smaller one was measured, as many times longer as it is smaller.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run from a checkout, not installed

from algoperf_pt.versions import compose_somehow  # noqa: E402
from scripts.choices import command  # noqa: E402

Rows = dict[tuple[str, str], dict[str, Any]]  # (workload, rule) -> a row of bench_optimizers.py


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("costs", nargs="+", type=Path, help="files of bench_optimizers.py --json")
    parser.add_argument("--steps", nargs="*", type=Path, default=[], help="of bench_workload.py")
    options = parser.parse_args(arguments)
    rows = read_costs(options.costs)
    steps = read_steps(options.steps)
    print(wide(rows, _time))
    if steps:
        print("\n" + wide(rows, lambda row: _share(row, steps)))
    print("\n" + wide(rows, lambda row: _number(row["state_per_param"], 2)))
    print("\n" + matrix_methods(rows))
    return 0


def read_costs(files: Iterable[Path]) -> Rows:
    """Rows of all files; of two on the same, the one that was measured."""
    found: Rows = {}
    for file in files:
        for row in json.loads(file.read_text()):
            key = (row["workload"], row["rule"])
            if key not in found or row["ms"] is not None:
                found[key] = row
    return found


def read_steps(files: Iterable[Path]) -> dict[str, float]:
    """Workload -> ms of forward and backward passes and loss, of the baseline batch: CPU time,
    which somebody else's work on the machine changes less than the time on the wall.
    """
    found = {}
    for file in files:
        for line in map(json.loads, file.read_text().splitlines()):
            if line.get("what") != "step":
                continue
            name = line["workload"]
            config, _ = compose_somehow(command(name, "nadamw"))
            factor = config["workload"]["baseline_batch_size"] / line["batch"]
            parts = line["parts_ms"]
            rest = 1 - parts["update"] / sum(parts.values())
            found[name] = factor * rest * line["cpu_ms"]
    return found


def wide(rows: Rows, cell: Callable[[dict[str, Any]], str]) -> str:
    """A line for each rule, a column for each workload."""
    workloads = sorted({workload for workload, _ in rows})
    rules = list(dict.fromkeys(rule for _, rule in rows))
    lines = [["rule", *workloads], ["---", *["---:"] * len(workloads)]]
    for rule in rules:
        cells = [rows.get((workload, rule)) for workload in workloads]
        lines.append([f"`{rule}`", *("–" if row is None else cell(row) for row in cells)])
    return _markdown(lines)


def matrix_methods(rows: Rows) -> str:
    """What those send and compute that compute products of matrices."""
    head = ["workload", "rule", "MB sent", "GFLOP", "ms", "x products", "rare ms"]
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
    for (workload, rule), row in sorted(rows.items()):
        if row["gflop"]:
            numbers = [row[key] for key in ("sent_mb", "gflop", "ms", "over_products", "rare_ms")]
            lines.append([workload, f"`{rule}`", *(_number(n, 1) for n in numbers)])
    return _markdown(lines)


def _time(row: dict[str, Any]) -> str:
    if row["ms"] is None:
        return "–"
    return f"{_number(row['ms'], 1 if row['ms'] < 100 else 0)} ({row['ratio']:.2f})"


def _share(row: dict[str, Any], steps: dict[str, float]) -> str:
    rest = steps.get(row["workload"])
    if rest is None or row["ms"] is None:
        return "–"
    return f"{100 * row['ms'] / (rest + row['ms']):.2g}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
