"""Network science: bctpy, igraph and networkx as oracles on small graphs, and graphs of every odd kind."""

from __future__ import annotations

import math
import warnings

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ArgumentError, ConfigurationError, MissingExtraError, ValuesError, WeightsError
from axonometry.metrics import networks
from axonometry.metrics.networks import matrix
from axonometry.metrics.networks.communities import mutual_information
from axonometry.metrics.networks.shortest import distances_from
from axonometry.metrics.networks.summary import STATISTICS
from axonometry.program.channels import ChannelGraph
from axonometry.testing import graph_of
from tests.metrics.graphs import residual

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    bct = pytest.importorskip("bct")
igraph = pytest.importorskip("igraph")


def random_graph(seed: int, n: int = 14, share: float = 0.35) -> np.ndarray:
    chance = np.random.default_rng(seed)
    weights = chance.random((n, n)) * (chance.random((n, n)) < share)
    np.fill_diagonal(weights, 0)
    return weights


GRAPHS = [random_graph(0), random_graph(1, share=0.15), random_graph(2, n=9, share=0.8)]
LABELS = [np.arange(len(graph)) % 3 for graph in GRAPHS]


@pytest.fixture(params=range(len(GRAPHS)))
def weights(request: pytest.FixtureRequest) -> np.ndarray:
    return GRAPHS[request.param]


def labels(weights: np.ndarray) -> np.ndarray:
    return np.arange(len(weights)) % 3


def test_modularity_is_that_of_igraph_and_networkx(weights: np.ndarray) -> None:
    own = networks.modularity(weights, labels(weights))
    graph = matrix.of_igraph(weights)
    assert own == pytest.approx(graph.modularity(labels(weights).tolist(), weights="weight", directed=True))
    parts = [set(np.flatnonzero(labels(weights) == c).tolist()) for c in range(3)]
    directed = nx.from_numpy_array(weights, create_using=nx.DiGraph)
    assert own == pytest.approx(nx.community.modularity(directed, parts, weight="weight"))


def test_participation_and_within_module_z_are_those_of_bctpy(weights: np.ndarray) -> None:
    both, own = weights + weights.T, labels(weights)
    assert networks.participation(weights, own) == pytest.approx(bct.participation_coef(both, own + 1))
    theirs = bct.module_degree_zscore(weights, own + 1, flag=3)
    assert networks.within_module_z(weights, own) == pytest.approx(theirs)


def test_a_sparse_array_gives_the_same(weights: np.ndarray) -> None:
    links, own = matrix.as_links(weights), labels(weights)
    assert networks.modularity(links, own) == pytest.approx(networks.modularity(weights, own))
    assert networks.participation(links, own) == pytest.approx(networks.participation(weights, own))
    assert np.array_equal(networks.coreness(links), networks.coreness(weights))
    assert networks.efficiency(links) == pytest.approx(networks.efficiency(weights))


