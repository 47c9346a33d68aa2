"""python -m scoring.agreement on logs that lie in the tests."""

import shutil

import pytest

from scoring.agreement.__main__ import main
from tests.support.leaderboards import MADE_UP

LOGS = str(MADE_UP / "logs")


def test_logs_agree_with_themselves(capsys, tmp_path):
    flags = ["--rules-a", "0.6", "--rules-b", "0.6", "--resamples", "50", "--out", str(tmp_path)]
    assert main([LOGS, LOGS, *flags]) == 0
    printed = capsys.readouterr().out
    assert "Agreement of two orders" in printed and "A random order of" in printed
    rows = (tmp_path / "agreement.csv").read_text().splitlines()
    assert rows[1].split(",")[:3] == ["score", "score", "1.0"]
    assert (tmp_path / "agreement_pairs.csv").read_text().count("\n") == 1  # nobody moved


def test_one_set_of_logs_is_compared_with_its_own_studies(capsys):
    assert main([LOGS, "--rules-a", "0.6", "--time", "steps", "--resamples", "50"]) == 0
    printed = capsys.readouterr().out
    assert "Places by score and workload" in printed and "orders of studies" in printed


@pytest.mark.parametrize(
    "flags, code, told",
    [
        (["--rules-a", "7"], 2, "no rules of version '7'"),
        (["--rules-a", "0.6", "--resamples", "0"], 2, "--resamples 0"),
        (["--rules-a", "development", "--seed", "-1"], 2, "--seed -1"),
    ],
)
def test_a_flag_that_makes_no_sense(flags, code, told, capsys):
    assert main([LOGS, *flags]) == code
    assert told in capsys.readouterr().err


def test_nothing_in_common_says_what_is_there(tmp_path, capsys):
    source = next(path for path in sorted((MADE_UP / "logs").iterdir()) if path.is_dir())
    shutil.copytree(source, tmp_path / "another_one")
    assert main([LOGS, str(tmp_path), "--rules-a", "0.6", "--rules-b", "0.6"]) == 4
    told = capsys.readouterr().err
    assert "0 submissions are in both" in told and "another_one" in told
