"""The networks of commands: a run's, rebuilt from its configuration, or a custom module."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from axonometry.errors import RunError

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.trajectory import Trajectory

MOST_STEPS = 12


def graph_of_run(run: Trajectory, network: str | None = None) -> NeuralGraph | None:
    """The graph of a run whose network's code is named, or whose configuration says how to build it; else None.

    Args:
        run: The run.
        network: Where its code is, for a run of an own loop.
    """
    from axonometry.populations import Population
    from axonometry.populations.configuration import is_run_configuration
    from axonometry.trajectory.network import graph_of_network

    if network is not None:
        return graph_of_network(run, network)
    if not is_run_configuration(run.configuration):
        return None
    return Population(run.folder.parent, {run.folder.name: run}).graph(run.folder.name)


def recorded_graphs(
    folder: Path, steps: int, network: str | None = None
) -> tuple[Trajectory, dict[int, Callable[[], NeuralGraph]]]:
    """A run, and functions that read its graph at some of its steps, evenly spaced.

    Args:
        folder: The run.
        steps: How many steps.
        network: Where its code is, for a run of an own loop.

    Raises:
        RunError: The run's network is not known, or it kept no weights.
    """
    from axonometry.trajectory import load
    from axonometry.trajectory.network import needs_network

    run = load(folder)
    if not (run.steps and run.snapshots):
        rule = f"the network of {folder} cannot be rebuilt: it kept no weights, or has no complete step"
        raise RunError(rule, "", "Record it with keep_weights=True")
    graph = graph_of_run(run, network)
    if graph is None:
        raise RunError(*needs_network(run))
    last = len(run.steps) - 1
    places = sorted({round(i * last / max(1, steps - 1)) for i in range(steps)} | {last})
    return run, {run.steps[i]: partial(_at, graph, run, run.steps[i]) for i in places}


def _at(graph: NeuralGraph, run: Trajectory, step: int) -> NeuralGraph:
    return graph.at(run.snapshots[step])