def test_the_rich_club_is_that_of_bctpy(weights: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = bct.rich_club_wd(weights)
    own, known = networks.rich_club(weights), np.isfinite(theirs)  # theirs has no number where every node is rich
    assert own[known] == pytest.approx(np.asarray(theirs, float)[known])
    assert known.sum() >= 3
    assert own[0] == pytest.approx(1)


def test_coreness_is_that_of_igraph(weights: np.ndarray) -> None:
    theirs = matrix.of_igraph(weights).coreness(mode="all")
    assert networks.coreness(weights).tolist() == theirs


def test_core_and_periphery_have_the_quality_that_bctpy_says(weights: np.ndarray) -> None:
    core, quality = networks.core_periphery(weights)
    theirs, q = max(
        (bct.core_periphery_dir(weights.copy(), seed=seed) for seed in range(3)), key=lambda found: found[1]
    )
    assert quality >= q * 0.97 - 1e-9
    n = len(weights)
    gain = weights - weights.sum() / (n * n - n)
    np.fill_diagonal(gain, 0)
    gain = (gain + gain.T) / (2 * weights.sum())
    for partition, value in ((core, quality), (theirs.astype(bool), q)):
        assert value == pytest.approx(
            gain[partition][:, partition].sum() - gain[~partition][:, ~partition].sum(), abs=0.02
        )


def test_efficiency_is_that_of_bctpy(weights: np.ndarray) -> None:
    assert networks.efficiency(weights) == pytest.approx(bct.efficiency_wei(weights))
    few = [networks.efficiency(weights, sources=6, seed=seed) for seed in range(60)]
    assert np.mean(few) == pytest.approx(networks.efficiency(weights), rel=0.1)


def test_betweenness_is_that_of_bctpy_and_networkx(weights: np.ndarray) -> None:
    lengths = np.divide(1, weights, out=np.zeros_like(weights), where=weights > 0)
    own = networks.betweenness(weights)
    assert own == pytest.approx(bct.betweenness_wei(lengths))
    graph = nx.from_numpy_array(lengths, create_using=nx.DiGraph)
    theirs = nx.betweenness_centrality(graph, weight="weight", normalized=False)
    assert own == pytest.approx([theirs[node] for node in range(len(weights))])


def test_clustering_and_local_efficiency_are_those_of_bctpy(weights: np.ndarray) -> None:
    both = weights + weights.T
    both /= both.max()
    assert networks.clustering(weights) == pytest.approx(bct.clustering_coef_wu(both))
    assert networks.local_efficiency(weights) == pytest.approx(bct.efficiency_wei(both, local=True))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
def test_motifs_are_those_of_networkx_and_igraph(share: float) -> None:
    weights = random_graph(5, n=12, share=share)
    own = networks.motifs(channel_graph(weights, (5, 4, 3)))
    theirs = nx.triadic_census(nx.from_numpy_array(weights, create_using=nx.DiGraph))
    assert own == {name: theirs[name] for name in own}
    assert len(own) == 13
    census = matrix.of_igraph(weights).triad_census()
    assert own["030T"] == census.t030T
    assert own["021C"] == census.t021C


def channel_graph(weights: np.ndarray, sizes: tuple[int, ...]) -> ChannelGraph:
    """A channel graph with these links, in groups of these sizes."""
    names = [f"g{place}" for place in range(len(sizes))]
    ends = np.cumsum([0, *sizes])
    groups = tuple(ax.program.Group(name, (size,), "hidden", 0, "") for name, size in zip(names, sizes, strict=True))
    blocks = {
        (target, source): torch.from_numpy(weights[ends[i] : ends[i + 1], ends[j] : ends[j + 1]].T.copy())
        for i, source in enumerate(names)
        for j, target in enumerate(names)
    }
    return ChannelGraph(groups, blocks)


def test_planted_communities_are_found_and_layers_are_none() -> None:
    block = np.kron(np.eye(3), np.ones((6, 6))) + 0.01
    graph = graph_of(block.tolist(), block.tolist())
    for directed in (True, False):
        found = ax.communities(graph, directed=directed)
        assert found.count == 3
        planted = np.tile(np.repeat(np.arange(3), 6), 3)
        assert mutual_information(found.membership.flatten().numpy(), planted) == 1
        assert found.modularity > 0.6
        assert found.layer_modularity == pytest.approx(-0.25)
        assert found.agreement == pytest.approx(0, abs=1e-6)
        assert found.participation["0"].max() < 0.1
    again, other = ax.communities(graph, seed=1), ax.communities(graph, seed=1)
    assert torch.equal(again.membership.flatten(), other.membership.flatten())


def test_small_worldness_needs_triangles() -> None:
    assert math.isnan(networks.small_world(graph_of([[1.0, 2.0]], [[1.0], [1.0]]), 2))
    assert networks.small_world(residual(), 3) > 0


def test_the_summary_is_of_every_network_and_does_not_depend_on_which_channel_stands_where() -> None:
    graph = residual()
    found = ax.measure(graph, "channel_network").set_index("statistic")["value"]
    assert tuple(found.index) == STATISTICS
    assert found.notna().all()
    scores = ax.null(graph, "strengths", "channel_network", draws=3)
    assert set(scores["draws"]) == {3}


@pytest.mark.parametrize("rows", [[[0.0, 0.0]], [[math.nan, 1.0]]])
def test_networks_without_links_or_without_numbers(rows: list[list[float]]) -> None:
    graph = graph_of(rows)
    assert ax.measure(graph, "channel_network")["value"].isna().all()
    with pytest.raises(WeightsError, match=r"finite weights|whose weight is not zero"):
        ax.communities(graph)


def test_one_link() -> None:
    graph = graph_of([[2.0]])
    assert ax.measure(graph, "channel_network")["value"].notna().all()
    assert networks.efficiency(networks.link_matrix(graph)) == 1.0
    assert networks.core_periphery(np.zeros((3, 3)))[0].tolist() == [False] * 3
    assert networks.rich_club(np.zeros((3, 3))).tolist() == []
    assert math.isnan(networks.modularity(np.zeros((2, 2)), np.array([0, 1])))


def test_the_strongest_links_of_each_block() -> None:
    torch.manual_seed(0)
    graph = ax.capture(nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 5)), torch.zeros(1, 20))
    few = networks.strongest(graph, 0.1)
    assert [int((block != 0).sum()) for block in few.blocks.values()] == [20, 5]
    assert few.blocks["0", "input"].max() == graph.channels().blocks["0", "input"].max()
    for share in (0.0, 1.5, math.nan):
        with pytest.raises(ValuesError, match="above 0 and at most 1"):
            networks.strongest(graph, share)


