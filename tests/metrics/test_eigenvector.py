"""Eigenvector centrality: networkx, numpy's dense decomposition, closed forms, and graphs that have none."""

from __future__ import annotations

import math
import warnings

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from axonometry.errors import ConvergenceError, ValuesError, WeightsError
from axonometry.metrics import DisconnectedGraphWarning, eigenvector_centrality, leading_eigenpair
from axonometry.program import NeuralGraph
from axonometry.program.channels import ChannelGraph
from axonometry.program.ir import Group
from axonometry.values import NodeValues
from tests.metrics.graphs import flat, lenet, linear, networkx_of, residual, small_convolutional, vector_of
from tests.metrics.networks import fully_connected

A = ((1.0, 2.0), (3.0, 4.0))


def layered(*blocks: torch.Tensor) -> ChannelGraph:
    """A channel graph of one layer after the other, blocks of shape (target, source)."""
    sizes = [blocks[0].shape[1], *(len(block) for block in blocks)]
    groups = tuple(Group(str(i), (n,), "hidden", 0, "") for i, n in enumerate(sizes))
    return ChannelGraph(groups, {(str(i + 1), str(i)): block for i, block in enumerate(blocks)})


def separate(*blocks: torch.Tensor) -> ChannelGraph:
    """A channel graph of one layer whose block is block-diagonal."""
    return layered(torch.block_diag(*blocks))


def oracle(graph: NeuralGraph | ChannelGraph) -> torch.Tensor:
    """networkx's vector of the undirected graph."""
    undirected = nx.Graph(networkx_of(graph))
    return vector_of(nx.eigenvector_centrality(undirected, weight="weight", tol=1e-12, max_iter=100_000))


def test_worked_numbers() -> None:
    pair = leading_eigenpair(linear(A))
    assert pair.value == pytest.approx(5.4649857042, abs=1e-10)
    assert pair.vector.flatten().tolist() == pytest.approx([0.28606258, 0.64665926, 0.40732776, 0.57800009], abs=1e-8)


def test_two_layers_are_the_leading_singular_vectors() -> None:
    torch.manual_seed(0)
    block = torch.rand(40, 50, dtype=torch.float64)
    u, s, v = torch.linalg.svd(block)
    pair = leading_eigenpair(layered(block), tol=1e-12)
    assert pair.value == pytest.approx(float(s[0]))
    expected = torch.cat([v[0].abs(), u[:, 0].abs()]) / math.sqrt(2)
    assert torch.allclose(pair.vector.flatten(), expected, atol=1e-10)


@pytest.mark.parametrize("graph", [small_convolutional(), residual(), fully_connected(5, 7, 3)])
def test_neurons_against_networkx(graph: NeuralGraph) -> None:
    assert torch.allclose(flat(eigenvector_centrality(graph, tol=1e-12)), oracle(graph), atol=1e-8)


@pytest.mark.parametrize("graph", [lenet(), residual()], ids=["lenet", "residual"])
def test_channels_against_networkx(graph: NeuralGraph) -> None:
    channels = graph.channels()
    assert torch.allclose(flat(eigenvector_centrality(channels, tol=1e-12)), oracle(channels), atol=1e-8)


def test_single_precision_is_as_near_as_the_tolerance_says() -> None:
    exact, found = leading_eigenpair(lenet(double=True), tol=1e-12), leading_eigenpair(lenet())
    assert found.value == pytest.approx(exact.value, rel=1e-6)
    assert (flat(found.vector) - flat(exact.vector)).norm() < 1e-5
    assert 0 < found.residual < 4e-6
    assert found.products <= 40
    assert float(found.vector.flatten().min()) >= 0
    assert found.vector.flatten().norm() == pytest.approx(1, abs=1e-5)


def test_power_iteration_oscillates_where_this_does_not() -> None:
    graph = linear(A, ((1.0,), (2.0,)))
    dense = graph.abs().to_scipy().toarray()
    symmetric = dense + dense.T
    x = np.ones(len(symmetric))
    for _ in range(1000):
        before, x = x, symmetric @ x / np.linalg.norm(symmetric @ x)
    assert np.linalg.norm(x - before) > 0.1  # it goes back and forth between two vectors for ever
    found = eigenvector_centrality(graph).flatten().numpy()
    value = found @ symmetric @ found
    assert np.linalg.norm(symmetric @ found - value * found) < 1e-6 * value


