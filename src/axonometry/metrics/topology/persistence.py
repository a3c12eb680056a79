r"""Neural persistence: how much a layer's largest links alone hold it together.

w' = |w| / max |w| of the whole network. A layer is a bipartite graph whose nodes are born at 1 and whose links appear
in descending w'; what is left of the zero-dimensional diagram are the points (1, w'_e), e in the maximum spanning tree.

NP = sqrt(Σ_e (1 - w'_e)²), normalised NP / sqrt(n - 1), n the layer's nodes, and the mean over layers.

Conventions. ``"paper"``: as above. ``"official"``: the authors' code counts the class that never dies as (1, 0) too,
sqrt(1 + Σ ...), and a normalised value can exceed 1.

Layers are synapses. Of a linear layer the links are its weights, of a convolution the L2 norms of the kernels between
two channels, [our choice] where the paper approximates; batch norm is folded first. ``level="neurons"`` takes every
link between the neurons of two groups instead, where the matrix fits in memory; neurons without a link are apart up to
w' = 0, as if a link of weight 0 were there.

NP is close to a function of two plainer numbers, which the authors of deep graph persistence ask to be shown beside
it: the ``variance`` of w', and how far large weights share rows and columns. ``sortedness``, [our choice], is the share
of the variance that the means of rows and columns explain: near (n - 2) / n links for weights without order, near 1 for
sorted ones.

Source: Rieck et al. 2019, arXiv 1812.09764; conventions by the authors' code. Girrbach et al. 2023, arXiv 2307.10865.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from axonometry.errors import ConfigurationError, WeightsError
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.rows import NETWORK, Row
from axonometry.metrics.topology.trees import bipartite_tree
from axonometry.program.channels import ChannelGraph
from axonometry.program.entry import of_graph
from axonometry.program.ir import spans
from axonometry.program.rolling import layer_matrices

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph

Essential = Literal["paper", "official"]
Level = Literal["channels", "neurons"]
Matrix = Float[np.ndarray, "_ _"]
RULE = "persistence is of finite weights, one of them not zero"
STATISTICS = ("persistence", "normalised", "variance", "sortedness")


def _rows(shared: Shared) -> Iterator[Row]:
    graph = shared.graph
    try:
        found = neural_persistence(graph)
    except WeightsError:
        names = [NETWORK, *(synapse.name for synapse in graph.synapses)]
        yield from ((name, statistic, math.nan) for name in names for statistic in STATISTICS)
        return
    yield from ((NETWORK, statistic, float(found[statistic].mean())) for statistic in STATISTICS)
    for name, row in zip(found["layer"], found[list(STATISTICS)].to_dict("records"), strict=True):
        yield from ((name, str(statistic), float(value)) for statistic, value in row.items())


@measured(
    name="neural_persistence",
    title="Neural persistence",
    units="none",
    range="normalised from 0 to 1; persistence from 0 to the root of the nodes less one; sortedness from 0 to 1",
    invariances="the signs of weights; scaling all links; permuting the neurons of a layer",
    source="Rieck et al. 2019, arXiv 1812.09764; sortedness is our choice",
    cost="one pass over the weights and a search for each neuron",
    opt_in=True,
    table=_rows,
)
@of_graph
def neural_persistence(
    graph: NeuralGraph | ChannelGraph, convention: Essential = "paper", *, level: Level = "channels"
) -> pd.DataFrame:
    r"""Neural persistence of every layer.

    Args:
        graph: The network at one snapshot; of its channel graph each block is a layer.
        convention: ``"paper"``, or ``"official"``, which counts the class that never dies.
        level: ``"channels"``: convolutions as norms of kernels. ``"neurons"``: every link of the network.

    Returns:
        A row for each layer: ``layer``, its ``nodes``, ``persistence``, ``normalised``, and beside them ``variance``
        and ``sortedness`` of w'. The network's value is the mean of ``normalised``.

    Raises:
        ConfigurationError: There is no such convention or level.
        TooLargeError: The links of all neurons do not fit in memory.
        WeightsError: Weights are not finite, or all are zero.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[0.5, 0.25], [-1.0, 0.75]])
    >>> neural_persistence(graph)[["nodes", "persistence", "normalised"]].round(6).values.tolist()
    [[4.0, 0.559017, 0.322749]]
    >>> neural_persistence(graph, "official")[["persistence", "normalised"]].round(6).values.tolist()
    [[1.145644, 0.661438]]
    """
    import pandas as pd

    if convention not in ("paper", "official") or level not in ("channels", "neurons"):
        came, remedy = f"{convention!r} and {level!r}", "Choose 'paper' or 'official', 'channels' or 'neurons'"
        raise ConfigurationError("persistence has a convention and a level", came, remedy)
    layers = _by_neuron(graph) if level == "neurons" else matrices_of(graph)
    largest = largest_of(layers)
    rows = [(name, *persistence_of(matrix / largest, convention)) for name, matrix in layers.items()]
    return pd.DataFrame(rows, columns=["layer", "nodes", *STATISTICS])


def persistence_of(matrix: Matrix, convention: Essential = "paper") -> tuple[int, float, float, float, float]:
    """Nodes, persistence, normalised persistence, variance and sortedness of one layer's w'.

    Args:
        matrix: From 0 to 1, inputs by outputs.
        convention: As for :func:`neural_persistence`.

    >>> [round(x, 6) for x in persistence_of(np.array([[0.5, 1.0], [0.25, 0.75]]))]
    [4, 0.559017, 0.322749, 0.078125, 1.0]
    """
    nodes = sum(matrix.shape)
    gaps = 1 - bipartite_tree(matrix).astype(np.float64)
    # The graph as a whole never dies. The official code puts that class at (1, 0), a gap of 1 beside those of the tree.
    norm = math.sqrt(float(gaps @ gaps) + (convention == "official"))
    wide = matrix.astype(np.float64)
    variance = float(wide.var())
    rows, columns = wide.mean(1), wide.mean(0)
    # Of weights that are a sum a_i + b_j everything, sortedness 1; of independent ones about 1/n + 1/m.
    explained = float(rows.var() + columns.var())
    sortedness = explained / variance if variance > 1e-14 else math.nan
    return nodes, norm, norm / math.sqrt(max(nodes - 1, 1)), variance, sortedness


def matrices_of(graph: NeuralGraph | ChannelGraph) -> dict[str, Matrix]:
    """Absolute weights of every layer, inputs by outputs.

    >>> from axonometry.testing import graph_of
    >>> matrices_of(graph_of([[0.5, 0.25], [-1.0, 0.75]]))["0"].tolist()
    [[0.5, 1.0], [0.25, 0.75]]
    """
    if isinstance(graph, ChannelGraph):
        found = {f"{source} → {target}": block for (target, source), block in graph.blocks.items()}
    else:
        found = layer_matrices(graph)
    return {name: block.detach().abs().T.cpu().numpy() for name, block in found.items()}


def largest_of(layers: Mapping[str, Matrix]) -> float:
    """The largest weight of all layers.

    Raises:
        WeightsError: It is not finite, or 0.

    >>> largest_of({"fc": np.array([[0.5, 3.0]])})
    3.0
    """
    largest = max((float(require_finite(matrix).max(initial=0)) for matrix in layers.values()), default=0.0)
    if not largest > 0:
        raise WeightsError(RULE, "none", "See link_weights(graph)")
    return largest


def require_finite(weights: Matrix) -> Matrix:
    """The weights, if all are finite.

    Raises:
        WeightsError: One is not.

    >>> require_finite(np.array([[0.5, 3.0]])).shape
    (1, 2)
    """
    if not np.isfinite(weights.sum()) and not np.isfinite(weights).all():
        raise WeightsError(RULE, "NaN or infinity", "See link_weights(graph)")
    return weights


def _by_neuron(graph: NeuralGraph | ChannelGraph) -> dict[str, Matrix]:
    """All links between the neurons of two groups, as one matrix for each pair of groups."""
    if isinstance(graph, ChannelGraph):
        return matrices_of(graph)
    matrix, span = abs(graph.to_scipy()), spans(graph.groups)
    pairs = {(source, synapse.target): synapse.name for synapse in graph.synapses for source in synapse.sources}
    return {name: matrix[span[target], span[source]].T.toarray() for (source, target), name in pairs.items()}
