"""The optimisers that configurations name: torch's for a network alone, and the same formula for a stack of networks.

A new optimiser is one entry of :data:`OPTIMISERS`. Without a ``stacked`` form it trains one network at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from math import cos, pi
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from axonometry.populations.registry import Registry

SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: (1 + cos(pi * done)) / 2,
}
"""The factor on the learning rate, by the part of the updates that is done, from 0 to 1."""
_BETAS, _ALPHA, _EPSILON = (0.9, 0.999), 0.99, 1e-8  # torch's defaults, which configurations leave as they are


@runtime_checkable
class Descending(Protocol):
    """What an update takes from a run's configuration."""

    @property
    def learning_rate(self) -> float | None:
        """As torch's optimisers take it."""

    @property
    def momentum(self) -> float:
        """Of SGD, else 0."""

    @property
    def weight_decay(self) -> float:
        """As torch's optimisers take it."""


@dataclass(frozen=True)
class Rates:
    """What an update takes from each network's configuration.

    Attributes:
        learning_rate: As torch's optimisers take it.
        momentum: Of SGD, else 0.
        weight_decay: As torch's optimisers take it.
    """

    learning_rate: Float[Tensor, "networks 1"]
    momentum: Float[Tensor, "networks 1"]
    weight_decay: Float[Tensor, "networks 1"]

    @classmethod
    def of(cls, configurations: Iterable[Descending], device: torch.device) -> Rates:
        """The rates of configurations, a row each."""
        columns = zip(*((c.learning_rate, c.momentum, c.weight_decay) for c in configurations), strict=True)
        return cls(*(torch.tensor(column, dtype=torch.float32, device=device)[:, None] for column in columns))


Rows = Float[Tensor, "networks parameters"]
Memory = Mapping[str, Rows]


@dataclass(frozen=True)
class StackedForm:
    """One update of many networks at once, each row of ``weights`` a network that never reads another one.

    So a network that diverges harms itself alone.

    Attributes:
        memories: What is remembered of a parameter between updates, by the names in torch's optimiser's state; zeros
            before the first update.
        update: From weights and memory (both changed in place), gradient, rates, and the number of the update from 1.
        counts: Whether torch's state also holds the number of updates, as ``step``. Where it does not, it is empty for
            runs without momentum.
    """

    memories: tuple[str, ...]
    update: Callable[[Rows, Rows, Memory, Rates, int], None]
    counts: bool = True


@dataclass(frozen=True)
class OptimiserRule:
    """An optimiser that a configuration can name.

    Attributes:
        make: Called with a network's parameters, ``lr=`` and ``weight_decay=``, and ``momentum=`` where it has one: a
            class of ``torch.optim``, or a function that gives an optimiser.
        learning_rate: The usual one, where a configuration leaves it out.
        momentum: Whether it has one.
        stacked: The same update for a stack of networks; None where there is none.
    """

    make: Callable[..., Optimizer]
    learning_rate: float
    momentum: bool = False
    stacked: StackedForm | None = None

    def __call__(self, parameters: Iterable[Tensor], rates: Descending) -> Optimizer:
        """The optimiser of a network's parameters, with a configuration's rates."""
        rate = self.learning_rate if rates.learning_rate is None else rates.learning_rate
        more = {"momentum": rates.momentum} if self.momentum else {}
        return self.make(parameters, lr=rate, weight_decay=rates.weight_decay, **more)


def _sgd(weights: Rows, gradient: Rows, memory: Memory, rates: Rates, step: int) -> None:
    gradient = gradient.addcmul(rates.weight_decay, weights)
    # torch starts with the first gradient, which is what zeros give too.
    moving = memory["momentum_buffer"].mul_(rates.momentum).add_(gradient)
    weights.addcmul_(rates.learning_rate, moving, value=-1)


def _adam(weights: Rows, gradient: Rows, memory: Memory, rates: Rates, step: int) -> None:
    _adam_step(weights, gradient.addcmul(rates.weight_decay, weights), memory, rates, step)


def _adamw(weights: Rows, gradient: Rows, memory: Memory, rates: Rates, step: int) -> None:
    # Decay beside the gradient and not in it: Adam's division would otherwise shrink large gradients' weights less.
    weights.mul_(1 - rates.learning_rate * rates.weight_decay)
    _adam_step(weights, gradient, memory, rates, step)


def _adam_step(weights: Rows, gradient: Rows, memory: Memory, rates: Rates, step: int) -> None:
    first, second = memory["exp_avg"], memory["exp_avg_sq"]
    first.lerp_(gradient, 1 - _BETAS[0])
    second.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
    # Both averages began at 0: after the first update they are 0.1 and 0.001 of what they stand for.
    scale = second.sqrt().div_((1 - _BETAS[1] ** step) ** 0.5).add_(_EPSILON)
    weights.addcdiv_(first * (rates.learning_rate / (1 - _BETAS[0] ** step)), scale, value=-1)


def _rmsprop(weights: Rows, gradient: Rows, memory: Memory, rates: Rates, step: int) -> None:
    gradient = gradient.addcmul(rates.weight_decay, weights)
    squares = memory["square_avg"].mul_(_ALPHA).addcmul_(gradient, gradient, value=1 - _ALPHA)
    weights.addcdiv_(gradient * rates.learning_rate, squares.sqrt().add_(_EPSILON), value=-1)


_MOMENTS = ("exp_avg", "exp_avg_sq")

# fused: one kernel for all parameters; a third of the time of a small network's update is the optimiser otherwise.
OPTIMISERS = Registry(
    "`optimiser`",
    OptimiserRule,
    {
        "sgd": OptimiserRule(
            partial(SGD, fused=True), 0.01, momentum=True, stacked=StackedForm(("momentum_buffer",), _sgd, counts=False)
        ),
        "adam": OptimiserRule(partial(Adam, fused=True), 0.001, stacked=StackedForm(_MOMENTS, _adam)),
        "rmsprop": OptimiserRule(RMSprop, 0.001, stacked=StackedForm(("square_avg",), _rmsprop)),
        "adamw": OptimiserRule(partial(AdamW, fused=True), 0.001, stacked=StackedForm(_MOMENTS, _adamw)),
    },
)
"""Optimisers by the name that configurations use; ``OPTIMISERS.register(name, make, learning_rate=...)`` adds one.

The usual learning rates of SGD and Adam are those of paper 1's protocol (definitions 1.2). Weight decay is an L2
penalty, added to the gradient; of ``adamw`` it shrinks the weights by lr x decay an update, beside the gradient.

>>> OPTIMISERS["adam"].learning_rate
0.001
"""
