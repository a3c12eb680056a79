"""Many networks: the runs of a folder, trained here or recorded in anybody's loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonometry.errors import ConfigurationError, RunError, closest
from axonometry.metrics.catalogue import needing_samples
from axonometry.populations import datasets
from axonometry.populations.accuracy_bins import AccuracyBin, bins_of
from axonometry.populations.configuration import RunConfiguration, is_run_configuration
from axonometry.populations.families import NETWORKS
from axonometry.populations.loop import SCALARS
from axonometry.populations.recorded import last_scalars, recorded_choices
from axonometry.populations.training import N_SAMPLES, dataset_of, network_of
from axonometry.program import NeuralGraph, capture
from axonometry.progress import Progress, silent
from axonometry.showing import shown
from axonometry.trajectory import Trajectory, load, remeasure
from axonometry.trajectory.choices import known_measures
from axonometry.trajectory.folders import runs_in
from axonometry.trajectory.network import graph_of_network, needs_network

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Population:
    """Finished runs of one folder, trained here or recorded in an own loop.

    Attributes:
        folder: Where they are.
        runs: The runs by name, which is the identity of their configuration where they were trained here.
        unfinished: Names of the runs that are running or interrupted; training them again resumes them.
        network: Where the code of the networks is, as :func:`axonometry.trajectory.network.network_of_run` takes it;
            None where configurations of ours say what they are, or nobody said.
        corrupt: Names of the runs that cannot be read, with what is wrong.
    """

    folder: Path
    runs: Mapping[str, Trajectory]
    unfinished: tuple[str, ...] = ()
    network: str | None = None
    corrupt: Mapping[str, str] = field(default_factory=dict)
    _graphs: dict[tuple[object, ...], NeuralGraph] = field(default_factory=dict, repr=False, compare=False)
    _inputs: dict[tuple[object, ...], Tensor] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.runs)

    @cached_property
    def configurations(self) -> dict[str, RunConfiguration]:
        """What each run is.

        Raises:
            ConfigurationError: A run has no configuration of ours.
        """
        return {name: _configuration(run) for name, run in self.runs.items()}

    def _repr_html_(self) -> str:
        return str(shown("population_html", self))

    @cached_property
    def ours(self) -> bool:
        """Whether all configurations are :class:`RunConfiguration`, as of networks that were trained here."""
        return all(is_run_configuration(run.configuration) for run in self.runs.values())

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """The columns of :attr:`frame` that come from configurations, rather than from training."""
        if self.ours:
            return tuple(field.name for field in fields(RunConfiguration))
        return tuple(recorded_choices(self.runs).rename(columns=self._renamed).columns)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per run, named by it: its configuration's attributes, then the scalars of its last step.

        Of runs that were recorded in an own loop, the columns are the keys of their configurations
        (:func:`axonometry.populations.recorded.recorded_choices`), then all their scalars; a key that is called like a
        scalar has ``(configuration)`` behind it.

        The scalars of ours are ``accuracy`` (of classification), ``variance_explained`` (of reconstruction) and
        ``loss`` on the test images, ``train_loss`` and ``epoch``; ``train_accuracy``, ``train_variance_explained`` and
        ``train_eval_loss`` where the configuration asks for them.

        Raises:
            RunError: A run's table is corrupt.
        """
        import pandas as pd

        if not self.ours:
            return pd.concat([recorded_choices(self.runs).rename(columns=self._renamed), self._scalars], axis=1)
        names = list(self.choices)
        rows = [
            {field: getattr(self.configurations[name], field) for field in names} | _last_scalars(run)
            for name, run in self.runs.items()
        ]
        columns = [*names, *SCALARS]
        return pd.DataFrame(rows, columns=columns, index=pd.Index(list(self.runs), name="run", dtype="str"))

    @property
    def diverged(self) -> tuple[str, ...]:
        """Names of the runs whose last loss is no finite number."""
        return tuple(name for name, loss in zip(self.runs, self.frame["loss"], strict=True) if not isfinite(loss))

    def accuracy_bins(self, edges: Sequence[float], score: str = "accuracy") -> tuple[AccuracyBin, ...]:
        """The runs by final accuracy, or by another scalar, in bins that do not overlap.

        A bin holds its lower edge and not its upper one; the last bin holds both, so that an accuracy of 1 has a bin.
        The official code of paper 1 closes bins on both sides, and rounding makes most of them swallow the next one
        (definitions 1.4, item 4); here edges and accuracies are compared after rounding to nine decimals.

        Args:
            edges: Increasing; n + 1 of them make n bins. Runs outside are in none.
            score: The scalar.

        Raises:
            ConfigurationError: The edges do not increase, or no run has the scalar.
        """
        if score not in self.frame:
            known = ", ".join(str(name) for name in self.frame if name not in self.choices)
            remedy = closest(score, map(str, self.frame), f"There are: {known}")
            raise ConfigurationError("runs are binned by a scalar of theirs", repr(score), remedy)
        return bins_of(self.frame[score], edges)

    def has_graph(self, name: str) -> bool:
        """Whether the graph of a run can be read: it kept weights, and its network is known."""
        run = self.runs[name]
        return bool(run.snapshots) and (self.network is not None or is_run_configuration(run.configuration))

    def graph(self, name: str, step: int | None = None) -> NeuralGraph:
        """The graph of one run at a recorded step, the last one where None.

        Networks of one architecture are captured once, however many runs there are.

        Args:
            name: The run.
            step: A recorded step.

        Raises:
            RunError: There is no such run or step.
        """
        if name not in self.runs:
            raise RunError(f"{self.folder} holds the run", repr(name), "See the names in Population.runs")
        run = self.runs[name]
        return self._captured(name).at(run.snapshots[run.steps[-1] if step is None else step])

    def measured(
        self,
        measures: Sequence[str],
        progress: Progress | None = None,
        *,
        n_samples: int = N_SAMPLES,
        dataset: datasets.Dataset | None = None,
    ) -> Population:
        """The population with more measures in its runs' tables, read from the weights that they kept.

        Args:
            measures: Names out of ``axonometry.metrics.CATALOGUE``; what a run has already is not measured again.
            progress: Called with runs measured, out of how many, and a few words.
            n_samples: How many of the first test inputs of a network's data set run through it, for measures of
                samples.
            dataset: Whose test inputs these are; each run's own where None.

        Raises:
            ConfigurationError: A measure does not exist, or a run does not say what its data set is.
            DataError: A measure is of samples, and the data set is not there.
            RunError: A run kept no weights, or has measures of other samples, or its network is not known.
        """
        lacks = [name for name, run in self.runs.items() if {*known_measures(measures)} - {*run.description.measures}]
        for name in lacks:  # all of them before the first is measured
            if not self.has_graph(name) and self.runs[name].snapshots:
                raise RunError(*needs_network(self.runs[name]))
        runs = {}
        for number, (name, run) in enumerate(self.runs.items()):
            (progress or silent)(number, len(self), f"measuring {name}")
            lacking = [measure for measure in measures if measure not in run.description.measures]
            needing = needing_samples(lacking)
            samples = None
            if needing:
                samples = self._samples(name, n_samples) if dataset is None else dataset.test_inputs[:n_samples]
            runs[name] = remeasure(run, measures, self._captured(name), samples=samples) if lacking else run
        return replace(self, runs=runs)

    def _samples(self, name: str, n: int) -> Tensor:
        configuration = self.configurations[name]
        dataset = configuration.dataset
        options = (getattr(configuration, option) for option in datasets.DATASETS.lookup(dataset).options)
        key = (dataset, *options, n)
        if key not in self._inputs:
            self._inputs[key] = dataset_of(configuration, None).test_inputs[:n].clone()
        return self._inputs[key]

    @cached_property
    def _scalars(self) -> pd.DataFrame:
        return last_scalars(self.runs)

    @cached_property
    def _renamed(self) -> dict[str, str]:
        return {str(name): f"{name} (configuration)" for name in self._scalars}

    def _captured(self, name: str) -> NeuralGraph:
        run = self.runs[name]
        if self.network is not None:
            kind = (run.groups, run.synapses, run.wires, run.description.operations)
            if kind not in self._graphs:
                self._graphs[kind] = graph_of_network(run, self.network)
            return self._graphs[kind]
        if not is_run_configuration(run.configuration):
            raise RunError(*needs_network(run))
        return self._built(name)

    def _built(self, name: str) -> NeuralGraph:
        """The graph of a network of ours, which its configuration describes."""
        run, configuration = self.runs[name], _configuration(self.runs[name])
        shape, n_outputs = run.groups[0].shape, prod(next(g.shape for g in run.groups if g.role == "output"))
        # Tokens show in the graph as places and rows of the embedding's table; images have three axes, and signals two,
        # but no embedding.
        embeds = any(synapse.kind == "look_up" for synapse in run.synapses)
        n_tokens = shape[-1] if NETWORKS.lookup(configuration.family).tokens and embeds else None
        key = (replace(configuration.architecture, dropout=0.0), shape, n_outputs)  # dropout is no part of the graph
        if key not in self._graphs:
            network = network_of(configuration, shape[:1] if n_tokens else shape, n_outputs, n_tokens).eval()
            example = torch.zeros(1, *shape) if n_tokens is None else torch.zeros(1, shape[0], dtype=torch.int64)
            self._graphs[key] = capture(network, example)
        return self._graphs[key]


