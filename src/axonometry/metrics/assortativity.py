r"""Degree assortativity: whether neurons that send much link to neurons that receive much.

r = corr(d_out(u), d_in(v)) over all links u → v: networkx's ``degree_assortativity_coefficient(x="out", y="in",
weight="weight")``. The sum over links of x_u y_v is y' B x with B the graph of ones, so that no link is ever listed.

Source: Newman 2003, "Mixing patterns in networks"; Foster et al. 2010 for directed graphs. Absolute weights are our
choice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from axonometry.metrics.products import absolute_links
from axonometry.program.channels import ChannelGraph
from axonometry.program.entry import of_graph

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph


@of_graph
def degree_assortativity(graph: NeuralGraph | ChannelGraph) -> float:
    r"""Correlation of the source's weighted out-degree with the target's weighted in-degree, over all links.

    Args:
        graph: The network at one snapshot, or its channel graph. A link counts once, whatever its weight, if that is
            not zero; parallel links, which networkx cannot have, count one by one.

    Returns:
        From -1 to 1, without a unit. Scaling all links by c does not change it. NaN where either degree is the same at
        every link, and where weights are not finite.

    >>> from axonometry.testing import graph_of
    >>> round(degree_assortativity(graph_of([[1.0, 2.0], [3.0, 4.0]], [[1.0, 5.0]])), 6)
    -0.153846
    """
    weighted, ones = absolute_links(graph), absolute_links(graph.binary())
    every = np.ones(weighted.size, weighted.kind)
    sent, received = weighted.backward(every).astype(np.float64), weighted.forward(every).astype(np.float64)
    leaving, entering = ones.backward(every).astype(np.float64), ones.forward(every).astype(np.float64)
    n_links = leaving.sum()
    if not (n_links > 0 and np.isfinite(sent.sum() + received.sum())):
        return math.nan
    x, y = sent - sent @ leaving / n_links, received - received @ entering / n_links
    spread = math.sqrt((x * x) @ leaving) * math.sqrt((y * y) @ entering)
    least = 1e-12 * n_links * float(np.abs(sent).max() * np.abs(received).max())
    if not spread > least:
        return math.nan
    return float(y @ ones.forward(x.astype(ones.kind)).astype(np.float64)) / spread
