r"""Eigenvector centrality: a node is central as its neighbours are.

S x = λ x with S = |A| + |A|', λ the largest eigenvalue, x > 0 and ‖x‖₂ = 1, as networkx normalises it.

Source: Vahedian et al. 2021 (arXiv 2111.05410, section 3). Their released code does not compute it, so absolute
weights, symmetry and normalisation are our choice: without absolute values x changes its sign from node to node, and
the directed graph of a feed-forward network is nilpotent, so that it has no such vector at all.

Where all links lead from one layer to the next, S is bipartite and -λ is an eigenvalue too: plain power iteration
oscillates, Lanczos does not. ``‖x‖₂`` of the even layers then equals that of the odd ones.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from axonometry.arguments import argument_errors
from axonometry.errors import ConvergenceError, ValuesError, WeightsError
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.lanczos import Vector
from axonometry.metrics.products import Flat, absolute_links
from axonometry.metrics.rows import NETWORK, Row, spread_rows
from axonometry.metrics.solver import Eigenpair, Solver
from axonometry.program.entry import of_graph
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph


class DisconnectedGraphWarning(UserWarning):
    """Some neurons are not connected to the part of the graph where the eigenvector lives."""


def _rows(shared: Shared) -> Iterable[Row]:
    return _centrality_rows(shared.graph)


def _channel_rows(shared: Shared) -> Iterable[Row]:
    return _centrality_rows(shared.channels, tol=1e-10)


@measured(
    name="channel_centrality",
    title="Eigenvector centrality of channels",
    units="none",
    range="0 to 1",
    invariances="the signs of weights; scaling all links, but for the eigenvalue; "
    "permuting the channels of a layer permutes it",
    source="Vahedian et al. 2021, arXiv 2111.05410, the rolled graph; normalisation is our choice",
    cost="tens of products with a small matrix",
    table=_channel_rows,
)
@measured(
    name="eigenvector_centrality",
    title="Eigenvector centrality",
    units="none",
    range="0 to 1",
    invariances="the signs of weights; scaling all links, but for the eigenvalue; "
    "permuting the neurons of a layer permutes it",
    source="Vahedian et al. 2021, arXiv 2111.05410; symmetry and normalisation are our choice",
    cost="tens of products with the adjacency matrix and its transpose",
    table=_rows,
)
@of_graph
def eigenvector_centrality(
    graph: NeuralGraph | ChannelGraph, *, tol: float = 1e-6, start: NodeValues | None = None
) -> NodeValues:
    r"""Eigenvector centrality of every neuron, or of every channel.

    Args:
        graph: The network at one snapshot, or its channel graph.
        tol: The eigenpair's residual, ‖S x - λ x‖ / λ. Entries far below it are rounding, not measurement.
        start: Where to begin, best the vector of the snapshot before; the weighted degree where None.

    Returns:
        A tensor of the group's shape for every group, 0 or more, of unit Euclidean norm over the network. Scaling all
        links by c does not change it; permuting the neurons of a layer permutes it. Where the graph is not connected,
        it lives on the component with the largest λ and a :class:`DisconnectedGraphWarning` is given.

    Raises:
        ConvergenceError: The iteration did not converge, or two components share the largest eigenvalue.
        WeightsError: Weights are NaN or infinite, or all are zero.
        ValuesError: ``start`` does not fit the graph or is not finite.

    >>> from axonometry.testing import graph_of
    >>> eigenvector_centrality(graph_of([[1.0, 3.0], [2.0, 4.0]])).flatten()
    tensor([0.2861, 0.6467, 0.4073, 0.5780], dtype=torch.float64)
    """
    return leading_eigenpair(graph, tol=tol, start=start).vector


@argument_errors
def leading_eigenpair(
    graph: NeuralGraph | ChannelGraph, *, tol: float = 1e-6, start: NodeValues | None = None
) -> Eigenpair:
    """The pair behind :func:`eigenvector_centrality`, with what it took to find it.

    Args:
        graph: As there.
        tol: As there.
        start: As there.

    Raises:
        ConvergenceError: As there.
        WeightsError: As there.
        ValuesError: As there.

    >>> from axonometry.testing import graph_of
    >>> pair = leading_eigenpair(graph_of([[1.0, 3.0], [2.0, 4.0]]))
    >>> round(pair.value, 6), pair.outside, pair.degenerate
    (5.464986, 0, False)
    """
    pair = _find_leading(graph, tol=tol, start=start)
    if pair.degenerate:
        raise ConvergenceError(
            "eigenvector centrality needs one component with the largest eigenvalue",
            f"a degenerate leading eigenvalue: components that share {pair.value:.6g}",
            "Measure the components on their own, or use weighted_degree",
        )
    if pair.outside:
        warnings.warn(
            f"the graph is not connected: {pair.outside:,} linked neurons lie outside the component with the largest "
            "eigenvalue and have the centrality 0",
            DisconnectedGraphWarning,
            stacklevel=3,
        )
    return pair


def _find_leading(graph: NeuralGraph | ChannelGraph, *, tol: float, start: NodeValues | None = None) -> Eigenpair:
    """The leading pair, also where it is one of several; without a warning. See :func:`leading_eigenpair`.

    Args:
        graph: As there.
        tol: As there.
        start: As there.

    Raises:
        ConvergenceError: The iteration did not converge.
        WeightsError: As there.
        ValuesError: As there.
    """
    solver = Solver(absolute_links(graph), tol)
    return solver.pair(None if start is None else _given(start, solver.links))


def _centrality_rows(graph: NeuralGraph | ChannelGraph, tol: float = 1e-6) -> Iterator[Row]:
    """The rows of :func:`~axonometry.metrics.rows.spread_rows`, and for the whole network three more.

    ``outside`` is the share of linked neurons that lie outside the leading component, ``eigenvalue`` is λ, and
    ``isolated`` the share of all neurons without a link. Where weights are not finite, all are zero or the iteration
    does not converge, everything is NaN; where the leading eigenvalue is degenerate, all but these three.
    """
    names = {group.name: group.shape for group in graph.groups}
    blank = NodeValues({name: torch.full(shape, math.nan) for name, shape in names.items()})
    try:
        pair = _find_leading(graph, tol=tol)
    except (ConvergenceError, WeightsError):
        yield from spread_rows(blank)
        yield from ((NETWORK, statistic, math.nan) for statistic in ("outside", "isolated", "eigenvalue"))
        return
    yield from spread_rows(blank if pair.degenerate else pair.vector)
    size = sum(tensor.numel() for tensor in pair.vector.values())
    yield NETWORK, "outside", pair.outside / (size - pair.isolated)
    yield NETWORK, "isolated", pair.isolated / size
    yield NETWORK, "eigenvalue", pair.value


def _given(start: NodeValues, links: Flat) -> Vector:
    """The start as a flat vector of unit norm."""
    shapes = {name: tuple(tensor.shape) for name, tensor in start.items()}
    if shapes != dict(links.shapes):
        raise ValuesError(
            "`start` has a value for every neuron of the graph", repr(start), "Take it from a snapshot of this network"
        )
    vector = np.abs(links.flat(start))
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if not (math.isfinite(norm) and norm > 0):
        raise ValuesError("`start` is finite and not zero", f"a norm of {norm}", "Leave `start` out")
    return vector / norm
