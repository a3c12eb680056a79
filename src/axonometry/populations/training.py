"""Training one network into a run folder: the same configuration gives the same run, whatever interrupts it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from math import ceil
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from axonometry.errors import ConfigurationError, DataError, RunError
from axonometry.populations import datasets, networks
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.datasets import Dataset
from axonometry.populations.initialisers import initialise
from axonometry.populations.seeds import derive, generator
from axonometry.trajectory import Recorder, Trajectory, load
from axonometry.trajectory.state import random_state, set_random_state

Progress = Callable[[int, int, str], object]
"""Called with what is done, out of what, and a few words."""

SCALARS = ("accuracy", "loss", "train_loss", "epoch")
"""What is recorded beside the measures: accuracy and loss on the test images, loss while training, epochs done."""

_TEST_BATCH = 1000
_SECONDS_BETWEEN_REPORTS = 0.2


@dataclass(frozen=True)
class Segment:
    """The updates between two records.

    Attributes:
        start: Updates done before.
        stop: Updates done at its end.
        step: The number under which its end is recorded.
        epoch: Passes over the training images at its end, with fractions.
    """

    start: int
    stop: int
    step: int
    epoch: float


def train(
    configuration: RunConfiguration,
    folder: str | Path,
    *,
    data: Dataset | str | Path | None = None,
    progress: Progress | None = None,
) -> Trajectory:
    """Train the network of a configuration and record it, or go on where a killed process left off.

    The initial network is recorded as step 0; a step is an epoch, or an update where ``record_every`` is a number. An
    epoch that ``max_steps`` cuts short counts as one. The scalars of a step are ``accuracy`` and ``loss`` (mean cross
    entropy) on the test images, ``train_loss`` (mean over the batches since the last record, as trained on) and
    ``epoch`` (with fractions).

    The same configuration gives the same weights bit for bit on the same machine with the same torch, however often
    the run was cut off: arithmetic is done by one thread, the order of the images comes from the seed and the epoch,
    and torch's random state is set from the seed at each record. Many networks are trained fastest by one process
    per core, which :func:`train_population` does. The caller's random states and number of threads are put back.

    Args:
        configuration: What to train.
        folder: The run's own folder; a whole run in it is left as it is.
        data: The data set, or the directory of its files; ``$AXONOMETRY_DATA`` where None.
        progress: Called with updates done, updates in all, and the last accuracy in words.

    Returns:
        The run.

    Raises:
        ConfigurationError: The configuration does not go with the data set.
        DataError: The data set is not the configuration's, missing or damaged.
        RunError: The folder holds another configuration's run, is being written by another process, or is damaged.
    """
    folder = Path(folder)
    dataset = dataset_of(configuration, data)
    with _reproducible():
        network, example = initial_network(configuration, dataset), dataset.test_inputs[:1]
        if not is_complete(configuration, folder):
            used = _first_images(configuration, dataset, network)
            with Recorder(folder, network, example, configuration=configuration.to_dict(), resume=True) as recorder:
                _train(configuration, used, network, recorder, progress or _silent)
    return load(folder, network, example)


def is_complete(configuration: RunConfiguration, folder: Path) -> bool:
    """Whether a folder holds the whole run of a configuration.

    Raises:
        RunError: It holds another configuration's run, or is damaged.
    """
    if not (folder / "run.json").exists():
        return False
    run = load(folder)
    if run.configuration != configuration.to_dict():
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
    network = network_of(configuration, dataset.shape, dataset.n_classes)
    initialise(network, configuration.initialiser, configuration.scale, generator(configuration.seed, "initialiser"))
    return network


def network_of(configuration: RunConfiguration, input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """A network of the configuration's architecture, with parameters of no meaning; random states are left alone.

    Raises:
        ConfigurationError: The inputs are too small for the network.
    """
    size, layers = configuration.size, configuration.layers
    with torch.random.fork_rng(devices=[]):
        return networks.build(configuration.family, input_shape, n_classes, size=size, layers=layers)


def dataset_of(configuration: RunConfiguration, data: Dataset | str | Path | None) -> Dataset:
    """The configuration's data set: the one given, or read once in this process from the directory given.

    Raises:
        DataError: The data set is another one, missing or damaged.
    """
    if not isinstance(data, Dataset):
        return _read(configuration.dataset, None if data is None else str(data))
    if data.name != configuration.dataset:
        rule = f"the configuration's data set is {configuration.dataset}"
        raise DataError(rule, data.name, "Pass the data set of that name, or name this one in the configuration")
    return data


@lru_cache(maxsize=2)
def _read(name: str, directory: str | None) -> Dataset:
    return datasets.load(name, directory)


def segments(configuration: RunConfiguration, n_images: int) -> tuple[Segment, ...]:
    """The updates of a run, cut where it is recorded; empty where nothing is trained.

    Args:
        configuration: The run's.
        n_images: Number of training images that are used.
    """
    per_epoch = ceil(n_images / configuration.batch_size)
    total = per_epoch * configuration.epochs
    total = total if configuration.max_steps is None else min(total, configuration.max_steps)
    by_epoch = isinstance(configuration.record_every, str)
    length = per_epoch if isinstance(configuration.record_every, str) else configuration.record_every
    starts = range(0, total, length)
    stops = [min(start + length, total) for start in starts]
    return tuple(
        Segment(start, stop, number if by_epoch else stop, stop / per_epoch)
        for number, (start, stop) in enumerate(zip(starts, stops), start=1)
    )


def evaluate(network: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy and mean cross entropy of a network in evaluation mode; its mode is put back."""
    training = network.training
    network.eval()
    correct, loss = 0, 0.0
    with torch.inference_mode():
        for some_inputs, some_labels in zip(inputs.split(_TEST_BATCH), labels.split(_TEST_BATCH), strict=True):
            logits = network(some_inputs)
            correct += int((logits.argmax(1) == some_labels).sum())
            loss += float(F.cross_entropy(logits, some_labels, reduction="sum"))
    network.train(training)
    return correct / len(labels), loss / len(labels)


