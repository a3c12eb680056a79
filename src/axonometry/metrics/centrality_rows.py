"""Rows of the catalogue's tables for node measures over a whole network: they summarise, and never raise or warn.

A recorder must not end a training that has diverged, so that what has no value is NaN here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from axonometry.errors import ConvergenceError, WeightsError
from axonometry.metrics.eigenvector import find_leading
from axonometry.metrics.spectrum import SpectralNorms
from axonometry.statistics import Moments, moments
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph

Row = tuple[str, str, float]

STATISTICS = ("count", "nonfinite", "mean", "median", "std", "skewness", "kurtosis", "minimum", "maximum")

NETWORK = ""
"""The group's name in rows over all groups together."""

_FEW = 2**14


def degree_rows(values: NodeValues) -> Iterator[Row]:
    """Moments of every group and of the whole network, and of log10 of the positive entries.

    Statistics are those of :class:`axonometry.values.Moments`, and ``log_mean`` and ``log_std``. Where an entry of the
    group is NaN or infinite, all but ``count`` and ``nonfinite`` are NaN.
    """
    flat = {group: tensor.detach().reshape(-1).double() for group, tensor in values.items()}
    yield from _rows(NETWORK, torch.cat(list(flat.values())))
    for group, tensor in flat.items():
        yield from _rows(group, tensor)


def _rows(group: str, values: Tensor) -> Iterator[Row]:
    found = _moments(values)
    diverged = found.nonfinite > 0
    positive = values[values > 0]
    for statistic in STATISTICS:
        kept = statistic in {"count", "nonfinite"} or not diverged
        yield group, statistic, float(getattr(found, statistic)) if kept else math.nan
    known = len(positive) > 0 and not diverged
    spread, middle = torch.std_mean(positive.log10(), correction=0) if known else (math.nan, math.nan)
    yield group, "log_mean", float(middle)
    yield group, "log_std", float(spread)


def _moments(values: Tensor) -> Moments:
    """As :func:`axonometry.statistics.moments`, which is made for many numbers and starts slowly."""
    if not 0 < len(values) <= _FEW or values.device.type != "cpu":
        return moments(values)
    x = values.numpy()
    low, high, middle = float(x.min()), float(x.max()), float(x.mean())
    if not math.isfinite(low + high) or low == high:
        return moments(values)
    centred = (x - middle) / (high - low)
    squares = centred * centred
    variance = float(squares.mean())
    if not variance > 0:
        return moments(values)
    third, fourth = float((squares * centred).mean()) / variance**1.5, float((squares * squares).mean()) / variance**2
    std = math.sqrt(variance) * (high - low)
    return Moments(len(x), 0, middle, float(np.median(x)), std, third, fourth - 3, low, high)


def centrality_rows(graph: NeuralGraph | ChannelGraph, tol: float = 1e-6) -> Iterator[Row]:
    """The rows of eigenvector centrality as :func:`degree_rows` gives them, and for the whole network three more.

    ``outside`` is the share of linked neurons that lie outside the leading component, ``eigenvalue`` is λ, and
    ``isolated`` the share of all neurons without a link. Where weights are not finite, all are zero or the iteration
    does not converge, everything is NaN; where the leading eigenvalue is degenerate, all but these three.
    """
    names = {group.name: group.shape for group in graph.groups}
    blank = NodeValues({name: torch.full(shape, math.nan) for name, shape in names.items()})
    try:
        pair = find_leading(graph, tol=tol)
    except (ConvergenceError, WeightsError):
        yield from degree_rows(blank)
        yield from ((NETWORK, statistic, math.nan) for statistic in ("outside", "isolated", "eigenvalue"))
        return
    yield from degree_rows(blank if pair.degenerate else pair.vector)
    size = sum(tensor.numel() for tensor in pair.vector.values())
    yield NETWORK, "outside", pair.outside / (size - pair.isolated)
    yield NETWORK, "isolated", pair.isolated / size
    yield NETWORK, "eigenvalue", pair.value


def spectral_rows(norms: SpectralNorms) -> Iterator[Row]:
    """``kernel`` for every synapse, ``channels`` for every group: the largest of the blocks that feed it.

    For the whole network: mean, std, minimum and maximum of the kernels' norms, and of their log10.
    """
    for synapse, value in norms.kernels.items():
        yield synapse, "kernel", value
    targets: dict[str, float] = {}
    for (target, _), value in norms.blocks.items():
        targets[target] = value if math.isnan(value) else max(targets.get(target, 0.0), value)
    for target, value in targets.items():
        yield target, "channels", value
    yield from _rows(NETWORK, torch.tensor(list(norms.kernels.values()), dtype=torch.float64))
