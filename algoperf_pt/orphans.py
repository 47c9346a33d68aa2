"""Who goes on when a parent process dies?  Nobody: the kernel tells its children (Linux)."""

import ctypes
import os
import sys
from signal import Signals

_PR_SET_PDEATHSIG = 1


def die_with(parent: int, number: Signals) -> None:
    """Get the signal `number` when the process `parent` dies; end at once if it is dead already.

    Call it in the child, whose parent was started from its main thread: Linux watches the thread.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:
            os._exit(1)
