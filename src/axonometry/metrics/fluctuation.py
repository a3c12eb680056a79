r"""Layer fluctuation: how much the strengths of a layer's neurons differ.

The default convention ``"links"`` counts the links that exist and is not paper 1's number: that is ``"ictai2021"``,
which adds each neuron's bias and a link of weight 1 at every input and output (0.75 where the default gives 0.25, in
the last layer of the example below). Tables, pages and recorded runs have the default and name it.

Y^l = sqrt(1/N_l Σ_k (s_k - s̄)²), the population standard deviation of the node strengths of layer l.

Source: La Malfa et al. 2021 (arXiv 2110.02628), layers fluctuation; nodes_fluctuation in their code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.rows import Row
from axonometry.metrics.strength import StrengthConvention, node_strength, shared_strengths
from axonometry.program.entry import of_graph
from axonometry.statistics import moments
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph


def _rows(shared: Shared) -> Iterator[Row]:
    for group, value in layer_fluctuation(shared_strengths(shared)).items():
        yield group, "value", value


@measured(
    name="layer_fluctuation",
    title="Layer fluctuation",
    units="weight",
    range="0 and more",
    invariances="permuting the neurons of a layer; adding a constant to their strengths",
    source="La Malfa et al. 2021, arXiv 2110.02628",
    cost="that of node strength, once for both",
    table=_rows,
)
@of_graph
def layer_fluctuation(
    graph_or_strengths: NeuralGraph | NodeValues, convention: StrengthConvention = "links"
) -> dict[str, float]:
    """Population standard deviation of the node strengths of every group; paper 1's number is ``"ictai2021"``.

    The default, ``"links"``, counts real links only; La Malfa et al. 2021 add biases and links to the outside.

    Args:
        graph_or_strengths: A graph, or node strengths that are there already.
        convention: How strengths are counted, as for :func:`~axonometry.metrics.strength.node_strength`; of no effect
            on strengths that are there already.

    Returns:
        One number for each group, >= 0, in the unit of the weights; NaN where a strength is not finite. Permuting a
        layer's neurons does not change it, nor does adding a constant to their strengths.

    >>> from axonometry.testing import graph_of
    >>> weights, biases = ([[1, 3], [-2, 1], [0.5, -1]], [[2, 0, -1], [-1, 1, 0.5]]), ([0.1, -0.2, 0.3], [0.25, -0.75])
    >>> graph = graph_of(*weights, biases=biases)
    >>> {group: round(y, 4) for group, y in layer_fluctuation(graph).items()}
    {'input': 1.75, '0': 2.6247, '2': 0.25}
    >>> {group: round(y, 4) for group, y in layer_fluctuation(graph, "ictai2021").items()}
    {'input': 1.75, '0': 2.6242, '2': 0.75}
    """
    strengths = graph_or_strengths
    if not isinstance(strengths, NodeValues):
        strengths = node_strength(strengths, convention)
    found = {group: moments(tensor, median=False) for group, tensor in strengths.items()}
    return {group: math.nan if m.nonfinite else m.std for group, m in found.items()}
