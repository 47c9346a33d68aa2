"""ogbg: the network, its sums, the loss and the metric, each against a plain re-statement."""

import numpy as np
import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear, relu, silu

from algoperf_pt.assemble import make_workload
from algoperf_pt.config import compose_config
from algoperf_pt.errors import ConfigError
from algoperf_pt.spec import make_spec
from workloads.ogbg.data import MISSING, Molecules
from workloads.ogbg.incidence import Incidence
from workloads.ogbg.metrics import average_precisions, mean_average_precision, task_loss
from workloads.ogbg.model import GraphNetwork
from workloads.ogbg.workload import parts

TASKS = 5
SIZES = {"latent_dim": 6, "hidden_dims": [8], "num_steps": 3, "num_outputs": TASKS}
KEYS = ("inputs", "edges", "senders", "receivers", "node_graph", "edge_graph")


def network(**sizes):
    made = GraphNetwork(**(SIZES | sizes))
    generator = torch.Generator().manual_seed(3)
    made.reset_parameters(generator)
    with torch.no_grad():
        for parameter in made.parameters():  # biases and norms too
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return made.eval()


def molecules(nodes=(4, 1, 7, 3), bonds=(5, 0, 6, 0), seed=0, labels=None):
    """Of these sizes; the last has atoms that no bond reaches."""
    rng = np.random.default_rng(seed)
    nodes, bonds = np.array(nodes), np.array(bonds)
    given = rng.integers(0, 3, (len(nodes), TASKS)) if labels is None else np.array(labels)
    return Molecules(
        nodes,
        bonds,
        rng.integers(0, 12, (nodes.sum(), 9)).astype(np.uint8),
        rng.integers(0, 5, (bonds.sum(), 3)).astype(np.uint8),
        rng.integers(0, np.repeat(nodes, bonds)[:, None], (bonds.sum(), 2)).astype(np.uint16),
        given.astype(np.uint8),
    )


def batch_of(table=None, rows=None, chosen=None):
    table = molecules() if table is None else table
    chosen = np.arange(len(table.nodes)) if chosen is None else np.array(chosen, np.int64)
    return table.batch(chosen, len(chosen) if rows is None else rows)


def run(model, batch):
    return model(*(batch[key] for key in KEYS), len(batch["targets"]))


def workload(name="ogbg_tiny", *overrides):
    config = compose_config([f"workload={name}", *overrides], needs_data=False)
    made = make_workload(config, make_spec(config), None)
    made.reset_parameters(torch.Generator().manual_seed(1))
    return made


# ---- the network


def by_definition(model, batch, act):
    """As it is written down: what belongs together is joined, then multiplied."""
    state = dict(model.named_parameters())

    def mlp(name, x):
        for k in range(len([key for key in state if key.startswith(f"{name}.dense_")]) // 2):
            dense, norm = (
                [state[f"{name}.{kind}_{k}.{part}"] for part in ("weight", "bias")]
                for kind in ("dense", "norm")
            )
            x = act(layer_norm(linear(x, *dense), (len(dense[1]),), *norm, eps=1e-6))
        return x

    def embedded(side, codes):
        names = (f"{side}_embedder.{part}" for part in ("weight", "bias"))
        return linear(codes.float(), *(state[name] for name in names))

    def total(values, places, count):
        zeros = torch.zeros(count, values.shape[1])
        return zeros.index_add(0, places.long(), values)

    count, graphs = len(batch["inputs"]), len(batch["targets"])
    sent, received, of_node, of_edge = (batch[key].long() for key in KEYS[2:])
    nodes, edges = embedded("node", batch["inputs"]), embedded("edge", batch["edges"])
    whole = torch.zeros(graphs, 128)
    for step in range(len(model.graph_network)):
        name = f"graph_network.{step}.update"
        seen = [edges, nodes[sent], nodes[received], whole[of_edge]]
        edges = mlp(f"{name}_edge_fn", torch.cat(seen, 1))
        seen = [nodes, total(edges, sent, count), total(edges, received, count), whole[of_node]]
        nodes = mlp(f"{name}_node_fn", torch.cat(seen, 1))
        seen = [total(nodes, of_node, graphs), total(edges, of_edge, graphs), whole]
        whole = mlp(f"{name}_global_fn", torch.cat(seen, 1))
    return linear(whole, state["decoder.weight"], state["decoder.bias"])


@pytest.mark.parametrize(
    "sizes, act",
    [
        ({}, relu),
        ({"activation": "silu"}, silu),
        ({"activation": "gelu"}, lambda x: gelu(x, approximate="tanh")),
        ({"hidden_dims": [8, 10], "num_steps": 2}, relu),
    ],
)
def test_the_network_and_its_gradients_follow_the_definition(sizes, act):
    model, batch = network(**sizes), batch_of(rows=6)
    kept = torch.arange(len(batch["edges"])) % 3 > 0  # edges without their reverse too
    names = ("edges", "senders", "receivers", "edge_graph")
    batch |= {name: batch[name][kept] for name in names}
    found, wanted = run(model, batch), by_definition(model, batch, act)
    assert torch.allclose(found, wanted, atol=1e-5)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(0))
    parameters = list(model.parameters())
    ours = torch.autograd.grad((found * weights).sum(), parameters)
    theirs = torch.autograd.grad((wanted * weights).sum(), parameters)
    for (name, _), a, b in zip(model.named_parameters(), ours, theirs):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()) + 1e-7), name


