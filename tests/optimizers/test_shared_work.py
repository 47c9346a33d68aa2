"""Do ranks that share the work of a matrix method get what one rank gets, and resume it?"""

import copy
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from algoperf_pt.submission import Metrics
from algoperf_pt.view import WorkloadView
from optimizers import block_rule, sharing
from optimizers.muon import Muon
from optimizers.shampoo import Shampoo
from optimizers.sharing import SharedStateSubmission
from optimizers.soap import Soap
from tests.support.runs import assert_same, run_command, state

SHAPES = ((6, 4), (4, 2, 3, 3), (6,), (9, 9), (6, 4), (), (5, 3))
SHAMPOO = {"epsilon": 1e-3, "precondition_frequency": 2, "max_preconditioner_dim": 5}
RULES: dict[str, tuple[Any, dict[str, Any]]] = {
    "muon": (Muon, {}),
    "shampoo": (Shampoo, SHAMPOO),
    "shampoo_sends_directions": (Shampoo, {**SHAMPOO, "communicate_params": False}),
    "shampoo_in_bf16": (Shampoo, {**SHAMPOO, "communication_dtype": "BF16"}),
    "soap": (Soap, {"precondition_frequency": 2}),
}

LARGE = {Shampoo: {"max_preconditioner_dim": 64, "epsilon": 1e-8}}  # sensitive to the last bits


def start() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(shape, generator=generator) for shape in SHAPES]
    made[3] = made[3].T  # stored by columns
    return [tensor.requires_grad_() for tensor in made]


def steps(optimizer: Any, first: int, last: int) -> None:
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step + 1)
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = torch.randn(p.shape, generator=generator)
        optimizer.step()


def resumed(kind: Any, settings: dict[str, Any]) -> tuple[list[torch.Tensor], int]:
    """Parameters after 7 steps, the last 3 by an optimizer that was loaded; state tensors."""
    params = start()
    first = kind(params, lr=0.05, **settings)
    steps(first, 0, 4)
    second = kind(params, lr=0.05, **settings)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    steps(second, 4, 7)
    count = sum(value.numel() for s in second.state.values() for value in s.values())
    return [p.detach().clone() for p in params], count


def on_a_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    found = {name: resumed(kind, settings) for name, (kind, settings) in RULES.items()}
    torch.save(found, f"{folder}/rank_{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.ddp
@pytest.mark.slow
def test_two_ranks_equal_one_to_the_last_bit(tmp_path: Path) -> None:
    alone = {name: resumed(kind, settings) for name, (kind, settings) in RULES.items()}
    mp.spawn(on_a_rank, (str(tmp_path),), nprocs=2)  # type: ignore[attr-defined]
    both = [torch.load(tmp_path / f"rank_{rank}.pt", weights_only=True) for rank in range(2)]
    for name, (expected, count) in alone.items():
        for found, _ in (both[0][name], both[1][name]):
            for a, b in zip(expected, found):
                assert torch.equal(a, b), name
        held = [rank[name][1] for rank in both]
        if name == "muon":  # the momentum is everywhere, its orthogonal factor is shared
            assert held == [count, count]
        else:
            assert sum(held) == count + len(SHAPES) and min(held) > 0.35 * count  # a step twice


class KilledAt(SharedStateSubmission):
    """Its rank 1 dies once, at the step in TEST_KILL_AT."""

    def step(self, workload: WorkloadView, batch: Any) -> Metrics:
        if os.environ.get("TEST_KILL_AT") == str(workload.step) and workload.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(workload, batch)


@pytest.mark.ddp
@pytest.mark.slow
@pytest.mark.timeout(300)  # three commands with two processes each
def test_a_trial_on_two_ranks_goes_on_with_the_share_of_each(data: Path, tmp_path: Path) -> None:
    arguments = (
        "submission._target_=tests.optimizers.test_shared_work.KilledAt",
        *("submission=shampoo", "submission.hparams.precondition_frequency=5"),
        *("submission.hparams.max_preconditioner_dim=64", "max_steps=40", "eval_every_steps=10"),
        "trainer.devices=2",
    )
    assert run_command(data, tmp_path / "whole", *arguments).returncode in (0, 11)
    died = run_command(data, tmp_path / "broken", *arguments, env={"TEST_KILL_AT": "27"})
    assert died.returncode == 23, died.stderr
    done = run_command(data, tmp_path / "broken", *arguments)
    assert done.returncode in (0, 11), done.stderr
    place = "shampoo/study_0/digits/trial_1"
    kept = []
    for rank in range(2):
        whole, broken = (state(tmp_path / run / place, 40, rank) for run in ("whole", "broken"))
        assert_same(whole[0]["model"], broken[0]["model"])
        assert_same(whole[1]["submission"], broken[1]["submission"])
        assert "optimizer" not in whole[0]["submission"]
        kept.append(whole[1]["submission"]["optimizer"]["state"])
    blocks = [{(p, name) for p, s in rank.items() for name in s if name != "step"} for rank in kept]
    assert blocks[0] and blocks[1] and not blocks[0] & blocks[1]


def test_values_that_travel_narrowly_are_narrow_on_one_rank_too() -> None:
    tensor = torch.tensor([1.0 + 2**-12])
    sharing.exchange([tensor], [0])
    assert tensor.item() == 1.0 + 2**-12
    sharing.exchange([tensor], [0], torch.bfloat16)
    assert tensor.item() == 1.0


def test_every_block_has_one_owner() -> None:
    shapes = ((2048, 3000), (512,), (7, 3, 3))
    plans = block_rule.make_plans(shapes, 1024, 1024, 1024, 8)
    assert [len(plan.cuts) for plan in plans] == [6, 1, 1]
    assert {owner for plan in plans for owner in plan.owned_by} == set(range(8))
    whole = block_rule.make_plans(shapes, None, 0, 0, 8)
    assert [plan.owned_by for plan in whole] == [(-1,)] * 3


@pytest.mark.parametrize("name", RULES)
def test_where_gradients_lie_in_memory_changes_no_bit(name: str) -> None:
    """DDP's buckets are laid out anew after a resume."""
    kind, settings = RULES[name]
    found = []
    for offset in (0, 1, 3):
        generator = torch.Generator().manual_seed(0)
        shapes = ((37, 53), (129,), (65, 67))
        params = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
        optimizer = kind(params, lr=0.05, **{**settings, **LARGE.get(kind, {})})
        for _ in range(5):
            for p in params:
                bucket = torch.empty(p.numel() + offset)
                bucket[offset:] = torch.randn(p.numel(), generator=generator)
                p.grad = bucket[offset:].view(p.shape)
            optimizer.step()
        found.append(torch.cat([p.detach().flatten() for p in params]))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@pytest.mark.parametrize("name", ("shampoo", "soap"))
def test_state_of_a_narrow_parameter_stays_wide_when_it_is_loaded(name: str) -> None:
    """torch would round it to the parameter's type."""
    kind, settings = RULES[name]
    p = torch.ones(4, 4, dtype=torch.bfloat16, requires_grad=True)
    first, second = (kind([p], lr=0.05, **settings) for _ in range(2))
    for step in range(4):
        p.grad = torch.randn(4, 4, generator=torch.Generator().manual_seed(step)).bfloat16()
        first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert all(value.dtype == torch.float32 for value in second.state[p].values())
    assert_same(first.state_dict(), second.state_dict())
