"""Comparisons with golden numbers, for tests that make them fail."""

import re

from algoperf_pt.golden import Fixture
from scripts.parity import make_parity
from tests.support.runs import ROOT

GOLDEN = ROOT / "tests" / "golden"


def compared(name):
    """The comparison of a workload with its folder of golden numbers."""
    return make_parity(Fixture(GOLDEN / name), name, {})


def failed(parity, pattern):
    """Keys of the pattern that are out of tolerance; at least one is compared."""
    answers, found = parity.answers(), {}
    for file in parity.fixture.files.values():
        for key in file:
            full = f"{file.name}/{key}"
            hits = ((re.fullmatch(p, full), answers[p]) for p in answers)
            match, answer = next(((m, a) for m, a in hits if m), (None, None))
            if match and re.fullmatch(pattern, full):
                found[full] = parity.compare(full, answer(*match.groups()), file[key]).ok
    assert found
    return {key for key, ok in found.items() if not ok}


def modules(parity, kind):
    """Modules of the model that are of a class."""
    return [module for module in parity.workload.model.modules() if isinstance(module, kind)]
