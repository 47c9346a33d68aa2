"""A module beside submission.py: linear warm-up, then a cosine."""

from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR


def warmup_cosine(optimizer, step_hint, warmup_factor):
    """One scheduler, stepped once an update."""
    steps = int(warmup_factor * step_hint)
    parts = [
        LinearLR(optimizer, start_factor=1e-10, end_factor=1.0, total_iters=steps),
        CosineAnnealingLR(optimizer, T_max=max(step_hint - steps, 1)),
    ]
    return SequentialLR(optimizer, parts, milestones=[steps])
