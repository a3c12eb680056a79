"""Topology and network science beside the libraries of these fields."""

from __future__ import annotations

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import torch
from scipy.signal import lfilter
from scipy.sparse import coo_array, csr_array

import axonometry as ax
from axonometry.metrics.topology.trees import bipartite_tree
from axonometry.populations.cifar_networks import LeNet
from axonometry.populations.resnet import ResNet
from axonometry.trajectory import change_points
from benchmarks.timing import Row, compare, seconds


def topology() -> list[Row]:
    """Neural persistence: spanning trees against networkx's, and one wide layer."""
    chance = np.random.default_rng(0)
    layers = [chance.random(shape, np.float32) for shape in ((400, 120), (120, 84), (84, 10))]
    graphs = []
    for weights in layers:
        graph = nx.Graph()
        n, m = weights.shape
        graph.add_weighted_edges_from((i, n + j, float(weights[i, j])) for i in range(n) for j in range(m))
        graphs.append(graph)
    trees = compare(
        lambda: [bipartite_tree(weights) for weights in layers],
        lambda: [nx.maximum_spanning_tree(graph) for graph in graphs],
        n=5,
    )
    wide = ax.capture(torch.nn.Linear(4096, 4096, bias=False), torch.zeros(1, 4096))
    taken = seconds(lambda: ax.neural_persistence(wide))
    name = "neural persistence of a layer of 4096 x 4096 weights"
    return [
        trees.at_least("maximum spanning trees of LeNet's linear layers, against networkx on its graph", 20),
        Row(name, f"{taken:.2f} s", "under 3 s", taken < 3, 1, "one core"),
    ]


def catalogue() -> list[Row]:
    """All measures of one snapshot without samples, alone and with 20 null draws."""
    graph = ax.capture(LeNet(), torch.zeros(1, 3, 32, 32))
    names = [name for name, spec in ax.CATALOGUE.items() if not (spec.needs_samples or spec.needs_training)]
    ax.measure(graph, names)
    alone, drawn = seconds(lambda: ax.measure(graph, names)), seconds(lambda: ax.null(graph, "shuffle", names))
    return [
        Row(
            f"all {len(names)} measures of LeNet's weights", f"{alone:.2f} s", "under 1 s", alone < 1, 1, "one snapshot"
        ),
        Row("the same with 20 null draws", f"{drawn:.1f} s", "under 5 s", drawn < 5, 1, "weights shuffled"),
    ]


def networks() -> list[Row]:
    """All measures of network science of a ResNet-18's channels, with 100 null draws."""
    graph = ax.capture(ResNet(18, 10).eval(), torch.zeros(1, 3, 64, 64)).channels()
    taken = seconds(lambda: ax.null(graph, "shuffle", "channel_network", draws=100))
    name = f"network science of a ResNet-18's {graph.n_nodes:,} channels with 100 null draws"
    return [Row(name, f"{taken:.0f} s", "under 60 s", taken < 60, 1, "links shuffled; one core")]


def centralities() -> list[Row]:
    """PageRank, degree and eigenvector centrality of LeNet's neurons, against what works on a graph that is built."""
    torch.manual_seed(0)
    graph = ax.capture(LeNet(), torch.zeros(1, 3, 32, 32))
    links = coo_array(graph.abs().dense().double().numpy())
    target, source = links.coords
    built = igraph.Graph(n=links.shape[0], edges=np.stack([source, target], 1), directed=True)
    built.es["weight"] = links.data.tolist()
    symmetric = csr_array(links + links.T)
    rank = compare(lambda: ax.pagerank(graph), lambda: built.pagerank(weights="weight"), n=7)
    degree = compare(lambda: ax.weighted_degree(graph), lambda: built.strength(weights="weight"), n=7)
    vector = compare(lambda: ax.eigenvector_centrality(graph), lambda: _power(symmetric), n=7)
    of = f"of LeNet's neurons, {graph.n_links:,} links, against"
    return [
        rank.at_least(f"PageRank {of} igraph on its built graph", 1),
        degree.at_least(f"weighted degree {of} igraph on its built graph", 1),
        vector.at_least(f"eigenvector centrality {of} scipy's power iteration on its built matrix", 5),
    ]


def _power(matrix: csr_array, tol: float = 1e-6) -> np.ndarray:
    """Power iteration from the degrees, shifted by λ since layers swing without, to our residual."""
    x = np.asarray(matrix.sum(0)).ravel()
    x /= np.linalg.norm(x)
    while True:
        y = matrix @ x
        value = float(x @ y)
        if np.linalg.norm(y - value * x) <= tol * value:
            return x
        y += value * x
        x = y / np.linalg.norm(y)


def change_points_of_stationary_runs() -> list[Row]:
    """How many runs are flagged in which nothing changes, by how much each step resembles the one before."""
    rows = []
    for slope in (0.0, 0.5, 0.8, 0.95):
        flagged = sum(bool(change_points(_stationary(seed, slope))) for seed in range(60))
        name = f"stationary runs with a change point, autocorrelation {slope:g}"
        rows.append(Row(name, f"{flagged} of 60", "at most 5 %", flagged <= 3, 60, "100 steps of 4 measures"))
    return rows


def _stationary(seed: int, slope: float) -> pd.DataFrame:
    """Measures that share half of their noise; the first steps, which begin at zero, are left out."""
    chance = np.random.default_rng(seed)
    noise = chance.normal(size=(300, 4)) + chance.normal(size=(300, 1))
    return pd.DataFrame(lfilter([1.0], [1.0, -slope], noise, axis=0)[200:])
