"""Which factor multiplies the peak learning rate at a step?  Small classes with closed forms; step
0 is the first update.

Source: the schedules of arXiv 2306.07179 (linear warm-up with cosine or linear decay), in the
PyTorch form of the reference.
"""

import math

_START = 1e-10  # factor of the first warm-up step: the reference starts there, not at 0


class Constant:
    """Always 1."""

    def __init__(self, step_hint: int) -> None:
        pass

    def __call__(self, step: int) -> float:
        return 1.0


class WarmupCosine:
    """Linear warm-up over W steps, then a cosine from 1 to 0 at the horizon H = horizon_factor *
    step_hint.

    Args:
        step_hint: of the workload, steps.
        warmup_factor: W as a share of H.
        warmup_steps: W itself, instead of the share.
        horizon_factor: H as a share of the step hint; target setting used int(0.75 * step_hint).
        integer_horizon: round H down.
        integer_warmup: round W down.  False is the archived AdamW: the peak is then never quite
            reached.
        after_horizon: "rise": the cosine goes up again, as in the reference's PyTorch runs; "zero":
            it stays at 0.
    """

    def __init__(
        self,
        step_hint: int,
        warmup_factor: float | None = None,
        warmup_steps: int | None = None,
        horizon_factor: float = 1.0,
        integer_horizon: bool = True,
        integer_warmup: bool = True,
        after_horizon: str = "rise",
    ) -> None:
        if after_horizon not in ("rise", "zero"):
            raise ValueError(
                f'WarmupCosine: after_horizon = {after_horizon!r}, expected "rise" or "zero"'
            )
        self.horizon = _horizon(step_hint, horizon_factor, integer_horizon)
        self.warmup = _warmup(self.horizon, warmup_factor, warmup_steps, integer_warmup)
        self.decay = max(self.horizon - self.warmup, 1)
        self._rise = after_horizon == "rise"

    def __call__(self, step: int) -> float:
        whole = math.floor(self.warmup)
        if step < self.warmup and (step < whole or whole != self.warmup):
            return self._ramp(step)
        # with a real-valued W the switch repeats the last warm-up value, and the cosine scales that
        peak, since = (
            (1.0, step - whole) if whole == self.warmup else (self._ramp(whole), step - whole - 1)
        )
        if not self._rise and since >= self.decay:
            return 0.0
        return peak * (1 + math.cos(math.pi * since / self.decay)) / 2

    def _ramp(self, step: int) -> float:
        return _START + (1 - _START) * step / self.warmup


class WarmupLinear:
    """Linear warm-up from 0 over W steps, then linear decay to `end_factor`, constant after it.

    Args:
        step_hint: of the workload, steps.
        warmup_factor, warmup_steps, horizon_factor: as in `WarmupCosine`.
        decay_steps_factor: share of the steps behind the warm-up over which the rate decays.
        end_factor: share of the peak at the end.
    """

    def __init__(
        self,
        step_hint: int,
        warmup_factor: float | None = None,
        warmup_steps: int | None = None,
        decay_steps_factor: float = 1.0,
        end_factor: float = 0.0,
        horizon_factor: float = 1.0,
    ) -> None:
        horizon = _horizon(step_hint, horizon_factor, integer=True)
        self.warmup = _warmup(horizon, warmup_factor, warmup_steps, integer=True)
        self.decay = max(int((horizon - self.warmup) * decay_steps_factor), 1)
        self.end_factor = end_factor

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return step / self.warmup
        done = min(step - self.warmup, self.decay) / self.decay
        return (1 - self.end_factor) * (1 - done) + self.end_factor


def _horizon(step_hint: int, factor: float, integer: bool) -> float:
    if not (step_hint > 0 and factor > 0):
        raise ValueError(f"horizon {factor!r} * {step_hint!r} steps, expected both above 0")
    horizon = step_hint * factor
    return int(horizon) if integer else horizon


def _warmup(horizon: float, factor: float | None, steps: int | None, integer: bool) -> float:
    if (factor is None) == (steps is None):
        raise ValueError(
            f"warmup_factor = {factor!r} and warmup_steps = {steps!r}, expected exactly one of them"
        )
    warmup = float(steps) if steps is not None else horizon * float(factor or 0.0)
    if not 0 <= warmup <= horizon:
        raise ValueError(
            f"a warm-up of {warmup!r} steps, expected from 0 to the horizon of {horizon!r}"
        )
    return int(warmup) if integer else warmup
