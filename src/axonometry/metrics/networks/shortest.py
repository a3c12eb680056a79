r"""Shortest ways: a link of weight w has the length 1 / w.

- efficiency: the mean over ordered pairs of nodes of 1 / distance, 0 where no way leads (bctpy's ``efficiency_wei``);
- betweenness: through a node, the number of shortest ways of other pairs (by igraph);
- clustering (undirected, of w + w' over the largest, to the power 1/3; Onnela et al. 2005, bctpy's
  ``clustering_coef_wu``); a layered graph without skips has no triangle and none;
- local efficiency: the efficiency among a node's neighbours, weighted, with lengths to the power 1/3 (Wang et al. 2017,
  bctpy's ``efficiency_wei(local=True)``);
- small-world sigma: clustering over that of a null model, divided by the mean distance over that of a null model
  (Humphries and Gurney 2008).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from axonometry.annotations import Count, Seed
from axonometry.arguments import argument_errors
from axonometry.metrics.networks.matrix import Links, Matrix, as_links, as_matrix, link_matrix, of_igraph
from axonometry.metrics.nulls import NullModel, null_graphs

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph

Vector = Float[np.ndarray, " n"]


def distances_from(weights: Any, sources: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """Lengths of the shortest directed ways from some nodes, or all, to all; infinite where none leads.

    >>> distances_from(np.array([[0.0, 2.0, 0.1], [0.0, 0.0, 4.0], [0.0, 0.0, 0.0]]))[0].tolist()
    [0.0, 0.5, 0.75]
    """
    from scipy.sparse.csgraph import dijkstra

    links = as_links(weights).copy()
    links.eliminate_zeros()
    links.data = 1 / links.data
    return np.atleast_2d(dijkstra(links, directed=True, indices=sources))


@argument_errors
def efficiency(weights: Links, *, sources: Count | None = None, seed: Seed = 0) -> float:
    """Global efficiency of the directed graph.

    Args:
        weights: A graph, or ``W[i, j]`` from i to j.
        sources: From how many nodes, drawn at random, ways are followed; from all by default.
        seed: Which ones.

    >>> efficiency(np.array([[0.0, 2.0], [0.0, 0.0]]))
    1.0
    """
    links = as_links(weights)
    n = links.shape[0]
    if n < 2:
        return math.nan
    some = None if sources is None or sources >= n else np.random.default_rng(seed).choice(n, sources, replace=False)
    found = distances_from(links, some)
    inverse = np.divide(1, found, out=np.zeros_like(found), where=found > 0)
    return float(inverse.sum() / (len(found) * (n - 1)))


@argument_errors
def betweenness(weights: Links) -> Vector:
    """Betweenness of every node on the directed, weighted graph.

    Args:
        weights: A graph, of which the nodes are the channels in the order of ``NodeValues.flatten``; or ``W[i, j]``
            from i to j.

    Raises:
        MissingExtraError: igraph is not installed.

    >>> betweenness(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])).tolist()
    [0.0, 1.0, 0.0]
    """
    graph = of_igraph(weights)
    lengths = [1 / w for w in graph.es["weight"]]
    return np.asarray(graph.betweenness(directed=True, weights=lengths or None), np.float64)


@argument_errors
def clustering(weights: Links) -> Vector:
    """Clustering coefficient of every node on the undirected graph of both directions, from 0 to 1.

    Args:
        weights: As for :func:`betweenness`.

    >>> clustering(np.ones((3, 3)) - np.eye(3)).tolist()
    [1.0, 1.0, 1.0]
    """
    both = _undirected(as_matrix(weights))
    degree = (both > 0).sum(1)
    root = np.cbrt(both)
    closed = np.einsum("ij,ji->i", root @ root, root)
    pairs = degree * (degree - 1)
    return np.divide(closed, pairs, out=np.zeros(len(both)), where=pairs > 0)


@argument_errors
def local_efficiency(weights: Links) -> Vector:
    """Local efficiency of every node on the undirected graph of both directions.

    Args:
        weights: As for :func:`betweenness`.

    >>> local_efficiency(np.ones((3, 3)) - np.eye(3)).round(6).tolist()
    [1.0, 1.0, 1.0]
    """
    both = _undirected(as_matrix(weights))
    found = np.zeros(len(both))
    root = np.cbrt(both)
    for node in range(len(both)):
        near = np.flatnonzero(both[node])
        if len(near) < 2:
            continue
        lengths = distances_from(root[np.ix_(near, near)])
        inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        found[node] = float(root[node, near] @ inverse @ root[node, near]) / (len(near) * (len(near) - 1))
    return found


@argument_errors
def small_world(graph: NeuralGraph | ChannelGraph, model: NullModel | int = 20) -> float:
    """Small-world sigma of the channel graph against a null model.

    Args:
        graph: The channel graph, or the network at one snapshot.
        model: A null model of channel graphs; a number of draws of shuffled links.

    Returns:
        Above 1 where the graph is more clustered than its ways are long; NaN where nothing is clustered.

    >>> from axonometry.testing import graph_of
    >>> small_world(graph_of([[1.0, 2.0]]), 2)
    nan
    """
    channels = graph.channels()
    real = _clustered_and_far(link_matrix(channels))
    drawn = [_clustered_and_far(link_matrix(one)) for one in null_graphs(channels, NullModel.of(model))]
    clustered, far = np.mean(drawn, 0)
    return float(real[0] / clustered / (real[1] / far)) if clustered > 0 and far > 0 and real[1] > 0 else math.nan


def _clustered_and_far(weights: Matrix) -> tuple[float, float]:
    both = _undirected(weights)
    lengths = distances_from(both)
    reached = np.isfinite(lengths) & (lengths > 0)
    return float(clustering(weights).mean()), float(lengths[reached].mean()) if reached.any() else math.nan


def _undirected(weights: Matrix) -> Matrix:
    both = weights + weights.T
    np.fill_diagonal(both, 0)
    return both / max(float(both.max(initial=0)), 1e-300)
