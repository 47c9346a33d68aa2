"""The full-size network against the golden numbers; and would they notice one that is nearly
right?"""

import math

import pytest
import torch
from torch.nn.functional import silu

from algoperf_pt.golden import Fixture
from scripts.parity import main, make_parity
from tests.support.runs import ROOT
from workloads.finewebedu_lm import model

FOLDER = ROOT / "tests" / "golden" / "finewebedu_lm"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_we_compute_what_the_reference_does(capsys):
    """3.5 GB: tests/scripts/test_parity.py leaves folders of this size out."""
    code = main(["--fixture", str(FOLDER)])
    text = capsys.readouterr().out
    assert code == 0, text
    assert "0 failed" in text and "not checked: nothing" in text


@pytest.fixture(scope="module")
def parity():
    """The comparison, its weights drawn once: a gigabyte."""
    return make_parity(Fixture(FOLDER), "finewebedu_lm", {})


def halves(x, cos, sin):
    """The other usual pairing: component j with component j + E / 2."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def silu_gate(x, dim):
    a, b = x.chunk(2, dim)
    return a * silu(b)


def by_width(q, k, v, **options):
    return torch.nn.functional.scaled_dot_product_attention(
        q, k, v, **{**options, "scale": 1 / math.sqrt(q.shape[-1])}
    )


def all_seeing(q, k, v, **options):
    return torch.nn.functional.scaled_dot_product_attention(
        q, k, v, **{**options, "is_causal": False}
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_network_that_is_nearly_right_is_noticed(parity, monkeypatch):
    key = "case0/s_loss_ls0_now_per_example"
    expected = parity.fixture.case["s_loss_ls0_now_per_example"]

    def error():
        batch = parity.case_batch("s")
        with torch.no_grad():
            logits = parity.in_case("s").eval()(batch)
        found = parity.case_loss("s", logits, masked=False).per_example
        return parity.compare(key, found, expected).error

    assert error() < 5e-5
    other = model.rotation_table(1024, 128, 10_000.0)
    buffers = parity.workload.model._buffers
    changes = {
        "half-split pairs": (model, "rotate", halves),
        "a SiLU gate": (model, "glu", silu_gate),
        "1 / sqrt(d)": (model, "scaled_dot_product_attention", by_width),
        "no mask": (model, "scaled_dot_product_attention", all_seeing),
        "no unit length": (model, "unit", lambda x: x),
        "no rotation": (model, "rotate", lambda x, cos, sin: x),
    }
    for name, change in changes.items():
        with monkeypatch.context() as patched:
            patched.setattr(*change)
            assert error() > 0.1, name
    with monkeypatch.context() as patched:
        patched.setitem(buffers, "cos", other[0])
        patched.setitem(buffers, "sin", other[1])
        assert error() > 0.1, "theta 10,000"
    assert error() < 5e-5
