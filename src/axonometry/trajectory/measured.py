"""Measures that a run did not record, taken from its snapshots afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from axonometry.errors import RunError
from axonometry.metrics.catalogue import measure
from axonometry.program import NeuralGraph
from axonometry.trajectory.run import Trajectory
from axonometry.trajectory.summary import snapshot_steps

if TYPE_CHECKING:
    import pandas as pd


def measured(
    run: Trajectory,
    measures: Iterable[str],
    *,
    epochs: int | None = None,
    graph: Callable[[int], NeuralGraph] | None = None,
) -> Trajectory:
    """The run as if it had recorded further measures; nothing is written.

    Args:
        run: A run that kept its weights.
        measures: Names out of the catalogue; those that were recorded are not taken again.
        epochs: The last snapshot that is measured; None for all steps.
        graph: The network's graph at a step; None for :meth:`Trajectory.graph`, which needs the module.

    Raises:
        RunError: The run kept no weights, or was loaded without its module.
    """
    import pandas as pd

    missing = [name for name in measures if name not in run.description.measures]
    if not missing:
        return run
    if not run.snapshots:
        raise RunError("measures are taken from snapshots", f"{run.folder} without weights", "Record with keep_weights")
    steps = [step for epoch, step in snapshot_steps(run).items() if epochs is None or epoch <= epochs]
    steps = list(run.steps) if epochs is None else steps
    graph_at = run.graph if graph is None else graph
    tables = [measure(graph_at(step), missing).assign(step=step) for step in steps]
    return with_metrics(run, pd.concat(tables)) if tables else run


def with_metrics(run: Trajectory, further: pd.DataFrame) -> Trajectory:
    """The run with further rows in its table of metrics; nothing is written.

    Args:
        run: The run.
        further: Columns step, group, metric, statistic, value.
    """
    import pandas as pd

    names = dict.fromkeys((*run.description.measures, *further["metric"]))
    extended = replace(run, description=replace(run.description, measures=tuple(names)))
    extended.__dict__["metrics"] = pd.concat([run.metrics, further[list(run.metrics.columns)]], ignore_index=True)
    return extended
