"""Criteo: the network and its variants, the products' own backward pass, the order by stretches,
the loss, and what a batch costs."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from algoperf_pt.assemble import make_data
from algoperf_pt.config import compose_config
from algoperf_pt.errors import ConfigError
from algoperf_pt.ranks import Ranks
from algoperf_pt.roles import ParamType, param_types
from tests.support.workloads import node
from workloads.criteo1tb.interaction import Interaction
from workloads.criteo1tb.metrics import click_loss, loss_sums
from workloads.criteo1tb.model import DLRM, Residual
from workloads.criteo1tb.order import BlockOrder, Stretches

CPU = torch.device("cpu")
SMALL = {"vocab_size": 50, "embed_dim": 4, "mlp_bottom_dims": [6, 4], "mlp_top_dims": [8, 5, 1]}
RESNET = {**SMALL, "use_resnet": True, "mlp_bottom_dims": [6, 6, 6], "mlp_top_dims": [5, 5, 5, 1]}


def network(**options):
    model = DLRM(**{**SMALL, **options})
    model.reset_parameters(torch.Generator().manual_seed(0))
    return model


def examples(count=7, largest=10**7):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(largest, (count, 26), generator=generator).float()
    return torch.cat([torch.rand(count, 13, generator=generator), ids], dim=1)


def linears(model):
    return [m for m in model.modules() if isinstance(m, nn.Linear)]


def relu(linear, x):
    return (x @ linear.weight.T + linear.bias).clamp(min=0)


# ---- products


def test_products_are_those_of_all_pairs():
    first, others = torch.randn(300, 4), torch.randn(300, 3, 4)  # more rows than one part
    made = Interaction(4)(first, others)
    vectors = torch.cat([first[:, None], others], dim=1)
    pairs = [(i, j) for i in range(4) for j in range(i, 4)]
    wanted = torch.stack([(vectors[:, i] * vectors[:, j]).sum(1) for i, j in pairs], dim=1)
    assert made.shape == (300, Interaction.width(4))
    assert torch.allclose(made, wanted, atol=1e-6)


def test_gradients_of_the_products_to_the_second_order():
    shapes = ((2, 3), (2, 2, 3))
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(Interaction(3), inputs)
    assert torch.autograd.gradgradcheck(Interaction(3), inputs)


def test_gradients_of_the_products_in_parts():
    first = torch.randn(300, 4, requires_grad=True)
    others = torch.randn(300, 3, 4, requires_grad=True)
    weights = torch.randn(300, 10)
    (Interaction(4)(first, others) * weights).sum().backward()
    ours = first.grad.clone(), others.grad.clone()
    first.grad = others.grad = None
    vectors = torch.cat([first[:, None], others], dim=1)
    row, column = torch.triu_indices(4, 4)
    ((vectors @ vectors.mT)[:, row, column] * weights).sum().backward()
    assert torch.allclose(ours[0], first.grad, atol=1e-5)
    assert torch.allclose(ours[1], others.grad, atol=1e-5)


def test_products_under_functional_transforms():
    first, others, layer = torch.randn(5, 4), torch.randn(5, 3, 4), Interaction(4)

    def total(a, b):
        return layer(a[None], b[None]).sum()

    each = torch.func.vmap(torch.func.grad(total))(first, others)
    vectors = torch.cat([first[:, None], others], dim=1)
    assert torch.allclose(each, vectors.sum(1) + first, atol=1e-5)


# ---- the network


def test_the_network_by_hand():
    model, x = network(), examples()
    b1, b2, t1, t2, out = linears(model)
    dense = relu(b2, relu(b1, x[:, :13]))
    vectors = torch.cat([dense[:, None], model.table.weight[x[:, 13:].long() % 50]], dim=1)
    row, column = torch.triu_indices(27, 27)
    products = (vectors @ vectors.mT)[:, row, column]
    hidden = relu(t2, relu(t1, torch.cat([dense, products], dim=1)))
    assert torch.allclose(model(x), hidden @ out.weight.T + out.bias, atol=1e-5)


def test_layer_norm_is_behind_each_relu_and_on_each_vector():
    model, x = network(use_layer_norm=True), examples()
    for norm in (m for m in model.modules() if isinstance(m, nn.LayerNorm)):
        nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    kinds = [type(m) for m in model.bot_mlp]
    assert kinds == [type(model.output), nn.ReLU, nn.LayerNorm] * 2
    assert [type(m) for m in model.top_mlp] == [*kinds, nn.Dropout]
    dense = model.bot_mlp(x[:, :13])
    second = relu(model.bot_mlp[3], model.bot_mlp[:3](x[:, :13]))
    assert torch.allclose(dense, model.bot_mlp[5](second))
    vectors = model.embed_ln(model.table.weight[x[:, 13:].long() % 50])
    mixed = torch.cat([dense, model.interaction(dense, vectors)], dim=1)
    assert torch.allclose(model(x), model.output(model.top_mlp(mixed)), atol=1e-6)
    roles = set(param_types(model).values())
    assert {ParamType.LAYER_NORM_SCALE, ParamType.LAYER_NORM_BIAS, ParamType.EMBEDDING} <= roles


def test_the_residual_variant_by_hand():
    model, x = DLRM(**RESNET), examples()
    model.reset_parameters(torch.Generator().manual_seed(0))
    b1, b2, b3, t1, t2, t3, out = linears(model)
    dense = relu(b1, x[:, :13])
    for layer in (b2, b3):
        dense = dense + relu(layer, dense)
    vectors = model.table.weight[x[:, 13:].long() % 50].flatten(1)
    hidden = relu(t1, torch.cat([dense, vectors], dim=1))
    for layer in (t2, t3):
        hidden = hidden + relu(layer, hidden)
    assert torch.allclose(model(x), hidden @ out.weight.T + out.bias, atol=1e-5)
    drops = [m for m in model.modules() if isinstance(m, nn.Dropout)]
    assert len(drops) == 1 and drops[0] is model.top_mlp[-1].branch[-1]  # inside the last branch
    assert isinstance(model.top_mlp[-1], Residual)


def test_options_that_exclude_each_other():
    with pytest.raises(ConfigError, match="use_layer_norm"):
        DLRM(**RESNET, use_layer_norm=True)


def test_rows_are_buckets_modulo_the_table():
    model = network()
    ids = torch.zeros(1, 26)
    ids[0, :3] = torch.tensor([49.0, 50.0, 39884404.0])
    vectors = model.table(ids)
    assert torch.equal(vectors[0, 0], model.table.weight[49])
    assert torch.equal(vectors[0, 1], model.table.weight[0])
    assert torch.equal(vectors[0, 2], model.table.weight[39884404 % 50])
    assert "pairs" not in "".join(model.state_dict())  # no buffers in checkpoints


def test_dropout_works_on_the_last_hidden_layer_alone():
    model, x = network(), examples()
    model.train()
    still = model(x)
    assert torch.equal(still, model(x))  # the default rate is 0
    (drop,) = [m for m in model.modules() if isinstance(m, nn.Dropout)]
    drop.p = 1 - 1e-9
    assert torch.allclose(model(x), model.output.bias.expand(7, 1))
    assert torch.allclose(model.eval()(x), still)


def test_initial_distributions():
    model = DLRM(4096, 16, [512, 16], [1024, 512, 1], embedding_init_multiplier=None)
    model.reset_parameters(torch.Generator().manual_seed(0))
    table = model.table.weight
    assert 0 <= table.min() and table.max() < 1 / 64 and abs(table.mean() * 128 - 1) < 0.02
    bottom, top = model.bot_mlp[0], model.top_mlp[0]
    bound = (6 / (13 + 512)) ** 0.5
    assert 0.98 * bound < bottom.weight.max() <= bound and bottom.weight.min() < -0.98 * bound
    variance = 2 / (top.in_features + top.out_features)
    assert top.weight.var().item() == pytest.approx(variance, rel=0.02)
    assert top.weight.abs().max() > 3.5 * variance**0.5  # normal, not cut
    assert bottom.bias.var().item() == pytest.approx(1 / 512, rel=0.2)
    scaled = DLRM(**SMALL, embedding_init_multiplier=1.0)
    scaled.reset_parameters(torch.Generator().manual_seed(0))
    assert 0.9 < scaled.table.weight.max() < 1.0


def test_building_draws_nothing():
    """Half a billion numbers are drawn once, by reset_parameters, from its generator."""
    before = torch.get_rng_state()
    network()
    assert torch.equal(torch.get_rng_state(), before)


# ---- loss


def test_loss_by_its_definition_and_for_any_logit():
    logits = torch.tensor([[-3.0], [0.5], [200.0], [-200.0]])
    targets, weights = torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.tensor([1.0, 0.5, 2.0, 1.0])
    loss = click_loss(logits, targets, weights)
    z = logits.flatten().double()
    good = -(targets * torch.log(torch.sigmoid(z)) + (1 - targets) * torch.log(torch.sigmoid(-z)))
    assert torch.allclose(loss.per_example[:2].double(), (good * weights)[:2])
    assert loss.per_example[2] == 0 and loss.per_example[3] == 200
    assert loss.summed == loss.per_example.sum() and loss.n_valid == 4.5
    whole = click_loss(logits, targets[:, None], None)
    assert whole.n_valid == 4 and whole.per_example.shape == (4,)
    sums = loss_sums(logits, targets, weights).sums
    assert sums["loss"].dtype == sums["count"].dtype == torch.float64


# ---- order


def test_stretches_hold_every_row_once_in_stretches():
    order = Stretches(103, 10, seed=3)
    rows = order[np.arange(103)]
    assert sorted(rows) == list(range(103))
    breaks = np.flatnonzero(np.diff(rows) != 1)
    assert len(breaks) <= 10 and all(r % 10 == 0 for r in rows[breaks + 1])
    assert np.array_equal(order[np.array([50, 0, 7])], rows[[50, 0, 7]])
    assert not np.array_equal(rows, Stretches(103, 10, seed=4)[np.arange(103)])


def test_an_epoch_drops_its_incomplete_batch_and_the_next_has_another_order():
    order = BlockOrder(10, 103, 8, seed=0, rank=0, world=1)
    assert order.steps_per_epoch == 12
    epochs = [np.concatenate([order.indices(12 * e + s) for s in range(12)]) for e in (0, 1)]
    for rows in epochs:
        assert len(set(rows)) == 96
    assert not np.array_equal(*epochs)
    assert np.array_equal(order.indices(5), epochs[0][40:48])  # back in the first epoch


def test_ranks_share_a_batch():
    whole = BlockOrder(10, 103, 8, 0, 0, 1).indices(7)
    parts = [BlockOrder(10, 103, 8, 0, rank, 4).indices(7) for rank in range(4)]
    assert np.array_equal(np.stack(parts, 1).reshape(-1), whole)


def test_four_billion_rows_cost_no_memory():
    counts = node("criteo1tb").num_examples
    length = node("criteo1tb").data.options.block_rows
    order = BlockOrder(length, counts.train, 262144, 0, 0, 1)
    rows = order.indices(order.steps_per_epoch - 1)
    assert len(order._stretches[1]._ends) == 840 and rows.max() < counts.train
    assert np.count_nonzero(np.diff(rows) != 1) <= 1  # one or two stretches a batch


def test_a_stretch_has_rows():
    with pytest.raises(ConfigError, match="stretches of 0 rows"):
        BlockOrder(0, 103, 8, 0, 0, 1)


# ---- batches


@pytest.fixture(scope="module")
def data(all_data):
    folder = all_data.prepared("criteo1tb_tiny")
    return make_data(compose_config(["workload=criteo1tb_tiny", f"data.dir={folder}"]))


def test_a_batch_is_what_is_stored(data):
    rows = torch.from_numpy(data.reader("train").all_rows("row").view("<f4"))
    order = data.train_order(64, 5, Ranks(CPU))
    batch = next(data.train_batches(64, 5, Ranks(CPU), start=3))
    wanted = rows[torch.from_numpy(order.indices(3))]
    assert torch.equal(batch["targets"], wanted[:, 0])
    assert torch.equal(batch["inputs"], wanted[:, 1:])
    assert torch.equal(batch["weights"], torch.ones(64))
    assert batch["inputs"].dtype == torch.float32


def test_evaluated_training_rows_are_whole_stretches_always_the_same(data):
    batches = list(data.eval_batches("train", Ranks(CPU)))
    seen = torch.cat([batch["inputs"] for batch in batches])
    rows = data.eval_index("train")[np.arange(data.eval_rows("train"))]
    assert len(set(rows)) == len(rows) == 4000
    assert np.count_nonzero(np.diff(rows) != 1) <= 7  # eight stretches of 500
    stored = torch.from_numpy(data.reader("train").all_rows("row").view("<f4"))
    assert torch.equal(seen, stored[torch.from_numpy(rows)][:, 1:])
    assert data.eval_index("validation") is None
    assert np.array_equal(copy.copy(data).eval_index("train")[np.arange(9)], rows[:9])


def test_training_and_evaluation_read_a_few_stretches(data, monkeypatch):
    reader, sizes = data.reader("train"), []
    real = reader._pread
    monkeypatch.setattr(reader, "_pread", lambda s, o, n: sizes.append(n) or real(s, o, n))
    next(data.train_batches(2000, 5, Ranks(CPU)))
    assert len(sizes) <= 5 and sum(sizes) == 2000 * 160
    sizes.clear()
    next(data.eval_batches("train", Ranks(CPU)))
    assert len(sizes) <= 9 and sum(sizes) == 4000 * 160


def test_a_guess_without_products_misses_the_target(data):
    """The drawn clicks cannot be told by the base rate, nor by a sum of effects of features."""
    rows = {s: data.reader(s).all_rows("row").view("<f4") for s in ("train", "validation")}
    ids = [np.unique(rows["train"][:, column]) for column in range(14, 40)]

    def features(part):
        hot = [part[:, 14 + c, None] == values for c, values in enumerate(ids)]
        return torch.from_numpy(np.concatenate([part[:, 1:14], *hot], 1).astype(np.float32))

    known = {split: features(part) for split, part in rows.items()}
    clicks = {split: torch.from_numpy(part[:, 0].copy()) for split, part in rows.items()}
    weights = torch.zeros(known["train"].shape[1], requires_grad=True)
    bias = torch.zeros((), requires_grad=True)
    fit = torch.optim.LBFGS([weights, bias], max_iter=40)

    def loss(split):
        return click_loss(known[split] @ weights + bias, clicks[split], None).per_example.mean()

    def closure():
        fit.zero_grad()
        found = loss("train")
        found.backward()
        return found

    rate = clicks["train"].mean()
    constant = click_loss(torch.logit(rate).expand(4000), clicks["validation"], None)
    fit.step(closure)
    config = compose_config(["workload=criteo1tb_tiny", f"data.dir={data.root.parent}"])
    target = config["targets"]["workloads"]["criteo1tb_tiny"]["validation_target"]
    assert constant.per_example.mean() > target + 0.1
    assert loss("validation") > target + 0.05