def _train(
    configuration: RunConfiguration, dataset: Dataset, network: nn.Module, recorder: Recorder, progress: Progress
) -> None:
    inputs, labels = dataset.train_inputs, dataset.train_labels
    optimiser = _optimiser(configuration, network)
    plan = segments(configuration, len(labels))
    total = plan[-1].stop if plan else 0
    reached = recorder.restore(optimiser)
    if reached is None:
        accuracy, loss = evaluate(network, dataset.test_inputs, dataset.test_labels)
        recorder.record(0, optimizer=optimiser, accuracy=accuracy, loss=loss, epoch=0.0)
    left = [segment for segment in plan if segment.step > (reached or 0)]
    batches = _batches(configuration, len(labels), left[0].start) if left else iter(())
    words = ""
    for segment in left:
        torch.manual_seed(derive(configuration.seed, "updates", segment.start))
        indices = _reporting(islice(batches, segment.stop - segment.start), segment.start, total, words, progress)
        train_loss = _update(network, optimiser, inputs, labels, indices) / (segment.stop - segment.start)
        accuracy, loss = evaluate(network, dataset.test_inputs, dataset.test_labels)
        scalars = {"accuracy": accuracy, "loss": loss, "train_loss": train_loss, "epoch": segment.epoch}
        recorder.record(segment.step, optimizer=optimiser, **scalars)
        words = f"accuracy {accuracy:.3f}"
        progress(segment.stop, total, words)


def _first_images(configuration: RunConfiguration, dataset: Dataset, network: nn.Module) -> Dataset:
    """The data set with the training images that are used."""
    # The small number keeps 0.29 of 100 images at 29, which floating point makes 28.999999999999996.
    n = max(1, int(len(dataset.train_labels) * configuration.train_fraction + 1e-9))
    last_batch = n % configuration.batch_size or configuration.batch_size
    if last_batch == 1 and any(isinstance(m, nn.BatchNorm2d) for m in network.modules()):
        raise ConfigurationError(
            f"{configuration.family} normalises over a batch, which takes at least 2 images",
            f"a last batch of 1: {n} images in batches of {configuration.batch_size}",
            "Choose another `batch_size` or `train_fraction`",
        )
    return replace(dataset, train_inputs=dataset.train_inputs[:n], train_labels=dataset.train_labels[:n])


def _update(
    network: nn.Module, optimiser: Optimizer, inputs: Tensor, labels: Tensor, batches: Iterable[Tensor]
) -> float:
    """One update per batch; the sum of their losses."""
    network.train()
    total = torch.zeros((), dtype=torch.float64)
    for indices in batches:
        loss = F.cross_entropy(network(inputs.index_select(0, indices)), labels.index_select(0, indices))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += loss.detach()
    return float(total)


def _batches(configuration: RunConfiguration, n_images: int, start: int) -> Iterator[Tensor]:
    """Indices of the training images, a tensor per update, from update ``start`` on and without end."""
    per_epoch = ceil(n_images / configuration.batch_size)
    epoch, skipped = divmod(start, per_epoch)
    while True:
        order = torch.randperm(n_images, generator=generator(configuration.seed, "order", epoch))
        yield from order.split(configuration.batch_size)[skipped:]
        epoch, skipped = epoch + 1, 0


def _optimiser(configuration: RunConfiguration, network: nn.Module) -> Optimizer:
    # One fused kernel for all parameters: a third of the time of a small network's update is the optimiser otherwise.
    rate, decay = configuration.learning_rate, configuration.weight_decay
    assert rate is not None  # the configuration sees to it
    if configuration.optimiser == "adam":
        return Adam(network.parameters(), rate, weight_decay=decay, fused=True)
    return SGD(network.parameters(), rate, configuration.momentum, weight_decay=decay, fused=True)


def _reporting(items: Iterable[Tensor], done: int, total: int, words: str, progress: Progress) -> Iterator[Tensor]:
    """The items, with a report about five times a second."""
    reported = time.monotonic()
    for number, item in enumerate(items, start=done):
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            progress(number, total, words)
            reported = time.monotonic()
        yield item


def _silent(done: int, total: int, words: str) -> None:
    pass


@contextmanager
def _reproducible() -> Iterator[None]:
    """One thread: more would add numbers in another order. The caller's threads and random states come back."""
    threads, state = torch.get_num_threads(), random_state()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        set_random_state(state)
