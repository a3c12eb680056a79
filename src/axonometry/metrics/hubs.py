r"""Hubs and authorities: who links to good authorities, and who is linked to by good hubs.

a ∝ |A| h and h ∝ |A|' a: the leading singular vectors of the directed |A|, each divided by its sum, as networkx's
``hits``.

Source: Kleinberg 1999, "Authoritative sources in a hyperlinked environment", as networkx computes it. Absolute weights
are our choice. In a network whose links all lead from one layer to the next, the pairs of layers have nothing to do
with each other here, and all of both vectors is on the pair with the largest singular value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonometry.errors import ConvergenceError
from axonometry.metrics.lanczos import Vector
from axonometry.metrics.products import absolute_links
from axonometry.metrics.solver import Solver
from axonometry.program.entry import of_graph
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph


@of_graph
def hubs_and_authorities(graph: NeuralGraph | ChannelGraph, *, tol: float = 1e-6) -> tuple[NodeValues, NodeValues]:
    r"""Hubs and authorities of the directed graph of absolute weights.

    Args:
        graph: The network at one snapshot, or its channel graph.
        tol: The residual of the pair of singular vectors, relative to the singular value.

    Returns:
        Hubs, then authorities: for each a tensor of the group's shape for every group, 0 or more, with the sum 1 over
        the network. Scaling all links by c changes neither.

    Raises:
        ConvergenceError: It did not converge, or the largest singular value is not simple.
        WeightsError: Weights are NaN or infinite, or all are zero.

    >>> from axonometry.testing import graph_of
    >>> hubs, authorities = hubs_and_authorities(graph_of([[1.0, 3.0], [2.0, 4.0]]))
    >>> hubs["input"], authorities["0"]
    (tensor([0.3067, 0.6933], dtype=torch.float64), tensor([0.4134, 0.5866], dtype=torch.float64))
    """
    links = absolute_links(graph)
    found = Solver(links.doubled(), tol, "hubs and authorities").pair(None)
    if found.degenerate:
        raise ConvergenceError(
            "hubs and authorities need one largest singular value",
            f"parts of the graph that share {found.value:.6g}",
            "Use weighted_degree with the directions 'out' and 'in'",
        )
    both = np.concatenate([tensor.reshape(-1).cpu().numpy() for tensor in found.vector.values()])

    def shared(x: Vector) -> NodeValues:
        return links.whole(x / x.sum(dtype=np.float64))

    return shared(both[links.size :]), shared(both[: links.size])
