"""Is every way to cheat seen, and called by its name?"""

import shutil
from pathlib import Path

import pytest
import torch

from algoperf_pt.assemble import make_workload
from algoperf_pt.check.findings import CHECKS, FAIL, WARN
from algoperf_pt.config import compose_config
from algoperf_pt.spec import make_spec

HERE = Path(__file__).parent / "cheats"

# cheat -> (check, verdict, part of the evidence), the others being passes
CHEATS = {
    "replaces_parameters": [("parameters", FAIL, "was replaced by another tensor")],
    "freezes": [("parameters", FAIL, "frozen: ")],
    "trains_while_judged": [
        ("pause", FAIL, "while the clock stood"),  # its CPU time, or what it changed
        ("pause", WARN, "threading.Thread() starts work"),
    ],
    "slows_the_clock": [
        ("clock", FAIL, "time.perf_counter"),
        ("clock", WARN, "assigns to time.monotonic"),
    ],
    "slows_the_ledger": [("clock", FAIL, "ledger._now"), ("private", WARN, "gc.get_objects()")],
    "reads_test_rows": [
        ("data", FAIL, "rows of the test split"),
        ("data", FAIL, "opened test-000000.tar, a file of the test split"),
        ("private", WARN, "uses _WorkloadView__workload"),
    ],
    "opens_test_files": [
        ("data", FAIL, "opened test-000000.tar, a file of the test split"),
        ("lookups", WARN, "open() reads a file"),
    ],
    "knows_names": [
        ("names", WARN, "holds the workload's name 'digits'"),
        ("names", WARN, "reads workload.spec.name"),
    ],
    "knows_shapes": [
        ("shapes", WARN, "is a table by shapes or sizes with 3 entries"),
        ("shapes", WARN, "133521408"),
        ("shapes", WARN, "workload.spec.step_hint == 120000"),
    ],
    "loads_parameters": [
        ("lookups", FAIL, "which holds tensors of this model's shapes"),
        ("lookups", WARN, "torch.load() reads a file"),
    ],
    "changes_the_loss": [
        ("functions", FAIL, "torch.nn.functional.cross_entropy: no longer the function"),
        ("functions", WARN, "assigns to torch.nn.functional.cross_entropy"),
    ],
    "changes_the_metric": [
        ("functions", FAIL, "ImageClassification.metrics: no longer the function"),
        ("private", WARN, "imports workloads.mnist.workload"),
        ("functions", WARN, "MnistWorkload.metrics.__code__"),
    ],
    "resets_seeds": [
        ("randomness", FAIL, "generator of torch was reset"),
        ("randomness", FAIL, "generator of random was reset"),
        ("environment", FAIL, "torch.get_num_threads(): 1 -> 2"),
        ("environment", FAIL, "the variable OMP_NUM_THREADS was changed"),
        ("environment", FAIL, "torch.get_float32_matmul_precision()"),
    ],
    "works_in_hooks": [
        ("environment", FAIL, "global hooks on all modules"),
        ("environment", FAIL, "IntegrityError: there are hooks on all modules"),
        ("environment", WARN, "register_module_forward_hook() hooks into the whole process"),
    ],
    "works_on_a_timer": [
        ("environment", FAIL, "signal handlers"),
        ("environment", WARN, "signal.setitimer() hooks into the whole process"),
        ("pause", FAIL, "changed while the clock stood"),
    ],
}


def weights_of_digits(path):
    config = compose_config(["workload=digits"], needs_data=False)
    workload = make_workload(config, make_spec(config), None)
    torch.save(dict(workload.model.named_parameters()), path)


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_named(name, checked, found, all_data, tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_DATA_OF_A_CHEAT", str(all_data.prepared("digits")))
    folder = tmp_path / "cheats"
    shutil.copytree(HERE, folder)
    weights_of_digits(folder / "weights.pt")
    report = checked(folder / f"{name}.py")
    for check, verdict, evidence in CHEATS[name]:
        every = found(report, check)
        assert any(v == verdict and evidence in text for v, text in every), every
    named = {check for check, _, _ in CHEATS[name]}
    assert {c for c in CHECKS if report.verdict(c) == FAIL} <= named
    assert report.exit_code(strict=True) == 1
    failed = any(verdict == FAIL for _, verdict, _ in CHEATS[name])
    assert report.exit_code(strict=False) == int(failed)


def test_the_honest_part_of_the_cheats_passes(checked):
    assert checked(HERE / "plain.py").worst == "pass"


def test_a_space_that_differs_between_workloads_fails(checked, found):
    report = checked(HERE / "tunes_by_name.yaml", workloads=(), compared=("digits", "wmt_tiny"))
    assert "learning_rate" in found(report, "space")[0][1]
    assert report.verdict("space") == FAIL
