r"""Deep graph persistence: neural persistence of the whole network, whose links are the widest ways through it.

W~ = |w - mean| / std of each layer, divided by the largest of all layers; S_ij = the widest way from input i to output
j, max over ways of the smallest W~ on it, by max-min products layer after layer; then the neural persistence of the
bipartite graph of inputs and outputs with the weights S / max S, n = inputs + outputs.

The network is its channel graph. Where a block's links are single weights (linear layers, 1x1 convolutions) they are
standardised with their signs, as in the paper; norms of kernels are standardised as norms, [our choice], and so is that
ways may take skips, and go round recurrent links.

Source: Girrbach et al. 2023, arXiv 2307.10865, and the authors' code for ``"vanilla"`` (weights as they are, without
standardisation) and ``"unscaled"`` (S not divided by its maximum).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from axonometry.errors import ConfigurationError, WeightsError
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.rows import NETWORK, Row
from axonometry.metrics.topology.persistence import STATISTICS, Matrix, largest_of, persistence_of, require_finite
from axonometry.metrics.topology.trees import max_min_product
from axonometry.program.channels import ChannelGraph
from axonometry.program.entry import of_graph
from axonometry.program.ir import spans

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

Scaling = Literal["standardised", "vanilla", "unscaled"]


def _rows(shared: Shared) -> Iterator[Row]:
    try:
        found = deep_graph_persistence(shared.graph)
    except WeightsError:
        found = dict.fromkeys(("nodes", *STATISTICS), math.nan)
    yield from ((NETWORK, statistic, found[statistic]) for statistic in STATISTICS)


@measured(
    name="deep_graph_persistence",
    title="Deep graph persistence",
    units="none",
    range="normalised from 0 to 1; persistence from 0 to the root of inputs and outputs less one",
    invariances="scaling the weights of a layer; the signs of all its weights together; permuting its channels",
    source="Girrbach et al. 2023, arXiv 2307.10865; norms of kernels, skips and sortedness are our choice",
    cost="inputs x channels x channels operations for each block of the channel graph",
    opt_in=True,
    table=_rows,
)
@of_graph
def deep_graph_persistence(graph: NeuralGraph | ChannelGraph, convention: Scaling = "standardised") -> dict[str, float]:
    """Deep graph persistence of a network.

    Args:
        graph: The network at one snapshot, or its channel graph.
        convention: ``"standardised"``, ``"vanilla"`` or ``"unscaled"``; see above.

    Returns:
        ``nodes``, ``persistence``, ``normalised``, and beside them ``variance`` and ``sortedness`` of S.

    Raises:
        ConfigurationError: There is no such convention.
        WeightsError: Weights are not finite, or no way leads from inputs to outputs.

    >>> from axonometry.testing import graph_of
    >>> found = deep_graph_persistence(graph_of([[0.9, 0.4], [0.2, 0.6]], [[0.5, 1.0], [0.8, 0.1]]), "vanilla")
    >>> round(found["persistence"], 6), round(found["normalised"], 6), found["nodes"]
    (0.450694, 0.260208, 4.0)
    """
    if convention not in ("standardised", "vanilla", "unscaled"):
        remedy = "Choose 'standardised', 'vanilla' or 'unscaled'"
        raise ConfigurationError("deep graph persistence has a convention", repr(convention), remedy)
    layers = _standardised(graph, plain=convention == "vanilla")
    scale = largest_of({str(key): matrix for key, matrix in layers.items()})
    widest = _widest(graph.channels(), {key: matrix / scale for key, matrix in layers.items()})
    top = float(widest.max(initial=0))
    if not top > 0:
        raise WeightsError("deep graph persistence needs a way from inputs to outputs", "none", "")
    found = persistence_of(widest / (1.0 if convention == "unscaled" else top))
    return dict(zip(("nodes", *STATISTICS), map(float, found), strict=True))


def _standardised(graph: NeuralGraph | ChannelGraph, *, plain: bool) -> dict[tuple[str, str], Matrix]:
    """Of every block, inputs by outputs, the absolute weights, standardised unless ``plain``."""
    norms = graph.channels()
    signed = {} if isinstance(graph, ChannelGraph) else graph.channels("sum").blocks
    found = {}
    for key, block in norms.blocks.items():
        weights = require_finite(block.detach().double().cpu().numpy().T)
        if key in signed:
            own = signed[key].detach().double().cpu().numpy().T
            # A kernel of one tap has a sign, which matters when the mean is taken off; of several taps there is only
            # the norm.
            weights = own if np.allclose(np.abs(own), weights, rtol=1e-4, atol=1e-12) else weights
        if not plain:
            spread = weights.std()
            weights = (weights - weights.mean()) / (spread if spread > 0 else 1.0)
        found[key] = np.abs(weights)
    return found


def _widest(graph: ChannelGraph, layers: dict[tuple[str, str], Matrix]) -> Matrix:
    """From each channel of the inputs to each channel of the outputs, the width of the widest way."""
    inputs = [group for group in graph.groups if group.role == "input"]
    outputs = [group for group in graph.groups if group.role == "output"]
    total = sum(group.n_neurons for group in inputs)
    widths = {group.name: np.zeros((total, group.n_neurons)) for group in graph.groups}
    for name, span in spans(inputs).items():  # nothing narrows a way of no links
        np.fill_diagonal(widths[name][span], np.inf)
    order = {group.name: place for place, group in enumerate(graph.groups)}
    keys = sorted(layers, key=lambda key: (order[key[0]], order[key[1]]))
    changed = True
    while changed:  # once through a feed-forward network; again only where links lead back
        changed = False
        for target, source in keys:
            way = np.maximum(widths[target], max_min_product(widths[source], layers[target, source]))
            changed |= order[source] >= order[target] and not np.array_equal(way, widths[target])
            widths[target] = way
    return np.concatenate([widths[group.name] for group in outputs], axis=1)