def load_population(folder: str | Path, *, network: str | None = None, leave_out: bool = False) -> Population:
    """Open all runs in a folder and its subfolders, by name in alphabetical order.

    A run's name is the path from the folder to it.

    Args:
        folder: Of runs that were trained here, or recorded in an own loop.
        network: As in :class:`Population`.
        leave_out: Whether runs that are corrupt are left out and named, rather than an error.

    Raises:
        RunError: There is no such folder, or a run is corrupt or of a newer format.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError("a population is a folder of runs", f"{folder}, which is none", "Check the path")
    runs, corrupt = {}, {}
    for path in sorted(place for place in runs_in(folder) if place != folder):
        name = path.relative_to(folder).as_posix()
        try:
            runs[name] = load(path)
            _ = runs[name].metrics if leave_out else None
        except RunError as error:
            if not leave_out:
                raise
            runs.pop(name, None)
            corrupt[name] = str(error)
    whole = {name: run for name, run in runs.items() if run.complete}
    return Population(folder, whole, tuple(name for name in runs if name not in whole), network, corrupt)


def _last_scalars(run: Trajectory) -> dict[str, float]:
    frame = run.metrics
    last = frame[(frame["step"] == run.steps[-1]) & (frame["group"] == "") & frame["metric"].isin(SCALARS)]
    return dict(zip(last["metric"], last["value"], strict=True))


def _configuration(run: Trajectory) -> RunConfiguration:
    try:
        if run.configuration is not None:
            return RunConfiguration.from_dict(run.configuration)
        wrong = "none"
    except ConfigurationError as error:
        wrong = str(error).rstrip(".")
    remedy = (
        "Train it with axonometry.populations, or measure it with axonometry.trajectory.remeasure(run, measures, graph)"
    )
    raise ConfigurationError("a run of a population has its configuration", f"{run.folder}: {wrong}", remedy)
