"""The updates of a run: where they are recorded, and what makes them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from torch import nn
from torch.optim import SGD, Adam, Optimizer, RMSprop

from axonometry.populations.configuration import RunConfiguration


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


def optimiser_of(configuration: RunConfiguration, network: nn.Module) -> Optimizer:
    """The optimiser of a configuration for a network's parameters."""
    # One fused kernel for all parameters: a third of the time of a small network's update is the optimiser otherwise.
    rate, decay = configuration.learning_rate, configuration.weight_decay
    assert rate is not None  # the configuration sees to it
    if configuration.optimiser == "adam":
        return Adam(network.parameters(), rate, weight_decay=decay, fused=True)
    if configuration.optimiser == "rmsprop":
        return RMSprop(network.parameters(), rate, weight_decay=decay)
    return SGD(network.parameters(), rate, configuration.momentum, weight_decay=decay, fused=True)
