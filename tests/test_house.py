"""The rules of the house that a machine can check: who imports whom, how long files are,
what configs hold."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"algoperf_pt", "timing", "workloads", "optimizers", "scoring", "scripts", "tests", "conf"}
OURS |= {"hydra_plugins"}
MAY_IMPORT = {
    "scoring": set(),
    "algoperf_pt": set(),
    "timing": {"algoperf_pt"},
    "workloads": {"algoperf_pt"},
    "optimizers": {"algoperf_pt"},
    "hydra_plugins": {"algoperf_pt"},
}
SHARED = {"image_classification", "initialisers", "text", "speech", "imagenet", "librispeech"}
LIGHT = ("cli", "config", "config_checks", "driver", "errors", "heartbeat", "help", "instantiate")
LIGHT += ("cores", "orphans", "records", "result", "schema", "seeds", "slurm", "spec", "status")
LIGHT += ("summary", "supervise")
PYTHON = [
    p for p in ROOT.rglob("*.py") if not {".venv", "build", "demo"} & set(p.relative_to(ROOT).parts)
]


def imports(path, top_level_only=False):
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_who_may_import_whom(package):
    for path in (ROOT / package).rglob("*.py"):
        own = path.relative_to(ROOT).parts[1]
        for module in imports(path):
            top, _, rest = module.partition(".")
            if top not in OURS or top in MAY_IMPORT[package]:
                continue
            second = rest.split(".")[0]
            same = top == package and (package != "workloads" or second in {own, *SHARED})
            assert same or _digits_on_mnist(own, second), f"{path} imports {module}"


def _digits_on_mnist(own, other):
    """digits is MNIST's workload on other raw files: conf/workload/digits.yaml says so."""
    return own == "digits" and other == "mnist"


def test_a_forbidden_import_would_be_found(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("def f():\n    from timing.ledger import Ledger\n")
    assert list(imports(path)) == ["timing.ledger"]


def test_the_driver_needs_no_torch():
    paths = [ROOT / "algoperf_pt" / f"{name}.py" for name in LIGHT]
    for folder in ("algoperf_pt/sweep", "hydra_plugins"):
        paths += (ROOT / folder).rglob("*.py")
    for name in paths:
        for module in imports(name, top_level_only=True):
            assert module.split(".")[0] not in {"torch", "lightning", "numpy", "matplotlib"}, (
                name,
                module,
            )


@pytest.mark.parametrize("path", PYTHON, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 400


def test_configs_are_short_and_say_why():
    for path in (ROOT / "conf").rglob("*.yaml"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 60, path
        assert lines[0].startswith("#"), f"{path} does not say what it is"


def test_no_numbers_of_the_rules_in_python():
    """Targets and budgets stand in conf/targets alone."""
    rules = ("30.8491", "0.123735", "0.77431", "43336", "58015", "66159", "69768", "12011")
    for path in PYTHON:
        if "tests" not in path.parts:
            found = [number for number in rules if number in path.read_text()]
            assert not found, f"{path}: {found}"


def test_names_of_test_files_are_unique():
    """Their folders are no packages, so pytest tells files apart by their names alone."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
