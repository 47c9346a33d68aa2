"""What must a place have in which trials run?  Two small protocols; local.py and jobs.py fill
them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from algoperf_pt.sweep.plan import Planned


class Running(Protocol):
    """An attempt that has been started."""

    where: str  # for people: "GPU 0,1", "job 17"
    log: Path  # console of the attempt

    def poll(self) -> int | None:
        """Its exit code (negative: the signal that killed it), or None while it runs."""

    def stop(self) -> None:
        """Ask it to save a checkpoint and end."""

    def kill(self) -> None:
        """End it now."""


class Backend(Protocol):
    """A place in which trials run."""

    def prepare(self, trials: Sequence[Planned]) -> None:
        """Look at all trials before the first is started; raises ConfigError if the place does not
        fit them.
        """

    def has_room(self) -> bool:
        """Whether another trial can be started now."""

    def start(self, planned: Planned) -> Running:
        """Start an attempt."""

    def release(self, running: Running) -> None:
        """An attempt has ended: its room is free."""

    def at_once(self) -> int:
        """How many trials it runs at a time, once it is prepared."""

    def describe(self) -> str:
        """For people: how many at a time, on what."""
