r"""Spectrum of the linear map: how many directions of each layer reach the outputs, and how strongly.

M^l (outputs by neurons) holds, for every output and neuron of group l, the sum over all paths between them of the
product of the weights on the path: the linear map behind the network (:mod:`axonometry.program.readings.linear`). What
all outputs share is taken off, M_c = M - mean over outputs, since a softmax does not see it. With the singular values
σ_1 ≥ σ_2 ≥ ... of M_c:

- ``log_norm`` = log10 \|M_c\|_F, ``log_top`` = log10 σ_1;
- ``effective_rank`` = exp(-Σ p ln p), p = σ² / Σ σ² (Roy and Vetterli 2007, on squares): an untrained network has few
  directions or all alike, one that tells K classes apart has about K - 1;
- ``log_tail`` = log10(σ_(K-1) / σ_1), K the number of outputs;
- ``coherence``: mean absolute cosine between the rows of M_c.

Source: the map is Lin et al. 2025 (arXiv 2501.02436), section on L-Maps; its spectrum as a measure is our choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.rows import Row, n_classes
from axonometry.program.entry import of_graph
from axonometry.program.readings.linear import linear_maps

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

STATISTICS = ("log_norm", "log_top", "effective_rank", "log_tail", "coherence")


def _rows(shared: Shared) -> Iterator[Row]:
    """Nothing for networks without one output group of several neurons."""
    if n_classes(shared.graph):
        for name, found in linear_map_spectrum(shared.graph).items():
            yield from ((name, statistic, value) for statistic, value in found.items())


@measured(
    name="linear_map",
    title="Spectrum of the linear map",
    units="log10 of weight products; effective_rank and coherence have none",
    range="all reals; effective_rank from 1 to one less than the outputs, coherence from 0 to 1",
    invariances="permuting the neurons of a layer; adding one number to all outputs' maps",
    source="map: Lin et al. 2025, arXiv 2501.02436; its spectrum is our choice",
    cost="one transposed linear pass for each output",
    table=_rows,
)
@of_graph
def linear_map_spectrum(graph: NeuralGraph) -> dict[str, dict[str, float]]:
    """The statistics of the linear map from every group to the outputs.

    Args:
        graph: The network at one snapshot; it has one output group of two neurons or more.

    Returns:
        By group, all but the output itself: the value of each of :data:`STATISTICS`; NaN where the weights are not
        finite or no path leads to the outputs.

    Raises:
        ValuesError: There are several output groups.

    >>> from axonometry.testing import graph_of
    >>> found = linear_map_spectrum(graph_of([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
    >>> {name: round(value, 4) for name, value in found["input"].items()}
    {'log_norm': 0.2614, 'log_top': 0.2288, 'effective_rank': 1.4977, 'log_tail': -0.3952, 'coherence': 0.6443}
    """
    maps = linear_maps(graph)
    hidden = {group.name for group in graph.groups if group.role != "output"}
    return {name: _spectrum(matrix.flatten(1).double()) for name, matrix in maps.items() if name in hidden}


def _spectrum(matrix: Tensor) -> dict[str, float]:
    centred = matrix - matrix.mean(0, keepdim=True)
    norm = float(centred.norm())
    if not math.isfinite(norm) or norm == 0:
        return dict.fromkeys(STATISTICS, math.nan)
    # The Gram matrix is small: outputs by outputs.
    gram = (centred / norm) @ (centred / norm).T
    squares = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0.0)
    share = squares / squares.sum()
    lengths = gram.diagonal().sqrt().clamp_min(1e-12)
    cosines = (gram / lengths / lengths[:, None]).abs()
    pairs = len(cosines) * (len(cosines) - 1)
    # C rows less their mean span C - 1 directions: the last eigenvalue is always 0, and the one before it is the least.
    tail = float(squares[len(squares) - 2] / squares[0])
    return {
        "log_norm": math.log10(norm),
        "log_top": math.log10(norm) + 0.5 * math.log10(float(squares[0])),
        "effective_rank": float(torch.exp(-torch.special.xlogy(share, share).sum())),
        "log_tail": 0.5 * math.log10(max(tail, 1e-24)),
        "coherence": float(cosines.sum() - cosines.diagonal().sum()) / pairs,
    }