def test_a_molecule_does_not_depend_on_its_company():
    model, table = network(), molecules()
    together = run(model, batch_of(table))
    for number in range(len(table.nodes)):
        alone = run(model, batch_of(table, chosen=[number]))
        assert torch.allclose(alone[0], together[number], atol=1e-5), number


def test_the_graphs_columns_of_the_first_step_get_no_gradient_but_zero():
    model = network()
    run(model, batch_of()).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    for name, ours in (("edge", 3 * 6), ("node", 6 + 2 * 8), ("global", 2 * 8)):
        mlp = getattr(model.graph_network[0], f"update_{name}_fn")
        gradient = mlp.dense_0.weight.grad
        assert gradient.shape == (8, ours + 128)
        assert not gradient[:, ours:].any() and gradient[:, :ours].any(0).sum() > ours // 2
        later = getattr(model.graph_network[1], f"update_{name}_fn").dense_0.weight.grad
        assert later[:, -8:].any()


@pytest.mark.parametrize("sizes", [((1,), (0,)), ((1, 1, 2), (0, 0, 0)), ((), ())])
def test_molecules_without_bonds_and_batches_without_molecules(sizes):
    model, batch = network(), batch_of(molecules(*(np.array(s, int) for s in sizes)), rows=4)
    found = run(model, batch)
    assert torch.allclose(found, by_definition(model, batch, relu), atol=1e-5)
    found.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_an_unknown_activation():
    with pytest.raises(ConfigError, match="activation 'swish'(?s:.)*relu, gelu, silu"):
        network(activation="swish")


@pytest.mark.parametrize("name, count", [("ogbg", 15), ("ogbg_model_size", 9)])
def test_dropout_is_behind_every_activation(name, count):
    made = workload(name)
    assert len(made._dropouts) == count and {module.p for module in made._dropouts} == {0.1}
    table, calls = molecules(labels=np.zeros((4, 128))), []
    hooks = [m.register_forward_hook(lambda *call: calls.append(call[2])) for m in made._dropouts]
    made.train()(batch_of(table), dropout_rate=0.6)
    layers = 2 if name == "ogbg_model_size" else 1
    assert len(calls) == count * layers
    zeros = torch.cat([output.flatten() for output in calls]) == 0
    assert 0.75 < zeros.float().mean() < 0.85  # a rectifier, and then 0.6
    for hook in hooks:
        hook.remove()


@pytest.mark.slow
def test_the_network_is_one_graph_for_all_sizes():
    model = network(num_steps=2).train()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=True)
    for nodes, bonds in (((4, 1, 7, 3), (5, 0, 6, 0)), ((9, 5), (10, 4)), ((3, 3, 3), (2, 3, 2))):
        batch = batch_of(molecules(nodes, bonds))
        torch.manual_seed(0)
        found = [run(net, batch) for net in (model.eval(), compiled.eval())]
        assert torch.allclose(*found, atol=1e-5)
        grads = [torch.autograd.grad(f.square().sum(), list(model.parameters())) for f in found]
        assert all(torch.allclose(a, b, atol=1e-3, rtol=1e-4) for a, b in zip(*grads))


