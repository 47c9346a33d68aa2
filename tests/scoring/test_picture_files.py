"""Which files does a request for pictures write, and does it need matplotlib before?"""

import subprocess
import sys

import pytest

from scoring.pictures.draw import FORMATS, KINDS, draw
from tests.support.board import NAMES, board, runs


def test_one_picture_a_kind_one_a_workload_one_a_submission(tmp_path):
    written = draw(board(), runs(), tmp_path, KINDS, ("svg",))
    names = ["profile", "heat_map", "tau", "curves_ogbg", "curves_wmt", "curves_wmt_glu"]
    names += [f"hparams_{name}" for name in NAMES]
    assert [path.name for path in written] == [f"{name}.svg" for name in names]
    assert sorted(written) == sorted(tmp_path.iterdir())
    assert all(path.stat().st_size > 5000 for path in written)


def test_without_trials_there_is_nothing_to_draw_of_them(tmp_path):
    assert draw(board(), [], tmp_path, ("curves", "hparams"), FORMATS) == []


def test_steps_are_shares_of_the_most_steps(tmp_path):
    assert len(draw(board(timed=False), runs(), tmp_path, KINDS, ("png",))) == 9


def test_an_unknown_picture_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="'pie'.*heat_map"):
        draw(board(), [], tmp_path, ("pie",), FORMATS)


def test_matplotlib_is_not_imported_before_something_is_drawn():
    code = "import sys, scoring.pictures.draw, scoring.report.page\n"
    code += "print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
