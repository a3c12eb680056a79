"""What every logger gets: a step's numbers by name, and compact histograms of its strengths and weights.

Numbers are called ``axonometry/METRIC/GROUP/STATISTIC`` (``-`` for the whole network) and the run's own scalars
``axonometry/NAME``, so that :mod:`axonometry.integrations.exports` reads them back. Histograms have 32 bins of equal
width: ``axonometry/node_strength/GROUP`` and ``axonometry/weights/SYNAPSE``.

>>> shown = []
>>> class Printed:
...     def log(self, step, scalars, histograms):
...         shown.append((step, scalars, list(histograms)))
>>> import tempfile
>>> from axonometry.trajectory import Recorder
>>> model, example = torch.nn.Linear(2, 1), torch.zeros(1, 2)
>>> with tempfile.TemporaryDirectory() as folder:
...     with Recorder(folder, model, example, measures=[]) as recorder:
...         recorder.record(3, loss=0.5)
...         log_step(recorder, Printed())
>>> shown
[(3, {'axonometry/loss': 0.5}, ['axonometry/node_strength/input', ..., 'axonometry/weights/weight'])]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from axonometry.errors import RunError
from axonometry.metrics import node_strength
from axonometry.trajectory.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph
    from axonometry.trajectory import Recorder, Trajectory

PREFIX = "axonometry/"
NETWORK = "-"
"""In the place of a group's name: the whole network."""
BINS = 32


@dataclass(frozen=True)
class Histogram:
    """Counts in bins of equal width.

    Attributes:
        edges: Where bins begin, and where the last one ends.
        counts: How many values are in each.
        total: The sum of the values.
        squares: The sum of their squares.
    """

    edges: tuple[float, ...]
    counts: tuple[float, ...]
    total: float
    squares: float

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Counts and edges as ``numpy.histogram`` returns them, from which W&B and trackio make their histograms."""
        return np.array(self.counts), np.array(self.edges)


@runtime_checkable
class Logger(Protocol):
    """What numbers and histograms are handed to."""

    def log(self, step: int, scalars: Mapping[str, float], histograms: Mapping[str, Histogram]) -> None:
        """Log one step."""
        ...


def histogram(values: Float[Tensor, "*axes"], bins: int = BINS) -> Histogram | None:
    """A histogram of the finite values; None where there are none.

    Args:
        values: Numbers of any shape.
        bins: How many.

    >>> histogram(torch.tensor([0.0, 1.0, 1.0, 4.0]), bins=2)
    Histogram(edges=(0.0, 2.0, 4.0), counts=(3.0, 1.0), total=6.0, squares=18.0)
    """
    flat = values.detach().reshape(-1).float().cpu()
    flat = flat[flat.isfinite()]
    if not len(flat):
        return None
    low, high = float(flat.min()), float(flat.max())
    if low == high:  # one value: a bin around it
        low, high = low - 0.5, high + 0.5
    counts, edges = torch.histc(flat, bins, low, high), torch.linspace(low, high, bins + 1)
    wide = flat.double()
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()), float(wide.sum()), float(wide.square().sum()))


def histograms_of(graph: NeuralGraph) -> dict[str, Histogram]:
    """Histograms of the neurons' strengths by group, and of the weights by synapse.

    Args:
        graph: The network at one step.
    """
    strengths = {f"{PREFIX}node_strength/{name}": values for name, values in node_strength(graph).items()}
    state = graph.state
    weights = {f"{PREFIX}weights/{synapse.name}": state.get(synapse.parameter) for synapse in graph.synapses}
    found = {name: histogram(values) for name, values in (strengths | weights).items() if values is not None}
    return {name: one for name, one in found.items() if one is not None}


def scalars_of(table: pd.DataFrame, measures: tuple[str, ...]) -> dict[str, float]:
    """The rows of one step's table as numbers by name.

    Args:
        table: Columns group, metric, statistic, value.
        measures: Which metrics are measures; others are the run's own scalars.
    """
    return {
        f"{PREFIX}{metric}/{group or NETWORK}/{statistic}" if metric in measures else f"{PREFIX}{metric}": float(value)
        for group, metric, statistic, value in zip(
            table["group"], table["metric"], table["statistic"], table["value"], strict=True
        )
    }


def log_step(recorder: Recorder, logger: Logger) -> None:
    """Log the newest step of a recorder; callbacks do it for their ``loggers``.

    Args:
        recorder: After a record.
        logger: Where to.
    """
    step = recorder.last_step
    if step is not None:
        table = read_table(recorder.folder, [step]).to_pandas()
        logger.log(step, scalars_of(table, recorder.measures), histograms_of(recorder.graph))


def log_run(run: Trajectory, logger: Logger) -> None:
    """Log all steps of a recorded run; histograms where it was loaded with its module and kept its weights.

    Args:
        run: The run.
        logger: Where to.
    """
    measures, table = run.description.measures, run.metrics
    for step in run.steps:
        rows = table[table["step"] == step]
        try:
            histograms = histograms_of(run.graph(step))
        except RunError:  # without its module or its weights
            histograms = {}
        logger.log(step, scalars_of(rows, measures), histograms)
