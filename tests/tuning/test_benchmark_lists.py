"""Are the lists of workloads complete, for each version, and is a wrong one refused?"""

import pytest
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf.errors import OmegaConfBaseException

from algoperf_pt import schema
from algoperf_pt.config import register_resolvers, search_path
from algoperf_pt.errors import ConfigError
from algoperf_pt.tuning.benchmark import is_own, read_benchmark
from scripts.choices import scored_workloads, tiny_workloads

CHEAP = ["criteo1tb", "ogbg", "wmt"]


@pytest.fixture
def listed(tmp_path):
    """A list by its name, with words of the command line; own lists lie in tmp_path."""
    schema.register()
    register_resolvers()
    GlobalHydra.instance().clear()
    (tmp_path / "benchmark").mkdir()
    search = search_path(str(tmp_path))
    with initialize_config_module("conf", version_base="1.3"):
        loader = GlobalHydra.instance().hydra.config_loader
        yield lambda name, *words: read_benchmark(loader, name, "v06", [*search, *words]).workloads


def test_the_full_benchmark_by_version(listed):
    development = {"mnist", "cifar", "digits", "criteo1tb_test"}
    ninth = "finewebedu_lm"
    every = set(scored_workloads()) - development
    assert set(listed("full", "targets=v10")) == every and len(every) == 9
    for words in ((), ("targets=v05",), ("workload=ogbg", "targets=v06")):
        assert set(listed("full", *words)) == every - {ninth}


def test_the_qualification_set_stands_in_the_targets(listed):
    assert listed("qualification") == CHEAP
    assert listed("qualification", "targets.qualification=[ogbg]") == ["ogbg"]


def test_all_tiny_workloads(listed):
    assert listed("tiny") == sorted(tiny_workloads())


def test_a_list_of_the_users(listed, tmp_path):
    path = tmp_path / "benchmark" / "mine.yaml"
    path.write_text("name: mine\nworkloads: [digits, ogbg_tiny]\n")
    assert listed("mine") == ["digits", "ogbg_tiny"]
    for wrong, message in (
        ("[]", "benchmark=mine has no workload"),
        ("[digits, digits]", "has 'digits' twice"),
        ("[digts]", "version 0.6 has no targets for 'digts'"),
    ):
        path.write_text(f"name: mine\nworkloads: {wrong}\n")
        with pytest.raises(ConfigError, match=message):
            listed("mine")
    path.write_text("name: mine\nworkloads: digits\n")
    with pytest.raises(OmegaConfBaseException):
        listed("mine")
    path.write_text("name: mine\nworkload: [digits]\n")
    with pytest.raises(OmegaConfBaseException):
        listed("mine")


def test_words_about_the_list_are_not_about_its_trials(listed):
    assert is_own("benchmark.workloads=[wmt]") and is_own("+benchmark.policy.x=1")
    assert not is_own("benchmark=full") and not is_own("workload=wmt")
    assert listed("full", "benchmark.workloads=[ogbg]") == ["ogbg"]
    with pytest.raises(OmegaConfBaseException, match="rivals"):
        listed("incremental")
    assert listed("incremental", "benchmark.policy.rivals=logs") == listed("full")


def test_no_such_list_and_several_versions(listed):
    with pytest.raises(ConfigError, match="benchmark/tinny(.|\n)*did you mean 'tiny'"):
        listed("tinny")
    with pytest.raises(ConfigError, match="one version at a time"):
        listed("full", "targets=v05,v06")
