r"""PageRank: where somebody is found who follows links at random, in proportion to their weights.

x = d (P x + (Σ_dangling x) / N) + (1 - d) / N, with P the matrix |A| whose columns are divided by the nodes'
out-degrees; a dangling node is one without an outgoing link. networkx's ``pagerank`` of the directed graph of absolute
weights. With y = 1 + d P 1 + (d P)² 1 + ... it is y / Σ y, where dangling nodes start anywhere (Gleich et al. 2004): of
a network whose layers follow each other no longer a series than it has layers.

Source: Page et al. 1999, as networkx computes it. Absolute weights are our choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from axonometry.errors import ConfigurationError, ConvergenceError
from axonometry.metrics.lanczos import Vector
from axonometry.metrics.products import absolute_links
from axonometry.metrics.solver import refuse_diverged
from axonometry.program.entry import of_graph
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph

_MOST = 1000


def _added(followed: Vector, x: Vector, dangling: NDArray[np.bool_]) -> Vector:
    """The series with one more term; what is lost at nodes without links comes back in its size alone."""
    return followed + followed.dtype.type(1)


def _replaced(followed: Vector, x: Vector, dangling: NDArray[np.bool_]) -> Vector:
    """The walk's next step, what is lost being spread evenly."""
    return followed + followed.dtype.type(x[dangling].sum(dtype=np.float64) / len(x))


@of_graph
def pagerank(graph: NeuralGraph | ChannelGraph, damping: float = 0.85, *, tol: float = 1e-6) -> NodeValues:
    r"""PageRank of every neuron, or of every channel.

    Args:
        graph: The network at one snapshot, or its channel graph.
        damping: The probability of following a link instead of starting anywhere, d.
        tol: The iteration ends when Σ_v |change of x_v| is below this share of Σ_v x_v. networkx ends at ``tol`` times
            the number of nodes, which large graphs reach at once.

    Returns:
        A tensor of the group's shape for every group; probabilities, their sum over the network is 1. Scaling all links
        by c does not change it.

    Raises:
        ConfigurationError: ``damping`` is not between 0 and 1.
        ConvergenceError: It has not converged after 1,000 products, or weights are NaN or infinite.

    >>> from axonometry.testing import graph_of
    >>> pagerank(graph_of([[1.0, 3.0]])).flatten()
    tensor([0.2128, 0.2128, 0.5745], dtype=torch.float64)
    """
    if not 0 <= damping <= 1:
        raise ConfigurationError("`damping` is a probability", repr(damping), "Give a number from 0 to 1")
    links = absolute_links(graph)
    n, change = links.size, np.inf
    sent = links.backward(np.ones(n, links.kind))
    refuse_diverged(sent, "PageRank", ConvergenceError)
    dangling = sent == 0
    share = np.divide(1, sent, out=np.zeros_like(sent), where=~dangling)
    # All that starts or is lost starts anywhere: x is (1 - d P)⁻¹ 1 but for its size, and the series 1 + d P 1 + ... of
    # it ends by itself where links lead from layer to layer. At d = 1 a circle would add up for ever.
    step = _added if damping < 1 else _replaced
    x = np.ones(n, links.kind)
    for _ in range(_MOST):
        following = step(damping * links.forward(x * share), x, dangling)
        change = float(np.abs(following - x).sum(dtype=np.float64)) / float(following.sum(dtype=np.float64))
        x = following
        if change < tol:
            return links.whole(x / x.sum(dtype=np.float64))
    raise ConvergenceError(
        f"PageRank converges to a change of {tol:g}",
        f"a change of {change:.1e}",
        "Give a larger `tol`",
    )
