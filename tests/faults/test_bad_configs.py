"""Any wrong configuration is refused with one message, and leaves nothing behind."""

from hypothesis import HealthCheck, given, settings

from tests.faults.configs import refused, wrong_configs


@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(wrong=wrong_configs())
def test_refused(place, wrong):
    assert not refused(place.fresh(), wrong).lost
