"""How long does one training step of a workload take, without data?  On a made-up batch, with
NAdamW, not compiled: the shapes are the workload's, the machine is what differs.
"""

from typing import Any

import torch

from algoperf_pt.bench import find_bench
from algoperf_pt.bench_run import REFERENCE_SUBMISSION
from algoperf_pt.bench_steps import TrainingStep
from algoperf_pt.calibrate.timed import figures, timed
from algoperf_pt.versions import compose_somehow

_DEVICES = 8  # of the machine of the budgets: a device's part of the baseline's batch


def step_of(
    workload: str, device: torch.device, threads: int, rows: int | None, repeats: int
) -> dict[str, Any]:
    """The figures, and the size that they belong to.

    Args:
        workload: name in conf/workload.
        device: where.
        threads: of the CPU.
        rows: of the batch; None: an eighth of the baseline's.
        repeats: steps that count.

    Raises:
        ConfigError: no such workload, or it makes no batches without data.
    """
    words = [f"workload={workload}", f"submission={REFERENCE_SUBMISSION}"]
    words += [f"trainer.accelerator={device.type}", f"trainer.threads={threads}"]
    config, _ = compose_somehow([*words, "trainer.compile=false"])
    bench = find_bench(config)
    count = rows or max(1, config["workload"]["baseline_batch_size"] // _DEVICES)
    batch = bench.train_batch(count, torch.Generator().manual_seed(0))
    there = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
    training = TrainingStep(config, bench.stand_in())
    times = timed(lambda: training(there), device, repeats)
    return {**figures(times.wall), "size": {"rows": count, **bench.shape(batch)}}
