"""Many networks: training a list of configurations into a folder, and reading such a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, as_completed
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonometry.errors import ConfigurationError, RunError
from axonometry.metrics.catalogue import needing_samples
from axonometry.populations import datasets
from axonometry.populations.accuracy_bins import AccuracyBin, bins_of
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.families import NETWORKS
from axonometry.populations.loop import SCALARS, Stop
from axonometry.populations.progress_tracker import ProgressTracker
from axonometry.populations.stacked import alone_in_words, run_stacked, stacks
from axonometry.populations.training import N_SAMPLES, dataset_of, is_complete, network_of
from axonometry.populations.workers import Data, Work, failure, n_cores, run_locally
from axonometry.program import NeuralGraph, capture
from axonometry.progress import Progress, silent
from axonometry.trajectory import Trajectory, load, remeasure
from axonometry.trajectory.choices import known_measures
from axonometry.trajectory.recorder import MEASURES

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Population:
    """Finished runs of one folder.

    Attributes:
        folder: Where they are.
        runs: The runs by name, which is the identity of their configuration.
        unfinished: Names of the runs that are running or interrupted; training them again resumes them.
    """

    folder: Path
    runs: Mapping[str, Trajectory]
    unfinished: tuple[str, ...] = ()
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

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per run, named by it: its configuration's attributes, then the scalars of its last step.

        The scalars are ``accuracy`` (of classification), ``variance_explained`` (of reconstruction) and ``loss`` on the
        test images, ``train_loss`` and ``epoch``; ``train_accuracy``, ``train_variance_explained`` and
        ``train_eval_loss`` where the configuration asks for them.

        Raises:
            RunError: A run's table is corrupt.
        """
        import pandas as pd

        names = [field.name for field in fields(RunConfiguration)]
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

    def accuracy_bins(self, edges: Sequence[float]) -> tuple[AccuracyBin, ...]:
        """The runs by final accuracy, in bins that do not overlap.

        A bin holds its lower edge and not its upper one; the last bin holds both, so that an accuracy of 1 has a bin.
        The official code of paper 1 closes bins on both sides, and rounding makes most of them swallow the next one
        (definitions 1.4, item 4); here edges and accuracies are compared after rounding to nine decimals.

        Args:
            edges: Increasing; n + 1 of them make n bins. Runs outside are in none.

        Raises:
            ConfigurationError: The edges do not increase.
        """
        return bins_of(self.frame["accuracy"], edges)

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
        self, measures: Sequence[str], progress: Progress | None = None, *, n_samples: int = N_SAMPLES
    ) -> Population:
        """The population with further measures in its runs' tables, read from the weights that they kept.

        Args:
            measures: Names out of ``axonometry.metrics.CATALOGUE``; what a run has already is not measured again.
            progress: Called with runs measured, out of how many, and a few words.
            n_samples: How many of the first test inputs of a network's data set run through it, for measures of
                samples.

        Raises:
            ConfigurationError: A measure does not exist, or a run does not say what it is, as one recorded by hand.
            DataError: A measure is of samples, and the data set is not there.
            RunError: A run kept no weights, or has measures of other samples.
        """
        lacks = [name for name, run in self.runs.items() if {*known_measures(measures)} - {*run.description.measures}]
        if lacks:
            dict(self.configurations)  # all of them before the first is measured
        runs = {}
        for number, (name, run) in enumerate(self.runs.items()):
            (progress or silent)(number, len(self), f"measuring {name}")
            lacking = [measure for measure in measures if measure not in run.description.measures]
            samples = self._samples(name, n_samples) if needing_samples(lacking) else None
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

    def _captured(self, name: str) -> NeuralGraph:
        run, configuration = self.runs[name], self.configurations[name]
        shape, n_outputs = run.groups[0].shape, prod(next(g.shape for g in run.groups if g.role == "output"))
        # Tokens show in the graph as places and rows of the embedding's table; images have three axes.
        n_tokens = shape[-1] if NETWORKS.lookup(configuration.family).tokens and len(shape) == 2 else None
        key = (replace(configuration.architecture, dropout=0.0), shape, n_outputs)  # dropout is no part of the graph
        if key not in self._graphs:
            network = network_of(configuration, shape[:1] if n_tokens else shape, n_outputs, n_tokens).eval()
            example = torch.zeros(1, *shape) if n_tokens is None else torch.zeros(1, shape[0], dtype=torch.int64)
            self._graphs[key] = capture(network, example)
        return self._graphs[key]


