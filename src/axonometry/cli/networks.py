"""The networks of commands: a run's, rebuilt from its configuration, or a custom module."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from axonometry.errors import ConfigurationError, RunError

if TYPE_CHECKING:
    from torch import nn

    from axonometry.program import NeuralGraph
    from axonometry.trajectory import Trajectory

MOST_STEPS = 12


def graph_of_run(run: Trajectory) -> NeuralGraph | None:
    """The graph of a population's run, whose configuration says how to build the network; None for other runs."""
    from axonometry.populations import Population
    from axonometry.populations.configuration import is_run_configuration

    if not is_run_configuration(run.configuration):
        return None
    return Population(run.folder.parent, {run.folder.name: run}).graph(run.folder.name)


def recorded_graphs(folder: Path, steps: int) -> tuple[Trajectory, dict[int, Callable[[], NeuralGraph]]]:
    """A run of a population, and functions that read its graph at some of its steps, evenly spaced.

    Raises:
        RunError: The run is not of a population, or kept no weights.
    """
    from axonometry.trajectory import load

    run = load(folder)
    graph = graph_of_run(run) if run.steps and run.snapshots else None
    if graph is None:
        raise RunError(
            f"the network of {folder} cannot be rebuilt: it is not a run of a population, or kept no weights",
            "",
            "Train it with: axonometry runs train; or name the network: FILE.py:NAME --dataset NAME",
        )
    last = len(run.steps) - 1
    places = sorted({round(i * last / max(1, steps - 1)) for i in range(steps)} | {last})
    return run, {run.steps[i]: partial(_at, graph, run, run.steps[i]) for i in places}


def _at(graph: NeuralGraph, run: Trajectory, step: int) -> NeuralGraph:
    return graph.at(run.snapshots[step])


def module_at(place: str) -> nn.Module:
    """A custom module, from a Python file or an importable module; its code is run.

    Args:
        place: ``FILE.py:NAME`` or ``package.module:NAME``; the name is a module or a function without arguments that
            gives one.

    Raises:
        ConfigurationError: There is none.
    """
    from torch import nn

    from axonometry.populations.parts import import_parts, module_of_file

    file, _, name = place.rpartition(":")
    found = None
    if file and name:
        module = module_of_file(Path(file)) if file.endswith(".py") else import_parts(file)
        found = getattr(module, name, None)
    found = found() if callable(found) and not isinstance(found, nn.Module) else found
    if not isinstance(found, nn.Module):
        raise ConfigurationError(
            f"no network at {place!r}: it is not a torch.nn.Module, nor a function that returns one",
            "",
            "Pass a run's folder, FILE.py:NAME or package.module:NAME",
        )
    return found
