r"""Katz centrality: how many weighted paths end at a node, long ones counting less.

x = α |A| x + β, normalised to ‖x‖₂ = 1: networkx's ``katz_centrality`` of the directed graph of absolute weights.

Source: Katz 1953, "A new status index derived from sociometric analysis", as networkx computes it. Absolute weights are
our choice. The graph of a feed-forward network has no cycle, so that the sum of paths is finite for every α.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonometry.errors import ConvergenceError
from axonometry.metrics.products import absolute_links
from axonometry.metrics.solver import refuse_diverged
from axonometry.program.entry import of_graph
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph

_MOST = 1000


@of_graph
def katz_centrality(
    graph: NeuralGraph | ChannelGraph, alpha: float = 0.1, beta: float = 1.0, *, tol: float = 1e-6
) -> NodeValues:
    r"""Katz centrality of every neuron, or of every channel.

    Args:
        graph: The network at one snapshot, or its channel graph.
        alpha: What one link more on a path is multiplied with; its unit is one over that of the weights.
        beta: What every node has of its own.
        tol: The iteration ends when the mean change of a node is below this.

    Returns:
        A tensor of the group's shape for every group, of unit Euclidean norm over the network. It takes as many
        products as the longest path has links.

    Raises:
        ConvergenceError: It has not converged after 1,000 products, the sum overflows, or weights are not finite.

    >>> from axonometry.testing import graph_of
    >>> x = katz_centrality(graph_of([[1.0, 3.0], [2.0, 4.0]]), alpha=0.1)
    >>> (x / x["input"][0]).flatten()
    tensor([1.0000, 1.0000, 1.4000, 1.6000], dtype=torch.float64)
    """
    links = absolute_links(graph)
    x, change = np.zeros(links.size, links.kind), np.inf
    for _ in range(_MOST):
        with np.errstate(over="ignore", invalid="ignore"):
            following = links.kind.type(alpha) * links.forward(x) + links.kind.type(beta)
            change = float(np.abs(following - x).sum(dtype=np.float64))
        x = following
        if change < links.size * tol:
            return links.whole(x / np.linalg.norm(x))
        if not np.isfinite(change):
            break
    refuse_diverged(links.forward(np.ones(links.size, links.kind)), "Katz centrality", ConvergenceError)
    raise ConvergenceError(
        f"Katz centrality converges to a mean change of {tol:g}",
        f"a change of {change / links.size:.1e}",
        "Give a smaller `alpha`",
    )