def train_population(  # noqa: PLR0913 - what, where to, by whom, and what of it
    configurations: Iterable[RunConfiguration],
    folder: str | Path,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    data: Data = None,
    measures: Sequence[str] = MEASURES,
    stop: Stop | None = None,
    progress: Progress | None = None,
) -> Population:
    """Train one network per configuration, each into a folder of its own, named by the configuration's identity.

    Finished runs are left as they are and interrupted runs resume from their last whole step, so that the same call
    may be made again after any interruption. A configuration that is there twice is trained once. Two processes never
    write one run, not even from two calls.

    Where there is a CUDA device, and neither an executor nor a number of workers is given, networks of one kind are
    trained there many at a time (:func:`axonometry.populations.train_stacked`). On CPUs that gains nothing, since one
    network keeps a core busy: there, every core trains networks one after the other.

    A run that fails, or whose process dies, is named at the end; the others continue. Ctrl-C ends all processes.

    Args:
        configurations: What to train.
        folder: The population's folder; it is made if it is not there.
        executor: Where to train: any executor whose workers see ``folder`` and the data; local processes where None.
            These are new Python processes: a script has its own work under ``if __name__ == "__main__":``.
        workers: Number of local processes; one per core where None, or the first GPU.
        data: The data set of all the configurations, or the directory of the data sets' files; ``$AXONOMETRY_DATA``
            where None. With an executor of your own a directory is better: a data set would travel with every run.
        measures: What is measured at each record, names out of ``axonometry.metrics.CATALOGUE``.
        stop: Called with each run after each of its records; where it says true the run ends there, stopped early.
            It travels to the processes that train.
        progress: Called in this process with the runs that have ended, out of how many, and a few words.

    Returns:
        The population of exactly these configurations, in their order.

    Raises:
        ConfigurationError: The number of workers makes no sense, or there is no such measure.
        DataError: A data set's file is missing.
        RunError: Runs failed; or a run's folder holds something else.
    """
    if workers is not None and workers < 1:
        raise ConfigurationError("`workers` is at least 1", str(workers))
    if workers is not None and executor is not None:
        raise ConfigurationError(
            "`workers` is the number of local processes", "an executor too", "Leave one of them out"
        )
    folder = Path(folder)
    named = {configuration.identity: configuration for configuration in configurations}
    missing = [c for name, c in named.items() if not is_complete(c, folder / name)]
    for dataset in {} if isinstance(data, datasets.Dataset) else dict.fromkeys(c.dataset for c in missing):
        datasets.require(dataset, None if data is None else str(data))
    tracker = ProgressTracker(len(named), len(named) - len(missing), progress or silent)
    work = Work(folder, data, tuple(measures), stop)
    if executor is None and workers is None and torch.cuda.is_available():
        run_stacked([one for one in missing if stacks(one)], work, tracker.ended, say=tracker.say)
        alone = [one for one in missing if not stacks(one)]
        if alone:
            tracker.say(alone_in_words(alone))
        run_locally(alone, work, tracker.ended, workers=n_cores())
    elif executor is None:
        run_locally(missing, work, tracker.ended, workers=workers or n_cores())
    else:
        _run_elsewhere(missing, work, executor, tracker)
    tracker.require_success(folder)
    return Population(folder, {name: load(folder / name) for name in named})


def load_population(folder: str | Path) -> Population:
    """Open the runs of a population's folder, by name in alphabetical order.

    Raises:
        RunError: There is no such folder, or a run is corrupt or of a newer format.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError("a population is a folder of runs", f"{folder}, which is none", "Check the path")
    runs = {path.parent.name: load(path.parent) for path in sorted(folder.glob("*/run.json"))}
    whole = {name: run for name, run in runs.items() if run.complete}
    return Population(folder, whole, tuple(name for name in runs if name not in whole))


def _run_elsewhere(
    configurations: Sequence[RunConfiguration], work: Work, executor: Executor, tracker: ProgressTracker
) -> None:
    futures: dict[Future[None], RunConfiguration] = {}
    try:
        for configuration in configurations:
            try:
                futures[executor.submit(work, configuration)] = configuration
            except BrokenExecutor as error:
                tracker.ended(configuration, f"{type(error).__name__}: {error}")
        for future in as_completed(futures):
            try:
                wrong = failure(future)
            except CancelledError:
                wrong = "its executor cancelled it"
            tracker.ended(futures[future], wrong)
    finally:
        for future in futures:
            future.cancel()


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
