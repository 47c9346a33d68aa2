"""ogbg: which molecules share a batch, and what a batch holds of them."""

import pickle
import shutil

import numpy as np
import pytest
import torch

from algoperf_pt.assemble import make_data
from algoperf_pt.config import compose_config
from algoperf_pt.errors import ConfigError, DataError
from algoperf_pt.ranks import Ranks
from algoperf_pt.seeds import derive
from tests.support.ranks import OneOf
from tests.workloads.test_ogbg_prepare import read_raw
from workloads.ogbg.batching import Budget, GraphOrder, batch_starts

CPU = torch.device("cpu")
BUDGET = Budget.of(16, 12, 24)


def sizes(count=500, seed=0):
    rng = np.random.default_rng(seed)
    nodes = rng.integers(1, 24, count)
    return nodes, 2 * (nodes + rng.integers(-1, 3, count))


def orders(world=1, count=500, budget=BUDGET, seed=3):
    return [GraphOrder(*sizes(count), budget, seed, rank, world) for rank in range(world)]


# ---- batches


def one_by_one(nodes, edges, budget):
    """As the rule is written down."""
    starts, used = [0], np.zeros(3)
    for place, size in enumerate(zip(np.ones(len(nodes)), nodes, edges)):
        if ((used + size) > (budget.graphs, budget.nodes, budget.edges)).any():
            starts.append(place)
            used = np.zeros(3)
        used += size
    return [*starts, len(nodes)]


@pytest.mark.parametrize("budget", [BUDGET, Budget.of(16, 30, 24), Budget.of(16, 12, 90)])
@pytest.mark.parametrize("seed", [0, 1])
def test_batches_are_cut_by_the_first_limit_that_is_met(budget, seed):
    nodes, edges = sizes(seed=seed)
    found = batch_starts(nodes, edges, budget).tolist()
    assert found == one_by_one(nodes, edges, budget)
    assert len(set(np.diff(found))) > 1


def test_a_batch_may_be_filled_to_the_last_place():
    nodes, edges = np.full(8, 12), np.full(8, 24)
    assert batch_starts(nodes, edges, Budget.of(4, 12, 24)).tolist() == [0, 4, 8]
    assert batch_starts(nodes, edges, Budget(9, 47, 99)).tolist() == [0, 3, 6, 8]


@pytest.mark.parametrize("nodes, edges, what", [(13, 2, "13 atoms"), (2, 26, "26 edges")])
def test_a_molecule_larger_than_a_batch(nodes, edges, what):
    with pytest.raises(ConfigError, match=f"{what} does not fit into a batch of 1(?s:.)*larger"):
        batch_starts(np.array([1, nodes]), np.array([0, edges]), Budget.of(1, 12, 24))


def test_each_epoch_has_each_molecule_at_most_once_and_another_order():
    (order,) = orders()
    first = orders()[0]._first_step
    order.molecules(200)
    steps = np.diff(order._first_step)
    assert first == [0] and len(steps) > 3 and steps.min() > 20
    epochs = [
        np.concatenate([order.molecules(step) for step in range(start, start + count)])
        for start, count in zip(order._first_step, steps)
    ]
    for molecules in epochs:
        assert len(set(molecules)) == len(molecules) > 450
    permutation = np.random.default_rng(derive(3, "epoch", 0)).permutation(500)
    last = one_by_one(*(size[permutation] for size in sizes()), BUDGET)[-2]
    assert np.array_equal(epochs[0], permutation[:last])
    assert not np.array_equal(epochs[0][:100], epochs[1][:100])


def test_ranks_share_the_batch_of_one_rank():
    (whole,), parts = orders(), orders(world=4)
    for step in (0, 1, 57, 300):
        molecules = whole.molecules(step)
        assert whole.rows == 16 and 3 < len(molecules) <= 16
        for rank, part in enumerate(parts):
            assert part.rows == 4
            assert np.array_equal(part.molecules(step), molecules[rank::4])


def test_an_order_is_a_function_of_seed_and_step():
    (order,), (again,), (other,) = orders(), orders(), orders(seed=4)
    steps = [5, 130, 2, 131, 60]
    found = [order.molecules(step) for step in steps]
    assert all(np.array_equal(a, again.molecules(s)) for s, a in zip(steps, found))
    copied = pickle.loads(pickle.dumps(order))
    assert all(np.array_equal(a, copied.molecules(s)) for s, a in zip(steps, found))
    assert not any(np.array_equal(a, other.molecules(s)) for s, a in zip(steps, found))


def test_the_last_batch_of_an_epoch_counts_only_if_it_is_full():
    nodes, edges = np.ones(10, int), np.zeros(10, int)
    for graphs, steps in ((5, 2), (4, 2), (10, 1), (6, 1)):
        order = GraphOrder(nodes, edges, Budget(graphs, 99, 99), 0, 0, 1)
        order.molecules(0)
        assert order._first_step == [0, steps]
    with pytest.raises(ConfigError, match="10 molecules do not fill a batch of 11"):
        GraphOrder(nodes, edges, Budget(11, 99, 99), 0, 0, 1).molecules(0)


