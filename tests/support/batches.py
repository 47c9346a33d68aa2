"""Batches of several ranks put together, and batches taken apart, whatever their shapes."""

import torch
from torch.nn.functional import pad


def widened(rows, like):
    """Padding (0) up to the width of `like`: a rank cuts it off after its own longest row."""
    return rows if rows.dim() == 1 else pad(rows, (0, like.shape[-1] - rows.shape[-1]))


def dealt(parts):
    """[B / world, ...] of each rank, which holds every world-th row -> [B, ...]."""
    return torch.stack(parts, 1).flatten(0, 1)


def examples(batch):
    """One dict an example.  A tensor has a row for each, or, in a batch of graphs, one for each
    node or edge."""
    count = len(batch["targets"])
    if "node_graph" not in batch:
        return [{key: rows[n] for key, rows in batch.items()} for n in range(count)]
    return [_graph(batch, number) for number in range(count)]


def _graph(batch, number):
    nodes, edges = batch["node_graph"] == number, batch["edge_graph"] == number
    first = int((batch["node_graph"] < number).sum())
    return {
        "targets": batch["targets"][number],
        "weights": batch["weights"][number],
        "inputs": batch["inputs"][nodes],
        "edges": batch["edges"][edges],
        "senders": batch["senders"][edges] - first,
        "receivers": batch["receivers"][edges] - first,
    }