@pytest.mark.parametrize("graph", [fully_connected(5, 7, 3), fully_connected(40, 30, 20, 10), lenet(double=True)])
def test_even_and_odd_layers_share_the_norm(graph: NeuralGraph) -> None:
    tensors = list(eigenvector_centrality(graph, tol=1e-10).values())
    even = math.sqrt(sum(float(tensor.square().sum()) for tensor in tensors[::2]))
    assert even == pytest.approx(1 / math.sqrt(2), abs=1e-8)


def test_small_graphs_give_the_same_by_products(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = fully_connected(9, 12, 3)
    decomposed = leading_eigenpair(graph)
    monkeypatch.setattr(NeuralGraph, "dense_up_to", 0)
    multiplied = leading_eigenpair(graph, tol=1e-12)
    assert torch.allclose(decomposed.vector.flatten(), multiplied.vector.flatten(), atol=1e-9)
    assert multiplied.value == pytest.approx(decomposed.value)
    monkeypatch.setattr(ChannelGraph, "dense_up_to", 0)
    channels = eigenvector_centrality(graph.channels(), tol=1e-12)
    assert torch.allclose(channels.flatten(), decomposed.vector.flatten(), atol=1e-9)


def test_a_warm_start_saves_products() -> None:
    graph = lenet(double=True)
    torch.manual_seed(0)
    later = graph.at({name: w + 1e-3 * w.std() * torch.randn_like(w) for name, w in graph.state.items()})
    before = eigenvector_centrality(graph)
    cold, warm = leading_eigenpair(later), leading_eigenpair(later, start=before)
    assert warm.products < cold.products
    assert warm.value == pytest.approx(cold.value, rel=1e-8)
    assert torch.allclose(warm.vector.flatten(), cold.vector.flatten(), atol=1e-5)


def test_a_start_that_knows_nothing_of_the_leading_part_does_not_mislead() -> None:
    torch.manual_seed(0)
    strong, weak = torch.rand(40, 40).double(), 0.3 * torch.rand(40, 40).double()
    graph = layered(strong, 1e-6 * torch.rand(40, 40).double(), weak)
    ends = {"0": 0.0, "1": 0.0, "2": 1.0, "3": 1.0}
    start = NodeValues({name: torch.full((40,), ends[name], dtype=torch.float64) for name in ends})
    pair = leading_eigenpair(graph, start=start)
    assert pair.value == pytest.approx(float(torch.linalg.matrix_norm(strong, 2)), rel=1e-6)


def test_the_component_with_the_largest_eigenvalue_wins_whichever_has_the_largest_degree() -> None:
    star = torch.full((1, 40), 1.0, dtype=torch.float64)  # degree 40, eigenvalue sqrt(40)
    square = torch.full((10, 10), 1.0, dtype=torch.float64)  # degree 10, eigenvalue 10
    graph = separate(star, square)
    with pytest.warns(DisconnectedGraphWarning, match="41 linked neurons lie outside"):
        pair = leading_eigenpair(graph)
    assert pair.value == pytest.approx(10)
    assert pair.outside == 41
    x = pair.vector.flatten()
    assert (x > 0).sum() == 20
    assert torch.allclose(x[x > 0], torch.full((20,), 1 / math.sqrt(20), dtype=torch.float64))


def test_a_disconnected_neuron_graph() -> None:
    weight = torch.block_diag(torch.rand(40, 40) + 1, torch.rand(40, 40)).double()
    graph = fully_connected(80, 80)
    graph = graph.at({**graph.state, "0.weight": weight})
    with pytest.warns(DisconnectedGraphWarning, match="80 linked neurons"):
        pair = leading_eigenpair(graph)
    assert pair.value == pytest.approx(float(torch.linalg.matrix_norm(weight[:40, :40], 2)))
    assert pair.vector["input"][40:].abs().max() == 0


def test_neurons_without_links_are_no_component() -> None:
    graph = fully_connected(80, 80)
    weight = graph.state["0.weight"].clone()
    weight[:, 3] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pair = leading_eigenpair(graph.at({**graph.state, "0.weight": weight}))
    assert pair.isolated == 1
    assert pair.outside == 0
    assert pair.vector["input"][3] == 0
    assert (pair.vector.flatten() > 0).sum() == 159


@pytest.mark.parametrize("size", [2, 50])
def test_equal_components_are_said_to_be_degenerate(size: int) -> None:
    torch.manual_seed(0)
    block = torch.rand(size, size, dtype=torch.float64) + 0.1
    with pytest.raises(ConvergenceError, match="a degenerate leading eigenvalue"):
        eigenvector_centrality(separate(block, block))


def test_eigenvalues_that_lie_too_close_do_not_converge() -> None:
    chain = layered(*[torch.ones(1, 1, dtype=torch.float64)] * 600)  # the largest two differ by one part in 24,000
    with pytest.raises(ConvergenceError, match=r"residual of 1.0e-12; got .* eigenvalues lie too close"):
        eigenvector_centrality(chain, tol=1e-12)


def test_nearly_equal_components_that_a_weak_link_joins() -> None:
    torch.manual_seed(0)
    block = torch.rand(50, 50, dtype=torch.float64) + 0.1
    bridged = torch.block_diag(block, (1 + 1e-6) * block)
    bridged[0, 99] = 1e-9
    found = eigenvector_centrality(layered(bridged), tol=1e-13)
    _, _, v = torch.linalg.svd(bridged)
    assert torch.allclose(found["0"], v[0].abs() / math.sqrt(2), atol=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("channels", [False, True])
def test_weights_that_are_not_finite_are_one_clear_error(value: float, channels: bool) -> None:
    graph = fully_connected(80, 80)
    weight = graph.state["0.weight"].clone()
    weight[0, 0] = value
    graph = graph.at({**graph.state, "0.weight": weight})
    with pytest.raises(WeightsError, match=r"finite weights and degrees; got \d+ neurons"):
        eigenvector_centrality(graph.channels() if channels else graph)


@pytest.mark.parametrize("width", [3, 80])
def test_a_graph_without_weight_has_none(width: int) -> None:
    graph = fully_connected(width, width)
    with pytest.raises(WeightsError, match="needs a link whose weight is not zero"):
        eigenvector_centrality(graph.at({name: torch.zeros_like(w) for name, w in graph.state.items()}))


def test_a_start_that_does_not_fit_is_refused() -> None:
    graph = fully_connected(5, 7, 3)
    with pytest.raises(ValuesError, match="`start` has a value for every neuron"):
        eigenvector_centrality(graph, start=fully_connected(5, 6, 3).ones())
    with pytest.raises(ValuesError, match="finite and not zero; got a norm of 0"):
        eigenvector_centrality(graph, start=graph.zeros())
    with pytest.raises(ValuesError, match="finite and not zero; got a norm of nan"):
        eigenvector_centrality(graph, start=graph.ones() * math.nan)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([1e-30, -1e-3, 0.5, -7.0, 1e20]))
def test_scaling_the_weights_changes_nothing(factor: float) -> None:
    graph = fully_connected(40, 30, 20)
    scaled = graph.at({name: factor * w for name, w in graph.state.items()})
    pair = leading_eigenpair(scaled, tol=1e-10)
    assert torch.allclose(pair.vector.flatten(), eigenvector_centrality(graph, tol=1e-10).flatten(), atol=1e-9)
    assert pair.value == pytest.approx(abs(factor) * leading_eigenpair(graph, tol=1e-10).value, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(30)))
