"""Whose line is at work?  From the frames of the running thread to a file and line."""

import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import FrameType

from algoperf_pt import trial
from algoperf_pt.check.sources import HARNESS, ROOT, shown

CHECK, HARNESS_CODE, LIBRARY, STANDARD, OWN = "check", "harness", "library", "standard", "own"
_TRIAL = trial.__file__
_CHECK = str(Path(__file__).resolve().parent)
_SITE = tuple({str(Path(sysconfig.get_path(n)).resolve()) for n in ("purelib", "platlib")})
_STDLIB = str(Path(sysconfig.get_path("stdlib")).resolve())


@lru_cache(maxsize=None)
def kind_of(file: str) -> str:
    """Whose file it is; a submission's is OWN, our optimizers included."""
    if file.startswith("<"):
        return STANDARD  # the import system, and code that was made from text
    if file.startswith(_SITE):
        return LIBRARY
    path = str(Path(file).resolve())
    if path.startswith(_SITE):
        return LIBRARY
    if path.startswith(_STDLIB):
        return STANDARD
    if path.startswith(_CHECK):
        return CHECK
    ours = any(path.startswith(str(ROOT / name)) for name in HARNESS)
    return HARNESS_CODE if ours or path.endswith("/train.py") else OWN


def nearest(skip: tuple[str, ...] = (CHECK, STANDARD, LIBRARY)) -> tuple[str, str]:
    """(kind, file:line) of the innermost frame that is of no skipped kind; ("", "") without one."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        kind = kind_of(frame.f_code.co_filename)
        if kind not in skip:
            return kind, f"{shown(Path(frame.f_code.co_filename).resolve())}:{frame.f_lineno}"
        frame = frame.f_back
    return "", ""


def asked_by_submission() -> bool:
    """Whether the submission itself called what is at work: its line is met on the way out before
    the trial's, which asks for batches and evaluations.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if kind_of(frame.f_code.co_filename) == OWN:
            return True
        if frame.f_code.co_filename == _TRIAL:
            return False
        frame = frame.f_back
    return False


def own_line() -> str:
    """File and line of the submission's innermost frame; "" without one."""
    return nearest((CHECK, STANDARD, LIBRARY, HARNESS_CODE))[1]
