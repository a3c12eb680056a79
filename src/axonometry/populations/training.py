"""Training one network into a run folder: the same configuration gives the same run, whatever interrupts it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from axonometry.errors import ConfigurationError, DataError, RunError
from axonometry.metrics.catalogue import needing_samples
from axonometry.populations import datasets
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.datasets import Dataset
from axonometry.populations.initialisers import initialise
from axonometry.populations.layers import draw_noise
from axonometry.populations.objectives import EVALUATION_METRICS, evaluate_network, loss_of, n_outputs
from axonometry.populations.sampling import BatchSampler, used_images
from axonometry.populations.schedule import optimiser_of, segments
from axonometry.populations.seeds import generator
from axonometry.populations.text import require_text
from axonometry.progress import Progress, silent
from axonometry.trajectory import Recorder, Trajectory, load
from axonometry.trajectory.recorder import MEASURES
from axonometry.trajectory.state import random_state, set_random_state

Stop = Callable[[Trajectory], bool]
"""Called with a run after each of its records; true ends the run there."""

SCALARS = (*EVALUATION_METRICS, "loss", "train_loss", "epoch")
"""What is recorded beside the measures: accuracy (of reconstruction the share of variance explained) and loss on the
test images, loss while training, epochs done."""

N_SAMPLES = 1000
"""Test inputs that run through a network for measures of samples."""

_SECONDS_BETWEEN_REPORTS = 0.2


def train(
    configuration: RunConfiguration,
    folder: str | Path,
    *,
    data: Dataset | str | Path | None = None,
    measures: Sequence[str] = MEASURES,
    stop: Stop | None = None,
    progress: Progress | None = None,
) -> Trajectory:
    """Train the network of a configuration and record it, or go on where a killed process left off.

    The initial network is recorded as step 0; a step is an epoch, or an update where ``record_every`` is a number. An
    epoch that ``max_steps`` cuts short counts as one. The scalars of a step are ``accuracy`` (of reconstruction
    ``variance_explained``) and the mean ``loss`` on the test images, ``train_loss`` (mean over the batches since the
    last record, as trained on) and ``epoch`` (with fractions).

    The same configuration gives the same weights bit for bit on the same machine with the same torch, however often
    the run was cut off: arithmetic is done by one thread, and all randomness comes from the seed and the number of the
    epoch or update. Many networks are trained fastest by one process per core, which :func:`train_population` does.
    The caller's random states and number of threads are put back.

    Args:
        configuration: What to train.
        folder: The run's own folder; a whole run in it is left as it is.
        data: The data set, or the directory of its files; ``$AXONOMETRY_DATA`` where None.
        measures: What is measured at each record, names out of ``axonometry.metrics.CATALOGUE``.
        stop: Called with the run after each record; where it says true the run ends there and counts as whole.
        progress: Called with updates done, updates in all, and the last performance in words.

    Returns:
        The run.

    Raises:
        ConfigurationError: The configuration does not go with the data set.
        DataError: The data set is not the configuration's, missing or damaged.
        RunError: The folder holds another configuration's run, is being written by another process, or is damaged.
    """
    folder = Path(folder)
    dataset = dataset_of(configuration, data)
    with reproducible():
        network, example = initial_network(configuration, dataset), dataset.test_inputs[:1]
        if not is_complete(configuration, folder):
            used = checked(configuration, used_images(configuration, dataset), network)
            about = configuration.to_dict()
            samples = samples_for(dataset, measures)
            with Recorder(
                folder, network, example, measures=measures, samples=samples, configuration=about, resume=True
            ) as recorder:
                _train(configuration, used, network, recorder, stop, progress or silent)
    return load(folder, network, example)


def samples_for(dataset: Dataset, measures: Iterable[str], n: int = N_SAMPLES) -> Tensor | None:
    """The first n test inputs, where one of the measures is of samples."""
    return dataset.test_inputs[:n] if needing_samples(measures) else None


def is_complete(configuration: RunConfiguration, folder: Path) -> bool:
    """Whether a folder holds the whole run of a configuration.

    Raises:
        RunError: It holds another configuration's run, or is damaged.
    """
    if not (folder / "run.json").exists():
        return False
    run = load(folder)
    if run.configuration is None or RunConfiguration.from_dict(run.configuration) != configuration:
        raise RunError(
            f"{folder} holds the run of configuration {configuration.identity}",
            "another configuration's run",
            "Choose another folder",
        )
    return run.complete


def initial_network(configuration: RunConfiguration, dataset: Dataset) -> nn.Module:
    """The network of a configuration before the first update, for inputs and classes like the data set's.

    Raises:
        ConfigurationError: The data set's inputs are too small for the network.
    """
    network = network_of(configuration, dataset.shape, n_outputs(configuration, dataset), dataset.n_tokens)
    initialise(network, configuration.initialiser, configuration.scale, generator(configuration.seed, "initialiser"))
    return network


def network_of(
    configuration: RunConfiguration, input_shape: tuple[int, ...], n_outputs: int, n_tokens: int | None = None
) -> nn.Module:
    """A network of the configuration's architecture, with parameters of no meaning; random states are left alone.

    Raises:
        ConfigurationError: The inputs are too small for the network, or are tokens, which it does not read.
    """
    with torch.random.fork_rng(devices=[]):
        return configuration.architecture.network(input_shape, n_outputs, n_tokens)


def dataset_of(configuration: RunConfiguration, data: Dataset | str | Path | None) -> Dataset:
    """The configuration's data set: the one given, or read once in this process from the directory given.

    Raises:
        DataError: The data set is another one, missing or damaged; or the text is that of another Python.
    """
    if not isinstance(data, Dataset):
        if configuration.data_sha256 is not None:
            require_text(configuration.data_sha256)
        return _read(configuration.dataset, None if data is None else str(data))
    if data.name != configuration.dataset:
        rule = f"the configuration's data set is {configuration.dataset}"
        raise DataError(rule, data.name, "Pass the data set of that name, or name this one in the configuration")
    return data


@lru_cache(maxsize=2)
def _read(name: str, directory: str | None) -> Dataset:
    return datasets.load(name, directory)


def _train(
    configuration: RunConfiguration,
    dataset: Dataset,
    network: nn.Module,
    recorder: Recorder,
    stop: Stop | None,
    progress: Progress,
) -> None:
    optimiser = optimiser_of(configuration, network)
    plan = segments(configuration, len(dataset.train_labels))
    total = plan[-1].stop if plan else 0
    reached = recorder.restore(optimiser)
    if reached is None:
        before = evaluate_network(configuration.objective, network, dataset.test_inputs, dataset.test_labels)
        recorder.record(0, optimizer=optimiser, **before, epoch=0.0)
    left = [segment for segment in plan if segment.step > (reached or 0)]
    updates = (
        enumerate(BatchSampler(configuration, dataset).batches(left[0].start), left[0].start) if left else iter(())
    )
    words = ""
    for segment in left:
        if stop is not None and stop(load(recorder.folder)):
            break
        shown = _reporting(islice(updates, segment.stop - segment.start), total, words, progress)
        train_loss = _update(configuration, network, optimiser, shown) / (segment.stop - segment.start)
        found = evaluate_network(configuration.objective, network, dataset.test_inputs, dataset.test_labels)
        recorder.record(segment.step, optimizer=optimiser, **found, train_loss=train_loss, epoch=segment.epoch)
        words = _in_words(found)
        progress(segment.stop, total, words)


def _in_words(found: Mapping[str, float]) -> str:
    name = next(name for name in EVALUATION_METRICS if name in found)
    return f"{name.replace('_', ' ')} {found[name]:.3f}"


def checked(configuration: RunConfiguration, dataset: Dataset, network: nn.Module) -> Dataset:
    """The data set, if batch norm can work with its last batch and its inputs are what the configuration asks for."""
    if dataset.n_tokens is not None and (configuration.reconstructs or configuration.augmentation != "none"):
        came = f"objective {configuration.objective}, augmentation {configuration.augmentation}, and tokens"
        raise ConfigurationError("images alone are reconstructed or cut out anew", came, "Choose another data set")
    n = len(dataset.train_labels)
    last_batch = n % configuration.batch_size or configuration.batch_size
    if last_batch == 1 and any(isinstance(m, nn.BatchNorm2d) for m in network.modules()):
        raise ConfigurationError(
            f"{configuration.family} normalises over a batch, which takes at least 2 images",
            f"a last batch of 1: {n} images in batches of {configuration.batch_size}",
            "Choose another `batch_size` or `train_fraction`",
        )
    return dataset


def _update(
    configuration: RunConfiguration,
    network: nn.Module,
    optimiser: Optimizer,
    updates: Iterable[tuple[int, tuple[Tensor, Tensor]]],
) -> float:
    """One update per batch; the sum of their losses."""
    network.train()
    total = torch.zeros((), dtype=torch.float64)
    for number, (inputs, labels) in updates:
        if configuration.dropout:
            draw_noise(network, len(labels), generator(configuration.seed, "dropout", number))
        loss = loss_of(configuration.objective, network(inputs), inputs, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += loss.detach()
    return float(total)


def _reporting(
    updates: Iterable[tuple[int, tuple[Tensor, Tensor]]], total: int, words: str, progress: Progress
) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
    """The updates, with a report about five times a second."""
    reported = time.monotonic()
    for number, batch in updates:
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            progress(number, total, words)
            reported = time.monotonic()
        yield number, batch


@contextmanager
def reproducible() -> Iterator[None]:
    """One thread: more would add numbers in another order. The caller's threads and random states come back."""
    threads, state = torch.get_num_threads(), random_state()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        set_random_state(state)
