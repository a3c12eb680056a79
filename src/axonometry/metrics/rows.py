"""Rows of tables: what a measure says of one graph as (group, statistic, value).

They summarise, and never raise or warn because a network has diverged: a recorder must not end a training, so that what
has no value is NaN here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from axonometry.errors import NonfiniteError
from axonometry.program.readings.live import live_batches
from axonometry.statistics import Moments, moments
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.readings.samples import Samples

Row = tuple[str, str, float]
"""Group (or synapse), statistic, value."""

NETWORK = ""
"""The group's name in rows over all groups together."""

STATISTICS = ("count", "nonfinite", "mean", "median", "std", "skewness", "kurtosis", "minimum", "maximum")

_FEW = 2**14


def moment_rows(values: NodeValues) -> Iterator[Row]:
    """The moments of every group.

    Args:
        values: One tensor a group.

    Yields:
        For each group the fields of :class:`axonometry.values.Moments`.

    >>> rows = moment_rows(NodeValues({"a": torch.tensor([1.0, 2.0, 3.0, 10.0])}))
    >>> {statistic: round(value, 3) for _, statistic, value in rows if statistic in ("mean", "median", "std")}
    {'mean': 4.0, 'median': 2.5, 'std': 3.536}
    """
    for group, tensor in values.items():
        for statistic, value in asdict(moments(tensor)).items():
            yield group, statistic, float(value)


def spread_rows(values: NodeValues) -> Iterator[Row]:
    """Moments of the whole network and of every group, and of log10 of the positive entries.

    Args:
        values: One tensor a group.

    Yields:
        For the network, then for each group :data:`STATISTICS`, ``log_mean`` and ``log_std``. Where an entry of the
        group is NaN or infinite, all but ``count`` and ``nonfinite`` are NaN.

    >>> rows = spread_rows(NodeValues({"a": torch.tensor([1.0, 100.0])}))
    >>> {group: value for group, statistic, value in rows if statistic == "log_mean"}
    {'': 1.0, 'a': 1.0}
    """
    flat = {group: tensor.detach().reshape(-1).double() for group, tensor in values.items()}
    yield from vector_rows(NETWORK, torch.cat(list(flat.values())))
    for group, tensor in flat.items():
        yield from vector_rows(group, tensor)


def vector_rows(group: str, values: Tensor) -> Iterator[Row]:
    """The rows of :func:`spread_rows` for one vector.

    >>> [round(value, 3) for _, statistic, value in vector_rows("a", torch.tensor([1.0, 100.0])) if "log" in statistic]
    [1.0, 1.0]
    """
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


def rows_or_nan(
    graph: NeuralGraph, samples: Samples, rows: Callable[[], Iterable[Row]], names: Iterable[tuple[str, str]]
) -> Iterator[Row]:
    """The rows, or NaN in each where the network is no longer finite though its inputs are.

    Args:
        graph: The network at one snapshot.
        samples: What it is run on.
        rows: Gives the rows.
        names: Group and statistic of each row that is NaN where there are none.

    Yields:
        The rows.

    Raises:
        NonfiniteError: A sample itself is NaN or infinite.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[float("nan")]])
    >>> def rows():
    ...     raise NonfiniteError("values are finite", "NaN")
    >>> list(rows_or_nan(graph, torch.ones(2, 1), rows, [("0", "mean")]))
    [('0', 'mean', nan)]
    """
    try:
        found = list(rows())
    except NonfiniteError:
        if not _diverged(graph, samples):
            raise
        found = [(name, statistic, math.nan) for name, statistic in names]
    yield from found


def n_classes(graph: NeuralGraph) -> int:
    """The number of classes that a network tells apart: neurons of its one output group; 0 where it does not classify.

    A network classifies if it has one output group of several neurons.

    >>> from axonometry.testing import graph_of
    >>> n_classes(graph_of([[1.0], [2.0], [3.0]])), n_classes(graph_of([[1.0]]))
    (3, 0)
    """
    outputs = [group.n_neurons for group in graph.groups if group.role == "output"]
    return outputs[0] if len(outputs) == 1 and outputs[0] > 1 else 0


def _diverged(graph: NeuralGraph, samples: Samples) -> bool:
    """Whether some neuron is not finite though all inputs are."""
    inputs = {group.name for group in graph.groups if group.role == "input"}
    bad = False
    for batch in live_batches(graph, samples):
        for name, rows in batch.pre_activations.items():
            if not bool(rows.isfinite().all()):
                if name in inputs:
                    return False
                bad = True
    return bad


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
