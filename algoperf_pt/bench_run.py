"""What does scripts/bench_workload.py measure?  Training step, evaluation step, loader, a short
trial; a line (a dict) each.

What the fields are: docs/benchmarks.md.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import algoperf_pt
from algoperf_pt.assemble import make_data, make_fabric
from algoperf_pt.bench import Shape, compared, find_bench
from algoperf_pt.bench_steps import EvalStep, TrainingStep
from algoperf_pt.config import compose_config, trial_folder
from algoperf_pt.errors import ConfigError
from algoperf_pt.measuring import Measured, Stopwatch, device_name, measure
from algoperf_pt.ranks import Ranks
from algoperf_pt.result import read_result
from algoperf_pt.workload_data import Batch, WorkloadData

WHAT = ("step", "eval", "loader", "trial")
REFERENCE_SUBMISSION = "nadamw"  # the reference's steps were taken with it

_TRAIN = "from algoperf_pt.cli import main; main()"
_LAST_LINES = 5  # of a failed trial's error output


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and how often.

    Args:
        what: some of WHAT.
        overrides: of the configuration, workload and device included.
        batch: rows; None: the workload's own sizes.
        repeats, warmup: repetitions that count, after those that do not.
        batches: in a repetition of the loader.
        steps: of the trial.
        made_up: whether the bench makes the data; else data.dir holds them.
    """

    what: tuple[str, ...]
    overrides: tuple[str, ...]
    batch: int | None = None
    repeats: int = 5
    warmup: int = 2
    batches: int = 16
    steps: int = 20
    made_up: bool = True


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
        plan: what, and how often.

    Raises:
        ConfigError: no such workload, no part of its own, no such device, no data where some are
            promised.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        reads = not plan.made_up and bool({"loader", "trial"} & set(plan.what))
        self.config = compose_config(list(plan.overrides), needs_data=reads)
        self.bench = find_bench(self.config)
        self.ranks = Ranks(make_fabric(self.config["trainer"]).device)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The measurements that were asked for."""
        what = self.plan.what
        if "step" in what:
            yield self.step()
        if "eval" in what:
            yield self.evaluation()
        if not {"loader", "trial"} & set(what):
            return
        with tempfile.TemporaryDirectory() as folder:
            places = self._data(Path(folder, "data"))
            if "loader" in what:
                yield from self.loader_train(places, Path(folder))
                yield self.loader_eval(places)
            if "trial" in what:
                yield self.trial([*places, f"experiment_dir={folder}/experiments"])

    # ---- steps

    def step(self) -> dict[str, Any]:
        """The submission's step on one batch; then, in repetitions of their own, its parts."""
        training = TrainingStep(self.config, self.bench.stand_in())
        rows = self.plan.batch or training.batch_size
        batch = self.bench.train_batch(rows, torch.Generator().manual_seed(0))
        found, on_device = self._measure_step(training, batch)
        parts = [training.parts(on_device) for _ in range(self.plan.repeats)]
        middle = sorted(parts, key=lambda part: sum(part.values()))[len(parts) // 2]
        extra = {"parts_ms": middle, "parameters_mb": training.parameters_mb}
        return self._line("step", found, self._work(rows, batch), extra)

    def evaluation(self) -> dict[str, Any]:
        """The workload's evaluation step on one batch."""
        evaluate = EvalStep(self.config, self.ranks.device, self.bench.stand_in())
        rows = self.plan.batch or self.config["workload"]["eval_batch_size"]
        batch = self.bench.eval_batch(rows, torch.Generator().manual_seed(0))
        found, _ = self._measure_step(evaluate, batch)
        return self._line("eval", found, self._work(rows, batch), {})

    def _measure_step(
        self, step: Callable[[Batch], None], batch: Batch
    ) -> tuple[Measured, Batch]:
        device = self.ranks.device
        there = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}

        def once(watch: Stopwatch) -> None:
            with watch:
                step(there)

        return measure(once, device, self.plan.repeats, self.plan.warmup), there

    def _work(self, rows: int, batch: Batch) -> Work:
        bench = self.bench
        return Work(rows, bench.shape(batch), bench.examples(batch), bench.units(batch))

    # ---- loader

    def loader_train(self, places: list[str], folder: Path) -> Iterator[dict[str, Any]]:
        """Batches of the endless training stream, which goes on from repetition to repetition; the
        usual loader before them, where the data are made up and the workload knows one.
        """
        config = compose_config([*self.plan.overrides, *places])
        rows = self.plan.batch or config["workload"]["baseline_batch_size"]
        data = make_data(config)
        other = self.bench.rival(data.root, rows) if self.plan.made_up else None
        extra: dict[str, Any] = {}
        if other is not None:
            line = self._loader("loader_rival", rows, lambda: other)
            yield line
            extra["rival_units_per_cpu_s"] = line["units_per_cpu_s"]
        stream = data.train_batches(rows, 0, self.ranks)
        line = self._loader("loader_train", rows, lambda: stream)
        if other is not None:
            extra["against_rival"] = line["units_per_cpu_s"] / extra["rival_units_per_cpu_s"]
        extra |= self._parts(data, rows)
        yield {**line, **extra}

    def _parts(self, data: WorkloadData, rows: int) -> dict[str, Any]:
        """Stages of a training batch, those of the repetition with the median total, and what is
        left without the work that a GPU would do.
        """
        every = [self.bench.loader_parts(data, rows) for _ in range(self.plan.repeats)]
        parts = sorted(every, key=lambda part: sum(part.values()))[len(every) // 2]
        if not parts:
            return {}
        total = sum(parts.values())
        before = total - parts.get("finish", 0.0)
        return {
            "parts_ms": parts,
            "parts_share": {name: value / total for name, value in parts.items()},
            "examples_per_cpu_s_before_finish": 1e3 / before,
        }

    def loader_eval(self, places: list[str]) -> dict[str, Any]:
        """The first batches of the validation split, the same in every repetition."""
        size = self.plan.batch
        asked = [f"workload.eval_batch_size={size}"] if size else []
        config = compose_config([*self.plan.overrides, *places, *asked])
        data = make_data(config)
        rows = config["workload"]["eval_batch_size"]
        return self._loader(
            "loader_eval", rows, lambda: data.eval_batches("validation", self.ranks)
        )

    def _loader(
        self, what: str, rows: int, open_stream: Callable[[], Iterator[Batch]]
    ) -> dict[str, Any]:
        seen: list[list[Work]] = []

        def once(watch: Stopwatch) -> None:
            with watch:
                stream = open_stream()
            seen.append([])
            for _ in range(self.plan.batches):
                with watch:
                    batch = next(stream, None)
                if batch is None:
                    break
                seen[-1].append(self._work(rows, batch))  # off the watch

        found = measure(once, self.ranks.device, self.plan.repeats, self.plan.warmup)
        counted = seen[self.plan.warmup :]
        every = [work for repetition in counted for work in repetition]
        examples = sum(work.examples for work in every) / len(counted)
        units = sum(work.units for work in every) / len(counted)
        work = Work(rows, every[0].shape, examples, units)
        extra = {"batches": len(counted[0]), "workers": self.config["data"]["workers"]}
        return self._line(what, found, work, extra)

    def _data(self, folder: Path) -> list[str]:
        """Overrides that lead to data that are made up; none where the user's are there."""
        if not self.plan.made_up:
            return []
        own = folder / self.config["workload"]["data"]["dataset"]
        own.mkdir(parents=True)
        self.bench.loader_data(own)
        return [f"data.dir={folder}", *self.bench.data_overrides(own)]

    # ---- trial

    def trial(self, places: list[str]) -> dict[str, Any]:
        """A trial as a user starts it, and where its seconds went."""
        more = [*places, f"max_steps={self.plan.steps}", "display=none", "logger=csv"]
        if self.plan.batch:
            more.append(f"submission.batch_size={self.plan.batch}")
        config = compose_config([*self.plan.overrides, *more])
        threads = str(torch.get_num_threads())
        path = os.pathsep.join([_root(), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": threads}
        command = [sys.executable, "-c", _TRAIN, *self.plan.overrides, *more]
        start = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        wall = time.perf_counter() - start
        result = read_result(trial_folder(config)) or {}
        if "ledger" not in result:
            last = done.stderr.strip().splitlines()[-_LAST_LINES:]
            raise ConfigError(
                f"the trial ended with exit code {done.returncode}: " + "\n  ".join(last),
                fix="python train.py " + " ".join(self.plan.overrides),
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
            "repeats": self.plan.repeats,
            "warmup": self.plan.warmup,
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
            "overrides": list(self.plan.overrides),
            "torch": torch.__version__,
            "commit": _commit(),
            "load": os.getloadavg()[0],
        }


def _commit() -> str | None:
    """Of the checkout, with "-dirty" where files differ from it; None outside one."""
    command = ["git", "-C", _root(), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def _root() -> str:
    """The folder that holds the packages."""
    return str(Path(algoperf_pt.__file__).parents[1])
