"""Weighted degree: worked numbers, networkx and the dense matrix."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from axonometry.errors import ConfigurationError
from axonometry.metrics import node_strength, weighted_degree
from axonometry.metrics.degree import check_direction
from axonometry.program import NeuralGraph, capture
from axonometry.testing import matrix
from tests.metrics.graphs import flat, lenet, linear, networkx_of, residual, small_convolutional, vector_of


def test_worked_numbers() -> None:
    assert weighted_degree(linear(((1, 2), (3, 4)))).flatten().tolist() == [3, 7, 4, 6]


def test_directions_add_up_and_signs_are_kept_when_asked() -> None:
    graph = linear(((1, -2), (3, 4)))
    assert weighted_degree(graph, "in").flatten().tolist() == [0, 0, 4, 6]
    assert weighted_degree(graph, "out").flatten().tolist() == [3, 7, 0, 0]
    assert weighted_degree(graph, signed=True).flatten().tolist() == [-1, 7, 4, 2]
    assert torch.equal(weighted_degree(graph, signed=True).flatten(), node_strength(graph).flatten())


def test_a_kernel_is_its_norm_in_the_channel_graph() -> None:
    layer = nn.Conv2d(1, 1, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[[3.0, 4.0], [0.0, 0.0]]]]))
    assert weighted_degree(capture(layer, torch.zeros(1, 1, 4, 4)).channels()).flatten().tolist() == [5, 5]


@pytest.mark.parametrize("graph", [small_convolutional(), residual()], ids=["convolutional", "residual"])
def test_neurons_against_networkx_and_the_dense_matrix(graph: NeuralGraph) -> None:
    found = flat(weighted_degree(graph))
    dense = matrix(graph.abs())
    assert torch.allclose(found, dense.sum(0) + dense.sum(1))
    assert torch.allclose(found, vector_of(dict(networkx_of(graph).degree(weight="weight"))))


@pytest.mark.parametrize("graph", [lenet(), residual()], ids=["lenet", "residual"])
@pytest.mark.parametrize("direction", ["both", "in", "out"])
def test_channels_against_networkx(graph: NeuralGraph, direction: str) -> None:
    channels = graph.channels()
    oracle = networkx_of(channels)
    degree = {"both": oracle.degree, "in": oracle.in_degree, "out": oracle.out_degree}[direction]
    assert torch.allclose(flat(weighted_degree(channels, direction)), vector_of(dict(degree(weight="weight"))))


def test_degrees_count_every_link_twice() -> None:
    graph = residual()
    received, sent = (weighted_degree(graph, direction).sum() for direction in ("in", "out"))
    assert received == pytest.approx(sent)
    assert weighted_degree(graph).sum() == pytest.approx(2 * received)


def test_an_unknown_direction_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'both', 'in' or 'out'; got 'up'"):
        check_direction("up")
