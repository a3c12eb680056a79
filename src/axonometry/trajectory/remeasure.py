"""Adding measures to a recorded run, computed from the weights that it kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from axonometry.errors import RunError
from axonometry.program.readings.samples import Samples
from axonometry.trajectory import store
from axonometry.trajectory.choices import known_measures, sample_set, selected
from axonometry.trajectory.lock import FolderLock
from axonometry.trajectory.measuring import measured_with
from axonometry.trajectory.run import Trajectory
from axonometry.trajectory.tables import extend

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph


def remeasure(
    run: Trajectory,
    measures: str | Iterable[str],
    graph: NeuralGraph | None = None,
    *,
    samples: Samples | None = None,
) -> Trajectory:
    """Add measures to a finished run's table, from the weights that it kept; those it has already stay as they are.

    >>> import tempfile
    >>> from axonometry.trajectory import Recorder, load
    >>> folder, model, example = tempfile.TemporaryDirectory(), torch.nn.Linear(3, 2), torch.zeros(1, 3)
    >>> with Recorder(folder.name, model, example, measures="link_weights") as recorder:
    ...     recorder.record(0)
    >>> run = remeasure(load(folder.name, model, example), "node_strength")
    >>> run.description.measures
    ('link_weights', 'node_strength')
    >>> folder.cleanup()

    Args:
        run: A finished run.
        measures: Names out of ``axonometry.metrics.CATALOGUE``.
        graph: The captured network, at any weights; where None, what the run was loaded with: its graph, or its module,
            which is captured.
        samples: What the network is run on, for the measures that need samples; those of the run, where it has any.

    Returns:
        The run, opened again.

    Raises:
        ConfigurationError: A measure does not exist, or it needs samples and there are none.
        SamplesError: The samples do not fit the network.
        RunError: The run kept no weights, is not finished, or is of another network than ``graph`` or of other samples.
    """
    measures = known_measures(measures)
    if run.held is not None:
        raise RunError(
            f"measures are added to a run's own table, and {run.folder} is of checkpoints",
            "",
            "Name all of them when it is opened: load_checkpoints(folder, module, example, measures=[...])",
        )
    lock = FolderLock(run.folder)
    try:
        run = run.reloaded()
        missing = [name for name in measures if name not in run.description.measures]
        if missing:
            _measure(run, missing, graph, samples)
    finally:
        lock.release()
    return run.reloaded()


def _measure(run: Trajectory, measures: list[str], graph: NeuralGraph | None, samples: Samples | None) -> None:
    import pandas as pd

    if not (run.complete and run.description.keep_weights):
        rule = f"{run.folder} kept no weights to measure" if run.complete else f"{run.folder} is not finished"
        raise RunError(rule, "", "Record with these measures from the start")
    graph = run.graph(run.steps[0]) if graph is None else graph
    if (graph.groups, graph.synapses, graph.wires) != (run.groups, run.synapses, run.wires):
        raise RunError(f"the graph is not of the network recorded in {run.folder}", "", "Capture that network")
    names, noted = selected(graph, run.description.layers), sample_set(graph, measures, samples)
    known = run.description.samples
    if None not in (noted, known) and noted != known:
        rule = f"all measures of a run are of the same samples: {run.folder}"
        raise RunError(rule, f"{noted} where {known} were recorded", "Pass the samples that it was recorded with")
    frames = []
    for step in run.steps:
        with torch.no_grad():
            frame = measured_with(graph.at(run.snapshots[step]), measures, run.description.null, samples=samples)
        frames.append((frame if names is None else frame[frame["group"].isin(names)]).assign(step=step))
    # The table first: a kill in between leaves rows that the description does not name; the next call replaces them.
    extend(run.folder, pd.concat(frames, ignore_index=True)[["step", "group", "metric", "statistic", "value"]])
    every = (*run.description.measures, *measures)
    store.write_description(run.folder, replace(run.description, measures=every, samples=noted or known))
