"""Which dropout rate has a step?  Schedules for `dropout_rate` in conf/submission.

    dropout_rate: {_target_: optimizers.dropout.LinearDropout, first: 0.0, last: 0.1, share: 0.5}

No published run changed its dropout; these are ours.
"""


class LinearDropout:
    """From one rate to another over a share of the step hint, constant after it.

    Args:
        step_hint: of the workload, steps.
        first, last: rates of step 0 and of the end.
        share: of the step hint, until which the rate changes.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(self, step_hint: int, first: float, last: float, share: float = 1.0) -> None:
        for name, rate in (("first", first), ("last", last)):
            _check(name, rate, 0.0 <= rate < 1.0, "a rate from 0 to below 1")
        _check("share", share, 0.0 < share, "a share of the step hint above 0")
        self.first, self.last, self.steps = first, last, share * step_hint

    def __call__(self, step: int) -> float:
        done = min(step / self.steps, 1.0)
        return (1 - done) * self.first + done * self.last


def _check(name: str, value: float, good: bool, expected: str) -> None:
    if not good:
        raise ValueError(f"dropout: {name} = {value!r}, expected {expected}")
