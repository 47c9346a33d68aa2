"""On which tiny problem were the golden trajectories computed?  One network, one stream of batches.

Six parameters, 8 examples a step, everything from sines, so that nothing depends on a random number
generator.  tests/golden/optimizers.npz holds the parameters after steps 1, 2, 5 and 20.

Shapes: N = 8 examples, C = 3 classes.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from algoperf_pt.updates import Update

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKED_STEPS = (1, 2, 5, 20)
SHAPES = {
    "conv": (4, 2, 3, 3),
    "w1": (6, 16),
    "b1": (6,),
    "g": (6,),
    "w2": (3, 6),
    "b2": (3,),
}


def parameters() -> dict[str, Tensor]:
    """The six start values: weights 0.5 z, biases 0.1 z, the scale g 1 + 0.1 z."""
    scales = {"b1": (0.0, 0.1), "b2": (0.0, 0.1), "g": (1.0, 0.1)}
    made = {}
    for j, (name, shape) in enumerate(SHAPES.items()):
        z = np.sin(0.7 * np.arange(np.prod(shape)) + 1.3 * j + 0.25).reshape(shape)
        shift, scale = scales.get(name, (0.0, 0.5))
        made[name] = torch.tensor(shift + scale * z, dtype=torch.float32, requires_grad=True)
    return made


def batch(step: int) -> tuple[Tensor, Tensor]:
    """Inputs [N, 2, 5, 5] and targets [N] of a 0-based step."""
    i = np.arange(8 * 2 * 5 * 5)
    x = np.sin(0.37 * i + 0.9 * step) + 0.5 * np.cos(1.3 * i - 0.2 * step)
    targets = (7 * np.arange(8) + 3 + step) % 3
    return torch.tensor(x, dtype=torch.float32).reshape(8, 2, 5, 5), torch.tensor(targets)


def loss(p: dict[str, Tensor], step: int, label_smoothing: float) -> Tensor:
    """Mean cross entropy over the batch of a step."""
    x, targets = batch(step)
    h = torch.tanh(F.conv2d(x, p["conv"]))  # [N, 4, 3, 3]
    h = F.avg_pool2d(h, 2, stride=1).flatten(1)  # [N, 16]
    h = F.linear(h, p["w1"], p["b1"])  # [N, 6]
    h = torch.tanh(F.layer_norm(h, (6,), eps=1e-5) * p["g"])
    logits = F.linear(h, p["w2"], p["b2"])  # [N, C]
    return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)


def train(
    make_optimizer: Callable[[Iterable[Tensor]], torch.optim.Optimizer],
    schedule: Callable[[int], float] | None = None,
    label_smoothing: float = 0.0,
    grad_clip: float | None = None,
    steps: int = 20,
) -> dict[str, np.ndarray]:
    """The trajectory with the golden file's keys: step<k>/<parameter>, loss, lr."""
    p = parameters()
    optimizer = make_optimizer(p.values())
    peaks = [group["lr"] for group in optimizer.param_groups]
    seen: dict[str, Any] = {"loss": [], "lr": []}
    for step in range(steps):
        for group, peak in zip(optimizer.param_groups, peaks):
            group["lr"] = peak * (schedule(step) if schedule else 1.0)

        def closure() -> Tensor:
            optimizer.zero_grad()
            value = loss(p, step, label_smoothing)
            value.backward()
            if grad_clip is not None:
                torch.nn.utils.clip_grad_norm_(p.values(), grad_clip)
            return value

        value: Any
        if Update(optimizer).needs_closure:
            value = optimizer.step(closure)
        else:
            value = closure()
            optimizer.step()
        seen["loss"].append(value.item())
        seen["lr"].append([group["lr"] for group in optimizer.param_groups])
        if step + 1 in CHECKED_STEPS:
            seen |= {f"step{step + 1}/{n}": t.detach().numpy().copy() for n, t in p.items()}
    return {key: np.asarray(values) for key, values in seen.items()}


def meta() -> dict[str, Any]:
    """For each golden case its hyperparameters, label smoothing, clipping and step hint."""
    cases: dict[str, Any] = json.loads((GOLDEN / "optimizers_meta.json").read_text())
    return cases


def largest_error(
    case: str, found: dict[str, np.ndarray], leave_out: tuple[str, ...] = ()
) -> float:
    """Largest |found - golden| / max |golden| over the tensors of a case, losses and rates too.

    `leave_out`: "lr" where the published class has a warm-up of its own, which no group shows.
    """
    errors = []
    with np.load(GOLDEN / "optimizers.npz", allow_pickle=False) as golden:
        for key in (k for k in golden.files if k.startswith(f"{case}/")):
            if key.removeprefix(f"{case}/") in leave_out:
                continue
            expected = golden[key]
            error = np.abs(found[key.removeprefix(f"{case}/")] - expected).max()
            errors.append(error / np.abs(expected).max())
    assert errors, f"no golden values for {case}"
    return float(max(errors))
