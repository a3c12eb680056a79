"""Runs of several seeds as one: neurons that do the same stand in the same place, so that they can be averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from axonometry.errors import RunError
from axonometry.program import NeuralGraph, align, permute
from axonometry.trajectory.run import Trajectory
from axonometry.values import NodeValues

NodeMeasure = Callable[[NeuralGraph], NodeValues]


@dataclass(frozen=True, eq=False)
class AlignedSeries:
    r"""A measure of every neuron in several runs of one network.

    Attributes:
        folders: The runs, the reference first.
        steps: The steps that all of them have, ascending.
        values: By neuron group, a tensor of shape (runs, steps, \*shape of the group); a neuron of the reference and
            those that take its place in the other runs stand at one index.
    """

    folders: tuple[Path, ...]
    steps: tuple[int, ...]
    values: Mapping[str, Tensor]

    def mean(self) -> NodeValues:
        r"""The mean over runs: by group, of shape (steps, \*shape of the group)."""
        return NodeValues({name: values.mean(0) for name, values in self.values.items()})

    def spread(self) -> NodeValues:
        """The standard deviation over runs, with one degree of freedom less than runs; NaN of a single run."""
        if len(self.folders) == 1:
            return NodeValues({name: torch.full_like(values[0], torch.nan) for name, values in self.values.items()})
        return NodeValues({name: values.std(0) for name, values in self.values.items()})


def aligned_series(runs: Sequence[Trajectory], measure: NodeMeasure, *, seed: int = 0) -> AlignedSeries:
    """A measure of neurons over training, neuron by neuron comparable between runs of several seeds.

    Each run's last network is aligned to that of the first (:func:`axonometry.align`), and the exchange that is found
    is made at all of its steps: a neuron is followed through its own training. Hidden neurons of two seeds are alike
    only as far as the alignment goes; whether the mean says something is told by the spread, beside that of
    ``aligned_series`` of runs in a random order of neurons.

    Args:
        runs: Of one architecture, with their weights, loaded with the module.
        measure: A function of a graph that gives a value a neuron, such as :func:`axonometry.node_strength`.
        seed: Draws the order in which classes of neurons are visited.

    Raises:
        RunError: There are no runs, or no step that all have; a run kept no weights, was loaded without its module, or
            is of another network.

    >>> import tempfile
    >>> from torch import nn
    >>> import axonometry as ax
    >>> runs = []
    >>> folder = tempfile.mkdtemp()
    >>> for seed in range(2):
    ...     _ = torch.manual_seed(seed)
    ...     net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    ...     with ax.Recorder(f"{folder}/{seed}", net, torch.zeros(1, 3)) as recorder:
    ...         _ = recorder.record(0)
    ...     runs.append(ax.load(f"{folder}/{seed}", net, torch.zeros(1, 3)))
    >>> series = aligned_series(runs, ax.node_strength)
    >>> series.values["0"].shape, series.mean()["0"].shape  # runs, steps, neurons
    (torch.Size([2, 1, 4]), torch.Size([1, 4]))
    """
    steps = _common_steps(runs)
    last = [run.snapshots[steps[-1]] for run in runs]
    graph = runs[0].graph(steps[-1])
    found = []
    for run, final in zip(runs, last, strict=True):
        _require_alike(runs[0], run)
        exchange = align(graph, last[0], final, seed=seed)
        found.append([measure(graph.at(permute(run.snapshots[step], graph, exchange))) for step in steps])
    names = [*found[0][0]]
    values = {name: torch.stack([torch.stack([one[name] for one in series]) for series in found]) for name in names}
    return AlignedSeries(tuple(run.folder for run in runs), steps, values)


def _common_steps(runs: Sequence[Trajectory]) -> tuple[int, ...]:
    if not runs:
        raise RunError("an average over seeds is of one run or more", "none", "Pass runs: ax.load_runs(folder)")
    steps = set(runs[0].snapshots).intersection(*(run.snapshots for run in runs[1:]))
    if not steps:
        came = ", ".join(f"{run.folder.name} with {len(run.snapshots)}" for run in runs)
        raise RunError("runs are compared at steps of which all have weights", came, "Record them with keep_weights")
    return tuple(sorted(steps))


def _require_alike(first: Trajectory, run: Trajectory) -> None:
    if (first.groups, first.synapses, first.wires) != (run.groups, run.synapses, run.wires):
        raise RunError(
            "neurons are compared between runs of one architecture",
            f"{run.folder}, whose network is not that of {first.folder}",
            "Leave it out",
        )
