"""Graphs for graph networks: counts by hand, and every edge stands where its parameter is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ConfigurationError

pytest.importorskip("torch_geometric")


@pytest.fixture(scope="module")
def graph() -> ax.NeuralGraph:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    return ax.capture(net, torch.zeros(1, 1, 4, 4))


def test_nodes_and_edges_of_neural_graphs(graph: ax.NeuralGraph) -> None:
    data = ax.program.to_pyg(graph)
    assert data.num_nodes == 1 + 3 + 5 + 2
    assert data.edge_index.shape == (2, 3 + 15 + 10)
    assert data.edge_place.shape == data.edge_attr.shape == (28, 9)


def test_a_multigraph_has_an_edge_a_parameter_and_a_node_of_biases_a_layer(graph: ax.NeuralGraph) -> None:
    data = ax.program.to_pyg(graph, "gmn")
    parameters = torch.cat([graph.state[name].reshape(-1) for name in ax.parameter_graph(graph).parameters])
    assert data.num_nodes == 11 + 3
    assert data.edge_index.shape[1] == len(parameters) == 27 + 3 + 60 + 5 + 10 + 2
    assert sorted(data.edge_place.tolist()) == list(range(len(parameters)))
    assert torch.equal(data.edge_attr[:, 0], parameters[data.edge_place])
    assert set(data.edge_index[0, data.tap < 0].tolist()) == {11, 12, 13}
    assert data.bias_node.sum() == 3


def test_an_unknown_convention_is_refused(graph: ax.NeuralGraph) -> None:
    with pytest.raises(ConfigurationError, match=r"got 'gnm'. Did you mean gmn\? Choose from: neural-graphs, gmn"):
        ax.program.to_pyg(graph, "gnm")
