r"""Spectral norm: the most that a layer stretches a signal.

σ₁ of each synapse's kernel as a matrix of shape (output channels, all its other axes), with folded normalisation, and
of each block of the channel graph. For a linear layer this is the operator's norm; for a convolution it is the norm of
one position's map from its window, which bounds that of the whole convolution from both sides up to the square root of
the number of taps.

Source: Yoshida and Miyato 2017 (arXiv 1705.10941) for the kernel as a matrix [recalled]; the channel block is our
choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.lanczos import Vector, largest_eigenpair
from axonometry.metrics.rows import NETWORK, Row, vector_rows
from axonometry.program.entry import of_graph

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph

_FEW = 128  # Up to so many rows or columns the whole spectrum costs less than an iteration.


@dataclass(frozen=True)
class SpectralNorms:
    """Largest singular values, in the unit of the weights.

    Attributes:
        kernels: By synapse, that of its folded kernel as a matrix; NaN where a weight is not finite.
        blocks: By (target group, source group), that of the channel graph's block.
    """

    kernels: dict[str, float]
    blocks: dict[tuple[str, str], float]


def _rows(shared: Shared) -> Iterator[Row]:
    """``kernel`` for every synapse, ``channels`` for every group: the largest of the blocks that feed it.

    For the whole network: moments of the kernels' norms, and of their log10.
    """
    norms = spectral_norms(shared.graph, shared.channels)
    for synapse, value in norms.kernels.items():
        yield synapse, "kernel", value
    targets: dict[str, float] = {}
    for (target, _), value in norms.blocks.items():
        targets[target] = value if math.isnan(value) else max(targets.get(target, 0.0), value)
    for target, value in targets.items():
        yield target, "channels", value
    yield from vector_rows(NETWORK, torch.tensor(list(norms.kernels.values()), dtype=torch.float64))


@measured(
    name="spectral_norm",
    title="Spectral norm",
    units="weight",
    range="0 and more",
    invariances="permuting the neurons of a layer; "
    "orthogonal maps of a linear layer's inputs or outputs, but for channels",
    source="Yoshida and Miyato 2017, arXiv 1705.10941; channel blocks are our choice",
    cost="a small eigenvalue problem for every synapse and every block of the channel graph",
    table=_rows,
)
@of_graph
def spectral_norms(graph: NeuralGraph, channels: ChannelGraph | None = None) -> SpectralNorms:
    """Largest singular value of every synapse's kernel and of every block of the channel graph.

    Args:
        graph: The network at one snapshot; maps such as ``graph.abs()`` are not applied.
        channels: Its channel graph, where that is there already.

    >>> from axonometry.testing import graph_of
    >>> found = spectral_norms(graph_of([[3.0, 0.0], [0.0, 4.0]]))
    >>> found.kernels, found.blocks
    ({'0': 4.0}, {('0', 'input'): 4.0})
    """
    kernels = {name: largest_singular_value(kernel.rows().effective) for name, kernel in graph.kernels().items()}
    channels = channels or graph.channels()
    return SpectralNorms(kernels, {key: largest_singular_value(block) for key, block in channels.blocks.items()})


def largest_singular_value(matrix: Tensor) -> float:
    """σ₁, the square root of the largest eigenvalue of the smaller Gram matrix; NaN where an entry is not finite.

    >>> largest_singular_value(torch.tensor([[3.0, 4.0]]))
    5.0
    """
    matrix = matrix.detach()
    if matrix.numel() == 0:
        return 0.0
    scale = float(matrix.abs().max())
    if not math.isfinite(scale) or scale == 0:
        return 0.0 if scale == 0 else math.nan
    matrix = matrix.double() / scale
    matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    if len(matrix) <= _FEW:
        return scale * math.sqrt(max(0.0, float(torch.linalg.eigvalsh(matrix @ matrix.T)[-1])))
    return scale * _iterated(matrix)


def _iterated(matrix: Tensor) -> float:
    """σ₁ by products with the Gram matrix, which is never formed."""

    def gram(x: Vector) -> Vector:
        vector = torch.from_numpy(np.ascontiguousarray(x)).to(matrix)
        return (matrix @ (vector @ matrix)).cpu().numpy()

    begin = np.random.default_rng(0).standard_normal(len(matrix))
    return math.sqrt(largest_eigenpair(gram, begin, tol=1e-8)[0])
