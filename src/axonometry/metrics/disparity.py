r"""Disparity: whether a neuron's weight sits in few links or is spread over many.

Y_i = Σ_j (|w_ij| / Σ_j |w_ij|)² over all links at neuron i, those that enter and those that leave. A neuron with n
links of equal weight has 1/n, a neuron with one dominant link has nearly 1.

The classical measure of weighted networks (Barthélemy et al. 2005) has non-negative weights; with signed weights its
sum can vanish, so that taking |w| is our choice. La Malfa et al. 2021 have layer fluctuation in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from axonometry.metrics.catalogue import measured
from axonometry.program.entry import of_graph
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph


@measured(
    name="disparity",
    title="Disparity",
    units="none",
    range="above 0, at most 1",
    invariances="scaling all links; permuting the neurons of a layer permutes it",
    source="Barthélemy et al. 2005, on absolute weights (our choice)",
    cost="four products with the adjacency matrix",
)
@of_graph
def disparity(graph: NeuralGraph) -> NodeValues:
    """Disparity of every neuron on the absolute weights of its links.

    Args:
        graph: The network at one snapshot. Parallel links, also those that share a weight, count one by one.

    Returns:
        A tensor of the group's shape for every group, in (0, 1]; NaN for a neuron without a link of non-zero weight.
        Scaling all weights does not change it where no link is a wire of weight 1.

    >>> from axonometry.testing import graph_of
    >>> found = disparity(graph_of([[1.0, 1.0], [3.0, 0.0]]))
    >>> found["input"], found["0"]
    (tensor([0.6250, 1.0000]), tensor([0.5000, 1.0000]))
    """
    received, sent = graph.abs().strengths()
    squares_received, squares_sent = graph.square().strengths()
    strength = received + sent
    return (squares_received + squares_sent) / (strength * strength)
