"""A network as a heterogeneous graph: a kind of nodes a layer, a kind of edges a weight, kernels of their own size."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from axonometry.errors import MissingExtraError
from axonometry.program.entry import of_graph
from axonometry.program.graph import NeuralGraph
from axonometry.program.parameter_blocks import NOWHERE, Ids, Nodes, bias_places, kernels, skips
from axonometry.program.parameter_graph import looked_up
from axonometry.program.rolling import plan_of


@of_graph
def to_hetero(graph: NeuralGraph) -> Any:
    """The network as ``torch_geometric.data.HeteroData``, channels as nodes; for networks of many layers.

    A kind of nodes is a neuron group, by its name, with ``x``, its biases (0 where it has none), ``layer``, the number
    of the group in the order of computation, and ``role``. A kind of edges is (source group, name of the synapse,
    target group) with ``edge_attr``, its kernels, or (source group, ``skip``, target group) with constant weights.
    Other than in :func:`axonometry.program.to_pyg` no kernel is padded to the largest of the network: a first
    convolution of 7 x 7 does not make every link of a head 49 numbers. ``edge_place`` and ``x_place`` are places in the
    parameters; :func:`axonometry.program.from_pyg` is the way back.

    Raises:
        MissingExtraError: torch_geometric is not installed.
        ValuesError: A synapse's weight is computed from parameters, so that none of its entries is one.

    >>> from axonometry.testing import graph_of
    >>> data = to_hetero(graph_of([[1.0, 2.0]], [[3.0], [4.0]]))
    >>> data.edge_types
    [('input', '0', '0'), ('0', '2', '2')]
    >>> data["0", "2", "2"].edge_index.tolist(), data["0", "2", "2"].edge_attr.tolist()
    ([[0, 0], [0, 1]], [[3.0], [4.0]])
    """
    data, plan, state = _empty(), plan_of(graph), graph.state
    nodes = Nodes(graph, plan, state)
    vector = torch.cat([state[name].detach().reshape(-1).to(graph.dtype) for name in nodes.parameters])
    data.parameters, data.shapes = nodes.parameters, tuple(nodes.shapes.values())
    biases = bias_places(nodes, plan)
    for layer, name in enumerate(nodes.first):
        own = biases[nodes.layer == layer]
        used = [0, *(column for column in range(1, own.shape[1]) if (own[:, column] != NOWHERE).any())]
        place = torch.from_numpy(own[:, used])
        data[name].x, data[name].x_place = looked_up(vector, place, torch.zeros(place.shape)), place
        data[name].layer = layer
        data[name].role = next(g.role for g in graph.groups if nodes.rolled[g.name] == name)
    for block in kernels(graph, nodes, plan):
        place = torch.from_numpy(block.place)
        store = data[block.ends]
        store.edge_index = _local(block.edges, nodes, block.ends[0], block.ends[2])
        store.edge_attr, store.edge_place = looked_up(vector, place, torch.zeros(place.shape)), place
    for (source, target), edges, weights in skips(graph, nodes, plan):
        store = data[source, "skip", target]
        store.edge_index = _local(edges, nodes, source, target)
        store.edge_attr = torch.from_numpy(weights)[:, None].to(vector)
        store.edge_place = torch.full_like(store.edge_attr, NOWHERE, dtype=torch.int64)
    return data


def _empty() -> Any:
    try:
        from torch_geometric.data import HeteroData
    except ImportError:
        missing = MissingExtraError.of("torch_geometric", "pyg")
        raise missing from None
    return HeteroData()


def _local(edges: Ids, nodes: Nodes, source: str, target: str) -> torch.Tensor:
    """Numbers inside the two groups."""
    return torch.from_numpy(edges - np.array([[nodes.first[source]], [nodes.first[target]]]))
