"""Training a list of configurations into a folder, on whatever there is to train them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, as_completed
from dataclasses import replace
from pathlib import Path

import torch

from axonometry.errors import ConfigurationError
from axonometry.populations import datasets
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.loop import Stop
from axonometry.populations.population import Population
from axonometry.populations.progress_tracker import ProgressTracker
from axonometry.populations.stacked import alone_in_words, run_stacked, stacks
from axonometry.populations.training import is_complete
from axonometry.populations.workers import Data, Work, failure, n_cores, run_locally
from axonometry.progress import Progress, silent
from axonometry.trajectory import load
from axonometry.trajectory.recorder import MEASURES


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
    else:  # other processes may stand in other folders
        where = Path(data).absolute() if isinstance(data, str | Path) else data
        _run_elsewhere(missing, replace(work, folder=folder.absolute(), data=where), executor, tracker)
    tracker.require_success(folder)
    return Population(folder, {name: load(folder / name) for name in named})


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
