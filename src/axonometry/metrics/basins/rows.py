"""Rows of basins and of sharpness: of the network as it was captured, on samples whose classes are known.

A network without one output group of several neurons has none. Numbers of a network that has diverged are NaN.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator

from torch import Tensor, nn

from axonometry.errors import ConvergenceError, WeightsError
from axonometry.metrics.basins.basin import Basin, NoCrossingWarning
from axonometry.metrics.basins.captured import CapturedClassifier, labelled
from axonometry.metrics.catalogue import Shared
from axonometry.metrics.rows import NETWORK, Row, n_classes

STATISTICS = ("amplitude", "low", "high", "low_all", "high_all", "clean")
"""Of the whole network; each class has its amplitude as ``class_0``, ``class_1`` and so on, NaN without samples."""


def basin_rows(shared: Shared, take: Callable[[nn.Module, Tensor, Tensor], Basin]) -> Iterator[Row]:
    """The network's amplitude with its intervals, its accuracy without noise, and the amplitude of each class.

    Args:
        shared: The graph, and batches of inputs and labels.
        take: Measures the basin of a network.

    Yields:
        The rows; an amplitude is infinite where no noise that was tried brings the accuracy down to the threshold.

    Raises:
        SamplesError: The samples do not fit, or the network has several inputs.

    >>> import torch
    >>> from axonometry.metrics import weight_basin
    >>> from axonometry.testing import graph_of
    >>> shared = Shared(graph_of([[1.0], [-1.0]]), samples=[(torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 1]))])
    >>> rows = basin_rows(shared, weight_basin)
    >>> [row for row in rows if row[1] == "clean"]
    [('', 'clean', 1.0)]
    """
    classes = n_classes(shared.graph)
    if not classes:
        return
    network = CapturedClassifier(shared.graph)
    values = dict.fromkeys((*STATISTICS, *(f"class_{k}" for k in range(classes))), math.nan)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoCrossingWarning)  # the rows say it: `clean`, and an infinite amplitude
            basin = take(network, *labelled(shared.graph, shared.samples))
    except WeightsError:
        yield from ((NETWORK, statistic, value) for statistic, value in values.items())
        return
    values |= {statistic: float(getattr(basin.network, statistic)) for statistic in STATISTICS}
    values |= {f"class_{k}": one.amplitude for k, one in basin.classes.items()}
    yield from ((NETWORK, statistic, value) for statistic, value in values.items())


def curvature_rows(shared: Shared, take: Callable[[nn.Module, Tensor, Tensor, bool], float]) -> Iterator[Row]:
    """``value``: the largest curvature of the loss; ``scaled``: the same in the unit of a weight basin.

    Args:
        shared: The graph, and batches of inputs and labels.
        take: From a network, samples, labels and whether it is scaled to the curvature.

    Yields:
        The rows; NaN where weights or loss are not finite, or the iteration does not converge.

    Raises:
        SamplesError: The samples do not fit, or the network has several inputs.

    >>> import torch
    >>> from axonometry.metrics import sharpness
    >>> from axonometry.testing import graph_of
    >>> shared = Shared(graph_of([[0.0], [1.0]]), samples=[(torch.ones(1, 1), torch.tensor([1]))])
    >>> rows = curvature_rows(shared, lambda *given: sharpness(*given[:3], scaled=given[3]).value)
    >>> [(statistic, round(value, 6)) for _, statistic, value in rows]
    [('value', 0.393224), ('scaled', 0.098306)]
    """
    if not n_classes(shared.graph):
        return
    network, given = CapturedClassifier(shared.graph), labelled(shared.graph, shared.samples)
    for statistic, scaled in (("value", False), ("scaled", True)):
        try:
            yield NETWORK, statistic, take(network, *given, scaled)
        except (ConvergenceError, WeightsError):
            yield NETWORK, statistic, math.nan
