r"""Localisation: whether a unit looks at a few of its inputs or at all of them.

For the D weights w that lead into a unit, the inverse participation ratio IPR = Σ w⁴ / (Σ w²)² is 1 where one weight is
all there is and 1 / D where all have one size; it is 3 / D on average over normal weights. Excess kurtosis D IPR - 3 is
0 there, and can be compared between layers. Weights are taken about 0, not about their mean.

Dense layers localise on inputs whose neighbours are correlated and that are not normal: on non-linear Gaussian
processes, and not on normal inputs of the same covariance (:mod:`axonometry.populations.gaussian_processes`).

Source: Ingrosso and Goldt 2022, arXiv 2202.00565. What their code calls IPR is the inverse of this one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jaxtyping import Float, Shaped
from torch import Tensor

from axonometry.errors import ValuesError
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.rows import Row
from axonometry.program.entry import of_graph

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph


def localisation(weights: Shaped[Tensor, ...]) -> tuple[float, float]:
    """Inverse participation ratio and excess kurtosis of a weight vector.

    Raises:
        ValuesError: All weights are zero.

    >>> import torch
    >>> localisation(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    (0.5, -1.0)
    """
    (ratio,) = _participation(weights.detach().reshape(1, -1)).tolist()
    if math.isnan(ratio):
        raise ValuesError("localisation is of finite weights that are not all zero", "none", "")
    return ratio, weights.numel() * ratio - 3


def _rows(shared: Shared) -> Iterator[Row]:
    for synapse, ratios in receptive_fields(shared.graph).items():
        known = ratios[~ratios.isnan()]
        length = shared.graph.kernel(synapse).rows().weight.shape[1]
        for name, values in (("inverse_participation", known), ("kurtosis", length * known - 3)):
            yield synapse, name, float(values.mean()) if len(known) else math.nan
            yield synapse, f"{name}_largest", float(values.max()) if len(known) else math.nan


@measured(
    name="localisation",
    title="Localisation of receptive fields",
    units="none",
    range="inverse participation from 1 / D to 1, D the weights of a unit; excess kurtosis from -2 to D - 3",
    invariances="signs of weights; scaling a unit's weights; permuting a unit's inputs",
    source="Ingrosso and Goldt 2022, arXiv 2202.00565",
    cost="one pass over the weights",
    opt_in=True,
    table=_rows,
)
@of_graph
def receptive_fields(graph: NeuralGraph) -> dict[str, Float[Tensor, " units"]]:
    """The inverse participation ratio of the weights into every unit.

    Args:
        graph: The network at one snapshot. Of a convolution, a unit's weights are one output channel's kernel.

    Returns:
        By synapse, in float64, from 1 / D to 1; NaN of units whose weights are all zero or not all finite. In the
        catalogue's table, means and largest values over the other units, of the ratio and of the excess kurtosis.

    >>> from axonometry.testing import graph_of
    >>> receptive_fields(graph_of([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]]))["0"].tolist()
    [0.5, 1.0]
    """
    return {name: _participation(kernel.rows().effective.detach()) for name, kernel in graph.kernels().items()}


def _participation(weights: Shaped[Tensor, "units D"]) -> Float[Tensor, " units"]:
    weights = weights.double()
    squares = (weights / weights.abs().amax(1, keepdim=True)).square()  # tiny weights underflow in fourth powers
    return squares.square().sum(1) / squares.sum(1).square()
