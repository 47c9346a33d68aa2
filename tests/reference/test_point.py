"""From a search space file and a trial's number to hyperparameters."""

import json
import subprocess
import sys

import pytest

from algoperf_pt.errors import ConfigError
from algoperf_pt.tuning.points import points
from algoperf_pt.tuning.space import parse_space
from tests.reference.helpers import write
from tests.support.runs import ROOT, compose

LIST = [{"lr": 0.1, "beta": 0.9}, {"lr": 0.2, "beta": 0.8}]


@pytest.fixture
def settle(data, tmp_path):
    """The submission's part of a configuration with a space in a file."""
    path = write(tmp_path)

    def make(space, *overrides):
        (tmp_path / "space.json").write_text(space if isinstance(space, str) else json.dumps(space))
        chosen = ("submission=algoperf", f"submission.path={path}", "submission.space=space.json")
        return compose(data, tmp_path, *chosen, *overrides)["submission"]

    return make


def test_a_list_gives_each_trial_its_point(settle):
    first, second = settle(LIST), settle(LIST, "trial=2")
    assert (first["hparams"], second["hparams"]) == (LIST[0], LIST[1])
    assert first["points"] == LIST and first["space"] is None
    with pytest.raises(ConfigError, match="trial=3: the search space lists 2 points"):
        settle(LIST, "trial=3")


def test_ranges_give_each_trial_a_point_and_typed_values_win(settle):
    space = {"lr": {"min": 1e-4, "max": 1e-2, "scaling": "log"}, "beta": {"feasible_points": [0.9]}}
    drawn = points(parse_space(space, "here"), 15, seed=0)
    first, last = settle(space), settle(space, "study=2", "trial=5")
    assert (first["hparams"], last["hparams"]) == (drawn[0], drawn[14])
    assert first["space"] == space and first["points"] is None
    typed = settle(space, "+submission.hparams.lr=0.005")
    assert typed["hparams"] == {"lr": 0.005, "beta": 0.9}
    assert typed["point"] == {"from": "space", "typed": ["lr"]}
    assert settle(LIST, "+submission.hparams.lr=3.0")["hparams"] == {"lr": 3.0, "beta": 0.9}
    with pytest.raises(ConfigError, match="submission.hparams.rho: the search space has no such"):
        settle(LIST, "+submission.hparams.rho=0.1")


@pytest.mark.parametrize(
    "space, message",
    [
        ("{", "is no JSON"),
        ("[]", r"cannot be \[\]"),
        ("[3]", "point 1 is 3"),
        ({"lr": {"feasible_points": 0.9}}, "lr.feasible_points is 0.9"),
        ({"lr": 0.1}, "lr is 0.1"),
        ([{"not a name": 1}], "cannot be an attribute"),
    ],
)
def test_what_is_no_space_is_refused(settle, space, message):
    with pytest.raises(ConfigError, match=message):
        settle(space)


def test_files_that_are_not_there(data, tmp_path):
    path = f"submission.path={write(tmp_path)}"
    with pytest.raises(ConfigError, match="submission.space: there is no file nowhere.json"):
        compose(data, tmp_path, "submission=algoperf", path, "submission.space=nowhere.json")
    with pytest.raises(ConfigError, match="submission.path: there is no file .*/no/submission.py"):
        compose(data, tmp_path, "submission=algoperf", "submission.path=no/submission.py")
    with pytest.raises(ConfigError, match="submission.path has no value"):
        compose(data, tmp_path, "submission=algoperf")
    with pytest.raises(ConfigError, match="submission.space: there is no file a.json"):
        compose(data, tmp_path, "submission.space=a.json")


def test_the_driver_still_needs_no_torch():
    line = "import sys, algoperf_pt.config; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False", done.stderr


def test_the_configuration_records_the_file(data, tmp_path):
    chosen = ("submission=algoperf", f"submission.path={write(tmp_path)}")
    before = compose(data, tmp_path, *chosen)["submission"]["options"]["sha256"]
    write(tmp_path, "# another text")
    assert compose(data, tmp_path, *chosen)["submission"]["options"]["sha256"] != before