def test_a_partition_fits_the_graph() -> None:
    with pytest.raises(ValuesError, match=r"got 2 for a matrix of shape \(3, 3\)"):
        networks.modularity(np.zeros((3, 3)), np.array([0, 1]))


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "igraph", None)
    with pytest.raises(MissingExtraError, match=r"missing package: igraph\. Install it with: pip install"):
        ax.measure(graph_of([[1.0]]), "channel_network")


# percolation ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["weakest", "strongest", "random", "betweenness"])
def test_percolation_from_everything_to_nothing(order: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    graph = ax.capture(model, torch.zeros(1, 4).double())
    samples = torch.rand(50, 4).double()
    expected = model(samples).argmax(1)

    def accuracy(state: dict[str, torch.Tensor]) -> float:
        return float((torch.func.functional_call(model, dict(state), (samples,)).argmax(1) == expected).double().mean())

    found = ax.metrics.percolation(graph, order, accuracy=accuracy, shares=(0.0, 0.3, 0.6, 1.0))
    assert found["accuracy"].iloc[0] == 1
    assert found["largest_component"].iloc[0] == 1
    assert found["largest_component"].is_monotonic_decreasing
    assert found["largest_component"].iloc[-1] == 1 / 15
    assert math.isnan(found["spectral_gap"].iloc[-1])
    assert all(float(p.abs().sum()) > 0 for p in model.state_dict().values())


def test_strong_links_hold_more_than_weak_ones() -> None:
    graph = graph_of([[5.0, 0.1], [0.1, 4.0]], [[3.0, 0.1]])
    weakest, strongest = (ax.metrics.percolation(graph, order, shares=(0.5,)) for order in ("weakest", "strongest"))
    assert weakest["largest_component"].item() == 3 / 5  # 5 and 3 in a row, and 4 beside them
    assert strongest["spectral_gap"].item() < weakest["spectral_gap"].item()


def test_a_channel_link_of_a_convolution_is_its_whole_kernel() -> None:
    graph = residual()
    seen = []
    ax.metrics.percolation(graph, "weakest", accuracy=lambda state: seen.append(state) or 0.0, shares=(0.5,))
    kernel = seen[0]["conv1.weight"]
    gone = (kernel == 0).flatten(2)
    assert bool((gone.all(2) == gone.any(2)).all())
    assert bool(gone.any())
    assert bool((graph.state["conv1.weight"] != 0).all())


def test_distances_follow_the_links() -> None:
    lengths = distances_from(np.array([[0.0, 2.0, 0.1], [0.0, 0.0, 4.0], [0.0, 0.0, 0.0]]))
    assert lengths[0].tolist() == [0, 0.5, 0.75]
    assert np.isinf(lengths[2, 0])


def test_links_of_a_computed_weight_are_not_said_to_be_gone() -> None:
    network = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), nn.Linear(2, 1))
    graph = ax.capture(network, torch.zeros(1, 3))
    with pytest.raises(ConfigurationError, match="weights that are parameters; got '0', whose weight is computed"):
        ax.metrics.percolation(graph, shares=(0.5,))


def _as_tuple(found: object) -> tuple[object, ...]:
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("measure", [
    "betweenness", "clustering", "core_periphery", "coreness", "efficiency", "local_efficiency", "rich_club",
])  # fmt: skip
def test_a_graph_stands_for_the_matrix_of_its_links(measure: str) -> None:
    function = getattr(ax.metrics, measure)
    graph = residual()
    expected = function(ax.metrics.link_matrix(graph))
    for given in (graph, graph.channels(), matrix.link_array(graph)):
        found = function(given)
        for one, other in zip(*map(_as_tuple, (found, expected)), strict=True):
            np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("measure", ["modularity", "participation", "within_module_z"])
def test_a_partition_by_group_stands_for_its_array(measure: str) -> None:
    function = getattr(ax.metrics, measure)
    graph = residual()
    found = ax.metrics.communities(graph).membership
    expected = function(ax.metrics.link_matrix(graph), found.flatten().numpy())
    for given in (graph, graph.channels()):
        np.testing.assert_allclose(function(given, found), expected)


def test_what_is_no_graph_of_links_is_said() -> None:
    with pytest.raises(ArgumentError, match="weights of clustering is a graph, or a square matrix of links"):
        ax.metrics.clustering(np.ones((2, 3)))
