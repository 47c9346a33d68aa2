"""Does a variant train?  A short trial of it by a recipe that has set targets, or by NAdamW,
through the ordinary machinery in a process of its own; then the training loss is looked at.

The schedule is shortened to the trial: its horizon is the number of steps, and a warm-up that is
given in steps keeps its share.  No torch here.
"""

import csv
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from algoperf_pt.config import Config, compose_config, trial_folder
from algoperf_pt.errors import ConfigError
from algoperf_pt.heldout.files import names_of
from algoperf_pt.records import ALL_ROWS
from algoperf_pt.result import read_result
from algoperf_pt.sweep.child import environment
from algoperf_pt.versions import compose_somehow

_EDGE = 0.1  # share of the rows whose mean is the loss at the start, and at the end
_DONE = ("step_limit", "reached", "submission_done")
_START = "from algoperf_pt.cli import main; main()"
_TAIL = 15  # lines of a failed trial's output


@dataclass(frozen=True)
class Verdict:
    """Whether a variant trains, and why not."""

    trains: bool
    reason: str
    first: float = math.nan  # training loss
    last: float = math.nan

    def __str__(self) -> str:
        return f"{'trains' if self.trains else 'DOES NOT TRAIN'}: {self.reason}"


@dataclass(frozen=True)
class Check:
    """How it is found out.

    Args:
        steps: of the trial.
        share: by which the training loss has to fall, from 0 to 1.
        config_dir: the user's own folder of configuration groups.
        overrides: of the trial, such as data.dir=FOLDER.
    """

    steps: int = 300
    share: float = 0.1
    config_dir: str | None = None
    overrides: Sequence[str] = ()

    def run(self, name: str) -> Verdict:
        """Train the workload `name` and judge it.

        Raises:
            ConfigError: there is no such workload, its data are missing, or impossible settings.
        """
        if self.steps < 2 or not 0.0 < self.share < 1.0:
            raise ConfigError(
                f"steps {self.steps}, share {self.share}",
                expected="at least 2 steps, and a share above 0 and below 1",
                where="--steps, --share",
            )
        with TemporaryDirectory() as folder:
            words = self.words(name, Path(folder))
            config = compose_config(words, self.config_dir)
            output = self._train(words)
            return self._verdict(trial_folder(config), output)

    def words(self, name: str, folder: Path) -> list[str]:
        """The overrides of the trial; the user's come last."""
        config, plain = compose_somehow([f"workload={name}", *self.overrides], self.config_dir)
        chosen = any(word.startswith("submission=") for word in plain)
        base = config["workload"]["base"]
        recipe = [] if chosen else [f"submission={recipe_of(name, base)}"]
        config = compose_config([*plain, *recipe], self.config_dir, needs_data=False)
        line = f"targets.workloads.{name}"
        return [
            *(f"workload={name}", f"experiment_dir={folder}", "logger=csv", "display=none"),
            *(f"max_steps={self.steps}", f"eval_every_steps={self.steps}"),
            *(f"logger.first={self.steps}", f"{line}.max_runtime=1e9"),
            *(f"{line}.step_hint={self.steps}", *_warm_up(config, name, self.steps)),
            *recipe,
            *plain[1:],
        ]

    def _train(self, words: Sequence[str]) -> str:
        """What the trial wrote to its terminal."""
        command = [sys.executable, "-P", "-c", _START, *words]
        if self.config_dir:
            command.append(f"--config-dir={self.config_dir}")
        own = environment(os.environ)
        done = subprocess.run(command, env=own, capture_output=True, text=True)
        return done.stdout + done.stderr

    def _verdict(self, folder: Path, output: str) -> Verdict:
        result = read_result(folder) or {}
        status = result.get("status", "no result")
        if status not in _DONE:
            tail = "\n".join(output.strip().splitlines()[-_TAIL:])
            said = result.get("message") or tail
            return Verdict(False, f"the trial ended with {status}: {said}")
        losses, evaluated = read_rows(folder / ALL_ROWS)
        return judge(losses, evaluated, self.share)


def judge(losses: Sequence[float], evaluated: Sequence[float], share: float) -> Verdict:
    """The verdict on a finished trial.

    Args:
        losses: of its training steps, in their order.
        evaluated: all losses and metrics of its evaluations.
        share: by which the training loss has to fall.
    """
    if not losses:
        return Verdict(False, "no training loss was written")
    wrong = next((step for step, loss in enumerate(losses) if not math.isfinite(loss)), None)
    if wrong is not None:
        return Verdict(False, f"the training loss is {losses[wrong]} at step {wrong}")
    if not all(map(math.isfinite, evaluated)):
        return Verdict(False, "an evaluation is not finite")
    count = max(1, round(_EDGE * len(losses)))
    first, last = sum(losses[:count]) / count, sum(losses[-count:]) / count
    fell = 1.0 - last / first if first > 0 else 0.0
    text = f"training loss {first:.4g} to {last:.4g} in {len(losses)} steps: it fell by "
    text += f"{fell:.1%}, {'at least' if fell >= share else 'less than'} {share:.0%}"
    return Verdict(fell >= share, text, first, last)


def read_rows(path: Path) -> tuple[list[float], list[float]]:
    """(training losses, evaluated losses and metrics) of a trial's measurements."""
    losses: list[float] = []
    evaluated: list[float] = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["loss"]:
                losses.append(float(row["loss"]))
            evaluated += [float(row[key]) for key in row if "/" in key and row[key]]
    return losses, evaluated


def recipe_of(name: str, base: str | None) -> str:
    """conf/submission/target/..., of the workload or of its base; else NAdamW."""
    known = names_of("submission/target")
    found = [candidate for candidate in (name, base) if candidate in known]
    return f"target/{found[0]}" if found else "nadamw"


def _warm_up(config: Config, name: str, steps: int) -> list[str]:
    """A warm-up in steps, shortened as the horizon is."""
    given: Any = config["submission"]["hparams"].get("warmup_steps")
    if given is None:
        return []
    hint = config["targets"]["workloads"][name]["step_hint"]
    return [f"submission.hparams.warmup_steps={max(1, round(given * steps / hint))}"]
