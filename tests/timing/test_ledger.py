"""The books of the clock: closes the reference's open wish for a test that times add up (its issue
452).
"""

import random

import pytest

from timing.ledger import AUDIT_SECONDS, BUCKETS, TIMED, Ledger


class FakeClock:
    def __init__(self, t: float) -> None:
        self.t = t

    def __call__(self) -> float:
        return self.t


@pytest.mark.parametrize("seed", range(20))
def test_parts_add_up_to_the_whole(seed):
    rng, clock = random.Random(seed), FakeClock(100.0)
    ledger = Ledger(clock, clock)
    ledger.start("data")
    timed, open_bucket = 0.0, "data"
    for _ in range(200):
        passed = rng.expovariate(1.0)
        clock.t += passed
        timed += passed if open_bucket in TIMED else 0.0
        assert ledger.timed() == pytest.approx(timed, rel=1e-12, abs=1e-9)
        assert ledger.switch(open_bucket := rng.choice(BUCKETS)) in BUCKETS
    assert ledger.total() == pytest.approx(clock.t - 100.0, rel=1e-12)
    assert ledger.adds_up()


def test_unknown_bucket_is_an_error():
    with pytest.raises(KeyError, match="no bucket 'coffee'"):
        Ledger().switch("coffee")


def test_audit_sees_a_clock_that_jumps():
    clock, raw = FakeClock(0.0), FakeClock(0.0)
    ledger = Ledger(clock, raw)
    ledger.start()
    clock.t = raw.t = 100.0
    assert ledger.adds_up()
    clock.t += 0.09
    assert ledger.adds_up()  # 0.09 %
    clock.t += 0.02 + AUDIT_SECONDS
    assert not ledger.adds_up()
    gap, wall = ledger.discrepancy()
    assert gap == pytest.approx(0.112, abs=1e-9) and wall == 100.0


def test_state_goes_on_where_it_was_and_lost_work_is_charged():
    clock = FakeClock(0.0)
    ledger = Ledger(clock, clock)
    ledger.start("step")
    clock.t = 5.0
    state = ledger.state_dict()
    clock.t = 1000.0
    resumed = Ledger(clock, clock)
    resumed.load_state_dict(state)
    resumed.charge_lost(2.0)
    resumed.start("data")
    clock.t = 1003.0
    assert resumed.timed() == pytest.approx(5.0 + 2.0 + 3.0)
    assert resumed.spent["lost"] == 2.0
    assert resumed.adds_up()  # the audit covers this attempt


def test_real_clock_adds_up():
    ledger = Ledger()
    ledger.start()
    for bucket in BUCKETS * 200:
        ledger.switch(bucket)
    gap, _ = ledger.discrepancy()
    assert gap <= AUDIT_SECONDS


def test_being_set_aside_between_two_readings_is_no_discrepancy():
    """A scheduler may stop the process between the readings of the two clocks."""
    clock, pauses = FakeClock(0.0), iter([0.004, 0.0, 0.0, 0.007, 0.0, 0.0] + [0.0] * 100)

    def raw():
        clock.t += next(pauses)
        return clock.t

    ledger = Ledger(clock, raw)
    ledger.start()
    clock.t += 1.0
    gap, wall = ledger.discrepancy()
    assert gap == pytest.approx(0.0, abs=1e-9) and wall == pytest.approx(1.0, abs=1e-2)


def test_doubt_is_known_when_every_pair_is_torn():
    clock = FakeClock(0.0)

    def raw():
        clock.t += 0.003
        return clock.t

    ledger = Ledger(clock, raw)
    ledger.start()
    clock.t += 1.0
    assert ledger.adds_up()
    clock.t += 1.0
    ledger._mark -= 0.5  # half a second that the other clock has not seen
    assert not ledger.adds_up()