# ---- sums


SLOTS = torch.tensor([[4, 1], [1, 1], [0, 4], [4, 2], [1, 6]])  # 3 and 5 are nobody's


def test_picking_and_summing_are_gathers_and_scatters():
    incidence, generator = Incidence(SLOTS, 7), torch.Generator().manual_seed(0)
    table, rows = (torch.randn(n, 3, generator=generator, requires_grad=True) for n in (7, 5))
    scattered = torch.zeros(7, 3).index_add(0, SLOTS[:, 0], rows).index_add(0, SLOTS[:, 1], rows)
    pairs = (
        (incidence.pick(table), table[SLOTS].sum(1), table),
        (incidence.sum(rows), scattered, rows),
    )
    for found, wanted, given in pairs:
        assert torch.allclose(found, wanted, atol=1e-6)
        weights = torch.randn(found.shape, generator=generator)
        grads = [torch.autograd.grad((f * weights).sum(), given)[0] for f in (found, wanted)]
        assert torch.allclose(*grads, atol=1e-6)
    assert not incidence.sum(rows)[[3, 5]].any()


def test_the_gradient_of_one_is_the_other():
    incidence = Incidence(SLOTS, 7)
    table, rows = (torch.randn(n, 3, dtype=torch.double, requires_grad=True) for n in (7, 5))
    assert torch.autograd.gradcheck(incidence.pick, (table,))
    assert torch.autograd.gradcheck(incidence.sum, (rows,))
    assert torch.allclose((incidence.pick(table) * rows).sum(), (table * incidence.sum(rows)).sum())


