"""A few cases of each fault of the campaign (scripts/fault_campaign.py does them all)."""

import pytest

from tests.faults.campaign import FAULTS
from tests.faults.table import Fault, Row, Seen, markdown, run

SEED = 1


def _marked(fault):
    marks = [pytest.mark.slow] if fault.slow else []
    marks += [pytest.mark.ddp] if "two ranks" in fault.name else []
    return pytest.param(fault, id=fault.name, marks=[*marks, pytest.mark.timeout(300)])


@pytest.mark.parametrize("fault", [_marked(fault) for fault in FAULTS if fault.few])
def test_survived(place, fault):
    row = run(fault, place, fault.few, SEED)
    assert not row.wrong, row.wrong
    assert sum(row.outcomes.values()) == fault.few


def test_what_is_lost_or_unexpected_shows_in_the_table(place):
    good, lost = Seen("good (0)", "/a/b-1/c.txt: fine | <b>"), Seen("good (0)", "", "a row")
    ends = iter([good, lost, Seen("odd (1)")])
    fault = Fault("harm", "rows", lambda place, rng: next(ends), 4, 1, ("good",))
    row = run(fault, place, 4, SEED)  # the fourth raises
    assert [text.partition(": ")[2] for text in row.wrong[:2]] == ["good (0): a row", "odd (1): "]
    assert "could not be done: StopIteration" in row.wrong[2]
    line = markdown([row]).splitlines()[2]
    assert line.startswith("| harm | 4 | 2 good (0), 1 odd (1), ")
    assert ".../c.txt: fine / &lt;b>" in line
    assert "**3 NOT**: rows" in line
    assert "NOT" not in markdown([Row(fault)])


def test_the_same_seed_does_the_same(place):
    drawn = []
    fault = Fault("x", "", lambda place, rng: drawn.append(rng.random()) or Seen("a"), 2, 1, ("a",))
    run(fault, place, 2, 5), run(fault, place, 2, 5), run(fault, place, 2, 6)
    assert drawn[:2] == drawn[2:4] and len(set(drawn)) == 4
