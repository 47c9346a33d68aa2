"""`train.py ... | head`: a trial goes on when nobody reads what it prints."""

import subprocess

import pytest

from tests.support.runs import command, environment, result, rows
from tests.support.sweeps import SOON

FOLDER = "nadamw/study_0/digits/trial_1"


@pytest.mark.parametrize("many", [False, True])
def test_a_trial_outlives_the_reader_of_its_output(data, tmp_path, many):
    words = ["max_steps=400", "eval_every_steps=20"] if not many else [*SOON, "study=0", "trial=1"]
    line = command(data, tmp_path, *(["-m"] if many else []), *words, "display=plain")
    process = subprocess.Popen(
        line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait(120) in (0, 11), stderr
    assert result(tmp_path / FOLDER)["status"] in ("reached", "step_limit") and stderr == ""
    assert len(rows(tmp_path / FOLDER)) >= 2
