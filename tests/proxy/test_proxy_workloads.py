"""Proxies: smaller, on a part of the data, never scored, with targets that are to be set; and they
train.
"""

import csv
import math
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from algoperf_pt.assemble import make_workload
from algoperf_pt.config import compose_config
from algoperf_pt.errors import ConfigError
from algoperf_pt.heldout.variant import load_base
from algoperf_pt.spec import make_spec
from scripts.choices import scored_workloads
from tests.support.runs import result, run_inside
from tests.support.workloads import FOLDER, NAMES, TIERS, node, version_of

PROXIES = [name for name in NAMES if TIERS[name] == "proxy"]
PAGE = Path(__file__).parents[2] / "docs" / "proxies.md"
KEPT = ("metric", "direction", "strict")
OF_THE_DATA = {"vocab_size", "vocabulary", "max_length", "decode_length", "context", "classes"}


def lines_of(version):
    """Lines of a file of conf/targets."""
    return OmegaConf.load(FOLDER.parent / "targets" / f"{version}.yaml").workloads


def parameters(name):
    """How many; counted without memory for them."""
    config = compose_config([f"workload={name}"], needs_data=False)
    with torch.device("meta"):
        workload = make_workload(config, make_spec(config), SimpleNamespace())
    return sum(p.numel() for p in workload.model.parameters())


def test_every_scored_workload_has_a_proxy_and_the_list_has_all():
    assert PROXIES == [f"{name}_proxy" for name in scored_workloads()] and len(PROXIES) == 9
    listed = OmegaConf.load(FOLDER.parent / "benchmark" / "proxy.yaml").workloads
    assert sorted(listed) == PROXIES
    assert not set(PROXIES) & set(scored_workloads())


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_is_its_base_in_small(name):
    small, base = node(name), node(node(name).base)
    assert name == f"{small.base}_proxy" and small["_target_"] == base["_target_"]
    assert set(small.model) == set(base.model)
    for key in ("dataset", "preparer_version", "_target_"):
        assert small.data[key] == base.data[key]  # the data that the full workload has prepared
    subset = small.data.options.subset
    assert subset.of == base.num_examples.train
    for split in ("validation", "test"):
        assert subset.get(split, small.num_examples[split]) == base.num_examples[split]
        assert small.num_examples[split] <= base.num_examples[split]
    assert small.num_examples.eval_train <= small.num_examples.train <= base.num_examples.train


@pytest.mark.parametrize("name", PROXIES)
def test_the_page_tells_how_many_parameters_it_has(name):
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{name}` |"))
    told = re.search(r"([\d,]+) of ([\d,]+) \|.*\| ([\d,]+) \|$", row)
    base = (FOLDER / f"{node(name).base}.yaml").read_text()
    assert told[2] == re.search(r"([\d,]+) parameters", base)[1]
    small, full, hint = (int(count.replace(",", "")) for count in told.groups())
    assert small == parameters(name) < full / 3
    assert hint == lines_of("_proxy")[name].step_hint


def test_targets_are_not_set_and_the_budget_is_ten_minutes():
    lines, base_lines = lines_of("_proxy"), lines_of("v10")
    assert sorted(lines) == PROXIES
    for name, line in lines.items():
        full = base_lines[node(name).base]
        nobody = math.inf if line.direction == "max" else -math.inf
        assert line.validation_target == nobody, name
        assert line.test_target == (None if full.test_target is None else nobody), name
        assert (line.max_runtime, line.eval_period) == (600, 30)
        assert [line[k] for k in KEPT] == [full[k] for k in KEPT], name
        assert line.step_hint < full.step_hint


@pytest.mark.parametrize("name", PROXIES)
def test_the_number_of_epochs_is_the_one_that_is_told(name):
    told = re.search(r"(\d+) epochs", (FOLDER / f"{name}.yaml").read_text())
    workload, hint = node(name), lines_of("_proxy")[name].step_hint
    rows = hint * workload.baseline_batch_size
    if name == "wmt_proxy":
        rows *= 8  # pairs of about 30 pieces a side in a row of 256
    epochs = rows / workload.num_examples.train
    assert round(epochs) == int(told[1]) if told else epochs < 1


def test_no_variant_is_made_from_a_proxy():
    with pytest.raises(ConfigError, match="itself made from wmt"):
        load_base("wmt_proxy")


def on_tiny_data(name):
    """Overrides that give a proxy the data of its base's tiny twin, half of them."""
    tiny = node(f"{node(name).base}_tiny")
    options = {k: v for k, v in tiny.data.get("options", {}).items() if isinstance(v, int)}
    sized = {key: tiny.model[key] for key in sorted(OF_THE_DATA & set(tiny.model))}
    counts = {split: tiny.num_examples[split] for split in ("train", "validation", "test")}
    stored = {"of": counts["train"], **{s: n for s, n in counts.items() if s != "train" and n}}
    half = {split: count // 2 for split, count in counts.items()}
    if not name.startswith("criteo1tb"):
        counts["train"] = half["train"]
    counts |= {"validation": half["validation"], "test": half["test"], "eval_train": 32}
    return [
        f"workload.data.dataset={tiny.data.dataset}",
        *(f"++workload.data.options.{key}={value}" for key, value in options.items()),
        *(f"++workload.data.options.subset.{key}={value}" for key, value in stored.items()),
        *(f"workload.num_examples.{split}={count}" for split, count in counts.items()),
        *(f"workload.model.{k}={v}" for k, v in sized.items()),
        "workload.eval_batch_size=32",
        "workload.baseline_batch_size=4",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", PROXIES)
def test_two_steps_on_tiny_data_are_trained_and_not_comparable(name, all_data, tmp_path):
    data = all_data.prepared(f"{node(name).base}_tiny")
    steps = ["max_steps=2", "eval_every_steps=2", f"targets={version_of(name)}"]
    _, folder = run_inside(data, tmp_path, f"workload={name}", *steps, *on_tiny_data(name))
    found = result(folder)
    assert (found["status"], found["step"], found["comparable"]) == ("step_limit", 2, False)
    metric = f"validation/{found['metric']}"
    assert math.isfinite(found["last"][metric])
    with (folder / "eval_measurements.csv").open() as file:
        assert len(list(csv.DictReader(file))) >= 1
