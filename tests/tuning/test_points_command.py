"""Does `python -m algoperf_pt.points` print the points that trials take?"""

import json

import pytest

from algoperf_pt.points import main
from algoperf_pt.tuning.assignment import assigned
from algoperf_pt.tuning.points import points
from algoperf_pt.tuning.space import parse_space

RANGES = {"lr": {"min": 1e-4, "max": 1e-2, "scaling": "log"}}
SPACE = parse_space(RANGES, "here")


def printed(capsys, *arguments):
    main(list(arguments))
    return capsys.readouterr().out


def test_points_of_a_file(capsys, tmp_path):
    path = tmp_path / "space.json"
    path.write_text(json.dumps(RANGES))
    assert json.loads(printed(capsys, str(path), "--json")) == points(SPACE, 15)
    seeded = printed(capsys, str(path), "--n", "4", "--seed", "2", "--json")
    assert json.loads(seeded) == points(SPACE, 4, 2)
    lines = printed(capsys, str(path), "--n", "2").splitlines()
    assert [line.split() for line in lines] == [
        ["index", "lr"],
        *([str(i), f"{p['lr']:.6g}"] for i, p in enumerate(points(SPACE, 2))),
    ]


def test_who_takes_which(capsys, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("lr: {min: 1e-4, max: 1e-2, scaling: log}\n")
    words = (str(path), "--studies", "3", "--trials", "5", "--json")
    rows = json.loads(printed(capsys, *words))
    found = {(row["study"], row["trial"]): row["point"] for row in rows}
    assert found == assigned(SPACE, 3, 5, seed=0)


def test_points_of_a_submission_and_of_its_file(capsys, tmp_path):
    listed = json.loads(printed(capsys, "nadamw", "--json"))
    assert len(listed) == 5 and listed[0]["warmup_factor"] == 0.1
    (tmp_path / "submission").mkdir()
    path = tmp_path / "submission" / "mine.yaml"
    path.write_text(f"name: mine\nhparams: {{lr: 1}}\nspace: {json.dumps(RANGES)}\n")
    by_name = printed(capsys, "mine", "--config-dir", str(tmp_path), "--json")
    by_path = printed(capsys, str(path), "--json")
    assert json.loads(by_name) == json.loads(by_path) == points(SPACE, 15)


@pytest.mark.parametrize(
    "words, message",
    (
        (["nadaw"], "did you mean 'nadamw'?"),
        (["nadamw_self"], "neither points nor a space"),
        (["nowhere.json"], "no file nowhere.json"),
        (["adamw", "--n", "0"], "--n 0: impossible"),
        (["adamw", "--studies", "3"], "one of --studies and --trials"),
        (["adamw", "--studies", "3", "--trials", "5", "--n", "3"], "both say how many"),
        (["adamw", "--seed", "-1"], "the seed -1"),
    ),
)
def test_messages(capsys, words, message):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "name, text, message",
    (
        ("a.json", '{"lr": {"min": 1, "min": 2}}', "the key 'min' is there twice"),
        ("a.json", "{", "is no JSON"),
        ("a.yaml", "lr: {", "is no YAML"),
        ("a.yaml", "lr: {min: 1, max: 0, scaling: log}", "min 1 is larger than max 0"),
    ),
)
def test_files_that_are_wrong(capsys, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SystemExit):
        main([str(tmp_path / name)])
    error = capsys.readouterr().err
    assert message in error and name in error
