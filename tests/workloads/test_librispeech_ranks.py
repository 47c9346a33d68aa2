"""Batch norms over the global batch: two ranks give the losses, gradients and statistics of one."""

import pytest
import torch
from torch import distributed, multiprocessing, nn

from workloads.librispeech.conformer import Conformer
from workloads.librispeech.deepspeech import DeepSpeech
from workloads.librispeech.lengths import padded_samples
from workloads.librispeech.masked_norm import MaskedBatchNorm

SIZES = {"vocab_size": 12, "width": 16, "dropout_rate": 0.0, "rows_at_once": 2}
LENGTHS = torch.tensor([9_000, 4_000, 17_200, 9_100])  # samples; rank 0 has the longest


def network(kind):
    """With drawn parameters, so that none is 0 by its start."""
    model, generator = kind(**SIZES), torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.0, 0.1, generator=generator)
    return model.train()


def run(rank, world, folder):
    """One pass over this rank's rows; every rank saves sums over ranks, and its statistics."""
    torch.set_num_threads(1)
    if world > 1:
        address = f"file://{folder}/meet"
        distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=world)
    found = {kind.__name__: passed(kind, rank, world) for kind in (Conformer, DeepSpeech)}
    torch.save(found, folder / f"{world}_{rank}.pt")
    if world > 1:
        distributed.destroy_process_group()


def passed(kind, rank, world):
    """Loss, gradients, running statistics."""
    model, rows = network(kind), slice(rank, None, world)
    width = padded_samples(int(LENGTHS[rows].max()))  # ranks differ
    samples = torch.randint(-9_000, 9_000, (4, 20_000), generator=torch.Generator().manual_seed(1))
    loss = model(samples[rows, :width], LENGTHS[rows]).square().sum()
    loss.backward()
    values = [loss.detach(), *(parameter.grad for parameter in model.parameters())]
    if world > 1:
        for value in values:
            distributed.all_reduce(value)
    norms = (module for module in model.modules() if isinstance(module, MaskedBatchNorm))
    return {"summed": values, "own": [buffer for norm in norms for buffer in norm.buffers()]}


@pytest.mark.slow
@pytest.mark.ddp
def test_two_ranks_equal_one(tmp_path):
    run(0, 1, tmp_path)
    multiprocessing.spawn(run, (2, tmp_path), nprocs=2)
    one, *both = (torch.load(tmp_path / name) for name in ("1_0.pt", "2_0.pt", "2_1.pt"))
    for kind, wanted in one.items():
        assert len(wanted["own"]) >= 4
        for two in both:
            for a, b in zip(two[kind]["own"], wanted["own"]):
                assert torch.allclose(a, b, rtol=1e-6, atol=1e-8)
            largest = max(value.abs().max() for value in wanted["summed"][1:])
            for a, b in zip(two[kind]["summed"], wanted["summed"]):
                assert torch.allclose(a, b, rtol=1e-3, atol=1e-6 * largest)
