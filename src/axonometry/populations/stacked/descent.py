"""The optimisers of configurations for many networks at once: what torch's do, with rates of each network's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from axonometry.populations.configuration import RunConfiguration

MEMORIES: Mapping[str, tuple[str, ...]] = {
    "sgd": ("momentum_buffer",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "rmsprop": ("square_avg",),
}
"""What each optimiser remembers of a parameter between updates, by the name that torch's optimisers give it."""

_BETAS, _ALPHA, _EPSILON = (0.9, 0.999), 0.99, 1e-8  # torch's defaults, which configurations leave as they are


@dataclass(frozen=True)
class Rates:
    """What an update takes from each network's configuration.

    Attributes:
        learning_rate: As torch's optimisers take it.
        momentum: Of SGD, else 0.
        weight_decay: L2 penalty.
    """

    learning_rate: Float[Tensor, "networks 1"]
    momentum: Float[Tensor, "networks 1"]
    weight_decay: Float[Tensor, "networks 1"]

    @classmethod
    def of(cls, configurations: list[RunConfiguration], device: torch.device) -> Rates:
        """The rates of configurations, a row each."""
        columns = zip(*((c.learning_rate, c.momentum, c.weight_decay) for c in configurations), strict=True)
        return cls(*(torch.tensor(column, dtype=torch.float32, device=device)[:, None] for column in columns))


@torch.no_grad()
def descend(
    optimiser: str,
    weights: Float[Tensor, "networks parameters"],
    gradient: Float[Tensor, "networks parameters"],
    memory: Mapping[str, Float[Tensor, "networks parameters"]],
    rates: Rates,
    step: int,
) -> None:
    """One update of every network, in place.

    The formulas are those of ``torch.optim.SGD``, ``Adam`` and ``RMSprop``, weight decay added to the gradient. A row
    is a network and never reads another one, so that a network that diverges harms itself alone.

    Args:
        optimiser: A name in :data:`MEMORIES`.
        weights: Changed.
        gradient: Of each network's loss.
        memory: By the names in :data:`MEMORIES`, zeros before the first update; changed.
        rates: Of each network.
        step: The number of this update, from 1.
    """
    gradient = gradient.addcmul(rates.weight_decay, weights)
    if optimiser == "sgd":
        # torch starts with the first gradient, which is what zeros give too.
        moving = memory["momentum_buffer"].mul_(rates.momentum).add_(gradient)
        weights.addcmul_(rates.learning_rate, moving, value=-1)
    elif optimiser == "adam":
        first, second = memory["exp_avg"], memory["exp_avg_sq"]
        first.lerp_(gradient, 1 - _BETAS[0])
        second.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        scale = second.sqrt().div_((1 - _BETAS[1] ** step) ** 0.5).add_(_EPSILON)
        weights.addcdiv_(first * (rates.learning_rate / (1 - _BETAS[0] ** step)), scale, value=-1)
    else:
        squares = memory["square_avg"].mul_(_ALPHA).addcmul_(gradient, gradient, value=1 - _ALPHA)
        weights.addcdiv_(gradient * rates.learning_rate, squares.sqrt().add_(_EPSILON), value=-1)
