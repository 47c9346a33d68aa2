"""How does a submission run on the tiny workloads?  Each in a process of its own, with its data
drawn and prepared where they are missing.  No torch here.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from omegaconf import OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from algoperf_pt.check.findings import FAIL, Finding
from algoperf_pt.check.subject import Subject
from algoperf_pt.config import Config
from algoperf_pt.data.find_preparer import find_preparer
from algoperf_pt.data.prepare import prepare
from algoperf_pt.errors import ConfigError
from algoperf_pt.sweep.child import environment
from algoperf_pt.versions import compose_somehow

_HINT = 5  # times as many steps are hinted at as are made: schedules move
_TAIL = 5  # lines of a process that ended without a word
_TRIAL = ("display=none", "logger=csv", "trainer=cpu", "trainer.threads=1", "data.workers=0")


@dataclass
class Run:
    """What was seen on one workload; `done` says how far it came, {} if not to the end."""

    workload: str
    findings: list[Finding] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)


def tiny_workloads() -> list[str]:
    """Those that write their own raw files, and digits, which come with a package."""
    paths = sorted(Path(str(files("conf")), "workload").glob("*.yaml"))
    tiers = {path.stem: OmegaConf.select(OmegaConf.load(path), "tier") for path in paths}
    return [name for name, tier in tiers.items() if tier == "tiny" or name == "digits"]


class Runner:
    """Runs a submission.

    Args:
        subject: what is run.
        words: further overrides.
        data: folder of prepared data.
        steps: of each trial; there is an evaluation in the middle, and one at the end.
        timeout: seconds that one process may take.
    """

    def __init__(
        self, subject: Subject, words: Sequence[str], data: Path, steps: int, timeout: float
    ) -> None:
        self._subject, self._words, self._data = subject, list(words), data.resolve()
        self._steps, self._timeout = steps, timeout

    def compose(self, workload: str) -> Config:
        """Configuration of the trial; the rule set is the one that the submission is for.

        Raises:
            ConfigError: as algoperf-train would say it.
        """
        typed = [*self._subject.words, *self._words]
        line = f"targets.workloads.{workload}"
        numbers = (
            *(f"max_steps={self._steps}", f"eval_every_steps={max(1, self._steps // 2)}"),
            *(f"{line}.max_runtime=3600.0", f"{line}.step_hint={_HINT * self._steps}"),
            *(f"data.dir={self._data}", *_TRIAL),
        )
        chosen = {word.partition("=")[0] for word in typed}
        kept = [word for word in numbers if word.partition("=")[0] not in chosen]
        every = [f"workload={workload}", *typed, *kept]
        config_dir = str(self._subject.config_dir) if self._subject.config_dir else None
        try:
            return compose_somehow(every, config_dir)[0]
        except YAMLError as error:
            problem = " ".join(str(error).split())
            raise ConfigError(f"a YAML cannot be read: {problem}", where="PATH") from error
        except ConfigError as error:
            if "tuning" not in error.problem or "ruleset" in chosen:
                raise
            return compose_somehow([*every, "ruleset=self_tuning"], config_dir)[0]

    def run(self, workload: str, config: Config) -> Run:
        """A few steps on one workload, watched."""
        dataset = self._data / config["workload"]["data"]["dataset"]
        if not (dataset / "index.json").is_file():
            _draw(workload, dataset)
        with TemporaryDirectory() as name:
            folder = Path(name)
            out, task = folder / "findings.jsonl", folder / "task.json"
            told = {"config": config, "out": str(out), "folder": str(folder / "trial")}
            task.write_text(json.dumps(told))
            return _read(workload, out, self.start(task))

    def start(self, task: Path) -> str:
        """Run the probe; what its process wrote to the terminal."""
        command = [sys.executable, "-P", "-m", "algoperf_pt.check.probe", str(task)]
        own = environment(os.environ, OMP_NUM_THREADS="1")
        paths = [own["PYTHONPATH"], *map(str, self._subject.python_path)]
        own["PYTHONPATH"] = os.pathsep.join(paths)
        try:
            done = subprocess.run(
                command, env=own, capture_output=True, text=True, timeout=self._timeout
            )
        except subprocess.TimeoutExpired:
            return f"it did not end within {self._timeout:g} s"
        return done.stdout + done.stderr


def _read(workload: str, path: Path, output: str) -> Run:
    run = Run(workload)
    lines = path.read_text().splitlines() if path.exists() else []
    for entry in map(json.loads, lines):
        if "done" in entry:
            run.done = entry["done"]
        else:
            run.findings.append(Finding(**entry))
    if not run.done and not any(f.verdict == FAIL for f in run.findings):
        tail = " | ".join(output.strip().splitlines()[-_TAIL:])
        text = f"the process ended without a word: {tail}"
        run.findings.append(Finding("runs", FAIL, text, workload=workload))
    return run


def _draw(workload: str, dataset: Path) -> None:
    """Raw files of a tiny workload, and their preparation."""
    preparer = find_preparer(workload)
    with TemporaryDirectory() as folder:
        raw = preparer.raw_folder()
        if raw is None:
            raw = Path(folder)
            package = type(preparer).__module__.rpartition(".")[0]
            try:
                write = importlib.import_module(f"{package}.tiny").write_raw
            except ImportError as error:
                raise ConfigError(
                    f"there are no prepared data for {workload}, which draws none",
                    expected=str(dataset / "index.json"),
                    where="--data",
                    fix=f"algoperf-prepare {workload} --raw RAW_FILES --out {dataset}",
                ) from error
            write(raw)
        prepare(preparer, raw, dataset, quiet=True)
