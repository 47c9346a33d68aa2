"""Would numbers or threads differ from what a trial's configuration says?  Flags of torch that
something has changed before us, and variables of the environment.
"""

import os
from collections.abc import Mapping

import torch

from algoperf_pt.doctor.finding import Examined
from algoperf_pt.doctor.known import known

_CLEAN = "find what sets it at start-up (sitecustomize, PYTHONSTARTUP, a .pth file)"


def look_at_numerics(found: Examined, environment: Mapping[str, str] = os.environ) -> None:
    """Flags and variables.

    Args:
        found: where facts and problems go.
        environment: the variables.
    """
    found.facts.append(f"default {str(torch.get_default_dtype()).removeprefix('torch.')}")
    tf32 = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    found.facts.append(f"TF32 before a trial sets it: matmul {tf32[0]}, cudnn {tf32[1]}")
    found.facts.append(f"cudnn.benchmark {torch.backends.cudnn.benchmark}")
    found.facts.append(f"deterministic {torch.are_deterministic_algorithms_enabled()}")
    found.facts.append(f"{torch.get_num_threads()} threads")
    _flags(found)
    _variables(found, environment)


def _flags(found: Examined) -> None:
    if torch.get_default_dtype() != torch.float32:
        text = f"torch's default dtype is {torch.get_default_dtype()}, not float32"
        found.wrong(text, _CLEAN)
    if torch.are_deterministic_algorithms_enabled():
        text = "deterministic algorithms are on: slower kernels, and some operations raise"
        found.wrong(text, _CLEAN)
    if torch.backends.cudnn.benchmark:
        text = "cudnn.benchmark is on: kernels are chosen by timing, on the clock"
        found.wrong(text, _CLEAN)


def _variables(found: Examined, environment: Mapping[str, str]) -> None:
    facts = known()
    for name, about in facts["wrong_variables"].items():
        value = environment.get(name)
        if value is not None and value not in about["harmless"]:
            found.wrong(f"{name}={value}: {about['why']}", f"unset {name}")
    told, beginnings = facts["told_variables"], tuple(facts["told_beginnings"])
    names = sorted(n for n in environment if n in told or n.startswith(beginnings))
    found.facts += [f"{name}={environment[name]}" for name in names]
