"""Which factor multiplies the peak learning rate at a step?  Small classes with closed forms.

A schedule is built with the workload's step hint (steps) and called with the 0-based global step:
`schedule(0)` belongs to the first update.  H is the horizon, W the warm-up; both in steps.

Source: Dahl et al., arXiv 2306.07179 (linear warm-up with cosine or linear decay), in the PyTorch
form of its reference implementation.
"""

import math

START = 1e-10  # factor of the first cosine warm-up step: the reference starts there, not at 0
WARMUP_FACTOR = 0.05  # share of the horizon; the one value in all spaces of the paper's baselines


class Constant:
    """Always 1."""

    def __init__(self, step_hint: int | None = None) -> None:
        """Takes the step hint like the others, and needs none."""

    def __call__(self, step: int) -> float:
        return 1.0


class WarmupCosine:
    """Linear warm-up over W steps, then a cosine from 1 at W to 0 at H.

    Args:
        step_hint: of the workload, steps.
        warmup_factor: W as a share of H; 0.05 where neither this nor `warmup_steps` is given.
        horizon_factor: H as a share of the step hint; target setting used 0.75.
        warmup_steps: W itself, instead of the share.
        integer_horizon: round H down.
        integer_warmup: round W down.  False is the archived AdamW: the switch then falls between
            two steps, and the peak is missed by up to 1 / W.
        after_horizon: "reference": the cosine climbs again, back to 1 at 2 H - W, as torch's is
            periodic and published runs went past H with it; "zero": it stays at 0.
        start: factor of step 0.  Files in JAX start at 0, and stay at 0 after the horizon.

    W = 0 starts at 1 (with torch 2.5.1 the reference's composition stays at 1e-10 up to H).

    Raises:
        ValueError: a value out of range, or two warm-ups.
    """

    def __init__(
        self,
        step_hint: int,
        warmup_factor: float | None = None,
        horizon_factor: float = 1.0,
        warmup_steps: int | None = None,
        integer_horizon: bool = True,
        integer_warmup: bool = True,
        after_horizon: str = "reference",
        start: float = START,
    ) -> None:
        _check("start", start, 0 <= start <= 1, "a factor from 0 to 1")
        self.start = start
        known = after_horizon in ("reference", "zero")
        _check("after_horizon", after_horizon, known, "'reference' or 'zero'")
        self.horizon = _horizon(step_hint, horizon_factor, integer_horizon)
        self.warmup = _warmup(self.horizon, warmup_factor, warmup_steps, integer_warmup)
        self.decay = max(self.horizon - self.warmup, 1)
        self._stays_at_zero = after_horizon == "zero"
        # a W between two steps: the step behind it repeats the last warm-up factor, and the cosine
        # starts there and scales that factor
        whole = int(self.warmup)
        between = whole != self.warmup
        self._start = whole + 1 if between else whole
        self._peak = self._ramp(whole) if between else 1.0

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self._ramp(step)
        since = step - self._start
        if self._stays_at_zero and since >= self.decay:
            return 0.0
        return self._peak * (1 + math.cos(math.pi * since / self.decay)) / 2

    def _ramp(self, step: int) -> float:
        return self.start + (1 - self.start) * step / self.warmup


