"""How fast is a workload?  Training step, evaluation step, loader and a short trial, apart: a JSON
line each.

    python scripts/bench_workload.py --workload cifar --what step eval loader trial --batch 128 \\
        --threads 1 --device cpu --compile off [--data DIR] [workload.model.depth=1 ...]

What the fields are, and how to compare them with the reference's: docs/benchmarks.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run from a checkout, not installed

import torch  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402

from algoperf_pt.assemble import make_data, make_fabric  # noqa: E402
from algoperf_pt.bench import Bench, Shape, compared, find_bench  # noqa: E402
from algoperf_pt.bench_steps import EvalStep, TrainingStep  # noqa: E402
from algoperf_pt.config import compose_config, trial_folder  # noqa: E402
from algoperf_pt.errors import AlgoperfError, ConfigError  # noqa: E402
from algoperf_pt.measuring import Measured, Stopwatch, device_name, measure  # noqa: E402
from algoperf_pt.ranks import Ranks  # noqa: E402
from algoperf_pt.result import read_result  # noqa: E402
from algoperf_pt.workload_data import Batch  # noqa: E402

WHAT = ("step", "eval", "loader", "trial")
_DIGITS = 5  # of a printed figure
REFERENCE_SUBMISSION = "nadamw"  # the reference's steps were taken with it


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _arguments(arguments)
    try:
        for line in Measurements(options).lines():
            print(json.dumps(_rounded(line)), flush=True)
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


@dataclass
class Work:
    """What one repetition does.  Units and examples are means over repetitions."""

    batch: int  # rows that were asked for
    shape: Shape
    examples: float
    units: float


class Measurements:
    """Everything that one command measures.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.overrides = _overrides(options)
        self.config = compose_config(self.overrides, needs_data=False)
        self.bench: Bench = find_bench(self.config)
        fabric = make_fabric(self.config["trainer"])
        self.fabric, self.ranks = fabric, Ranks(fabric.device)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The measurements that were asked for."""
        what = self.options.what
        if "step" in what:
            yield self.step()
        if "eval" in what:
            yield self.evaluation()
        if not {"loader", "trial"} & set(what):
            return
        with tempfile.TemporaryDirectory() as folder:
            places = self._data(Path(folder, "data"))
            if "loader" in what:
                yield self.loader_train(places)
                yield self.loader_eval(places)
            if "trial" in what:
                yield self.trial([*places, f"experiment_dir={folder}/experiments"])

    # ---- steps

    def step(self) -> dict[str, Any]:
        """The submission's step on one batch; then, in repetitions of their own, its parts."""
        training = TrainingStep(self.config, self.fabric, self.bench.stand_in())
        rows = self.options.batch or training.batch_size
        batch = self.bench.train_batch(rows, torch.Generator().manual_seed(0))
        found, on_device = self._measure_step(training, batch)
        parts = [training.parts(on_device) for _ in range(self.options.repeats)]
        middle = sorted(parts, key=lambda part: sum(part.values()))[len(parts) // 2]
        extra = {"parts_ms": middle, "parameters_mb": training.parameters_mb}
        return self._line("step", found, self._work(rows, batch), extra)

    def evaluation(self) -> dict[str, Any]:
        """The workload's evaluation step on one batch."""
        evaluate = EvalStep(self.config, self.ranks.device, self.bench.stand_in())
        rows = self.options.batch or self.config["workload"]["eval_batch_size"]
        batch = self.bench.eval_batch(rows, torch.Generator().manual_seed(0))
        found, _ = self._measure_step(evaluate, batch)
        return self._line("eval", found, self._work(rows, batch), {})

    def _measure_step(self, step: Any, batch: Batch) -> tuple[Measured, Batch]:
        device = self.ranks.device
        there = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}

        def once(watch: Stopwatch) -> None:
            with watch:
                step(there)

        return measure(once, device, self.options.repeats, self.options.warmup), there

    def _work(self, rows: int, batch: Batch) -> Work:
        bench = self.bench
        return Work(rows, bench.shape(batch), bench.examples(batch), bench.units(batch))

    # ---- loader

    def loader_train(self, places: list[str]) -> dict[str, Any]:
        """Batches of the endless training stream, which goes on from repetition to repetition."""
        config = compose_config([*self.overrides, *places])
        rows = self.options.batch or config["workload"]["baseline_batch_size"]
        stream = make_data(config).train_batches(rows, 0, self.ranks)
        return self._loader("loader_train", rows, lambda: stream)

    def loader_eval(self, places: list[str]) -> dict[str, Any]:
        """The first batches of the validation split, the same in every repetition."""
        size = self.options.batch
        asked = [f"workload.eval_batch_size={size}"] if size else []
        config = compose_config([*self.overrides, *places, *asked])
        data = make_data(config)
        rows = config["workload"]["eval_batch_size"]
        return self._loader(
            "loader_eval", rows, lambda: data.eval_batches("validation", self.ranks)
        )

    def _loader(self, what: str, rows: int, open_stream: Any) -> dict[str, Any]:
        seen: list[list[Work]] = []

        def once(watch: Stopwatch) -> None:
            with watch:
                stream = open_stream()
            seen.append([])
            for _ in range(self.options.batches):
                with watch:
                    batch = next(stream, None)
                if batch is None:
                    break
                seen[-1].append(self._work(rows, batch))  # off the watch

        found = measure(once, self.ranks.device, self.options.repeats, self.options.warmup)
        counted = seen[self.options.warmup :]
        every = [work for repetition in counted for work in repetition]
        examples = sum(work.examples for work in every) / len(counted)
        units = sum(work.units for work in every) / len(counted)
        work = Work(rows, every[0].shape, examples, units)
        extra = {"batches": len(counted[0]), "workers": self.config["data"]["workers"]}
        return self._line(what, found, work, extra)

    def _data(self, folder: Path) -> list[str]:
        """Overrides that lead to the prepared data: the user's, or some that are made up."""
        if self.options.data:
            return [f"data.dir={self.options.data}"]
        own = folder / self.config["workload"]["data"]["dataset"]
        own.mkdir(parents=True)
        self.bench.loader_data(own)
        return [f"data.dir={folder}", *self.bench.data_overrides(own)]

    # ---- trial

    def trial(self, places: list[str]) -> dict[str, Any]:
        """A trial as a user starts it, and where its seconds went."""
        more = [*places, f"max_steps={self.options.steps}", "display=none", "logger=csv"]
        if self.options.batch:
            more.append(f"submission.batch_size={self.options.batch}")
        config = compose_config([*self.overrides, *more])
        threads = str(torch.get_num_threads())
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads}
        command = [sys.executable, str(ROOT / "train.py"), *self.overrides, *more]
        start = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        wall = time.perf_counter() - start
        result = read_result(trial_folder(config)) or {}
        if "ledger" not in result:
            raise ConfigError(
                f"the trial ended with exit code {done.returncode}", expected=done.stderr.strip()
            )
        ledger, steps = result["ledger"], result["step"]
        total = sum(ledger.values())
        rows = config["submission"]["batch_size"] or config["workload"]["baseline_batch_size"]
        return {
            **self._head("trial"),
            "batch": rows,
            "status": result["status"],
            "steps": steps,
            "process_s": wall,
            "ledger_s": ledger,
            "ledger_share": {bucket: seconds / total for bucket, seconds in ledger.items()},
            "step_ms": 1e3 * ledger["step"] / steps,
            "data_ms": 1e3 * ledger["data"] / steps,
            "examples_per_s": rows * steps / result["elapsed"],
            "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
            **self._foot(),
        }

    # ---- lines

    def _line(
        self, what: str, found: Measured, work: Work, extra: dict[str, Any]
    ) -> dict[str, Any]:
        figures = found.figures()
        seconds, cpu_seconds = figures["median_ms"] / 1e3, figures["cpu_ms"] / 1e3
        return {
            **self._head(what),
            "shape": work.shape,
            "batch": work.batch,
            "repeats": self.options.repeats,
            "warmup": self.options.warmup,
            **figures,
            "unit": self.bench.unit,
            "examples": work.examples,
            "units": work.units,
            "examples_per_s": work.examples / seconds,
            "units_per_s": work.units / seconds,
            "units_per_cpu_s": work.units / cpu_seconds,
            **extra,
            **self._against_reference(what, figures, work),
            **self._foot(),
        }

    def _against_reference(
        self, what: str, figures: dict[str, Any], work: Work
    ) -> dict[str, Any]:
        """Only what was taken as the reference's figures were: one thread of a CPU, NAdamW."""
        alike = self.ranks.device.type == "cpu" and torch.get_num_threads() == 1
        if what == "step":
            alike = alike and self.config["submission"]["name"] == REFERENCE_SUBMISSION
        references = self.bench.references if alike else ()
        return compared(references, what, work.shape, work.units, figures)

    def _head(self, what: str) -> dict[str, Any]:
        workload, trainer = self.config["workload"], self.config["trainer"]
        return {
            "workload": workload["name"],
            "what": what,
            "submission": self.config["submission"]["name"],
            "device": device_name(self.ranks.device),
            "threads": torch.get_num_threads(),
            "compile": workload["compile"] if trainer["compile"] else "off",
        }

    def _foot(self) -> dict[str, Any]:
        return {
            "overrides": self.options.overrides,
            "torch": torch.__version__,
            "commit": _commit(),
            "load": os.getloadavg()[0],
        }


