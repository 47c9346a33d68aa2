"""Text logs: parsed as literals, NaN stays NaN, nothing is run."""

import math

import pytest

from scoring.errors import LogsError
from scoring.logs.text_log import read_text_log

LOG = """I0101 10:00:00 train.py:1] started
I0101 10:00:01 run.py:7] Metrics: {'eval_results': [(1, {'loss': 5.0})], 'global_step': 1}
I0101 10:00:02 run.py:9] --- Tuning run 1/5 ---
I0101 Metrics: {'eval_results': [(1, {'loss': DeviceArray(0.5, dtype=float32), 'n': 3}), \
(20, {'loss': nan, 'wer': -1e-3})], 'global_step': 20}
I0101 --- Tuning run 2/5 ---
I0101 Metrics: {'eval_results': [(7, {'loss': inf, 'note': "it's (nan)"})], 'global_step': 7}
"""


@pytest.fixture
def log(tmp_path):
    def written(text):
        path = tmp_path / "wmt_jax_01-02-2025-03-04-05.log"
        path.write_text(text)
        return path

    return written


def test_trials_and_metrics(log):
    found = read_text_log(log(LOG))
    assert list(found) == [0, 1, 2] and found[0] == {"loss": [5.0], "global_step": [1.0]}
    one = found[1]
    assert one["global_step"] == [1, 20] and one["loss"][0] == 0.5 and math.isnan(one["loss"][1])
    assert one["n"][0] == 3 and math.isnan(one["n"][1]) and one["wer"][1] == -0.001
    assert found[2] == {"loss": [math.inf], "global_step": [7.0]}


@pytest.mark.parametrize(
    "text, message",
    [
        ("nothing\n", "no line with"),
        ("Metrics: {'eval_results': [(1, {'a': __import__('os')})]}\n", ":1: .*no literal"),
        ("Metrics: {'eval_results': [(1, {'a': array(open('x'))})]}\n", "no literal"),
        ("Metrics: {'eval_results': [(1, {'a': 9**9**9})]}\n", "no literal"),
        ("Metrics: {'global_step': 1}\n", "eval_results"),
        ("Metrics: {'eval_results': " + "[" * 100_000 + "}\n", "eval_results"),
        ("Metrics: {'eval_results': [(1, {'a': " + "-" * 5000 + "1})]}\n", "eval_results"),
        ("Metrics: {'eval_results': [(1, 2)]}\n", "eval_results"),
        ("Metrics: {'a': 'it's'}\n", "eval_results"),
    ],
)
def test_what_is_no_log(log, text, message):
    with pytest.raises(LogsError, match=message):
        read_text_log(log(text))


def test_no_such_log(tmp_path):
    with pytest.raises(LogsError, match="not there"):
        read_text_log(tmp_path / "x.log")
