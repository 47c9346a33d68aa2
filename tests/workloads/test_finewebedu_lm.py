"""finewebedu_lm: the network's odd details, windows, figures that no chunk changes."""

import math

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from algoperf_pt.assemble import make_data, make_workload
from algoperf_pt.config import compose_config
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.ranks import Ranks
from algoperf_pt.spec import make_spec
from tests.support.runs import ROOT
from workloads.finewebedu_lm.metrics import perplexity, token_sums
from workloads.finewebedu_lm.model import LanguageModel, rotate, rotation_table, unit
from workloads.text.cross_entropy import token_cross_entropy

NAME = "finewebedu_lm_tiny"
SIZES = {"vocabulary": 50, "width": 32, "heads": 2, "layers": 3, "hidden": 48, "context": 20}
CPU = torch.device("cpu")


@pytest.fixture
def model():
    made = LanguageModel(**SIZES, theta=500_000.0)
    made.reset_parameters(torch.Generator().manual_seed(0))
    return made


@pytest.fixture(scope="module")
def folder(all_data):
    return all_data.prepared(NAME)


def build(folder, *overrides):
    config = compose_config([f"workload={NAME}", f"data.dir={folder}", *overrides])
    workload = make_workload(config, make_spec(config), make_data(config))
    workload.reset_parameters(torch.Generator().manual_seed(1))
    return workload


# ---- the network


def test_pairs_of_neighbours_turn_by_their_own_angle():
    x = torch.randn(2, 7, 3, 8)
    cos, sin = rotation_table(7, 8, theta=100.0)
    turned = rotate(x, cos[:, None], sin[:, None])
    for position in range(7):
        for j in range(4):
            angle = position * 100.0 ** (-2 * j / 8)
            pair = torch.complex(x[:, position, :, 2 * j], x[:, position, :, 2 * j + 1])
            wanted = pair * complex(math.cos(angle), math.sin(angle))
            assert torch.allclose(turned[:, position, :, 2 * j], wanted.real, atol=1e-5)
            assert torch.allclose(turned[:, position, :, 2 * j + 1], wanted.imag, atol=1e-5)


def test_scores_depend_on_the_distance_alone():
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    cos, sin = rotation_table(30, 8, theta=100.0)

    def at(x, position):
        return rotate(x, cos[position, None], sin[position, None])

    scores = [(at(q, p + 5) * at(k, p)).sum() for p in (0, 3, 24)]
    assert torch.allclose(torch.stack(scores), scores[0].expand(3), atol=1e-5)
    assert not torch.allclose((at(q, 6) * at(k, 0)).sum(), scores[0], atol=1e-3)


def test_the_epsilon_of_a_unit_vector_stands_outside():
    x = torch.tensor([[3.0, 4.0], [3e-12, 4e-12]])
    wanted = torch.tensor([[0.6, 0.8], [0.6, 0.8]]) + 1e-6
    assert torch.allclose(unit(x), wanted, atol=1e-7, rtol=0)


