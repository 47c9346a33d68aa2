"""A graph network that sees a molecule's bonds and atoms as codes and gives a logit for each task.

Battaglia et al. 2018, "Relational inductive biases, deep learning, and graph networks" (algorithm
1), in the form of AlgoPerf.  The reference joins what an MLP sees of an edge (its vector, its two
nodes' and its graph's) and multiplies the long rows by the first weight; here nodes and graphs are
multiplied by their columns of it before they meet edges: the same sums with half the products.

Shapes: N nodes, E directed edges, G graphs, H width of an MLP, D of a vector.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from algoperf_pt.errors import ConfigError
from algoperf_pt.roles import ParamType
from workloads.initialisers import lecun_normal_
from workloads.ogbg.incidence import Incidence

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": partial(nn.GELU, approximate="tanh"),
    "silu": nn.SiLU,
}
_NODE_CODES, _EDGE_CODES = 9, 3
_GLOBAL = 128  # width of a graph's vector before the first step, all zeros
_EPS = 1e-6  # of layer norms


class Embedder(nn.Linear):
    """A matrix for codes that are taken as numbers.  Nothing but other matrices acts on what it
    gives, so `Embedded` multiplies those with it first.
    """

    param_roles = {"weight": ParamType.EMBEDDING, "bias": ParamType.BIAS}


@dataclass(frozen=True)
class Embedded:
    """Vectors that are not made: `embedder(codes)`."""

    codes: Tensor  # float32 [rows, codes]
    embedder: Embedder


Vectors = Tensor | Embedded


@dataclass(frozen=True)
class Topology:
    """Who belongs to whom in a batch."""

    ends: Incidence  # edges; slot 2i: sent by node i, slot 2i + 1: received by it
    node_graph: Incidence
    edge_graph: Incidence

    @staticmethod
    def of(
        senders: Tensor, receivers: Tensor, node_graph: Tensor, edge_graph: Tensor, graphs: int
    ) -> "Topology":
        """From int tensors [E], [E], [N], [E] and G."""
        slots = torch.stack([2 * senders, 2 * receivers + 1], 1).long()
        nodes, edges = (places.long()[:, None] for places in (node_graph, edge_graph))
        ends = Incidence(slots, 2 * len(node_graph))
        return Topology(ends, Incidence(nodes, graphs), Incidence(edges, graphs))


class Mlp(nn.Module):
    """Linear, layer norm, activation and dropout for each width.  The product with the first weight
    is left to the caller, who has its columns in `parts` and adds `dense_0.bias`.

    Args:
        parts: number of columns of each thing that the MLP sees, in the reference's order.
        hidden: widths.
        activation: "relu", "gelu" (tanh approximation) or "silu".
        dropout_rate: behind each activation.
    """

    dense_0: nn.Linear

    def __init__(
        self, parts: list[int], hidden: list[int], activation: str, dropout_rate: float
    ) -> None:
        super().__init__()
        self.parts, self.count = parts, len(hidden)
        for number, (width, out) in enumerate(zip([sum(parts), *hidden], hidden)):
            self.add_module(f"dense_{number}", nn.Linear(width, out))
            self.add_module(f"norm_{number}", nn.LayerNorm(out, eps=_EPS))
        self.activation = _ACTIVATIONS[activation]()
        self.dropout = nn.Dropout(dropout_rate)

    def columns(self) -> tuple[Tensor, ...]:
        """The first weight's columns for each part, [H, part]."""
        return torch.split(self.dense_0.weight, self.parts, dim=1)

    def forward(self, hidden: Tensor) -> Tensor:
        """[rows, H] in, what is behind the first product; [rows, H of the last] out."""
        for number in range(self.count):
            if number:
                hidden = getattr(self, f"dense_{number}")(hidden)
            normed = getattr(self, f"norm_{number}")(hidden)
            hidden = self.dropout(self.activation(normed))
        return hidden


