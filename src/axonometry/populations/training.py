"""Training one network into a run folder: the same configuration gives the same run, whatever interrupts it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from axonometry.errors import ConfigurationError, DataError, RunError
from axonometry.metrics.catalogue import needing_samples
from axonometry.populations import datasets
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.datasets import DATASETS, Dataset, Source
from axonometry.populations.initialisers import initialise
from axonometry.populations.loop import Stop, TrainingLoop
from axonometry.populations.objectives import n_outputs
from axonometry.populations.sampling import used_images
from axonometry.populations.schedule import planned_records
from axonometry.populations.seeds import derive, generator
from axonometry.populations.text import require_text
from axonometry.progress import Progress, silent
from axonometry.trajectory import Recorder, Trajectory, load
from axonometry.trajectory.recorder import MEASURES
from axonometry.trajectory.state import random_state, set_random_state

N_SAMPLES = 1000
"""Test inputs that run through a network for measures of samples."""


def train(
    configuration: RunConfiguration,
    folder: str | Path,
    *,
    data: Dataset | str | Path | None = None,
    measures: Sequence[str] = MEASURES,
    stop: Stop | None = None,
    progress: Progress | None = None,
) -> Trajectory:
    """Train the network of a configuration and record it, or resume where a killed process left off.

    The initial network is recorded as step 0; a step is an epoch, or an update where ``record_every`` is a number or
    there are ``record_steps``. An epoch that is cut short counts as one. The scalars of a step are ``accuracy`` (of
    reconstruction ``variance_explained``) and the mean ``loss`` on the test images, ``train_loss`` (mean over the
    batches since the last record, as trained on), ``epoch`` (with fractions), and ``train_accuracy`` and
    ``train_eval_loss`` (as the network is at the record) where the configuration has ``n_train_evaluated``.

    The same configuration gives the same weights bit for bit on the same machine with the same torch, however often
    the run was interrupted: arithmetic is done by one thread, and all randomness comes from the seed and the number of
    the epoch or update. Many networks are trained fastest by one process per core, which :func:`train_population` does.
    The caller's random states and number of threads are put back.

    Args:
        configuration: What to train.
        folder: The run's own folder; a finished run in it is left as it is.
        data: The data set, or the directory of its files; ``$AXONOMETRY_DATA`` where None.
        measures: What is measured at each record, names out of ``axonometry.metrics.CATALOGUE``.
        stop: Called with the run after each record; where it says true the run ends there, stopped early.
        progress: Called with updates done, updates in all, and the last performance in words.

    Returns:
        The run.

    Raises:
        ConfigurationError: The configuration does not go with the data set.
        DataError: The data set is not the configuration's, missing or damaged.
        RunError: The folder holds another configuration's run, is being written by another process, or is corrupt.
    """
    folder = Path(folder)
    dataset = dataset_of(configuration, data)
    with reproducible():
        network, example = initial_network(configuration, dataset), dataset.test_inputs[:1]
        if not is_complete(configuration, folder):
            used = checked_dataset(configuration, used_images(configuration, dataset), network)
            about = configuration.to_dict()
            samples = samples_for(dataset, measures)
            planned = planned_records(configuration, len(used.train_labels))
            options: dict[str, Any] = {"samples": samples, "configuration": about, "planned_steps": planned}
            with Recorder(folder, network, example, measures=measures, resume=True, **options) as recorder:
                stopped = TrainingLoop(configuration, used, network, recorder, progress or silent).run(stop)
                recorder.close(stopped=stopped)
    return load(folder, network, example)


def samples_for(dataset: Dataset, measures: Iterable[str], n: int = N_SAMPLES) -> Tensor | None:
    """The first n test inputs, where one of the measures is of samples."""
    return dataset.test_inputs[:n] if needing_samples(measures) else None


def is_complete(configuration: RunConfiguration, folder: Path) -> bool:
    """Whether a folder holds the finished run of a configuration.

    Raises:
        RunError: It holds another configuration's run, or is corrupt.
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

    >>> from axonometry.populations.datasets import load_dataset
    >>> network = initial_network(RunConfiguration(dataset="digits", units=4, layers=1), load_dataset("digits"))
    >>> [tuple(parameter.shape) for parameter in network.parameters()]
    [(4, 64), (4,), (10, 4), (10,)]
    """
    outputs = n_outputs(configuration.objective, dataset)
    network = network_of(configuration, dataset.shape, outputs, dataset.n_tokens)
    initialise(network, configuration.initialiser, configuration.scale, generator(configuration.seed, "initialiser"))
    if configuration.initial_factor != 1:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(configuration.initial_factor)
    return network


def network_of(
    configuration: RunConfiguration, input_shape: tuple[int, ...], n_outputs: int, n_tokens: int | None = None
) -> nn.Module:
    """A network of the configuration's architecture before its initialiser; random states are left alone.

    Raises:
        ConfigurationError: The inputs are too small for the network, or are tokens, which it does not read.

    >>> network_of(RunConfiguration(units=4, layers=1), (1, 8, 8), 10)
    FullyConnected(
      (flatten): Flatten(start_dim=1, end_dim=-1)
      (fc1): Linear(in_features=64, out_features=4, bias=True)
      (fc1_relu): ReLU()
      (fc2): Linear(in_features=4, out_features=10, bias=True)
    )
    """
    with torch.random.fork_rng(devices=[]):
        # What an initialiser does not reach, such as a bare parameter of a registered network, is of the seed, too.
        torch.manual_seed(derive(configuration.seed, "parameters"))
        return configuration.architecture.network(input_shape, n_outputs, n_tokens)


def dataset_of(configuration: RunConfiguration, data: Dataset | str | Path | None) -> Dataset:
    """The configuration's data set: the one given, or read once in this process from the directory given.

    Raises:
        DataError: The data set is another one, missing or damaged; or the text is that of another Python.

    >>> dataset_of(RunConfiguration(dataset="digits"), None).name
    'digits'
    """
    if not isinstance(data, Dataset):
        if configuration.data_sha256 is not None:
            require_text(configuration.data_sha256)
        source = DATASETS.lookup(configuration.dataset)
        options = {name: getattr(configuration, name) for name in source.options}
        where = None if data is None else str(data)
        return _read(configuration.dataset, source, where, configuration.components, **options)
    if data.name != configuration.dataset:
        rule = f"the configuration's data set is {configuration.dataset}"
        raise DataError(rule, data.name, "Pass the data set of that name, or name this one in the configuration")
    return data if configuration.components is None else datasets.projected(data, configuration.components)


@lru_cache(maxsize=2)
def _read(name: str, source: Source, directory: str | None, components: int | None, **options: int | None) -> Dataset:
    # The source is part of the key: a notebook may register another data set under the same name.
    found = datasets.load_dataset(name, directory, **options)
    return found if components is None else datasets.projected(found, components)


def checked_dataset(configuration: RunConfiguration, dataset: Dataset, network: nn.Module) -> Dataset:
    """The data set, if batch norm can work with its last batch and its inputs are what the configuration asks for."""
    if dataset.n_tokens is not None and (configuration.reconstructs or configuration.augmentation != "none"):
        came = f"objective {configuration.objective}, augmentation {configuration.augmentation}, and tokens"
        raise ConfigurationError("images alone are reconstructed or cut out anew", came, "Choose another data set")
    if configuration.augmentation != "none" and len(dataset.shape) != 3:
        came = f"inputs of shape {dataset.shape}"
        raise ConfigurationError("images of shape (C, H, W) are cut out anew", came, 'Choose `augmentation` "none"')
    n = len(dataset.train_labels)
    last_batch = n % configuration.batch_size or configuration.batch_size
    if last_batch == 1 and any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in network.modules()):
        raise ConfigurationError(
            f"{configuration.family} normalises over a batch, which takes at least 2 images",
            f"a last batch of 1: {n} images in batches of {configuration.batch_size}",
            "Choose another `batch_size` or `train_fraction`",
        )
    return dataset


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
