"""Who runs the phases?  Processes of their own, whose lines are read when they have ended, however
they ended.  No torch here.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from algoperf_pt.sweep.child import environment

PHASES = (
    *("set-up", "loader", "steps", "longest batch", "evaluation batch", "evaluation"),
    *("step after it", "checkpoint"),
)
TRAINING = ("steps", "longest batch", "step after it")  # whose memory depends on the batch size
_STARTS = 8  # processes of one search, of which each but the last was killed
_TAIL = 3  # lines of a process that ended without a word


@dataclass
class Seen:
    """What became of the phases.

    Args:
        phases: name -> figures of those that ended well.
        failed: the phase that did not.
        oom: whether memory was the reason.
        text, fix: what is wrong, what to do.
    """

    phases: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: str | None = None
    oom: bool = False
    text: str = ""
    fix: str = ""


class Attempts:
    """Runs probes.

    Args:
        config: composed.
        scratch: a temporary folder.
        seconds: for each measurement.
        memory: bytes that the trial may take; None: what there is.
        timeout: s, of one process.
    """

    def __init__(
        self,
        config: dict[str, Any],
        scratch: Path,
        seconds: float,
        memory: float | None,
        timeout: float,
    ) -> None:
        devices = config["trainer"]["devices"]
        self._ranks = int(devices) if devices.isdigit() else 0  # 0: as many as there are GPUs
        self._config = {**config, "trainer": {**config["trainer"], "devices": "1"}}
        self._scratch, self._seconds = scratch, seconds
        self._memory, self._timeout = memory, timeout
        self._count = 0

    def measure(self) -> Seen:
        """All phases once."""
        lines, end = self._run({})
        seen = Seen()
        begun: str | None = None
        for line in lines:
            begun = line.get("begun", begun)
            if "phase" in line:
                name = line.pop("phase")
                seen.phases[name], begun = line, None
            elif "failed" in line:
                seen.failed, seen.oom = line["failed"], line["oom"]
                seen.text, seen.fix, begun = line["text"], line["fix"], None
        if begun is not None or not lines:
            seen.failed, seen.oom, seen.text = begun or "set-up", end.killed, end.text
        return seen

    def search(self, high: int) -> tuple[int, list[str]]:
        """(largest number of a rank's rows below `high` that fits, 0 if none was found; what went
        wrong otherwise).
        """
        low = 0
        for _ in range(_STARTS):
            lines, end = self._run({"low": low, "high": high})
            trying = None
            for line in lines:
                trying = line.get("trying", trying)
                if "fits" in line:
                    low, high = (line["tried"], high) if line["fits"] else (low, line["tried"])
                    trying = None
            failed = [line["text"] for line in lines if "failed" in line]
            if failed or high - low <= 1:
                return low, failed
            if trying is None:
                return low, [end.text]
            high = trying  # the process did not survive it
        return low, []

    def _run(self, more: dict[str, Any]) -> tuple[list[dict[str, Any]], "End"]:
        """(lines of the process, how it ended)."""
        self._count += 1
        task, out = (self._scratch / f"{kind}_{self._count}" for kind in ("task", "out"))
        told = {
            "config": self._config,
            "folder": str(self._scratch / f"trial_{self._count}"),
            "out": str(out),
            "ranks": self._ranks,
            "seconds": self._seconds,
            "memory": self._memory,
            **more,
        }
        task.write_text(json.dumps(told))
        command = [sys.executable, "-P", "-m", "algoperf_pt.preflight.probe", str(task)]
        end = self.wait(command, environment(os.environ))
        lines = out.read_text().splitlines() if out.exists() else []
        return [json.loads(line) for line in lines], end

    def wait(self, command: list[str], own: dict[str, str]) -> "End":
        """Run a process to its end."""
        console = self._scratch / f"console_{self._count}"
        with console.open("w") as file:
            process = subprocess.Popen(command, env=own, stdout=file, stderr=subprocess.STDOUT)
            try:
                code = process.wait(self._timeout)
            except subprocess.TimeoutExpired:
                return End(False, f"it did not end within {self._timeout:g} s (--timeout)")
            finally:
                process.kill()
                process.wait()
        if code < 0:
            return End(True, f"the system ended the process (signal {-code})")
        tail = console.read_text(errors="replace").strip().splitlines()[-_TAIL:]
        return End(False, f"the process ended with code {code}: {' | '.join(tail)}")


@dataclass(frozen=True)
class End:
    """How a process ended: by a signal that was not ours (memory, most likely), or in words."""

    killed: bool
    text: str
