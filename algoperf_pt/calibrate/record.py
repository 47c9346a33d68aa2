"""Where does a machine's calibration lie, does it hold here, and how does a trial take it along?"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from algoperf_pt.calibrate.host import class_of, fingerprint, host
from algoperf_pt.errors import AlgoperfError
from algoperf_pt.records import write_atomically

FORMAT = 1
NAME = "calibration.json"
VARIABLE = "ALGOPERF_CALIBRATION"
_AGAIN = "python -m algoperf_pt.calibrate"
_MOST_BYTES = 1 << 20  # a calibration has about 10 kB
_NEEDED = {"format": int, "fingerprint": str, "device": str, "threads": int}
_NEEDED |= {"hardware_class": str, "kernels": dict, "steps": dict, "host": dict}


class CalibrationError(AlgoperfError):
    """A file that is no calibration, or a machine that cannot be calibrated."""


def default_path() -> Path:
    """$ALGOPERF_CALIBRATION, else the user's cache."""
    typed = os.environ.get(VARIABLE)
    if typed:
        return Path(typed).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "algoperf_pt" / NAME


def head(device: torch.device, threads: int) -> dict[str, Any]:
    """What a calibration says of the machine: everything but kernels and steps."""
    facts = host()
    return {
        "format": FORMAT,
        "fingerprint": fingerprint(facts),
        "hardware_class": class_of(device, 1, threads),
        "device": device.type,
        "threads": threads,
        "host": facts,
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """The file, whole or not at all.

    Raises:
        CalibrationError: its folder cannot be made, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise CalibrationError(
            f"{path} cannot be written: {error.strerror}", fix="--out FILE, or free the disk"
        ) from error


def read(path: Path) -> dict[str, Any]:
    """A calibration.

    Raises:
        CalibrationError: it is not there, or is none.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        content = json.loads(text) if len(text) <= _MOST_BYTES else None
    except FileNotFoundError:
        raise CalibrationError(f"{path} does not exist", fix=_AGAIN) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CalibrationError(f"{path} cannot be read: {error}", fix=_AGAIN) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        kind = content.get("format") if isinstance(content, dict) else "no object"
        raise CalibrationError(
            f"{path} is no calibration: format {kind!r}", expected=f"format {FORMAT}", fix=_AGAIN
        )
    for key, wanted in _NEEDED.items():
        if not isinstance(content.get(key), wanted):
            raise CalibrationError(f"{path}: {key} is {content.get(key)!r:.80}", fix=_AGAIN)
    return content


def why_not(content: dict[str, Any], device: torch.device, threads: int) -> str:
    """Why a calibration does not hold for computing on this device; "" if it does."""
    facts = host()
    if content["fingerprint"] != fingerprint(facts):
        then = content["host"]
        changed = [name for name, value in facts.items() if then.get(name) != value]
        return f"it is of another machine or software ({', '.join(changed) or 'fingerprint'})"
    if content["device"] != device.type:
        return f"it is of device {content['device']}; this is {device.type}"
    if device.type == "cpu" and content["threads"] != threads:
        return f"it is of {content['threads']} threads; here are {threads}"
    return ""


def for_trial(device: torch.device, threads: int) -> tuple[dict[str, Any] | None, str]:
    """(the machine's calibration, "carried"), or (None, why a trial takes none along).

    A trial needs none, so a bad one stops nothing; the reason stands in environment.json.
    """
    path = default_path()
    if not path.exists() and VARIABLE not in os.environ:
        return None, "none: this machine has not been calibrated"
    try:
        content = read(path)
    except CalibrationError as error:
        return None, f"none: {error.problem}"
    wrong = why_not(content, device, threads)
    return (None, f"none: {path}: {wrong}") if wrong else (content, "carried")


def look_at_calibration(tell: Callable[[str], None], wrong: Callable[[str, str], None]) -> None:
    """For the doctor: that there is none is a fact; that it is bad or stale is a problem.

    Args:
        tell: takes a fact.
        wrong: takes a problem and its fix.
    """
    path = default_path()
    if not path.exists() and VARIABLE not in os.environ:
        tell(f"none ({_AGAIN} makes {path})")
        return
    content = read(path)
    here = torch.device(content["device"]), content["threads"]
    reason = why_not(content, *here)
    if reason:
        wrong(f"{path}: {reason}", _AGAIN)
    else:
        tell(f"{path}: {content['hardware_class']}")
