"""What does the harness cost?  Per step over a bare PyTorch loop, to a configuration error,
to the first step.

    python scripts/bench_overhead.py [--repeats 5] [--json FILE]

One thread, a tiny model on the CPU, medians over repeats; both loops alternate in one process.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STEPS = 2000  # a repeat; the first WARM of the harness's run are not counted
WARM = 200


def main() -> None:
    options = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        data = _prepare(Path(folder))
        found: dict[str, Any] = {
            "config_error_s": _median(options.repeats, lambda: _config_error(data, folder)),
            "first_step_s": _median(options.repeats, lambda: _first_step(data, folder)),
            **_per_step(data, folder, options.repeats),
        }
        found["first_step_peak_mb"] = _peak_of_children()
    for name, value in found.items():
        print(f"{name:24} {value:10.2f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def _per_step(data: Path, folder: str, repeats: int) -> dict[str, float]:
    """Microseconds a step of the harness and of a bare loop on the same batches, alternately."""
    import torch

    torch.set_num_threads(1)
    ours, bare = [], []
    for number in range(repeats):
        ours.append(_harness(data, Path(folder, f"run_{number}")))
        bare.append(_bare(data, Path(folder, f"bare_{number}")))
    extra = [a - b for a, b in zip(ours, bare)]
    return {
        "harness_us": statistics.median(ours),
        "bare_loop_us": statistics.median(bare),
        "overhead_us": statistics.median(extra),
        "overhead_least_us": min(extra),
        "overhead_most_us": max(extra),
    }


def _assemble(data: Path, experiments: Path) -> tuple[Any, Any]:
    from algoperf_pt.assemble import assemble
    from algoperf_pt.config import compose_config, trial_folder
    from algoperf_pt.driver import open_folder
    from algoperf_pt.heartbeat import Heartbeat

    config = compose_config(
        [
            *("workload=digits", "submission=nadamw", "trainer=cpu", "trainer.threads=1"),
            *("logger=csv", "display=none", f"max_steps={STEPS}"),
            *(f"data.dir={data}", f"experiment_dir={experiments}"),
            "targets.protocol.evaluate_after_first_step=false",
            "targets.workloads.digits.eval_period=1000",
            "targets.workloads.digits.max_runtime=1000",
        ]
    )
    folder = trial_folder(config)
    open_folder(config, folder)
    return assemble(config, folder, Heartbeat())


def _harness(data: Path, experiments: Path) -> float:
    """Microseconds a step of the timed loop: select, load, step, clock, heartbeat, records."""
    from algoperf_pt.loop import train

    trial, clock = _assemble(data, experiments)
    marks: list[float] = []
    end = clock.on_train_batch_end

    def marked(*arguments: Any) -> None:
        end(*arguments)
        marks.append(time.perf_counter())

    clock.on_train_batch_end = marked
    train(trial, clock)
    return (marks[-2] - marks[WARM]) / (len(marks) - 2 - WARM) * 1e6


def _bare(data: Path, experiments: Path) -> float:
    """Microseconds a step of what a script would write: same batches, model, loss,
    optimizer, schedule."""
    trial, _ = _assemble(data, experiments)
    workload, submission = trial.workload, trial.submission
    optimizer, schedule = submission.optimizer, submission.schedule
    peak = optimizer.param_groups[0]["lr"]
    batches = workload.data.train_batches(trial.batch_size, 0, trial.ranks)
    start = 0.0
    for step in range(STEPS):
        if step == WARM:
            start = time.perf_counter()
        batch = next(batches)
        optimizer.param_groups[0]["lr"] = peak * schedule(step)
        optimizer.zero_grad()
        loss = workload.loss(batch, workload.model(batch["inputs"]), 0.1)
        (loss.summed / loss.n_valid).backward()
        optimizer.step()
    return (time.perf_counter() - start) / (STEPS - WARM) * 1e6


def _config_error(data: Path, folder: str) -> float:
    """Seconds from the command to the message about a typo."""
    start = time.perf_counter()
    done = _train(data, folder, "submission.hparams.learning_rte=0.1")
    assert done.returncode == 2 and "did you mean 'learning_rate'?" in done.stderr, done.stderr
    return time.perf_counter() - start


def _first_step(data: Path, folder: str) -> float:
    """Seconds from the command to the end of a trial of one step, its evaluation and
    records included."""
    start = time.perf_counter()
    experiments = tempfile.mkdtemp(dir=folder)
    done = _train(data, experiments, "max_steps=1")
    assert done.returncode == 11, done.stderr
    return time.perf_counter() - start


def _train(data: Path, experiments: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "train.py"), "workload=digits", "trainer=cpu", *overrides]
    command += [f"data.dir={data}", f"experiment_dir={experiments}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def _prepare(folder: Path) -> Path:
    from algoperf_pt.data.prepare import find_preparer, prepare

    preparer = find_preparer("digits")
    raw = preparer.raw_folder()
    assert raw is not None
    prepare(preparer, raw, folder / "data" / "digits", quiet=True)
    return folder / "data"


def _peak_of_children() -> float:
    """MB of the largest command that was started here."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _median(repeats: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(repeats))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