def test_nothing_is_added_in_any_order():
    """Neither pass uses an operation that torch knows to differ from run to run on a GPU."""
    used, stable = set(), []

    class Names(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            used.add(func.overloadpacket.__name__)
            if func is torch.ops.aten.sort.stable:
                stable.append(kwargs["stable"])
            return func(*args, **(kwargs or {}))

    model, batch = network().train(), batch_of()
    with Names():
        run(model, batch).sum().backward()
    scattering = {"index_add", "index_add_", "scatter_add", "scatter_add_", "index_put", "bincount"}
    scattering |= {"index_put_", "_index_put_impl_", "index_select_backward", "embedding_bag"}
    scattering |= {"_embedding_bag_dense_backward", "_embedding_bag_backward", "cumsum"}
    assert not used & scattering and stable == [True] * 3  # ends, nodes' graphs, edges' graphs


# ---- loss and metric


def test_the_loss_is_sigmoid_cross_entropy_of_what_is_labelled():
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(6, 128, generator=generator, requires_grad=True)
    targets, weights = ((torch.rand(6, 128, generator=generator) < 0.4).float() for _ in range(2))
    for smoothing in (0.0, 0.1):
        smooth = (1 - smoothing) * targets + smoothing / 128
        chance = logits.double().sigmoid()
        wanted = -(smooth * chance.log() + (1 - smooth) * (1 - chance).log()) * weights
        loss = task_loss(logits, targets, weights, smoothing)
        assert torch.allclose(loss.per_example.double(), wanted, atol=1e-5)
        assert float(loss.n_valid) == float(weights.sum())
        assert torch.allclose(loss.summed.double(), wanted.sum())
        (gradient,) = torch.autograd.grad(loss.summed, logits)
        assert not gradient[weights == 0].any()
    assert task_loss(logits, targets, None).n_valid == 6 * 128


def drawn(rows=60, tasks=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, tasks, generator=generator)
    logits[:, ::2] = logits[:, ::2].round()  # ties
    targets, weights = (torch.rand(rows, tasks, generator=generator) < p for p in (0.3, 0.7))
    targets &= weights
    return logits, targets.to(torch.uint8), weights.to(torch.uint8)


def test_average_precision_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    logits, targets, weights = drawn()
    found = average_precisions(logits, targets, weights)
    for task, value in enumerate(found.tolist()):
        rows = weights[:, task] > 0
        given = targets[rows, task].numpy(), logits.sigmoid()[rows, task].numpy()
        assert value == pytest.approx(metrics.average_precision_score(*given), abs=1e-12), task
    assert mean_average_precision(logits, targets, weights) == pytest.approx(float(found.mean()))


def test_tasks_that_are_left_out_and_tasks_that_are_not():
    logits, targets, weights = drawn(tasks=4)
    targets[:, 0] = 0  # no positive
    targets[:, 1] = weights[:, 1]  # all that are labelled
    weights[:, 2] = targets[:, 2] = 0  # nothing is labelled
    found = average_precisions(logits, targets, weights)
    assert torch.isnan(found[[0, 2]]).all() and found[1] == 1.0
    mean = mean_average_precision(logits, targets, weights)
    assert mean == pytest.approx(float(found[[1, 3]].mean()))
    assert np.isnan(mean_average_precision(logits[:, :1], targets[:, :1], weights[:, :1]))


def test_probabilities_saturate_in_float32():
    logits = torch.tensor([[18.0], [30.0], [0.0]])
    targets, weights = torch.tensor([[0], [1], [0]]), torch.ones(3, 1)
    assert average_precisions(logits, targets, weights).tolist() == [0.5]


# ---- evaluation


def full(rows, labels=None):
    """A batch of rows with 128 tasks, some of them behind the last molecule."""
    rng = np.random.default_rng(rows)
    nodes = rng.integers(1, 9, rows - 3)
    given = rng.integers(0, 3, (rows - 3, 128)) if labels is None else labels[: rows - 3]
    return batch_of(molecules(nodes, rng.integers(0, 9, rows - 3), labels=given), rows=rows)


@pytest.mark.parametrize("eval_rows", [1, 4, 7, 20, 64])
def test_a_batch_may_be_evaluated_in_parts(eval_rows):
    whole, cut = (workload("ogbg_tiny", f"workload.model.eval_rows={n}") for n in (100, eval_rows))
    batch = full(20)
    pieces = parts(batch, eval_rows)
    assert len(pieces) == -(-20 // eval_rows)
    for key in ("inputs", "edges", "targets"):
        assert torch.equal(torch.cat([piece[key] for piece in pieces]), batch[key])
    with torch.no_grad():
        one, other = whole.eval().eval_step(batch), cut.eval().eval_step(batch)
    assert torch.allclose(one.rows["logits"], other.rows["logits"], atol=1e-5)
    for name, value in one.sums.items():
        assert float(value) == pytest.approx(float(other.sums[name]), rel=1e-5)


def test_what_an_evaluation_adds_up():
    made, batch = workload(), full(9)
    with torch.no_grad():
        output = made.eval().eval_step(batch)
        logits = made(batch)
    found = made.metrics("test", {n: float(v) for n, v in output.sums.items()}, output.rows)
    labelled = batch["weights"] > 0
    right = (logits > 0)[labelled] == (batch["targets"] > 0)[labelled]
    assert found["accuracy"] == pytest.approx(float(right.float().mean()))
    loss = made.loss(batch, logits)
    assert found["loss"] == pytest.approx(float(loss.summed / loss.n_valid), rel=1e-6)
    assert output.rows["weights"].dtype == output.rows["targets"].dtype == torch.uint8
    assert output.rows["logits"].dtype == torch.float32


def test_a_task_without_any_label_is_trained_past_and_left_out():
    made = workload()
    labels = np.random.default_rng(0).integers(0, 2, (17, 128))
    labels[:, 7] = MISSING
    batch = full(20, labels)
    loss = made.train().loss(batch, made(batch, dropout_rate=0.0))
    (loss.summed / loss.n_valid).backward()
    assert not made.model.decoder.weight.grad[7].any() and made.model.decoder.bias.grad[8] != 0
    with torch.no_grad():
        rows = made.eval().eval_step(batch).rows
    found = average_precisions(*(rows[name] for name in ("logits", "targets", "weights")))
    assert torch.isnan(found).nonzero().flatten().tolist() == [7]
    metrics = made.metrics("test", {"loss": 1.0, "hits": 1.0, "entries": 1.0}, rows)
    assert 0 < metrics["mean_average_precision"] < 1
