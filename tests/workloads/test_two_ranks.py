"""Two ranks give one rank's losses and figures, on every tiny workload."""

from types import SimpleNamespace

import pytest
from torch.nn.modules.batchnorm import _BatchNorm

from algoperf_pt.assemble import make_workload
from algoperf_pt.config import compose_config
from algoperf_pt.spec import make_spec
from tests.support.runs import OPTIMIZER, result, rows, run_command, run_inside
from tests.support.workloads import NAMES, TIERS

STEPS = ("max_steps=12", "eval_every_steps=6", "logger.first=12")


def normalises_by_batch(name, data):
    config = compose_config([f"workload={name}", f"data.dir={data}"])
    workload = make_workload(config, make_spec(config), SimpleNamespace())
    return any(isinstance(module, _BatchNorm) for module in workload.model.modules())


def figures(folder, file):
    """{(row, column): value} of losses and metrics."""
    columns = ("loss", "train/", "validation/", "test/")
    return {
        (number, key): float(value)
        for number, row in enumerate(rows(folder, file))
        for key, value in row.items()
        if key.startswith(columns) and value
    }


def tolerance(row, column):
    """Relative; examples that almost tie change places with the last bit of a score."""
    return 1e-3 if column.endswith("average_precision") else 1e-4


@pytest.mark.slow
@pytest.mark.ddp
@pytest.mark.parametrize("name", [name for name in NAMES if TIERS[name] == "tiny"])
def test_torchrun_with_two_ranks_equals_one(name, all_data, tmp_path):
    """Each rank normalises by its own part of a batch (docs/adr/0007-batch-norm.md): where there
    are batch norms, the single process does so with two halves."""
    data = all_data.prepared(name)
    halves = (f"submission._target_={OPTIMIZER}AsTwoRanks",) * normalises_by_batch(name, data)
    _, one = run_inside(data, tmp_path / "one", f"workload={name}", *STEPS, *halves)
    done = run_command(data, tmp_path / "two", *STEPS, torchrun=2, workload=name)
    two = tmp_path / "two" / one.relative_to(tmp_path / "one")
    assert done.returncode == 0, done.stderr
    assert result(two)["ranks"] == 2 and result(two)["status"] == "step_limit"
    for file, least in (("measurements.csv", 12), ("eval_measurements.csv", 4)):
        ours, theirs = figures(one, file), figures(two, file)
        assert len(ours) >= least
        wanted = {key: pytest.approx(value, rel=tolerance(*key)) for key, value in ours.items()}
        assert theirs == wanted, file