def _rounded(value: Any) -> Any:
    """Numbers with the digits that a measurement has; NaN and infinity do not occur."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else float(f"{value:.{_DIGITS}g}")


def _overrides(options: argparse.Namespace) -> list[str]:
    """What the options mean as overrides; the typed ones come last and win."""
    typed = options.overrides
    targets = [] if any(o.startswith("targets=") for o in typed) else _targets(options.workload)
    return [
        f"workload={options.workload}",
        f"submission={options.submission}",
        *targets,
        f"trainer.accelerator={options.device}",
        f"trainer.threads={options.threads}",
        f"trainer.compile={'true' if options.compile == 'on' else 'false'}",
        *typed,
    ]


def _targets(name: str) -> list[str]:
    """The newest version that has targets for the workload: no figure here depends on them."""
    folder = ROOT / "conf" / "targets"
    for path in sorted(folder.glob("v*.yaml"), reverse=True):
        nodes = [OmegaConf.load(path)]
        parents = [parent for parent in nodes[0].get("defaults", []) if parent != "_self_"]
        nodes += [OmegaConf.load(folder / f"{parent}.yaml") for parent in parents]
        if any(name in node.get("workloads", {}) for node in nodes):
            return [f"targets={path.stem}"]
    return []  # the configuration's check will say so


def _commit() -> str | None:
    """Of the checkout, with "-dirty" where files differ from it; None outside one."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", required=True, help="name in conf/workload")
    parser.add_argument("--what", nargs="+", choices=WHAT, default=["step", "eval"])
    parser.add_argument("--batch", type=_positive, help="rows; else the workload's own sizes")
    parser.add_argument("--threads", type=_positive, default=1, help="of the CPU")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--compile", choices=("on", "off"), default="off", help="on: what the YAML says"
    )
    parser.add_argument("--repeats", type=_positive, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--batches", type=_positive, default=16, help="a repetition of the loader")
    parser.add_argument("--steps", type=_positive, default=20, help="of the trial")
    parser.add_argument("--data", type=Path, help="data.dir; else data are made up")
    parser.add_argument("--submission", default=REFERENCE_SUBMISSION)
    parser.add_argument("overrides", nargs="*", help="of the configuration: KEY=VALUE")
    return parser.parse_intermixed_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