class Step(nn.Module):
    """One round of messages: edges, then nodes, then graphs get new vectors.

    Args:
        edge, node, graph: widths of the vectors that come in.
        hidden, activation, rate: of the MLPs.
    """

    update_edge_fn: Mlp
    update_node_fn: Mlp
    update_global_fn: Mlp

    def __init__(
        self, edge: int, node: int, graph: int, hidden: list[int], activation: str, rate: float
    ) -> None:
        super().__init__()
        width, rest = hidden[-1], (hidden, activation, rate)
        self.update_edge_fn = Mlp([edge, node, node, graph], *rest)
        self.update_node_fn = Mlp([node, 2 * width, graph], *rest)
        self.update_global_fn = Mlp([2 * width, graph], *rest)

    def forward(
        self, edges: Vectors, nodes: Vectors, graphs: Tensor | None, topology: Topology
    ) -> tuple[Tensor, Tensor, Tensor]:
        """New vectors of edges [E, H], nodes [N, H] and graphs [G, H].

        Args:
            edges, nodes, graphs: [E, D], [N, D], [G, D]; graphs None: zeros, left out.
            topology: of the batch.
        """
        new_edges = self._edges(edges, nodes, graphs, topology)
        new_nodes = self._nodes(new_edges, nodes, graphs, topology)
        sums = [topology.node_graph.sum(new_nodes), topology.edge_graph.sum(new_edges)]
        of_sums, of_graphs = self.update_global_fn.columns()
        hidden = linear(torch.cat(sums, 1), of_sums, self.update_global_fn.dense_0.bias)
        if graphs is not None:
            hidden += linear(graphs, of_graphs)
        return new_edges, new_nodes, self.update_global_fn(hidden)

    def _edges(
        self, edges: Vectors, nodes: Vectors, graphs: Tensor | None, topology: Topology
    ) -> Tensor:
        mlp = self.update_edge_fn
        of_edge, of_sender, of_receiver, of_graph = mlp.columns()
        both = _product(nodes, torch.cat([of_sender, of_receiver]))  # [N, 2H]: a row has two slots
        hidden = _product(edges, of_edge, mlp.dense_0.bias)
        hidden += topology.ends.pick(both.view(2 * len(both), both.shape[1] // 2))
        if graphs is not None:
            hidden += topology.edge_graph.pick(linear(graphs, of_graph))
        new_edges: Tensor = mlp(hidden)
        return new_edges

    def _nodes(
        self, new_edges: Tensor, nodes: Vectors, graphs: Tensor | None, topology: Topology
    ) -> Tensor:
        mlp = self.update_node_fn
        of_node, of_sums, of_graph = mlp.columns()
        slots = topology.ends.sum(new_edges)  # [2N, H]
        sums = slots.view(len(slots) // 2, 2 * slots.shape[1])  # [N, 2H]: of sent, of received
        hidden = _product(nodes, of_node, mlp.dense_0.bias)
        hidden += linear(sums, of_sums)
        if graphs is not None:
            hidden += topology.node_graph.pick(linear(graphs, of_graph))
        new_nodes: Tensor = mlp(hidden)
        return new_nodes


class GraphNetwork(nn.Module):
    """Codes of atoms and bonds in, logits of tasks out.

    Args:
        latent_dim: width of the embedded codes.
        hidden_dims: widths of every MLP.
        num_steps: rounds of messages.
        num_outputs: tasks.
        activation, dropout_rate: of the MLPs.

    Raises:
        ConfigError: an activation that there is not.
    """

    def __init__(
        self,
        latent_dim: int = 256,
        hidden_dims: list[int] | tuple[int, ...] = (256,),
        num_steps: int = 5,
        num_outputs: int = 128,
        activation: str = "relu",
        dropout_rate: float = 0.1,
    ) -> None:
        super().__init__()
        if activation not in _ACTIVATIONS:
            expected = f"one of {', '.join(_ACTIVATIONS)}"
            where = "workload.model.activation"
            raise ConfigError(f"activation {activation!r}", expected=expected, where=where)
        hidden = list(hidden_dims)
        width = hidden[-1]
        self.node_embedder = Embedder(_NODE_CODES, latent_dim)
        self.edge_embedder = Embedder(_EDGE_CODES, latent_dim)
        widths = [(latent_dim, latent_dim, _GLOBAL)] + [(width, width, width)] * (num_steps - 1)
        steps = (Step(*sizes, hidden, activation, dropout_rate) for sizes in widths)
        self.graph_network = nn.ModuleList(steps)
        self.decoder = nn.Linear(width, num_outputs)

    def forward(
        self,
        nodes: Tensor,
        edges: Tensor,
        senders: Tensor,
        receivers: Tensor,
        node_graph: Tensor,
        edge_graph: Tensor,
        graphs: int,
    ) -> Tensor:
        """Logits [G, tasks].

        Args:
            nodes, edges: codes [N, 9], [E, 3], any number type.
            senders, receivers, node_graph, edge_graph: as `Topology.of` takes them.
            graphs: G.
        """
        topology = Topology.of(senders, receivers, node_graph, edge_graph, graphs)
        dtype = self.decoder.weight.dtype
        of_edges: Vectors = Embedded(edges.to(dtype), self.edge_embedder)
        of_nodes: Vectors = Embedded(nodes.to(dtype), self.node_embedder)
        of_graphs: Tensor | None = None
        for step in self.graph_network:
            of_edges, of_nodes, of_graphs = step(of_edges, of_nodes, of_graphs, topology)
        logits: Tensor = self.decoder(of_graphs)
        return logits

    def reset_parameters(self, generator: torch.Generator) -> None:
        """LeCun normal weights, biases 0, norms the identity."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                lecun_normal_(module.weight, generator)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()


def _product(vectors: Vectors, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`vectors` times the transposed weight [H, D], [rows, H]."""
    if isinstance(vectors, Tensor):
        return linear(vectors, weight, bias)
    embedder = vectors.embedder
    shift = weight @ embedder.bias
    shift = shift if bias is None else shift + bias
    return linear(vectors.codes, weight @ embedder.weight, shift)