def test_a_batch_that_ranks_cannot_share():
    with pytest.raises(ConfigError, match="16 examples cannot be shared equally by 3"):
        orders(world=3)


# ---- what batches hold


def data_of(folder, *overrides):
    return make_data(compose_config(["workload=ogbg_tiny", f"data.dir={folder}", *overrides]))


def of_batch(batch):
    """Each row as (atoms, directed bonds with their ends, labels)."""
    first = 0
    for row in range(len(batch["targets"])):
        here, bonds = batch["node_graph"] == row, batch["edge_graph"] == row
        ends = torch.stack([batch["senders"], batch["receivers"]], 1)[bonds] - first
        labels = torch.where(batch["weights"][row] > 0, batch["targets"][row], torch.nan)
        yield (
            batch["inputs"][here].tolist(),
            list(zip(ends.tolist(), batch["edges"][bonds].tolist())),
            labels.numpy(),
        )
        first += int(here.sum())


def check(batch, wanted):
    """Row by row, and nothing behind the last molecule."""
    found = list(of_batch(batch))
    for (atoms, bonds, labels), molecule in zip(found, wanted):
        assert atoms == molecule["atoms"]
        assert [pair for pair, _ in bonds] == molecule["ends"] + [b[::-1] for b in molecule["ends"]]
        assert [codes for _, codes in bonds] == 2 * molecule["bonds"]
        assert np.array_equal(labels, molecule["labels"], equal_nan=True)
    for atoms, bonds, labels in found[len(wanted) :]:
        assert (atoms, bonds) == ([], []) and np.isnan(labels).all()


def test_batches_hold_what_the_raw_files_say(all_data):
    folder = all_data.prepared("ogbg_tiny")
    data, raw = data_of(folder), read_raw(folder / "raw_ogbg_tiny" / "pcba.zip")
    for split in ("validation", "test"):
        batches = list(data.eval_batches(split, Ranks(CPU)))
        assert len(batches) == 2 and len(batches[1]["targets"]) == 256
        check(batches[0], raw[split][:256])
        check(batches[1], raw[split][256:])
    molecules = data.train_order(64, 5, Ranks(CPU)).molecules(70)
    stream = data.train_batches(64, 5, OneOf(1, 2), start=70)
    check(next(stream), [raw["train"][number] for number in molecules[1::2]])


def test_small_types_travel(all_data):
    data = data_of(all_data.prepared("ogbg_tiny"))
    batch = next(data.train_batches(64, 5, Ranks(CPU)))
    assert batch["inputs"].dtype == batch["edges"].dtype == torch.uint8
    indices = ("senders", "receivers", "node_graph", "edge_graph")
    assert {batch[name].dtype for name in indices} == {torch.int32}
    assert 500 < len(batch["inputs"]) <= 64 * 12 and 1000 < len(batch["edges"]) <= 64 * 24
    labels = {name: set(batch[name].unique().tolist()) for name in ("targets", "weights")}
    assert labels == {"targets": {0.0, 1.0}, "weights": {0.0, 1.0}}
    assert not (batch["targets"] * (1 - batch["weights"])).any()


def test_the_evaluated_part_of_train_is_the_same_in_every_trial(all_data):
    data = data_of(all_data.prepared("ogbg_tiny"))
    wanted = data.molecules("train").batch(data.eval_index("train")[:256], 256)
    found = next(data.eval_batches("train", Ranks(CPU)))
    assert data.eval_rows("train") == 400
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_a_rank_without_molecules_has_rows(all_data):
    folder = all_data.prepared("ogbg_tiny")
    data = data_of(folder, "workload.eval_batch_size=399")  # the last batch is one molecule
    for ranks, molecules in ((OneOf(0, 3), 1), (OneOf(2, 3), 0)):
        last = list(data.eval_batches("validation", ranks))[-1]
        assert len(last["targets"]) == len(last["weights"]) == 133
        assert int((last["weights"] > 0).any(1).sum()) == molecules
        assert len(last["inputs"].unique(dim=0)) == 0 or molecules


@pytest.mark.parametrize("part", ["atom", "ends", "label"])
def test_a_damaged_shard_is_named(all_data, tmp_path, part):
    shutil.copytree(all_data.prepared("ogbg_tiny") / "ogbg_tiny", tmp_path / "ogbg_tiny")
    data = data_of(tmp_path)
    (place,) = data.index.members("test")[1][part].offset
    (path,) = data.index.shards("test")
    with path.open("r+b") as file:
        file.seek(int(place) + 3)
        byte = file.read(1)
        file.seek(int(place) + 3)
        file.write(bytes([byte[0] ^ 1]))
    next(data.eval_batches("validation", Ranks(CPU)))
    with pytest.raises(DataError, match=f"{path.name}: part '{part}' of the split 'test'"):
        next(data.eval_batches("test", Ranks(CPU)))
