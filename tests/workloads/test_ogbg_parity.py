"""The golden numbers tell a graph network, a batch or a metric that is nearly right from the right
one."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.parity import compared, modules
from workloads.ogbg import batching, incidence, metrics, parity
from workloads.ogbg.data import Molecules
from workloads.ogbg.model import GraphNetwork, Mlp

NETWORK = r"case0/(logits|inter.*|loss_summed|grad_.*)"


def failed(found, pattern=".*"):
    """Keys of the pattern that are out of tolerance; at least one is compared."""
    checks = [check for check in found.checks() if re.fullmatch(pattern, check.key)]
    assert checks
    return {check.key for check in checks if not check.ok}


def test_the_right_one_passes_and_nothing_is_left_out():
    right = compared("ogbg")
    assert not failed(right) and right.not_checked == []


def test_another_eps_of_the_norms():
    nearly = compared("ogbg")
    for norm in modules(nearly, nn.LayerNorm):
        norm.eps = 1e-3
    assert "case0/logits" in failed(nearly, NETWORK)


@pytest.mark.parametrize("name, act", [("ogbg_gelu", nn.GELU()), ("ogbg_silu", nn.Mish())])
def test_another_activation(name, act):
    nearly = compared(name)
    for mlp in modules(nearly, Mlp):
        mlp.activation = act
    assert "case0/logits" in failed(nearly, NETWORK)


def test_sent_and_received_the_other_way_round(monkeypatch):
    right = Mlp.columns

    def swapped(self):
        columns = right(self)
        return [columns[i] for i in (0, 2, 1, 3)] if len(columns) == 4 else columns

    monkeypatch.setattr(Mlp, "columns", swapped)
    assert "case0/logits" in failed(compared("ogbg"), NETWORK)


def test_means_in_place_of_sums(monkeypatch):
    bag = incidence.embedding_bag
    mean = {"mode": "mean", "include_last_offset": True}
    monkeypatch.setattr(incidence, "embedding_bag", lambda *given, **_: bag(*given, **mean))
    assert "case0/logits" in failed(compared("ogbg"), NETWORK)


def test_a_gradient_that_forgets_the_transposition(monkeypatch):
    """The outputs are right, and only gradients are not."""
    right = incidence._Sums.backward

    def halved(ctx, grad):
        return tuple(None if g is None else g / 2 for g in right(ctx, grad))

    monkeypatch.setattr(incidence._Sums, "backward", staticmethod(halved))
    wrong = failed(compared("ogbg"), NETWORK)
    assert wrong == {"case0/grad_norms", "case0/grad_probes"}


def test_embeddings_without_their_shift(monkeypatch):
    nearly = compared("ogbg")
    fill = nearly.fill

    def filled():
        made = fill()
        made.model.edge_embedder.bias.data.zero_()
        return made

    monkeypatch.setattr(nearly, "fill", filled)
    assert "case0/logits" in failed(nearly, NETWORK)


def test_reversed_bonds_between_the_others(monkeypatch):
    right = Molecules.batch

    def mixed(self, chosen, rows):
        batch = right(self, chosen, rows)
        order = torch.argsort(batch["edge_graph"].long() * 1000 + torch.arange(284) % 7)
        names = ("edges", "senders", "receivers", "edge_graph")
        return batch | {name: batch[name][order] for name in names}

    monkeypatch.setattr(Molecules, "batch", mixed)
    wrong = failed(compared("ogbg"), "case0/(batch.*|logits.*)")
    assert wrong == {"case0/batch_edges", "case0/batch_senders", "case0/batch_receivers"}


def test_labels_that_are_smoothed_to_a_half(monkeypatch):
    right = metrics.task_loss

    def nearly(logits, targets, weights, smoothing=0.0):
        return right(logits, (1 - smoothing) * targets + smoothing / 2, weights)

    monkeypatch.setattr("workloads.ogbg.workload.task_loss", nearly)
    wrong = failed(compared("ogbg"), "case0/loss.*")
    assert wrong == {"case0/loss_ls01_summed", "case0/loss_ls01_per_example_rowsum"}


def test_molecules_in_place_of_entries(monkeypatch):
    right = metrics.task_loss

    def nearly(*given):
        loss = right(*given)
        loss.n_valid = loss.n_valid * 0 + len(loss.per_example)
        return loss

    monkeypatch.setattr("workloads.ogbg.workload.task_loss", nearly)
    wrong = failed(compared("ogbg"), "case0/(loss|train|grad).*")
    assert {"case0/loss_n_valid", "case0/train_loss_n_valid", "case0/grad_norms"} <= wrong


def test_logits_in_place_of_probabilities(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "sigmoid", lambda self: (self - self.min()) / 100)
    assert "metrics/per_task_ap" in failed(compared("ogbg"), "metrics/.*")


def test_the_rule_of_the_official_evaluation(monkeypatch):
    right = metrics.average_precisions

    def nearly(logits, targets, weights):
        alone = ((targets > 0) | (weights == 0)).all(0)
        return torch.where(alone, torch.nan, right(logits, targets, weights))

    monkeypatch.setattr(metrics, "average_precisions", nearly)
    assert failed(compared("ogbg"), "metrics/(m|p).*") == {"metrics/mean_average_precision"}
    monkeypatch.setattr(parity, "average_precisions", nearly)
    found = compared("ogbg")
    (check,) = [c for c in found.checks() if c.key == "metrics/per_task_ap"]
    assert not check.ok and check.note.startswith("labelled entries all positive")


@pytest.mark.parametrize(
    "budget", [(1, 0, 0), (0, 26, 0), (0, 0, 56)], ids=["graphs", "nodes", "edges"]
)
def test_another_budget(monkeypatch, budget):
    """A shard with room for one graph, its nodes or its edges more."""
    right = batching.Budget.of

    def nearly(*given):
        made = right(*given)
        sizes = (made.graphs, made.nodes, made.edges)
        return batching.Budget(*(size + more for size, more in zip(sizes, budget)))

    monkeypatch.setattr(batching.Budget, "of", staticmethod(nearly))
    keys = [f"batching{n}/padded_nodes_edges_graphs" for n in ("", "_4shards")]
    assert set(keys) <= failed(compared("ogbg"), "batching.*")


def test_a_search_for_a_graph_that_still_fits(monkeypatch):
    """No look-ahead: one place further, and shards differ."""
    right = parity.batch_starts

    def nearly(nodes, edges, budget):
        order = np.argsort(nodes, kind="stable")
        return right(nodes[order], edges[order], budget)

    monkeypatch.setattr(parity, "batch_starts", nearly)
    wrong = failed(compared("ogbg"), "batching.*")
    assert "batching/graphs_per_shard" in wrong and "batching/graphs_in_all" not in wrong


def test_a_role_that_differs(monkeypatch):
    monkeypatch.delattr("workloads.ogbg.model.Embedder.param_roles")
    roles = [check for check in compared("ogbg").model_checks() if check.key == "params/roles"]
    assert roles[0].error == 2 and "node_embedder.weight is WEIGHT, not EMBEDDING" in roles[0].note


def test_initial_weights_have_the_variance_of_their_inputs():
    """1 / fan_in, the columns for the first step's zeros counted; cut at two deviations."""
    model = GraphNetwork()
    model.reset_parameters(torch.Generator().manual_seed(0))
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            std = parameter.shape[1] ** -0.5
            parameter = parameter.detach()
            assert float(parameter.std()) == pytest.approx(std, rel=0.05), name
            assert float(parameter.abs().max()) <= 2.0 / 0.8796 * std * (1 + 1e-6), name
        else:
            assert (parameter == float("norm" in name and "weight" in name)).all(), name
