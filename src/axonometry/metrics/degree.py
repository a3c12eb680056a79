r"""Weighted degree: the sum of the absolute weights of all links at a node.

d_v = Σ_i |A[v, i]| + Σ_j |A[j, v]|, in-degree plus out-degree. In the channel graph, whose weights are norms, this is
the weighted degree of Vahedian et al. 2021 (arXiv 2111.05410, section 3) on their rolled graph. Their neuron-level
graph has signed weights; taking |w| there by default is our choice, so that the two levels agree, and ``signed`` gives
theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from axonometry.errors import ConfigurationError
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.rows import Row, spread_rows
from axonometry.program.channels import ChannelGraph
from axonometry.program.entry import of_graph
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

Direction = Literal["both", "in", "out"]
DIRECTIONS = ("both", "in", "out")


def _rows(shared: Shared) -> Iterable[Row]:
    return spread_rows(weighted_degree(shared.graph))


def _channel_rows(shared: Shared) -> Iterable[Row]:
    return spread_rows(weighted_degree(shared.channels))


@measured(
    name="channel_degree",
    title="Weighted degree of channels",
    units="weight; log_mean, log_std, skewness and kurtosis have none",
    range="0 and more",
    invariances="the signs of weights; permuting the channels of a layer permutes it",
    source="Vahedian et al. 2021, arXiv 2111.05410, the rolled graph",
    cost="one pass over the weights",
    table=_channel_rows,
)
@measured(
    name="weighted_degree",
    title="Weighted degree",
    units="weight; log_mean, log_std, skewness and kurtosis have none",
    range="0 and more",
    invariances="the signs of weights; permuting the neurons of a layer permutes it",
    source="Vahedian et al. 2021, arXiv 2111.05410; absolute weights are our choice",
    cost="two products with the adjacency matrix",
    table=_rows,
)
@of_graph
def weighted_degree(
    graph: NeuralGraph | ChannelGraph, direction: Direction = "both", *, signed: bool = False
) -> NodeValues:
    r"""Weighted degree of every neuron, or of every channel; no link is ever listed.

    Args:
        graph: The network at one snapshot, or its channel graph.
        direction: ``"in"``: Σ_i |A[v, i]| over the links that enter; ``"out"``: Σ_j |A[j, v]| over those that leave;
            ``"both"``: their sum.
        signed: Whether the weights are added with their signs. Norms have none.

    Returns:
        A tensor of the group's shape for every group, in the unit of the weights, 0 or more unless ``signed``.
        Over the network Σ_v d_v is twice the sum of all weights. Scaling all weights by c scales it by |c| where no
        link is a wire of weight 1.

    Raises:
        ConfigurationError: There is no such direction.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0, -2.0], [3.0, 4.0]])
    >>> weighted_degree(graph).flatten()
    tensor([4., 6., 3., 7.])
    >>> weighted_degree(graph, "in", signed=True)["0"]
    tensor([-1.,  7.])
    """
    check_direction(direction)
    graph = graph if signed else graph.abs()
    received, sent = graph.strengths()
    return {"in": received, "out": sent}.get(direction) or received + sent


def check_direction(direction: str) -> None:
    """Refuse a direction that there is not.

    Args:
        direction: What was asked for.

    Raises:
        ConfigurationError: It is not one of the three.

    >>> check_direction("in")
    >>> check_direction("up")
    Traceback (most recent call last):
        ...
    axonometry.errors.ConfigurationError: `direction` is 'both', 'in' or 'out'; got 'up'. Choose one of them.
    """
    if direction not in DIRECTIONS:
        raise ConfigurationError("`direction` is 'both', 'in' or 'out'", repr(direction), "Choose one of them")