def test_permuting_hidden_units_permutes_it(order: list[int]) -> None:
    graph = fully_connected(40, 30, 20)
    first, second = graph.state["0.weight"], graph.state["2.weight"]
    permuted = graph.at({**graph.state, "0.weight": first[order], "2.weight": second[:, order]})
    before, after = eigenvector_centrality(graph, tol=1e-10), eigenvector_centrality(permuted, tol=1e-10)
    assert torch.allclose(after["0"], before["0"][order], atol=1e-9)
    assert torch.allclose(after["2"], before["2"], atol=1e-9)


def test_inference_mode_changes_nothing() -> None:
    expected = eigenvector_centrality(small_convolutional()).flatten()
    with torch.inference_mode():
        found = eigenvector_centrality(small_convolutional()).flatten()
    assert torch.equal(found, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_and_keeps_the_vectors_there() -> None:
    graph = lenet()
    on_device = graph.at({name: value.cuda() for name, value in graph.state.items()})
    found = eigenvector_centrality(on_device)
    assert all(tensor.device.type == "cuda" for tensor in found.values())
    assert torch.allclose(flat(found).cpu(), flat(eigenvector_centrality(graph)), atol=1e-5)
    channels = eigenvector_centrality(on_device.channels()).flatten().cpu()
    assert torch.allclose(channels, eigenvector_centrality(graph.channels()).flatten(), atol=1e-5)
