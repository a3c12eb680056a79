"""The updates of a run: where they are recorded, and what makes them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from torch import nn
from torch.optim import Optimizer

from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.optimisers import OPTIMISERS


@dataclass(frozen=True)
class Segment:
    """The updates between two records.

    Attributes:
        start: Updates done before.
        stop: Updates done at its end.
        step: The number under which its end is recorded.
        epoch: Passes over the training images at its end, with fractions.

    >>> segments(RunConfiguration(batch_size=32, epochs=1), 100)
    (Segment(start=0, stop=4, step=1, epoch=1.0),)
    """

    start: int
    stop: int
    step: int
    epoch: float


def segments(configuration: RunConfiguration, n_images: int) -> tuple[Segment, ...]:
    """The updates of a run, cut where it is recorded; empty where nothing is trained.

    Args:
        configuration: The run's.
        n_images: Number of training images that are used.

    100 images in batches of 32 are 4 updates an epoch, the last one of 4 images:

    >>> run = RunConfiguration(batch_size=32, epochs=2, max_steps=7)
    >>> [(s.start, s.stop, s.step, s.epoch) for s in segments(run, 100)]
    [(0, 4, 1, 1.0), (4, 7, 2, 1.75)]
    >>> run = RunConfiguration(batch_size=32, epochs=2, record_steps=(3, 5, 900))
    >>> [(s.start, s.stop, s.step, s.epoch) for s in segments(run, 100)]
    [(0, 3, 3, 0.75), (3, 5, 5, 1.25), (5, 8, 8, 2.0)]
    """
    per_epoch = ceil(n_images / configuration.batch_size)
    total = per_epoch * configuration.epochs
    total = total if configuration.max_steps is None else min(total, configuration.max_steps)
    stops = _stops(configuration, per_epoch, total)
    by_epoch = configuration.record_steps is None and isinstance(configuration.record_every, str)
    return tuple(
        Segment(start, stop, number if by_epoch else stop, stop / per_epoch)
        for number, (start, stop) in enumerate(zip((0, *stops), stops), start=1)
    )


def planned_records(configuration: RunConfiguration, n_images: int) -> int | None:
    """How many steps a run records that trains to its end; None where its end follows from its loss.

    >>> planned_records(RunConfiguration(batch_size=32, epochs=10), 100)
    11
    """
    if configuration.n_train_evaluated is not None:
        return None
    return 1 + len(segments(configuration, n_images))


def _stops(configuration: RunConfiguration, per_epoch: int, total: int) -> tuple[int, ...]:
    """The numbers of updates after which the run is recorded, the start apart."""
    if configuration.record_steps is not None:
        inside = (step for step in configuration.record_steps if step < total)
        return (*inside, total) if total else ()
    length = per_epoch if isinstance(configuration.record_every, str) else configuration.record_every
    return tuple(min(start + length, total) for start in range(0, total, length))


def optimiser_of(configuration: RunConfiguration, network: nn.Module) -> Optimizer:
    """The optimiser of a configuration for a network's parameters.

    >>> optimiser_of(RunConfiguration(optimiser="sgd", learning_rate=0.5), nn.Linear(1, 1)).param_groups[0]["lr"]
    0.5
    """
    return OPTIMISERS.lookup(configuration.optimiser)(network.parameters(), configuration)
