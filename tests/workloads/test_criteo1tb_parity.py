"""Criteo's golden numbers at full size without the full table: only the rows that are used."""

import json
import re
import zlib

import numpy as np
import pytest
import torch

from algoperf_pt.golden import Fixture
from scripts.parity import make_spec, workload_config
from tests.support.runs import ROOT
from workloads.criteo1tb.model import DENSE
from workloads.criteo1tb.parity import CriteoParity
from workloads.criteo1tb.workload import CriteoWorkload

GOLDEN = ROOT / "tests" / "golden"
VARIANTS = ["criteo1tb", "criteo1tb_layernorm", "criteo1tb_embed_init", "criteo1tb_resnet"]
ROWS, WIDTH = 4 * (1 << 20), 128  # of the full table


def parity(name, rows):
    """The comparison of a fixture with a model whose table has `rows` rows."""
    config = workload_config(name)
    model = {**config["model"], "vocab_size": rows}
    workload = CriteoWorkload(spec=make_spec(config), data=None, model=model)
    return CriteoParity(Fixture(GOLDEN / name), workload, {})


def table_rows(chosen):
    """float32 [n, 128]: these rows of the fixtures' table, whose values are a sine."""
    chunk, row = np.divmod(chosen, 1 << 20)
    phase = np.array([zlib.crc32(f"embedding_chunk_{c}".encode()) % 1000 for c in range(4)])
    places = row[:, None] * WIDTH + np.arange(WIDTH) + phase[chunk][:, None]
    return (0.02 * np.sin(places.astype(np.float64))).astype(np.float32), chunk


@pytest.mark.parametrize("name", VARIANTS)
def test_outputs_losses_and_gradients(name):
    case = dict(np.load(GOLDEN / name / "case0.npz"))
    inputs = case["in_inputs"].copy()
    used, places = np.unique(inputs[:, DENSE:].astype(np.int64) % ROWS, return_inverse=True)
    inputs[:, DENSE:] = places.reshape(len(inputs), -1)
    compared = parity(name, len(used))
    values, chunk = table_rows(used)
    mlps = [t for t in compared.fixture.tensors if not t["name"].startswith("embedding_chunk_")]
    compared._compared = lambda: iter(mlps)
    workload = compared.fill()
    with torch.no_grad():
        workload.model.table.weight.copy_(torch.from_numpy(values))
    batch = {k: torch.from_numpy(case[f"in_{k}"]) for k in ("targets", "weights")}
    batch["inputs"] = torch.from_numpy(inputs)

    workload.eval()
    with torch.no_grad():
        logits = workload(batch)
        evaluated = workload.eval_step(batch).sums
    limit = 2e-6 * np.abs(case["eval_logits"]).max()
    assert np.abs(logits.numpy() - case["eval_logits"]).max() <= limit
    assert float(evaluated["loss"]) == pytest.approx(float(case["evalbatch"]), rel=1e-6)
    for smoothing, key in ((0.0, "ls0"), (0.1, "ls01")):
        for part in ({**batch}, {k: v for k, v in batch.items() if k != "weights"}):
            loss, kind = workload.loss(part, logits, smoothing), "w" if "weights" in part else "now"
            for field in ("summed", "n_valid", "per_example"):
                found, want = getattr(loss, field).numpy(), case[f"loss_{key}_{kind}_{field}"]
                assert found.shape == want.shape
                assert np.abs(found - want).max() <= 1e-6 * max(1.0, float(np.max(want)))

    workload.train()
    del batch["weights"]
    loss = workload.loss(batch, workload(batch))
    (loss.summed / loss.n_valid).backward()
    named = dict(workload.model.named_parameters())
    table = named["table.weight"].grad.double()
    found = {
        f"embedding_chunk_{c}": float(table[torch.from_numpy(chunk == c)].norm()) for c in range(4)
    }
    found |= {t["name"]: float(named[compared.place(t["name"])[0]].grad.norm()) for t in mlps}
    norms = [found[t["name"]] for t in compared.fixture.parameters]
    assert norms == pytest.approx(case["train_grad_norms"].tolist(), rel=1e-4)


@pytest.mark.parametrize("name", VARIANTS)
def test_names_shapes_and_roles_of_the_full_model(name):
    """The parameters as they are named in the fixture, the table apart from its rows."""
    compared = parity(name, 8)
    want = json.loads((GOLDEN / name / "params.json").read_text())
    named = dict(compared.workload.model.named_parameters())
    count = sum(p.numel() for p in named.values()) + (ROWS - 8) * WIDTH
    assert count == want["n_params"]
    ours = set()
    for entry in compared.fixture.tensors:
        place, rows = compared.place(entry["name"])
        ours.add(place)
        assert compared.workload.param_types[place].name == compared.role(entry)
        if rows is None:
            assert list(named[place].shape) == entry["shape"]
        else:
            number = int(re.sub(r"\D", "", entry["name"]))
            assert (rows.start, rows.stop) == (number << 20, number + 1 << 20)
    assert ours == set(named)


def test_raw_lines_and_the_order_of_files():
    """The parts of the fixture that need no table."""
    compared = parity("criteo1tb", 8)
    fixture = compared.fixture.files["preprocess"]
    checks = list(compared.more_checks())
    answers = compared.answers()
    for pattern, answer in answers.items():
        for key in fixture:
            if match := re.fullmatch(pattern, f"preprocess/{key}"):
                found = answer(*match.groups())
                checks.append(compared.compare(f"preprocess/{key}", found, fixture[key]))
    assert len(checks) == 7 + 8
    assert [check for check in checks if not check.ok] == []
