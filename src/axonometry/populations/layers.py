"""What the reference networks are made of: activations by name, dropout, and the layers that they end in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from axonometry.errors import ConfigurationError
from axonometry.populations.registry import Registry, as_it_is

Factory = Callable[[], nn.Module]

_ACTIVATIONS: Mapping[str, Factory] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
    "linear": nn.Identity,  # what "identity" was called first: recorded runs have it
}
ACTIVATIONS: Registry[[Factory], Factory] = Registry("`activation`", as_it_is, _ACTIVATIONS)
"""Activations by the name that configurations use; ``ACTIVATIONS.register(name, nn.Mish)`` adds one."""

Normalisation = Callable[[int], nn.Module]

NORMALISATIONS: Mapping[str, Normalisation] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
"""Normalisations of linear layers by the name that configurations use; "none" has no layer."""


class Dropout(nn.Module):
    """Dropout whose random numbers come from outside, so that a run's do not depend on what else is drawn.

    Whoever trains the network sets ``noise`` before every update (:func:`draw_noise`); the network in evaluation mode
    passes its input on.

    Args:
        rate: Probability that a unit is dropped, in [0, 1).
        units: Units of the layer in front.

    Attributes:
        noise: Uniform random numbers in [0, 1) of shape (batch, units).
    """

    def __init__(self, rate: float, units: int) -> None:
        super().__init__()
        self.rate: float | Tensor = rate
        self.units = units
        self.noise: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Units whose number is below the rate become 0, the others are divided by 1 - rate; shape as ``x``."""
        if not self.training:
            return x
        if self.noise is None:
            raise ConfigurationError(
                "dropout takes its random numbers from whoever trains the network",
                "none",
                "Call axonometry.populations.layers.draw_noise before every update",
            )
        return x * (self.noise >= self.rate) / (1 - self.rate)


def dropouts(network: nn.Module) -> list[Dropout]:
    """The dropout layers of a network, in its order.

    >>> network = nn.Sequential(nn.Linear(2, 3), Dropout(0.5, 3), nn.Linear(3, 1))
    >>> [layer.rate for layer in dropouts(network)]
    [0.5]
    """
    return [module for module in network.modules() if isinstance(module, Dropout)]


def draw_noise(network: nn.Module, batch_size: int, generator: Generator) -> None:
    """Give every dropout layer its random numbers for one update.

    >>> network = nn.Sequential(nn.Linear(2, 3), Dropout(0.5, 3))
    >>> draw_noise(network, 4, torch.Generator().manual_seed(0))
    >>> dropouts(network)[0].noise.shape
    torch.Size([4, 3])
    """
    for layer in dropouts(network):
        layer.noise = torch.rand(batch_size, layer.units, generator=generator)


def linear_layers(
    widths: Sequence[int],
    activation: str = "relu",
    dropout: float = 0.0,
    normalisation: Normalisation | None = None,
) -> list[tuple[str, nn.Module]]:
    """Linear layers called ``fc1``, ``fc2``..., none of what stands between them after the last.

    Args:
        widths: Numbers of the input, units of each layer.
        activation: A name in :data:`ACTIVATIONS`.
        dropout: Probability to drop a unit behind an activation; no layer at 0.
        normalisation: From a number of units to the layer in front of the activation; None for no such layer.

    >>> [name for name, _ in linear_layers((4, 3, 2), "tanh", 0.1, nn.LayerNorm)]
    ['fc1', 'fc1_norm', 'fc1_tanh', 'fc1_dropout', 'fc2']
    """
    layers: list[tuple[str, nn.Module]] = []
    for number, (before, after) in enumerate(pairwise(widths), start=1):
        layers += [(f"fc{number}", nn.Linear(before, after))]
        if number < len(widths) - 1:
            layers += [(f"fc{number}_norm", normalisation(after))] if normalisation else []
            layers += [(f"fc{number}_{activation}", ACTIVATIONS[activation]())]
            layers += [(f"fc{number}_dropout", Dropout(dropout, after))] if dropout else []
    return layers


def scaled(channels: int, width: float) -> int:
    """A number of channels or units times the width, rounded, at least one.

    >>> scaled(6, 0.5), scaled(6, 0.01)
    (3, 1)
    """
    return max(1, round(channels * width))


def require_size(what: str, least: int, shape: Sequence[int]) -> None:
    """Refuse images that are too small for a network.

    Raises:
        ConfigurationError: One side is less than ``least``.

    >>> require_size("lenet reads", 32, (1, 8, 8))
    Traceback (most recent call last):
        ...
    axonometry.errors.ConfigurationError: lenet reads inputs of at least 32 x 32; got...
    """
    if min(shape[1:]) < least:
        came = f"inputs of {' x '.join(map(str, shape[1:]))}"
        rule = f"{what} inputs of at least {least} x {least}"
        raise ConfigurationError(rule, came, "Choose another data set or family")
