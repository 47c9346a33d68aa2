"""What is global in a process?  torch's flags, the environment, hooks and generators, before and
after what a submission does.
"""

import gc
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as modules

_MT_WORDS = 624
_MOST_BLOCKS = 4000  # of 624 words: 2.5 million numbers in one step

_GLOBAL_HOOKS = (
    *("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks"),
    *("_global_backward_pre_hooks", "_global_parameter_registration_hooks"),
    *("_global_buffer_registration_hooks", "_global_module_registration_hooks"),
)

# Flag -> how it is read.  All of them are the harness's, and none may be left changed.
FLAGS: dict[str, Callable[..., Any]] = {
    "torch.get_default_dtype()": torch.get_default_dtype,
    "torch.get_default_device()": torch.get_default_device,
    "torch.get_float32_matmul_precision()": torch.get_float32_matmul_precision,
    "torch.backends.cuda.matmul.allow_tf32": lambda: torch.backends.cuda.matmul.allow_tf32,
    "torch.backends.cudnn.allow_tf32": lambda: torch.backends.cudnn.allow_tf32,
    "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction": lambda: (
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction
    ),
    "torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction": lambda: (
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    ),
    "torch.backends.cudnn.enabled": lambda: torch.backends.cudnn.enabled,
    "torch.backends.cudnn.benchmark": lambda: torch.backends.cudnn.benchmark,
    "torch.backends.cudnn.deterministic": lambda: torch.backends.cudnn.deterministic,
    "torch.backends.mkldnn.enabled": lambda: torch._C._get_mkldnn_enabled(),
    "torch.backends.cuda.flash_sdp_enabled()": torch.backends.cuda.flash_sdp_enabled,
    "torch.backends.cuda.mem_efficient_sdp_enabled()": (
        torch.backends.cuda.mem_efficient_sdp_enabled
    ),
    "torch.backends.cuda.math_sdp_enabled()": torch.backends.cuda.math_sdp_enabled,
    "torch.are_deterministic_algorithms_enabled()": torch.are_deterministic_algorithms_enabled,
    "torch.get_num_threads()": torch.get_num_threads,
    "torch.get_num_interop_threads()": torch.get_num_interop_threads,
    "torch.is_anomaly_enabled()": torch.is_anomaly_enabled,
    "gc.isenabled()": gc.isenabled,
    "gc.callbacks": lambda: list(map(id, gc.callbacks)),
    "sys.gettrace()": lambda: id(sys.gettrace()),
    "sys.getprofile()": lambda: id(sys.getprofile()),
    "threading.getprofile()": lambda: id(threading.getprofile()),
    "signal handlers": lambda: [
        id(signal.getsignal(s)) for s in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)
    ],
    "signal.getitimer()": lambda: signal.getitimer(signal.ITIMER_REAL)[1] > 0,
    "global hooks on all modules": lambda: [
        list(getattr(modules, name)) for name in _GLOBAL_HOOKS if hasattr(modules, name)
    ],
}
# Flags that a submission may set around its own computation, but not leave set.
AROUND: dict[str, Callable[..., Any]] = {
    "torch.is_grad_enabled()": torch.is_grad_enabled,
    "torch.is_inference_mode_enabled()": torch.is_inference_mode_enabled,
    "torch.is_autocast_enabled()": lambda: (
        torch.is_autocast_enabled("cpu"),
        torch.is_autocast_enabled("cuda"),
    ),
}


def read_flags(at_rest: bool = True) -> dict[str, Any]:
    """Name -> value.

    Args:
        at_rest: between two calls of the submission, where it has nothing to compute.
    """
    wanted = {**FLAGS, **AROUND} if at_rest else FLAGS
    return {name: _plain(read()) for name, read in wanted.items()}


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str, list, tuple)) else str(value)


def read_environment() -> dict[str, str]:
    """The environment as it is now."""
    return dict(os.environ)


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """In words: name, value before, value after."""
    names = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
    return [f"{n}: {_word(before.get(n))} -> {_word(after.get(n))}" for n in names]


def _word(value: Any) -> str:
    return "others" if isinstance(value, list) else str(value)


class Generators:
    """The global generators as they are now."""

    def __init__(self) -> None:
        self._torch = torch.default_generator.initial_seed()
        self._mersenne = _mersenne()

    def reset(self) -> list[str]:
        """Names of generators that did more than to be drawn from since then."""
        found = ["torch"] if torch.default_generator.initial_seed() != self._torch else []
        now = _mersenne()
        return found + [n for n, words in self._mersenne.items() if not _drawn(words, now[n])]


def _mersenne() -> dict[str, tuple[int, ...]]:
    """The words of Python's and of numpy's global Mersenne twisters."""
    state: Any = np.random.get_state(legacy=True)
    return {"random": random.getstate()[1][:-1], "numpy": tuple(map(int, state[1]))}


def _drawn(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether drawing alone leads from one state to the other."""
    twister: Any = np.random.MT19937()
    state = twister.state
    state["state"] = {"key": np.array(before, np.uint32), "pos": _MT_WORDS}
    twister.state = state
    target = np.array(after, np.uint32)
    for _ in range(_MOST_BLOCKS):
        if np.array_equal(twister.state["state"]["key"], target):
            return True
        twister.random_raw(_MT_WORDS)
    return False
