"""A network as ``torch_geometric`` data, in the conventions of graph networks that learn from weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from axonometry.errors import ConfigurationError, closest
from axonometry.program.entry import of_graph
from axonometry.program.graph import NeuralGraph
from axonometry.program.parameter_graph import ParameterGraph, parameter_graph, pyg_data

CONVENTIONS = ("neural-graphs", "gmn")


@of_graph
def to_pyg(graph: NeuralGraph, convention: str = "neural-graphs") -> Any:
    """The network as ``torch_geometric.data.Data``, with places in the parameters: ``edge_place``, ``x_place``.

    - ``neural-graphs`` (Kofinas et al. 2024): a node a channel with its bias as feature, an edge a kernel.
    - ``gmn`` (Lim et al. 2024): a node a channel and one more a layer that has biases; an edge a parameter, so that
      kernels are parallel edges, and biases are edges from their layer's node. ``tap`` is an edge's place in its
      kernel, -1 of a bias; ``bias_node`` tells the added nodes.

    Skips are edges of constant weight, whose place is -1. Gains of norms are no edges: see :func:`parameter_graph`.

    Raises:
        ConfigurationError: There is no such convention.
        MissingExtraError: torch_geometric is not installed.

    >>> from axonometry.testing import graph_of
    >>> data = to_pyg(graph_of([[1.0, 2.0]], [[3.0], [4.0]]), "gmn")
    >>> data.edge_index.tolist(), data.edge_attr[:, 0].tolist()
    ([[0, 1, 2, 2], [2, 2, 3, 4]], [1.0, 2.0, 3.0, 4.0])
    """
    if convention not in CONVENTIONS:
        remedy = f"Choose from: {', '.join(CONVENTIONS)}"
        raise ConfigurationError(
            "a convention of graphs has a name", repr(convention), closest(convention, CONVENTIONS, remedy)
        )
    found = parameter_graph(graph)
    return _multigraph(found) if convention == "gmn" else found.to_pyg()


def _multigraph(found: ParameterGraph) -> Any:
    there = (found.edge_place >= 0) | (found.edge_attr != 0)  # padding is no parameter
    edge, tap = there.nonzero(as_tuple=True)
    node, column = (found.x_place >= 0).nonzero(as_tuple=True)
    layers, of_node = torch.unique(found.layer[node], return_inverse=True)
    nodes = len(found.layer)
    bias_edges = torch.stack([nodes + of_node, node]) if len(node) else torch.zeros(2, 0, dtype=torch.int64)
    values = torch.cat([found.edge_attr[edge, tap], found.x[node, column].to(found.edge_attr)])
    return pyg_data(
        edge_index=torch.cat([found.edge_index[:, edge], bias_edges], 1),
        edge_attr=values[:, None],
        edge_place=torch.cat([found.edge_place[edge, tap], found.x_place[node, column]]),
        tap=torch.cat([tap, torch.full((len(node),), -1)]),
        layer=torch.cat([found.layer, layers]),
        bias_node=_marked(nodes, len(layers)),
        num_nodes=nodes + len(layers),
    )


def _marked(nodes: int, added: int) -> Tensor:
    return torch.cat([torch.zeros(nodes, dtype=torch.bool), torch.ones(added, dtype=torch.bool)])
