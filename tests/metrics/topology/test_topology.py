"""Topology: the worked numbers of the papers' codes, networkx and gudhi as oracles, and layers of every odd kind."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

import axonometry as ax
from axonometry.errors import ValuesError, WeightsError
from axonometry.metrics.topology.persistence import persistence_of
from axonometry.metrics.topology.trees import bipartite_tree, complete_tree, max_min_product
from axonometry.testing import graph_of
from tests.metrics.graphs import lenet, residual, small_convolutional

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 7))
LAYER = ([[0.5, 0.25], [-1.0, 0.75]],)
"""W = [[.5, -1], [.25, .75]] of the definitions, whose rows are inputs."""


def networkx_tree(weights: np.ndarray) -> np.ndarray:
    n, m = weights.shape
    graph = nx.Graph()
    graph.add_weighted_edges_from((i, n + j, float(weights[i, j])) for i in range(n) for j in range(m))
    return np.sort([w for *_, w in nx.maximum_spanning_tree(graph).edges(data="weight")])[::-1]


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(
        np.float64, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.sampled_from((0, 0.25, 0.5, 0.7, 1))
    )
)
def test_a_spanning_tree_is_that_of_networkx(weights: np.ndarray) -> None:
    assert np.array_equal(bipartite_tree(weights), networkx_tree(weights))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.integers(0, 1000))
def test_a_max_min_product_is_its_definition(n: int, k: int, m: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    a, b = chance.random((n, k)), chance.random((k, m))
    assert np.array_equal(max_min_product(a, b), np.minimum(a[:, :, None], b[None]).max(1))


def test_neural_persistence_of_the_definitions() -> None:
    graph = graph_of(*LAYER)
    paper, official = (ax.neural_persistence(graph, name).iloc[0] for name in ("paper", "official"))
    assert [paper["persistence"], paper["normalised"]] == pytest.approx([0.559017, 0.322749], abs=1e-6)
    assert [official["persistence"], official["normalised"]] == pytest.approx([1.145644, 0.661438], abs=1e-6)
    assert paper["variance"] == pytest.approx(np.var([0.5, 1, 0.25, 0.75]))


def test_neural_persistence_is_that_of_gudhi() -> None:
    gudhi = pytest.importorskip("gudhi")
    torch.manual_seed(0)
    graph = ax.capture(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4)).double(), torch.zeros(1, 6).double())
    found = ax.neural_persistence(graph)
    weights = [kernel.weight.abs().numpy() for kernel in graph.kernels().values()]
    top = max(w.max() for w in weights)
    for (_, row), w in zip(found.iterrows(), weights, strict=True):
        tree = gudhi.SimplexTree()
        outputs, inputs = w.shape
        for node in range(outputs + inputs):
            tree.insert([node], filtration=0)
        for o in range(outputs):
            for i in range(inputs):
                tree.insert([o, outputs + i], filtration=1 - w[o, i] / top)
        tree.persistence()
        finite = [d - b for b, d in tree.persistence_intervals_in_dimension(0) if math.isfinite(d)]
        assert row["persistence"] == pytest.approx(np.linalg.norm(finite))


def test_deep_graph_persistence_of_the_definitions() -> None:
    graph = graph_of([[0.9, 0.4], [0.2, 0.6]], [[0.5, 1.0], [0.8, 0.1]])
    found = ax.deep_graph_persistence(graph, "vanilla")
    assert [found["persistence"], found["normalised"]] == pytest.approx([0.450694, 0.260208], abs=1e-6)
    assert ax.deep_graph_persistence(graph, "unscaled")["nodes"] == 4


def test_deep_graph_persistence_standardises_each_layer() -> None:
    torch.manual_seed(3)
    graph = ax.capture(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 4)), torch.zeros(1, 5))
    layers = [k.weight.double().numpy().T for k in graph.kernels().values()]
    layers = [np.abs((w - w.mean()) / w.std()) for w in layers]
    a, b = (w / max(w.max() for w in layers) for w in layers)
    widest = np.minimum(a[:, :, None], b[None]).max(1)
    expected = persistence_of(widest / widest.max())
    assert list(ax.deep_graph_persistence(graph).values()) == pytest.approx(list(map(float, expected)))


@pytest.mark.parametrize("graph", [residual, small_convolutional, lenet], ids=["residual", "convolutional", "lenet"])
def test_every_captured_network_has_both(graph) -> None:
    network = graph()
    layers = ax.neural_persistence(network)
    assert layers["layer"].tolist() == [s.name for s in network.synapses]
    assert layers["normalised"].between(0, 1).all()
    assert 0 <= ax.deep_graph_persistence(network)["normalised"] <= 1
    rows = ax.measure(network, ["neural_persistence", "deep_graph_persistence"])
    assert rows.query("group == '' and metric == 'neural_persistence' and statistic == 'normalised'")[
        "value"
    ].item() == pytest.approx(layers["normalised"].mean())


def test_the_layer_of_a_convolution_is_of_norms_and_of_all_neurons_where_asked() -> None:
    network = small_convolutional()
    kernel = network.kernel("0").weight
    norms = kernel.flatten(2).norm(dim=2).T.numpy()
    found = ax.neural_persistence(network).set_index("layer")
    assert found.loc["0", "nodes"] == sum(norms.shape)
    neurons = ax.neural_persistence(network, level="neurons").set_index("layer")
    matrix = abs(network.to_scipy()).toarray()
    sizes = [group.n_neurons for group in network.groups]
    block = matrix[sizes[0] : sizes[0] + sizes[1], : sizes[0]].T
    tree = networkx_tree(block / abs(matrix).max())
    assert neurons.loc["0", "persistence"] == pytest.approx(np.linalg.norm(1 - tree))


def test_a_skip_is_a_way_too() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.first(x)
            return self.second(torch.relu(h)) + h

    model = Skip()
    with torch.no_grad():
        model.first.weight.copy_(torch.tensor([[0.5, 0.1], [0.2, 0.4]]))
        model.second.weight.fill_(0.01)
    graph = ax.capture(model, torch.zeros(1, 2))
    first, through = np.array([[0.5, 0.2], [0.1, 0.4]]), np.full((2, 2), 0.01) + (1 - 0.01) * np.eye(2)
    widest = np.minimum(first[:, :, None], through[None]).max(1)
    expected = persistence_of(widest / widest.max())
    assert ax.deep_graph_persistence(graph, "vanilla")["persistence"] == pytest.approx(expected[1], rel=1e-4)


def test_recurrent_links_end() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.out = nn.RNN(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.cell(x)[0][:, -1])

    graph = ax.capture(Last(), torch.zeros(1, 5, 3))
    assert 0 <= ax.deep_graph_persistence(graph)["normalised"] <= 1


@pytest.mark.parametrize("weights", [[[1.0]], [[2.0, 2.0], [2.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]], [[0.0], [3.0]]])
def test_one_neuron_ties_and_links_that_are_missing(weights: list[list[float]]) -> None:
    found = ax.neural_persistence(graph_of(weights)).iloc[0]
    w = np.abs(np.array(weights)).T
    assert found["persistence"] == pytest.approx(np.linalg.norm(1 - networkx_tree(w / w.max())))


def test_what_has_no_persistence() -> None:
    for weights, came in (([[0.0, 0.0]], "none"), ([[math.nan, 1.0]], "NaN"), ([[math.inf, 1.0]], "NaN")):
        with pytest.raises(WeightsError, match=f"finite weights, one of them not zero; got {came}"):
            ax.neural_persistence(graph_of(weights))
        assert ax.measure(graph_of(weights), ["neural_persistence", "deep_graph_persistence"])["value"].isna().all()


def test_order_makes_sortedness_and_shuffling_takes_it_away() -> None:
    chance = np.random.default_rng(0)
    ordered = chance.random((60, 1)) + chance.random((1, 60))
    shuffled = chance.permutation(ordered.ravel()).reshape(60, 60)
    found = [persistence_of(w / w.max()) for w in (ordered, shuffled)]
    assert found[0][3] == pytest.approx(found[1][3])
    assert found[0][4] == pytest.approx(1)
    assert found[1][4] == pytest.approx(118 / 3599, abs=0.02)
    z = ax.null(graph_of(ordered.T.tolist()), "shuffle", "neural_persistence", draws=5).set_index(
        ["group", "statistic"]
    )
    assert abs(z.loc[("", "normalised"), "z"]) > 5


# trajectories ---------------------------------------------------------------------------------------------------------


def distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points, axis=2)


def test_lifetimes_are_those_of_gudhi() -> None:
    gudhi = pytest.importorskip("gudhi")
    points = np.random.default_rng(0).random((25, 3))
    tree = gudhi.RipsComplex(points=points).create_simplex_tree(max_dimension=1)
    tree.persistence()
    lives = [d for _, d in tree.persistence_intervals_in_dimension(0) if math.isfinite(d)]
    assert np.allclose(np.sort(lives), complete_tree(distances(points)))
    assert ax.metrics.lifetime_sum(distances(points), 2) == pytest.approx(np.square(lives).sum())


@pytest.mark.parametrize(("dimension", "tolerance"), [(1, 0.15), (2, 0.35), (3, 0.7)])
def test_the_dimension_of_points_that_fill_a_space(dimension: int, tolerance: float) -> None:
    points = np.random.default_rng(1).random((400, dimension))
    inside = np.concatenate([points, np.zeros((400, 5 - dimension))], 1)
    assert ax.metrics.ph_dimension(distances(inside)) == pytest.approx(dimension, abs=tolerance)


def test_what_has_no_dimension() -> None:
    assert math.isnan(ax.metrics.ph_dimension(np.zeros((30, 30))))
    with pytest.raises(ValuesError, match="of the distances of 20 points or more"):
        ax.metrics.ph_dimension(np.zeros((3, 3)))
    with pytest.raises(ValuesError, match="finite and the same both ways"):
        ax.metrics.ph_dimension(np.triu(np.ones((30, 30))))
