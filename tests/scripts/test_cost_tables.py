"""Do the tables of costs show what was measured, on all workloads side by side?"""

import json

import pytest

from scripts.cost_tables import main, read_costs, read_steps

ROW = {
    "workload": "ogbg",
    "rule": "soap",
    "ms": 500.0,
    "ratio": 50.0,
    "state_per_param": 39.5,
    "sent_mb": 13.6,
    "gflop": 39.2,
    "over_products": 1.25,
    "rare_ms": None,
}


@pytest.fixture
def files(tmp_path):
    """Costs on two workloads, one of them not run at first; a step of ogbg with an eighth of the
    512 molecules, a fifth of which was the update."""
    plain = {**ROW, "rule": "adamw", "ms": 8.25, "ratio": 0.9, "gflop": 0.0, "over_products": None}
    missing = {**ROW, "workload": "wmt", "ms": None, "ratio": None, "state_per_param": None}
    contents = {"a": [ROW, plain], "b": [missing], "c": [{**ROW, "workload": "wmt"}]}
    for name, rows in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    parts = {"forward": 3.0, "loss": 0.0, "backward": 5.0, "update": 2.0}
    line = {"workload": "ogbg", "what": "step", "batch": 64, "cpu_ms": 100.0, "parts_ms": parts}
    (tmp_path / "ogbg.steps").write_text(json.dumps(line) + '\n{"what": "eval"}\n')
    return tmp_path


def test_what_was_measured_counts_whatever_the_order_of_files(files):
    for names in ("abc", "cba"):
        rows = read_costs(files / f"{name}.json" for name in names)
        assert len(rows) == 3 and rows["wmt", "soap"]["ms"] == 500.0


def test_a_step_of_the_baseline_batch(files):
    assert read_steps([files / "ogbg.steps"]) == {"ogbg": pytest.approx(8 * 80.0)}


def test_the_tables(files, capsys):
    costs = [str(files / f"{name}.json") for name in "ab"]
    assert main([*costs, "--steps", str(files / "ogbg.steps")]) == 0
    times, shares, state, products = capsys.readouterr().out.strip().split("\n\n")
    assert times.splitlines() == [
        "| rule | ogbg | wmt |",
        "| --- | ---: | ---: |",
        "| `soap` | 500 (50.00) | – |",
        "| `adamw` | 8.2 (0.90) | – |",
    ]
    assert "| `soap` | 44 | – |" in shares and "| `adamw` | 1.3 | – |" in shares
    assert "| `soap` | 39.50 | – |" in state
    assert "| ogbg | `soap` | 13.6 | 39.2 | 500.0 | 1.2 | – |" in products
    assert "adamw" not in products
