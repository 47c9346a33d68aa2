"""Does `python -m algoperf_pt.new` give a user what works at once, and refuse what cannot?"""

import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from algoperf_pt import new
from algoperf_pt.config import compose_config
from algoperf_pt.data.find_preparer import find_preparer
from algoperf_pt.errors import ConfigError
from algoperf_pt.instantiate import find_own_modules
from tests.support.runs import ROOT, environment
from workloads.mnist.prepare import MnistPreparer


def as_user(folder, *arguments):
    """A Python command in a folder, the project being installed."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment(), capture_output=True, text=True
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", new.KINDS)
def test_what_is_written_passes_its_own_tests(kind, tmp_path):
    done = as_user(tmp_path, "-m", "algoperf_pt.new", kind, "my_first")
    assert done.returncode == 0, done.stderr
    assert f"my_first/conf/{kind}/my_first.yaml" in done.stdout
    tested = as_user(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "my_first")
    assert tested.returncode == 0 and " passed" in tested.stdout, tested.stdout + tested.stderr
    assert "skipped" not in tested.stdout
    style = as_user(tmp_path, "-m", "flake8", "--max-line-length=100", "my_first")
    assert not style.stdout


@pytest.mark.parametrize("kind", new.KINDS)
def test_the_name_stands_everywhere(kind, tmp_path):
    folder = new.new(kind, "one_more_2", tmp_path)
    texts = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    names = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    assert "test_one_more_2.py" in names and not any("NAME" in n or "txt" in n for n in names)
    assert not any(word in text for text in texts for word in ("$name", "$Class", "$$"))
    assert any("class OneMore2" in text for text in texts)


@pytest.mark.parametrize("name", ["2fast", "My_opt", "my-opt", "my opt", "_x", "x__y", "class", ""])
def test_names_that_are_no_names(name, tmp_path):
    with pytest.raises(ConfigError, match="no name for a submission"):
        new.new("submission", name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "kind, name", [("submission", "nadamw"), ("workload", "digits"), ("submission", "torch")]
)
def test_names_that_are_taken(kind, name, tmp_path):
    with pytest.raises(ConfigError, match=f"{name!r} already"):
        new.new(kind, name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "optimizer.py").write_text("precious")
    with pytest.raises(SystemExit) as ended:
        new.main(["submission", "mine", "--out", str(tmp_path)])
    assert ended.value.code == 2 and "exists" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["optimizer.py"]
    assert (tmp_path / "mine" / "optimizer.py").read_text() == "precious"


@pytest.mark.parametrize("version", ["v05", "v06", "v10"])
def test_a_workload_brings_its_target_under_every_version(version, tmp_path):
    folder = new.new("workload", "my_own", tmp_path)
    words = ["workload=my_own", f"targets={version}"]
    targets = compose_config(words, str(folder / "conf"), needs_data=False)["targets"]
    assert targets["version"] == {"v05": "0.5", "v06": "0.6", "v10": "1.0"}[version]
    assert targets["workloads"]["my_own"]["metric"] == "accuracy"


def own(folder, name, text):
    (folder / "workload").mkdir(exist_ok=True)
    (folder / "workload" / f"{name}.yaml").write_text(text)
    return folder


def test_the_preparer_of_an_own_variant_is_that_of_what_it_builds_on(tmp_path):
    own(tmp_path, "drawn", "defaults: [mnist_tiny, _self_]\nname: drawn\n")
    own(tmp_path, "redrawn", "defaults: [drawn, _self_]\nname: redrawn\n")
    found = find_preparer("redrawn", ["validation_rows=7"], tmp_path)
    assert isinstance(found, MnistPreparer) and found.validation_rows == 7
    with pytest.raises(ConfigError, match="no workload or dataset 'drawn'"):
        find_preparer("drawn")


def test_ours_comes_before_an_own_workload_of_the_same_name(tmp_path):
    own(tmp_path, "mnist", "name: mnist\nprepare: {_target_: nothing.Here}\n")
    assert isinstance(find_preparer("mnist", (), tmp_path), MnistPreparer)


def test_a_workload_that_does_not_say_how_it_is_prepared(tmp_path):
    with pytest.raises(ConfigError, match="does not say how its data are prepared"):
        find_preparer("bare", (), own(tmp_path, "bare", "name: bare\n"))
    with pytest.raises(ConfigError, match="is no folder"):
        find_preparer("bare", (), tmp_path / "nowhere")


def test_a_folder_conf_of_the_user_does_not_hide_ours(tmp_path, monkeypatch):
    """Under an editable install our folder is on no path, and a plain folder came first."""
    (tmp_path / "conf").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    find_own_modules()
    assert PathFinder.find_spec("conf", sys.path).origin == str(ROOT / "conf" / "__init__.py")
    assert sys.path == [str(tmp_path), str(ROOT)]
    monkeypatch.setattr(sys, "path", [])
    find_own_modules()
    assert sys.path == [str(ROOT), str(Path.cwd())]
