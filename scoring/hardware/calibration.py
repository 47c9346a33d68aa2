"""How many times as fast is one machine as another?  The ratio of two calibrations: of a step of
the workload if both timed it, else the geometric mean over kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite, log
from pathlib import Path
from typing import Any

from scoring.errors import RulesError
from scoring.hardware.classes import table
from scoring.logs.read_json import read_json

NAME = "calibration.json"
FORMAT = 1
AGAIN = "python -m algoperf_pt.calibrate makes one"


@dataclass(frozen=True)
class Calibration:
    """What scoring needs of a calibration file.

    Attributes:
        path: the file.
        content: it.
    """

    path: Path
    content: dict[str, Any]

    @property
    def hardware(self) -> str:
        """The class of one of its devices."""
        return str(self.content["hardware_class"])

    @property
    def device(self) -> str:
        """"cpu" or "cuda"."""
        return str(self.content["device"])

    def median(self, part: str, name: str) -> tuple[float, Any] | None:
        """(milliseconds, size) of a kernel or a step; None if it was not timed."""
        entry = self.content[part].get(name)
        value = entry.get("median_ms") if isinstance(entry, dict) else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return (float(value), entry.get("size")) if isfinite(value) and value > 0 else None


def read_calibration(path: Path) -> Calibration | None:
    """The calibration in a file; None if there is no such file.

    Raises:
        RulesError: it is none.
        LogsError: it cannot be read.
    """
    content = read_json(path)
    if not content:
        return None
    if content.get("format") != FORMAT:
        found = f"format {content.get('format')!r:.40}"
        raise RulesError(f"{path} is no calibration: {found}, expected {FORMAT}; {AGAIN}")
    wanted: dict[str, type] = {"kernels": dict, "steps": dict, "hardware_class": str, "device": str}
    for key, kind in wanted.items():
        if not isinstance(content.get(key), kind):
            raise RulesError(f"{path} is no calibration: no {key}; {AGAIN}")
    return Calibration(path, content)


def ratio(own: Calibration, reference: Calibration, workload: str) -> tuple[float, str]:
    """(factor that turns seconds of one machine into those of the reference's, by what).

    Raises:
        RulesError: they have nothing in common that can be compared.
    """
    if own.device != reference.device:
        raise RulesError(
            f"{own.path} is of device {own.device}, {reference.path} of {reference.device}: "
            "one does not stand for the other"
        )
    step = _one(own, reference, "steps", workload)
    if step is not None:
        return step, f"a step of {workload}"
    names = table()["kernels"]
    found = {name: _one(own, reference, "kernels", name) for name in names}
    lacking = [name for name, value in found.items() if value is None]
    if lacking:
        raise RulesError(
            f"{own.path} and {reference.path} have no {lacking[0]} of the same size; "
            "calibrate both machines with the same version"
        )
    logs = [log(value) for value in found.values() if value is not None]
    return exp(sum(logs) / len(logs)), f"geometric mean of {', '.join(names)}"


def _one(own: Calibration, reference: Calibration, part: str, name: str) -> float | None:
    """Reference's time over own time, where sizes are equal."""
    a, b = own.median(part, name), reference.median(part, name)
    return b[0] / a[0] if a and b and a[1] == b[1] else None
