"""Measures of the directed graph against networkx: Katz, PageRank, hubs and authorities, assortativity."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import networkx as nx
import pytest
import torch
from hypothesis import given, settings, strategies as st

from axonometry.errors import ConfigurationError, ConvergenceError, WeightsError
from axonometry.metrics import degree_assortativity, hubs_and_authorities, katz_centrality, pagerank
from axonometry.metrics.products import absolute_links
from axonometry.program import NeuralGraph
from axonometry.program.channels import ChannelGraph
from tests.metrics.graphs import flat, lenet, linear, networkx_of, residual, small_convolutional, vector_of
from tests.metrics.networks import fully_connected

GRAPHS = {
    "linear": linear(((1.0, -2.0), (3.0, 4.0)), ((1.0,), (-5.0,))),
    "fully connected": fully_connected(30, 40, 20),
    "convolutional": small_convolutional(),
    "residual": residual(),
    "channels of LeNet": lenet().channels(),
    "channels of a residual network": residual().channels(),
}
Graph = NeuralGraph | ChannelGraph
every_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)


@every_graph
@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 1.0), (0.7, 0.2)])
def test_katz_is_that_of_networkx(graph: Graph, alpha: float, beta: float) -> None:
    expected = nx.katz_centrality(networkx_of(graph), alpha, beta, weight="weight", tol=1e-14)
    found = flat(katz_centrality(graph, alpha, beta, tol=1e-14))
    assert torch.allclose(found, vector_of(expected), rtol=1e-7, atol=1e-12)
    assert float(found.norm()) == pytest.approx(1)


@every_graph
@pytest.mark.parametrize("damping", [0.85, 0.3])
def test_pagerank_is_that_of_networkx(graph: Graph, damping: float) -> None:
    expected = nx.pagerank(networkx_of(graph), damping, weight="weight", tol=1e-16)
    found = flat(pagerank(graph, damping, tol=1e-14))
    assert torch.allclose(found, vector_of(expected), rtol=1e-7, atol=1e-12)
    assert float(found.sum()) == pytest.approx(1)


def test_pagerank_of_layers_is_a_series_as_long_as_there_are_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk that is followed step by step took sixty products of a LeNet."""
    graph, taken = lenet(), []
    links = absolute_links(graph)
    counted = replace(links, forward=lambda x: taken.append(1) or links.forward(x))
    monkeypatch.setattr(sys.modules[pagerank.__module__], "absolute_links", lambda _: counted)
    found = pagerank(graph)
    assert len(taken) <= len(graph.groups)
    assert float(found.flatten().sum()) == pytest.approx(1)


def test_a_walk_that_always_follows_links_is_that_of_networkx() -> None:
    graph = GRAPHS["linear"]
    expected = vector_of(nx.pagerank(networkx_of(graph), 1.0, weight="weight", tol=1e-12, max_iter=1000))
    assert torch.allclose(flat(pagerank(graph, 1.0, tol=1e-12)), expected, rtol=1e-6)


@every_graph
def test_hubs_and_authorities_are_those_of_networkx(graph: Graph) -> None:
    expected = nx.hits(networkx_of(graph), max_iter=10_000, tol=1e-14)
    found = hubs_and_authorities(graph, tol=1e-12)
    for values, oracle in zip(found, expected, strict=True):
        assert torch.allclose(flat(values), vector_of(oracle), atol=1e-8)
        assert values.sum() == pytest.approx(1)


@every_graph
def test_assortativity_is_that_of_networkx(graph: Graph) -> None:
    expected = nx.degree_assortativity_coefficient(networkx_of(graph), x="out", y="in", weight="weight")
    assert degree_assortativity(graph) == pytest.approx(expected, abs=1e-8)


def test_katz_of_a_chain_by_hand() -> None:
    graph = linear(((2.0,),), ((3.0,),))
    raw = torch.tensor([1.0, 1 + 0.5 * 2, 1 + 0.5 * 3 * 2], dtype=torch.float64)
    assert torch.allclose(katz_centrality(graph, 0.5).flatten(), raw / raw.norm())


def test_one_leading_pair_of_layers_takes_all_authority() -> None:
    graph = linear(((1.0, 2.0), (3.0, 4.0)), ((0.1,), (0.1,)))
    hubs, authorities = hubs_and_authorities(graph)
    assert hubs["input"].sum() == pytest.approx(1)
    assert authorities["0"].sum() == pytest.approx(1)
    assert float(authorities["2"]) == 0


def test_a_largest_singular_value_that_is_not_simple_is_refused() -> None:
    with pytest.raises(ConvergenceError, match="one largest singular value"):
        hubs_and_authorities(linear(((1.0, 0.0), (0.0, 1.0))))


def test_the_same_degree_everywhere_has_no_assortativity() -> None:
    assert math.isnan(degree_assortativity(linear(((1.0, 1.0), (1.0, 1.0)))))


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([1e-6, -0.5, 7.0, 1e6]))
def test_scaling_leaves_what_it_should(factor: float) -> None:
    graph = fully_connected(20, 30, 20)
    scaled = graph.at({name: factor * w for name, w in graph.state.items()})
    assert torch.allclose(pagerank(scaled, tol=1e-13).flatten(), pagerank(graph, tol=1e-13).flatten(), rtol=1e-9)
    for one, other in zip(hubs_and_authorities(scaled), hubs_and_authorities(graph), strict=True):
        assert torch.allclose(one.flatten(), other.flatten(), atol=1e-6)
    assert degree_assortativity(scaled) == pytest.approx(degree_assortativity(graph), abs=1e-9)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_do_not_converge(value: float) -> None:
    graph = fully_connected(20, 30, 20)
    broken = graph.state["0.weight"].clone()
    broken[0, 0] = value
    graph = graph.at({**graph.state, "0.weight": broken})
    for measure, error in (
        (katz_centrality, ConvergenceError),
        (pagerank, ConvergenceError),
        (hubs_and_authorities, WeightsError),
    ):
        with pytest.raises(error, match=r"finite.*the training has diverged") as e:
            measure(graph)
        assert "alpha" not in str(e.value)
        assert "eigenvector" not in str(e.value)
    assert math.isnan(degree_assortativity(graph))


def test_a_damping_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"`damping` is a probability; got 1\.5"):
        pagerank(linear(((1.0,),)), 1.5)
