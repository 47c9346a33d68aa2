"""Which schedule has Distributed Shampoo?  A warm-up, then a cosine unless a point says no."""

from optimizers.schedules import WarmupCosine


class WarmupCosineOrConstant:
    """Linear warm-up over W steps, then a cosine to 0 at H, or no decay.

    Args:
        step_hint: of the workload, steps.
        warmup_factor: W as a share of H.
        horizon_factor: H as a share of the step hint; not rounded.
        use_cosine_decay: False: the factor stays at 1 from W on.
    """

    def __init__(
        self,
        step_hint: int,
        warmup_factor: float,
        horizon_factor: float = 1.0,
        use_cosine_decay: bool = True,
    ) -> None:
        self.cosine = WarmupCosine(
            step_hint, warmup_factor, horizon_factor, integer_horizon=False
        )
        self.use_cosine_decay = use_cosine_decay

    def __call__(self, step: int) -> float:
        warm = step >= self.cosine.warmup
        return 1.0 if warm and not self.use_cosine_decay else self.cosine(step)
