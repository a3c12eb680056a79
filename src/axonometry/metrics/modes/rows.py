"""Modes, rank distributions and truncation as rows of tables: of one network, and over training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from axonometry.errors import NonfiniteError
from axonometry.metrics.modes.modes import MODES, neuron_modes
from axonometry.metrics.modes.ranks import rank_distribution
from axonometry.metrics.modes.tails import linear_truncation
from axonometry.program.live import live_batches
from axonometry.program.samples import Samples
from axonometry.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph

Row = tuple[str, str, float]
"""Group, statistic, value."""

MODE_STATISTICS = ("rate", *MODES[:3], "dead", "saturated", "reversed")
TRUNCATION_STATISTICS = ("accuracy", "agreement", "error")
METRICS = ("neuron_modes", "rank_gradient", "linear_truncation")


def mode_rows(graph: NeuralGraph, samples: Samples) -> Iterator[Row]:
    """Mean rate and shares of neurons by mode for every group but the inputs; NaN for a network that diverged."""

    def rows() -> Iterator[Row]:
        for name, modes in neuron_modes(graph, samples).groups.items():
            yield from ((name, statistic, value) for statistic, value in modes.summary().items())

    names = [group.name for group in graph.groups if group.role != "input"]
    yield from _or_nan(graph, samples, rows, ((name, statistic) for name in names for statistic in MODE_STATISTICS))


def gradient_rows(graph: NeuralGraph, samples: Samples, labels: Tensor | None = None) -> Iterator[Row]:
    """Mean slope of the rank distribution for every hidden group, and for each class; NaN as above.

    Nothing for networks without one output group of several neurons.
    """
    if not _classifies(graph):
        return
    classes = [f"class_{k}" for k in range(_outputs(graph))]

    def rows() -> Iterator[Row]:
        for name, ranks in rank_distribution(graph, samples, labels).groups.items():
            yield name, "mean", ranks.mean
            yield from ((name, of, value) for of, value in zip(classes, ranks.by_class.tolist(), strict=True))

    names = [group.name for group in graph.groups if group.role == "hidden"]
    yield from _or_nan(graph, samples, rows, ((name, of) for name in names for of in ("mean", *classes)))


def truncation_rows(graph: NeuralGraph, samples: Samples, labels: Tensor | None = None) -> Iterator[Row]:
    """Accuracy, agreement and error of the network that is linear behind each group; NaN and nothing as above."""
    if not _classifies(graph):
        return

    def rows() -> Iterator[Row]:
        for record in linear_truncation(graph, samples, labels).to_dict("records"):
            yield from ((record["group"], name, float(record[name])) for name in TRUNCATION_STATISTICS)

    names = [group.name for group in graph.groups]
    yield from _or_nan(graph, samples, rows, ((name, of) for name in names for of in TRUNCATION_STATISTICS))


def modes_over_time(
    graphs: Mapping[int, Callable[[], NeuralGraph]],
    samples: Samples,
    labels: Tensor | None = None,
    *,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The three measures of a network at several steps of its training.

    Args:
        graphs: What gives the graph at each step.
        samples: What the module takes; the same at all steps.
        labels: The class of each sample, from 0; without them there are modes alone.
        progress: Called with steps done, out of how many, and a few words.

    Returns:
        Columns step, group, metric (of :data:`METRICS`), statistic, value.

    Raises:
        SamplesError: Samples or labels do not fit the network.
        ValuesError: There are labels, and not one output group.
    """
    import pandas as pd

    rows: list[tuple[int, str, str, str, float]] = []
    for done, (step, graph_at) in enumerate(graphs.items()):
        if progress is not None:
            progress(done, len(graphs), f"Modes at step {step}")
        graph = graph_at()
        found: dict[str, Iterable[Row]] = {"neuron_modes": mode_rows(graph, samples)}
        if labels is not None:
            found["rank_gradient"] = gradient_rows(graph, samples, labels)
            found["linear_truncation"] = truncation_rows(graph, samples, labels)
        rows += [(step, group, metric, of, value) for metric, some in found.items() for group, of, value in some]
    return pd.DataFrame(rows, columns=["step", "group", "metric", "statistic", "value"])


def _or_nan(
    graph: NeuralGraph, samples: Samples, rows: Callable[[], Iterator[Row]], names: Iterable[tuple[str, str]]
) -> Iterator[Row]:
    """The rows, or NaN in each where the network is no longer finite; a recorder must not end a training."""
    try:
        found = list(rows())
    except NonfiniteError:
        if not _diverged(graph, samples):
            raise
        found = [(name, statistic, math.nan) for name, statistic in names]
    yield from found


def _diverged(graph: NeuralGraph, samples: Samples) -> bool:
    """Whether some neuron is not finite though all inputs are."""
    inputs = {group.name for group in graph.groups if group.role == "input"}
    bad = False
    for batch in live_batches(graph, samples):
        for name, field in batch.fields.items():
            if not bool(field.isfinite().all()):
                if name in inputs:
                    return False
                bad = True
    return bad


def _classifies(graph: NeuralGraph) -> bool:
    """Whether there is one output group of several neurons."""
    return [group.n_neurons > 1 for group in graph.groups if group.role == "output"] == [True]


def _outputs(graph: NeuralGraph) -> int:
    return sum(group.n_neurons for group in graph.groups if group.role == "output")