def test_the_whole_network_as_one_would_write_it_down(model):
    """In float64, by loops over heads and an explicit mask."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 0.3 * torch.randn(parameter.shape))
    ids = torch.randint(50, (2, 13))
    p = {name: value.detach().double() for name, value in model.named_parameters()}

    def rms(x, name):
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * p[f"{name}.weight"]

    def product(x, name):
        return x @ p[f"{name}.weight"].T

    cos, sin = (table.double()[:13] for table in rotation_table(20, 16, 500_000.0))
    hidden = torch.ones(13, 13).triu(1).bool()
    x = p["embed_tokens.weight"][ids]
    for i in ("layers.0", "layers.1", "layers.2"):
        q, k, v = product(rms(x, f"{i}.attn_norm"), f"{i}.attn.w_qkv").split(32, -1)
        heads = []
        for part in (slice(0, 16), slice(16, 32)):
            left, right = (_turn(t[..., part], cos, sin) for t in (q, k))
            left, right = (t / t.norm(dim=-1, keepdim=True) for t in (left, right))
            scores = p[f"{i}.attn.attn_scale"] * left @ right.transpose(1, 2)
            heads.append(scores.masked_fill(hidden, -math.inf).softmax(-1) @ v[..., part])
        x = x + product(torch.cat(heads, -1), f"{i}.attn.w_out")
        a, b = product(rms(x, f"{i}.mlp_norm"), f"{i}.mlp.fc1").split(48, -1)
        x = x + product(a * b.sigmoid(), f"{i}.mlp.fc2")
    wanted = product(rms(x, "out_norm"), "embed_tokens")
    assert wanted.std() > 0.05 and torch.allclose(model(ids).double(), wanted, atol=2e-5)


def _turn(x, cos, sin):
    turned = torch.empty_like(x)
    turned[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
    turned[..., 1::2] = x[..., 1::2] * cos + x[..., 0::2] * sin
    return turned


def test_no_position_sees_what_comes_after_it(model):
    ids = torch.randint(50, (1, 20))
    changed = ids.clone()
    changed[0, 12] = (ids[0, 12] + 1) % 50
    before, after = model(ids), model(changed)
    assert torch.equal(before[0, :12], after[0, :12])
    assert not torch.allclose(before[0, 12], after[0, 12])
    assert torch.allclose(model(ids[:, :7]), before[:, :7], atol=1e-6)  # shorter inputs too


def test_initial_weights(model):
    wide = LanguageModel(500, 256, 4, 2, 512, 64, 500_000.0)
    wide.reset_parameters(torch.Generator().manual_seed(0))
    for name, parameter in wide.named_parameters():
        value = parameter.detach()
        if name.endswith("norm.weight"):
            assert (value == 1).all()
        elif name.endswith("attn_scale"):
            assert value.shape == () and value == pytest.approx(math.log2(64 * 64 - 64))
        else:
            small = name.endswith(("w_out.weight", "fc2.weight"))
            assert value.std() == pytest.approx(0.02 / (2 if small else 1), rel=0.02), name
            assert abs(value.mean()) < 4 * value.std() / value.numel() ** 0.5, name


def test_building_draws_nothing(model):
    state = torch.get_rng_state()
    LanguageModel(**SIZES, theta=500_000.0)
    assert torch.equal(torch.get_rng_state(), state)


def test_tables_are_no_state_and_the_output_is_the_embedding(model):
    assert not [name for name in model.state_dict() if "cos" in name or "sin" in name]
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {
        "embed_tokens",
        "layers",
        "out_norm",
    }


def test_it_can_be_compiled(model):
    ids = torch.randint(50, (2, 20))
    compiled = torch.compile(model, backend="aot_eager", dynamic=False)
    assert torch.allclose(compiled(ids), model(ids), atol=1e-6)
    ours, theirs = (
        torch.autograd.grad(m(ids).square().sum(), list(model.parameters()))
        for m in (compiled, model)
    )
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(ours, theirs))


# ---- figures


def test_perplexity():
    losses = torch.tensor([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0]])
    weights = (losses > 0).float()
    sums = {name: float(value) for name, value in token_sums(losses, weights).items()}
    assert sums == {"loss": 6.0, "tokens": 3.0}
    assert perplexity(sums) == pytest.approx({"loss": 2.0, "ppl": math.e**2})
    assert perplexity({}) == {"loss": 0.0, "ppl": 1.0}
    assert perplexity({"loss": 5000.0, "tokens": 1.0})["ppl"] == math.inf
    assert math.isnan(perplexity({"loss": math.nan, "tokens": 1.0})["ppl"])


def test_no_chunk_changes_a_figure(folder):
    found = {}
    for chunk in (1, 7, 8, 1000):
        workload = build(folder, f"workload.model.eval_chunk={chunk}")
        sizes = []
        workload.model.register_forward_pre_hook(lambda m, a, s=sizes: s.append(len(a[0])))
        found[chunk] = workload.evaluate("validation", Ranks(CPU))
        assert max(sizes) == min(chunk, 256) and sum(sizes) == 256
    for metrics in found.values():
        assert metrics == pytest.approx(found[1000], rel=1e-7)
    batch = next(workload.data.eval_batches("validation", Ranks(CPU)))
    with torch.no_grad():
        whole = token_cross_entropy(workload(batch), batch["targets"], None).per_example
    assert found[8]["loss"] == pytest.approx(whole.double().mean().item(), rel=1e-7)


def test_a_split_without_examples(folder):
    workload = build(folder)
    assert list(workload.data.eval_batches("test", Ranks(CPU))) == []
    assert workload.evaluate("test", Ranks(CPU)) == {"loss": 0.0, "ppl": 1.0}


# ---- windows


def test_targets_are_the_next_ids(folder):
    data = build(folder).data
    stored = data.reader("train").all_rows("ids").view(np.uint16)
    batch = data.build("train", np.array([5, 0, 7999]), None)
    for row, number in enumerate((5, 0, 7999)):
        assert np.array_equal(batch["inputs"][row].numpy(), stored[number, :-1])
        assert np.array_equal(batch["targets"][row].numpy(), stored[number, 1:])
    assert batch["inputs"].dtype == batch["targets"].dtype == torch.int64
    assert batch["weights"].shape == (3, 64) and (batch["weights"] == 1).all()


def test_the_evaluated_part_of_train_is_its_first_windows(folder):
    data = build(folder, "workload.eval_batch_size=100").data
    stored = data.reader("train").all_rows("ids").view(np.uint16)
    batches = list(data.eval_batches("train", Ranks(CPU)))
    inputs = torch.cat([batch["inputs"] for batch in batches])[:256]
    assert np.array_equal(inputs.numpy(), stored[:256, :-1])
    assert len(batches) == 3 and (batches[2]["weights"][56:] == 0).all()
    assert (batches[2]["inputs"] >= 0).all()  # what fills up are ids too


def test_counting_neighbours_falls_short_of_the_target(folder):
    """Perplexities of unigrams and bigrams, smoothed, against the target."""
    index = build(folder).data.index
    train, valid = (
        ShardReader(index, split).all_rows("ids").view(np.uint16).astype(int)
        for split in ("train", "validation")
    )
    single = np.bincount(train.ravel(), minlength=384) + 0.1
    single /= single.sum()
    pairs = np.zeros((384, 384))
    np.add.at(pairs, (train[:, :-1].ravel(), train[:, 1:].ravel()), 1)
    pairs = (pairs + 2 * single) / (pairs.sum(1, keepdims=True) + 2)
    unigram = np.exp(-np.log(single[valid[:, 1:]]).mean())
    bigram = np.exp(-np.log(pairs[valid[:, :-1], valid[:, 1:]]).mean())
    target = OmegaConf.load(ROOT / "conf/targets/_development.yaml").workloads[NAME]
    assert unigram > 15 * target.validation_target and bigram > 1.7 * target.validation_target
