"""Does the table of costs count what an update computes, holds and sends?"""

import gc
import json
import weakref
from typing import Any

import pytest
import torch

from optimizers.muon import Muon, flops
from optimizers.shampoo import Shampoo
from optimizers.soap import Soap
from scripts import bench_optimizers
from scripts.bench_optimizers import main
from scripts.optimizer_costs import cost, put_counters, state_bytes


def parameter(*shape: int) -> torch.Tensor:
    p = torch.ones(shape, requires_grad=True)
    p.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return p


def test_a_table_of_one_small_workload(tmp_path, capsys):
    options = ["--workloads", "mnist", "--repeats", "2", "--step-ms", "mnist=10"]
    options += ["--rules", "nadamw", "muon_torch_self", "shampoo"]
    table = tmp_path / "table.md"
    assert main([*options, "--json", str(tmp_path / "rows.json"), "--markdown", str(table)]) == 0
    rows = {row["rule"]: row for row in json.loads((tmp_path / "rows.json").read_text())}
    assert list(rows) == ["nadamw", "muon_torch_self", "shampoo"]
    for row in rows.values():
        assert row["ms"] > 0 and row["adamw_ms"] > 0 and 0 < row["share"] < 100
    adam, muon = rows["nadamw"], rows["muon_torch_self"]
    matrices, elements = 784 * 128 + 128 * 10, 784 * 128 + 128 + 128 * 10 + 10
    assert adam["elements"] == elements and adam["sent_mb"] == adam["gflop"] == 0.0
    counters = 4 * 4  # a step number of 4 bytes for each tensor
    assert adam["state_per_param"] == pytest.approx(8 + counters / elements)
    assert muon["sent_mb"] == pytest.approx(2 * matrices / 2**20)
    held = 4 * matrices + 8 * (elements - matrices) + counters / 2
    assert muon["state_per_param"] == pytest.approx(held / elements)
    assert muon["gflop"] == pytest.approx((flops((128, 784)) + flops((10, 128))) / 1e9)
    assert rows["shampoo"]["rare_ms"] > rows["shampoo"]["ms"]
    lines = table.read_text().splitlines()
    assert len(lines) == 5 and {line.count("|") for line in lines} == {12}
    assert "x AdamW" in capsys.readouterr().out


def test_a_row_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of large models would fill the memory."""
    made: list[weakref.ref[object]] = []
    begin = bench_optimizers._Trial.__init__

    def noted(self: Any, *arguments: Any) -> None:
        assert all(reference() is None for reference in made)
        made.append(weakref.ref(self))
        begin(self, *arguments)

    monkeypatch.setattr(bench_optimizers._Trial, "__init__", noted)
    names = ["--workloads", "digits", "--rules", "nadamw", "heavy_ball", "adamw"]
    gc.disable()  # else the collector may happen to come by
    try:
        assert main([*names, "--repeats", "1"]) == 0
    finally:
        gc.enable()
    assert len(made) == 3


def test_what_costs_too_much_is_not_run(tmp_path):
    options = ["--workloads", "mnist", "--rules", "soap", "--limit-s", "1e-9"]
    assert main([*options, "--json", str(tmp_path / "rows.json")]) == 0
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert row["ms"] is None and row["note"].startswith("not run") and row["gflop"] > 0


def test_tables_that_do_not_fit_are_cut(tmp_path):
    options = ["--workloads", "criteo1tb", "--rules", "nadamw", "--repeats", "1"]
    assert main([*options, "--memory-gb", "0.6", "--json", str(tmp_path / "rows.json")]) == 0
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert row["elements"] < 2**29 / 32 and "tables cut: 1" in row["note"] and row["ms"] > 0


def test_an_unknown_name_is_an_error(capsys):
    assert main(["--workloads", "mnist", "--rules", "nobody"]) == 2
    assert "nobody" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rule", "products", "cube"), ((Shampoo, 2, 11.0), (Soap, 4, 2 + 8 / 3))
)
def test_operations_of_a_matrix_with_two_sides(rule: Any, products: int, cube: float) -> None:
    """One pair of products for statistics; one for Shampoo's direction, three for SOAP's."""
    settings = {"precondition_frequency": 5, "max_preconditioner_dim": 64}
    found = cost([rule([parameter(32, 48), parameter(0, 3)], **settings)])
    assert found.flops == products * 2 * 32 * 48 * (32 + 48)
    assert found.rare_flops == pytest.approx(cube * (32**3 + 48**3))
    assert found.period == 5 and found.sent == 4 * 32 * 48
    assert found.mean_flops == pytest.approx(found.flops + found.rare_flops / 5)


@pytest.mark.parametrize(("rule", "decompose"), ((Shampoo, "inverse_root"), (Soap, "_turn_basis")))
def test_counters_make_the_next_step_rare_or_not(rule: Any, decompose: str, monkeypatch) -> None:
    p = parameter(4, 4)
    optimizer = rule([p], precondition_frequency=4, max_preconditioner_dim=8)
    optimizer.step()
    calls: list[Any] = []
    module = rule.__module__
    monkeypatch.setattr(f"{module}.{decompose}", lambda *arguments: calls.append(arguments))
    put_counters([optimizer], rare=False)
    optimizer.step()
    assert not calls
    put_counters([optimizer], rare=True)
    optimizer.step()
    assert calls


def test_shared_memory_is_counted_once() -> None:
    tensor = torch.ones(8)
    assert state_bytes([{"a": tensor}, [tensor, (torch.ones(2),)]]) == 4 * 10


def test_vectors_cost_muon_no_products_elsewhere() -> None:
    assert cost([torch.optim.AdamW([parameter(3)])]).flops == 0.0
    assert cost([Muon([parameter(2, 6)])]).flops == flops((2, 6))
