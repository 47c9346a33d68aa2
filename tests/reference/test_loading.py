"""What a submission imports: AlgoPerf's modules, its neighbours by several kinds of paths, and what
it is told when something is not there."""

import sys

import pytest

from algoperf_pt.errors import SubmissionError
from algoperf_pt.reference.api import spec
from algoperf_pt.reference.loading import load, unload
from tests.reference.helpers import write


@pytest.mark.parametrize("flavour", ["algoperf", "algorithmic_efficiency"])
def test_both_names_are_the_same_modules(tmp_path, flavour):
    text = f"""
from {flavour} import data_utils, spec
from {flavour}.pytorch_utils import pytorch_setup, sync_ddp_time
import {flavour}.random_utils as prng
import {flavour}.param_utils
import {flavour}

SETUP = pytorch_setup()
KEY = prng.PRNGKey(7)
SAME = {flavour}.spec.LossType is spec.LossType
"""
    module = load(write(tmp_path, text=text))
    assert module.SETUP[:2] == (False, 0) and str(module.SETUP[2]) == "cpu"
    assert module.KEY.tolist() == [327741615, 976413892]
    assert module.SAME and module.spec.ForwardPassMode is spec.ForwardPassMode


def test_neighbours_by_their_names_relative_and_by_their_package_path(tmp_path):
    folder = tmp_path / "submissions" / "self_tuning" / "mine"
    write(folder, text="X = 1", name="first.py")
    write(folder, text="X = 2", name="rules/second.py")
    write(folder, text="from .deeper import X", name="rules/third.py")
    write(folder, text="X = 3", name="rules/deeper.py")
    text = """
from first import X as A
from .first import X as B
from submissions.self_tuning.mine.first import X as C
from rules.second import X as D
from submissions.self_tuning.mine.rules.third import X as E
"""
    module = load(write(folder, text=text))
    assert (module.A, module.B, module.C, module.D, module.E) == (1, 1, 1, 2, 3)


def test_the_package_path_of_a_folder_that_was_moved(tmp_path):
    write(tmp_path, text="X = 1", name="muon.py")
    text = "from submissions.self_tuning.elsewhere.muon import X"
    assert load(write(tmp_path, text=text)).X == 1


@pytest.mark.parametrize("package", ["submissions.self_tuning.elsewhere", "algorithms"])
def test_a_module_from_the_package_of_a_folder_that_was_moved(tmp_path, package):
    write(tmp_path, text="X = 1", name="muon.py")
    assert load(write(tmp_path, text=f"from {package} import muon")).muon.X == 1


def test_a_neighbour_replaces_a_package_of_ours(tmp_path):
    """Archived submissions bring a package `optimizers`; ours is in use, and comes back."""
    import optimizers.shampoo as ours

    write(tmp_path, text="class Shampoo: pass", name="optimizers/shampoo.py")
    module = load(write(tmp_path, text="from optimizers.shampoo import Shampoo"))
    assert module.Shampoo.__module__ == "optimizers.shampoo"
    assert module.Shampoo is not ours.Shampoo
    unload()
    import optimizers.shampoo as again

    assert again is ours and sys.modules["optimizers.shampoo"] is ours


def test_two_submissions_have_their_own_neighbours(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, text=f"X = {name!r}", name="helper.py")
        assert load(write(tmp_path / name, text="from helper import X")).X == name
        unload()


@pytest.mark.parametrize(
    "line", ["import chex", "from jax import lax", "import tensorflow as tf", "import flax.linen"]
)
def test_frameworks_are_named_with_the_line_and_what_to_do(tmp_path, line):
    (tmp_path / "jax").mkdir()  # as folders of baselines are called: no package
    path = write(tmp_path / "pytorch", text=f"import torch\n\n{line}")
    with pytest.raises(SubmissionError) as caught:
        load(path)
    message = str(caught.value)
    assert f"{path}, line 3: {line}" in message
    assert "no part of this benchmark" in message and "torch.optim.lr_scheduler" in message


def test_modules_of_algoperf_that_are_not_offered(tmp_path):
    text = "import torch\nfrom algoperf.workloads.mnist import workload"
    with pytest.raises(SubmissionError, match="is told the workload's name") as caught:
        load(write(tmp_path / "a", text=text))
    assert "algoperf.spec, algoperf.pytorch_utils" in str(caught.value)
    unload()
    with pytest.raises(SubmissionError, match="points of a search space come from submission"):
        load(write(tmp_path / "b", text="from algoperf.halton import generate_search"))


def test_a_missing_neighbour_is_named(tmp_path):
    with pytest.raises(SubmissionError, match="line 1: from momenta import Nadam"):
        load(write(tmp_path, text="from momenta import Nadam"))
    write(tmp_path, text="X = 1", name="first.py")
    for text in (
        "from submissions.mine.muon import Muon",
        "from submissions.mine.first import X\nfrom submissions.mine import muon",
    ):
        unload()
        with pytest.raises(SubmissionError, match="put muon into the submission's folder"):
            load(write(tmp_path, text=text))