class WarmupCosineCycles:
    """Cycles of a linear warm-up over W steps and a cosine down to `floor`, where it stays.

    Args:
        step_hint, warmup_factor: as in `WarmupCosine`; W does not depend on the number of cycles.
        cycles: number of them, of the same length.
        floor: factor at the start and at the end.
        first_at_peak: step 0 has the peak, as in the published runs, whose scheduler began to act
            after the first update.

    Raises:
        ValueError: a value out of range; a warm-up longer than a cycle.
    """

    def __init__(
        self,
        step_hint: int,
        warmup_factor: float | None = None,
        cycles: int = 1,
        floor: float = START,
        first_at_peak: bool = True,
    ) -> None:
        _check("cycles", cycles, cycles >= 1 and cycles == int(cycles), "a whole number above 0")
        _check("floor", floor, 0 <= floor <= 1, "a factor from 0 to 1")
        horizon = _horizon(step_hint, 1.0, integer=True)
        self.warmup = _warmup(horizon, warmup_factor, None, integer=True)
        self.length = horizon / cycles  # steps of a cycle, between two steps if need be
        fits = f"a share of at most 1 / {cycles}: a cycle has {self.length:g} steps"
        _check("warmup_factor", warmup_factor, self.warmup <= self.length, fits)
        self.cycles, self.floor, self.first_at_peak = cycles, floor, first_at_peak

    def __call__(self, step: int) -> float:
        if step == 0 and self.first_at_peak:
            return 1.0
        cycle = max(math.ceil(step / self.length) - 1, 0)  # the last step of one is its own
        if cycle >= self.cycles:
            return self.floor
        return self.floor + (1 - self.floor) * self._shape(step - cycle * self.length)

    def _shape(self, since: float) -> float:
        """From 0 to 1 and back, `since` steps after the start of a cycle."""
        if since < self.warmup:
            return since / self.warmup
        decay = max(self.length - self.warmup, 1)
        return (1 + math.cos(math.pi * (since - self.warmup) / decay)) / 2


class Warmup:
    """(k + 1) / W in step k < W, then 1 for ever: schedule-free rules need no decay.

    Args:
        step_hint: of the workload, steps.
        warmup_factor: W as a share of the horizon, rounded down.
        horizon_factor: horizon as a share of the step hint.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self, step_hint: int, warmup_factor: float = WARMUP_FACTOR, horizon_factor: float = 1.0
    ) -> None:
        _horizon(step_hint, horizon_factor, integer=False)
        _check("warmup_factor", warmup_factor, 0 <= warmup_factor <= 1, "a share from 0 to 1")
        self.warmup = int(warmup_factor * step_hint * horizon_factor)

    def __call__(self, step: int) -> float:
        return (step + 1) / self.warmup if step < self.warmup else 1.0


class WarmupLinear:
    """Linear warm-up from 0 over W steps, then linear decay to `end_factor`, constant after it.

    Args:
        step_hint, warmup_factor, horizon_factor, warmup_steps: as in `WarmupCosine`.
        decay_steps_factor: share of the steps from W to H over which the rate decays.
        end_factor: share of the peak at the end.

    Raises:
        ValueError: a value out of range, or two warm-ups.
    """

    def __init__(
        self,
        step_hint: int,
        warmup_factor: float | None = None,
        decay_steps_factor: float = 1.0,
        end_factor: float = 0.0,
        horizon_factor: float = 1.0,
        warmup_steps: int | None = None,
    ) -> None:
        share = "a share above 0 and at most 1"
        _check("decay_steps_factor", decay_steps_factor, 0 < decay_steps_factor <= 1, share)
        _check("end_factor", end_factor, 0 <= end_factor <= 1, "a share from 0 to 1")
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
    _check("step_hint", step_hint, 0 < step_hint < math.inf, "a number of steps above 0")
    _check("horizon_factor", factor, 0 < factor < math.inf, "a share of the step hint above 0")
    return int(step_hint * factor) if integer else step_hint * factor


def _warmup(horizon: float, factor: float | None, steps: int | None, integer: bool) -> float:
    if steps is None:
        factor = WARMUP_FACTOR if factor is None else factor
        _check("warmup_factor", factor, 0 <= factor <= 1, "a share of the horizon from 0 to 1")
        return int(factor * horizon) if integer else factor * horizon
    _check("warmup_factor", factor, factor is None, f"null beside warmup_steps = {steps}")
    expected = f"a whole number of steps from 0 to the horizon of {horizon}"
    _check("warmup_steps", steps, 0 <= steps <= horizon and steps == int(steps), expected)
    return int(steps)


def _check(name: str, value: object, good: bool, expected: str) -> None:
    if not good:
        raise ValueError(f"schedule: {name} = {value!r}, expected {expected}")
