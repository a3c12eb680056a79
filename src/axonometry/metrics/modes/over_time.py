"""Modes, rank distributions and truncation over training, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from axonometry.metrics.modes.modes import mode_rows
from axonometry.metrics.modes.ranks import gradient_rows
from axonometry.metrics.modes.tails import truncation_rows
from axonometry.metrics.rows import Row
from axonometry.program.readings.samples import Samples
from axonometry.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph

METRICS = ("neuron_modes", "rank_gradient", "linear_truncation")


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

    >>> import torch
    >>> from axonometry.testing import graph_of
    >>> graphs = {0: lambda: graph_of([[1.0]], [[1.0]]), 5: lambda: graph_of([[0.0]], [[1.0]])}
    >>> found = modes_over_time(graphs, torch.tensor([[-1.0], [1.0], [2.0]]))
    >>> found[(found["group"] == "0") & (found["statistic"] == "dead")]
        step group        metric statistic  value
    4      0     0  neuron_modes      dead    0.0
    18     5     0  neuron_modes      dead    1.0
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
