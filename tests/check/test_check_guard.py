"""Does the harness itself refuse hooks that would run in its evaluations?"""

import pytest
import torch
from torch.nn.modules import module as modules

from algoperf_pt.errors import IntegrityError
from algoperf_pt.integrity import Guard
from algoperf_pt.ranks import Ranks


@pytest.mark.parametrize("kind", ["forward_hook", "forward_pre_hook"])
def test_a_hook_on_all_modules_ends_the_trial(kind):
    guard = Guard(torch.nn.Linear(2, 2), Ranks(torch.device("cpu")))
    with guard.clock_stands():
        pass
    hook = getattr(modules, f"register_module_{kind}")(lambda *arguments: None)
    try:
        with pytest.raises(IntegrityError, match="hooks on all modules"):
            with guard.clock_stands():
                pass
    finally:
        hook.remove()
    with guard.clock_stands():
        pass
