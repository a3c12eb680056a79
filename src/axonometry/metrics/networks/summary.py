"""Network science in one row: what recorders, tables and null models take of a channel graph.

Trained layers link every channel with every other, so that measures of who is linked at all, and communities, are of
the strongest twentieth of each block's links, [our choice]; modularity of layers and efficiency are of all links.
Efficiency is followed from 16 channels drawn once. A ResNet-18 takes half a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from axonometry.errors import WeightsError
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.networks.communities import communities, modularity
from axonometry.metrics.networks.cores import coreness
from axonometry.metrics.networks.matrix import by_strength, layer_labels, link_array, strongest
from axonometry.metrics.networks.motifs import motifs
from axonometry.metrics.networks.shortest import efficiency
from axonometry.metrics.rows import NETWORK, Row
from axonometry.program.entry import of_graph

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph

SHARE, SOURCES = 0.05, 16
STATISTICS = (
    *("modularity", "layer_modularity", "communities", "layer_agreement", "participation", "within_module_z"),
    *("efficiency", "coreness", "rich_club", "feed_forward", "chains"),
)


def _rows(shared: Shared) -> Iterator[Row]:
    try:
        found = channel_network(shared.channels)
    except WeightsError:  # not finite, or all zero
        found = dict.fromkeys(STATISTICS, math.nan)
    yield from ((NETWORK, statistic, value) for statistic, value in found.items())


@measured(
    name="channel_network",
    title="Network science of channels",
    units="none; efficiency in the unit of weights, motifs in numbers",
    range="modularity below 1, participation and agreement from 0 to 1, all others from 0",
    invariances="the signs of weights; scaling all links, but for efficiency; permuting the channels of a layer",
    source="Rubinov and Sporns 2010; Leiden: Traag et al. 2019; the strongest twentieth of links is our choice",
    cost="half a second for a ResNet-18",
    opt_in=True,
    table=_rows,
)
@of_graph
def channel_network(graph: NeuralGraph | ChannelGraph) -> dict[str, float]:
    """The measures of network science of one channel graph.

    Args:
        graph: The channel graph, or the network at one snapshot.

    Returns:
        ``modularity`` of Leiden's communities, ``layer_modularity`` of the layers, the number of ``communities``, their
        ``layer_agreement`` (normalised mutual information), the mean ``participation`` and the largest
        ``within_module_z``, ``efficiency``, the mean ``coreness``, the ``rich_club`` (weight of the links among the
        tenth of channels with the most links, over that of as many of the strongest), and the numbers of
        ``feed_forward`` triangles and of open ``chains``.

    Raises:
        MissingExtraError: igraph or leidenalg is not installed.
        WeightsError: Weights are not finite, or all are zero.

    >>> from axonometry.testing import graph_of
    >>> found = channel_network(graph_of([[9.0, 0.1], [0.1, 9.0]], [[9.0, 0.1], [0.1, 9.0]]))
    >>> round(found["layer_modularity"], 3), found["communities"] >= 1
    (-0.25, True)
    """
    channels = by_strength(graph.channels())
    strong = strongest(channels, SHARE)
    weights, few = link_array(channels), link_array(strong)
    found, census = communities(strong, directed=False), motifs(strong)
    return {
        "modularity": found.modularity,
        "layer_modularity": modularity(weights, layer_labels(channels)),
        "communities": float(found.count),
        "layer_agreement": found.agreement,
        "participation": float(found.participation.flatten().mean()),
        "within_module_z": float(found.within_module_z.flatten().max()),
        "efficiency": efficiency(weights, sources=SOURCES),
        "coreness": float(coreness(few).mean()),
        "rich_club": _rich(few),
        "feed_forward": float(census["030T"]),
        "chains": float(census["021C"]),
    }


def _rich(weights: Any) -> float:
    links = weights != 0
    degree = links.sum(0) + links.sum(1)
    rich = np.argsort(degree, kind="stable")[-max(2, len(degree) // 10) :]
    inside = weights[rich][:, rich].data
    if not len(inside):
        return 0.0
    return float(inside.sum() / np.partition(weights.data, weights.nnz - len(inside))[-len(inside) :].sum())
