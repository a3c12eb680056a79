r"""Communities of channels: groups that are linked more than their strengths say.

Directed modularity Q = Σ_ij (W_ij / m - γ s_i^out s_j^in / m²) δ(c_i, c_j), m = Σ W (Leicht and Newman 2008). Leiden
(Traag et al. 2019, by leidenalg) finds the partition; beside it stands the Q of the layers themselves, which a
feed-forward graph has negative, since no link stays in a layer.

Participation P_i = 1 - Σ_c (k_ic / k_i)², k_ic the strength between i and the community c; within-module z-score: the
strength of i inside its own community, standardised over the community (Guimerà and Amaral 2005, as bctpy has them).
Links of both directions count.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from axonometry.annotations import Seed
from axonometry.arguments import argument_errors
from axonometry.errors import ValuesError, WeightsError
from axonometry.metrics.networks.matrix import (
    Labels,
    Links,
    as_labels,
    as_links,
    by_group,
    extra,
    layer_labels,
    link_array,
    of_igraph,
)
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph


@dataclass(frozen=True)
class Communities:
    """A partition of a graph's nodes.

    Attributes:
        membership: The number of its community for every node, the largest community first.
        modularity: Q of the partition.
        layer_modularity: Q of the partition into layers.
        agreement: Normalised mutual information of communities and layers, from 0 to 1.
        participation: For every node, how its links spread over communities, from 0 to 1.
        within_module_z: For every node, how well linked it is inside its community.
    """

    membership: NodeValues
    modularity: float
    layer_modularity: float
    agreement: float
    participation: NodeValues
    within_module_z: NodeValues

    @property
    def count(self) -> int:
        """Number of communities."""
        return len(self.membership.flatten().unique())


@argument_errors
def communities(
    graph: NeuralGraph | ChannelGraph, *, directed: bool = True, resolution: float = 1.0, seed: Seed = 0
) -> Communities:
    """Leiden communities of the weighted channel graph.

    Args:
        graph: The channel graph, or the network at one snapshot.
        directed: Whether the modularity that Leiden makes large is the directed one (leidenalg), or that of links
            without direction (igraph's own Leiden, ten times faster). What is returned is the directed one.
        resolution: γ: larger for smaller communities.
        seed: Of Leiden's chance.

    Raises:
        MissingExtraError: igraph or leidenalg is not installed.
        WeightsError: Weights are not finite, or all are zero.

    >>> from axonometry.testing import graph_of
    >>> found = communities(graph_of([[9.0, 0.1], [0.1, 9.0]]))
    >>> found.count, round(found.modularity, 3), round(found.layer_modularity, 3)
    (2, 0.489, 0.0)
    """
    weights = link_array(graph)
    if not weights.nnz:
        raise WeightsError("communities are of links whose weight is not zero", "none", "")
    links = of_igraph(weights)
    found = _directed(links, resolution, seed) if directed else _undirected(links, resolution, seed)
    labels, layers = np.asarray(found.membership), layer_labels(graph)
    return Communities(
        by_group(graph, labels),
        modularity(weights, labels, resolution),
        modularity(weights, layers, resolution),
        mutual_information(labels, layers),
        by_group(graph, participation(weights, labels)),
        by_group(graph, within_module_z(weights, labels)),
    )


@argument_errors
def modularity(weights: Links, labels: Labels | NodeValues, resolution: float = 1.0) -> float:
    """Directed, weighted modularity of a partition.

    Args:
        weights: A graph, or ``W[i, j]`` from i to j, 0 or more; an array, or a sparse one.
        labels: The community of each node, such as ``communities(graph).membership``.
        resolution: γ.

    Returns:
        Below 1; NaN without links.

    >>> modularity(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1]))
    -0.5
    """
    links, labels = _checked(weights, labels)
    total = links.sum()
    if not total > 0:
        return float("nan")
    member = _members(labels)
    inside = float(np.einsum("ic,ic->", member, links @ member))
    expected = float((links.sum(1) @ member) @ (links.sum(0) @ member))
    return float(inside / total - resolution * expected / total**2)


@argument_errors
def participation(weights: Links, labels: Labels | NodeValues) -> Float[np.ndarray, " n"]:
    """How evenly the links of each node, in both directions, spread over communities; 0 of a node without links.

    Args:
        weights: As for :func:`modularity`; of a graph, the nodes are the channels in the order of
            ``NodeValues.flatten``.
        labels: The community of each node.

    >>> participation(np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), np.array([0, 0, 1])).tolist()
    [0.5, 0.0, 0.0]
    """
    links, labels = _checked(weights, labels)
    spread = _to_communities(links, labels)
    total = spread.sum(1)
    return np.where(total > 0, 1 - (spread**2).sum(1) / np.where(total > 0, total, 1) ** 2, 0.0)


@argument_errors
def within_module_z(weights: Links, labels: Labels | NodeValues) -> Float[np.ndarray, " n"]:
    """The strength of each node inside its community, in both directions, standardised; 0 where all have the same.

    Args:
        weights: As for :func:`participation`.
        labels: The community of each node.

    >>> within_module_z(np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), np.array([0, 0, 0])).round(3)
    array([ 1.414, -0.707, -0.707])
    """
    links, labels = _checked(weights, labels)
    member, found = _members(labels), np.zeros(len(labels))
    inside = (_to_communities(links, labels) * member).sum(1)
    for column in member.T:
        places = np.flatnonzero(column)
        own = inside[places]
        spread = own.std()
        found[places] = (own - own.mean()) / spread if spread > 1e-12 * own.max(initial=0) else 0.0
    return found


def mutual_information(one: Labels, other: Labels) -> float:
    """Normalised mutual information of two partitions, 2 I / (H + H'): 1 where they are the same.

    >>> mutual_information(np.array([0, 0, 1, 1]), np.array([5, 5, 2, 2]))
    1.0
    """
    table = _members(one).T @ _members(other) / len(one)
    rows, columns = table.sum(1), table.sum(0)
    entropy = -float(rows @ np.log(rows) + columns @ np.log(columns))
    there = table > 0
    shared = float((table[there] * np.log((table / np.outer(rows, columns))[there])).sum())
    return round(2 * shared / entropy, 12) if entropy > 0 else 1.0


def _directed(links: Any, resolution: float, seed: int) -> Any:
    leidenalg = extra("leidenalg")
    kind = leidenalg.RBConfigurationVertexPartition
    return leidenalg.find_partition(links, kind, weights="weight", resolution_parameter=resolution, seed=seed)


def _undirected(links: Any, resolution: float, seed: int) -> Any:
    igraph = extra("igraph")
    igraph.set_random_number_generator(random.Random(seed))
    try:
        both = links.as_undirected(combine_edges="sum")
        return both.community_leiden("modularity", weights="weight", resolution=resolution, n_iterations=2)
    finally:
        igraph.set_random_number_generator(random)


def _to_communities(links: Any, labels: Labels) -> Float[np.ndarray, "n communities"]:
    """The strength of each node's links of both directions to and from each community."""
    member = _members(labels)
    return np.asarray(links @ member + links.T @ member)


def _members(labels: Labels) -> Float[np.ndarray, "n communities"]:
    return np.asarray(labels[:, None] == np.unique(labels), np.float64)


def _checked(weights: Links, labels: Labels | NodeValues) -> tuple[Any, Labels]:
    links, numbers = as_links(weights), as_labels(labels)
    if links.shape != (len(numbers), len(numbers)):
        came = f"{len(numbers)} for a matrix of shape {links.shape}"
        raise ValuesError("a partition has a community for every node", came, "Take both from one graph")
    return links, numbers
