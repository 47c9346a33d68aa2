"""How stable is a ranking of algorithms over seeds?  Some algorithms on cheap tiny workloads, by
steps: the trials of docs/proxies.md.

    python scripts/rank_tiny.py --out DIR --data DATA [--seeds 5] [--jobs 2]
    python -m scoring.agreement DIR --rules development --time steps

Evaluations and the end of a trial come by steps, so its steps to the target follow from its seed
alone, whatever else the machine does.  A seed is a study; all trials of a seed are run before the
next seed's, and the same command goes on where it was.  Processes are forked from one that has
imported torch: most of these trials are shorter than that import.
"""

import argparse
import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run from a checkout, not installed

from algoperf_pt.status import EXIT_CODES, FINAL  # noqa: E402
from scripts.choices import command  # noqa: E402

SUBMISSIONS = (
    "adamw",
    "ademamix_self",
    "heavy_ball",
    "lion_self",
    "muon_torch_self",
    "nadamw",
    "nesterov",
    "schedule_free_v2",
)
# Steps between evaluations, and of a trial: four times what the fastest of these needs (in
# docs/algorithms_tiny.md) and some more, since a time beyond four times the fastest scores nothing.
STEPS = {
    "mnist_tiny": (25, 1200),
    "imagenet_resnet_tiny": (20, 600),
    "criteo1tb_tiny": (50, 1200),
    "digits": (100, 2400),
    "ogbg_tiny": (20, 600),
}
_PRELOAD = ["torch", "matplotlib.figure", "matplotlib.backends.backend_agg", "algoperf_pt.cli"]
_PRELOAD += ["algoperf_pt.worker", "algoperf_pt.optimizer_submission"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 1 if a trial ended otherwise than trials should."""
    options = _options(arguments)
    os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    lines = [
        trial_line(workload, submission, seed, options)
        for seed in range(options.seeds)
        for workload in options.workloads
        for submission in options.submissions
    ]
    with ThreadPoolExecutor(options.jobs) as pool:
        codes = list(pool.map(lambda line: _run(line, context), lines))
    return int(not set(codes) <= {EXIT_CODES[status] for status in FINAL})


def trial_line(workload: str, submission: str, seed: int, options: argparse.Namespace) -> list[str]:
    """What train.py gets.  The time of all is the same and out of reach: steps decide."""
    every, steps = STEPS[workload]
    return [
        *command(workload, submission),
        *(f"study={seed}", f"eval_every_steps={every}", f"max_steps={steps}"),
        f"targets.workloads.{workload}.max_runtime=3600",
        "targets.rulesets.self_tuning.budget_factor=1.0",
        f"targets.rulesets.external.studies={options.seeds}",  # more than the rules have
        *("trainer=cpu", "trainer.threads=1", "display=none", "logger=csv", "logger.first=0"),
        *(f"data.dir={options.data}", f"experiment_dir={options.out}"),
    ]


def _run(line: list[str], context: ForkServerContext) -> int:
    """Exit code of a trial in a process of its own."""
    process = context.Process(target=_train, args=(line,))
    process.start()
    process.join()
    print(f"exit code {process.exitcode}: {' '.join(line[:-8])}", flush=True)
    return int(process.exitcode or 0)


def _train(line: list[str]) -> None:
    from algoperf_pt.cli import main as train

    train(line)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the trials")
    parser.add_argument("--data", type=Path, required=True, help="folder of the prepared data")
    parser.add_argument("--seeds", type=int, default=5, help="studies")
    parser.add_argument("--submissions", nargs="+", default=list(SUBMISSIONS))
    parser.add_argument("--workloads", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
