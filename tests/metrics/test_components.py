"""Which neurons hang together, against networkx's weakly connected components."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from hypothesis import given, settings, strategies as st

from axonometry.metrics.components import reached
from axonometry.program import NeuralGraph
from axonometry.values import NodeValues
from tests.metrics.graphs import lenet, networkx_of, residual, small_convolutional
from tests.metrics.networks import fully_connected


def marked(graph: NeuralGraph, node: int) -> NodeValues:
    """1 at one neuron, by its place in the flat order."""
    parts, flat = {}, torch.zeros(graph.n_neurons, dtype=graph.dtype)
    flat[node] = 1
    for group in graph.groups:
        parts[group.name], flat = flat[: group.n_neurons].reshape(group.shape), flat[group.n_neurons :]
    return NodeValues(parts)


def components(graph: NeuralGraph) -> dict[tuple[str, int], set[tuple[str, int]]]:
    """The component of every neuron."""
    found = nx.weakly_connected_components(networkx_of(graph))
    return {node: component for component in found for node in component}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 0.97), st.integers(0, 44))
def test_sparse_networks(seed: int, zeros: float, node: int) -> None:
    torch.manual_seed(seed)
    graph = fully_connected(10, 12, 8, 8, 7)
    graph = graph.at({name: w * (torch.rand_like(w) > zeros) for name, w in graph.state.items()})
    check(graph, node)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 300))
@pytest.mark.parametrize("graph", [small_convolutional(), residual()], ids=["convolutional", "residual"])
def test_pruned_kernels(graph: NeuralGraph, seed: int, node: int) -> None:
    torch.manual_seed(seed)
    state = {n: w * (torch.rand_like(w) > 0.7) if w.dim() > 1 else w for n, w in graph.state.items()}
    check(graph.at(state), node % graph.n_neurons)


def check(graph: NeuralGraph, node: int) -> None:
    labels = [(group.name, i) for group in graph.groups for i in range(group.n_neurons)]
    found, _ = reached(graph, marked(graph, node))
    inside = {label for label, mark in zip(labels, found.flatten().tolist(), strict=True) if mark > 0}
    assert inside == components(graph)[labels[node]]


def test_a_usual_network_takes_few_passes() -> None:
    graph = lenet()
    found, passes = reached(graph, marked(graph, 5000))
    assert found.sum() == graph.n_neurons
    assert passes <= 3


def test_weights_far_from_one_are_links() -> None:
    graph = fully_connected(80, 80, 80)
    for factor in (1e-300, 1e300):
        scaled = graph.at({name: factor * w for name, w in graph.state.items()})
        assert reached(scaled, marked(scaled, 0))[0].sum() == graph.n_neurons
