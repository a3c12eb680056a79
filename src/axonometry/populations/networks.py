"""Reference networks: paper 1's fully connected and convolutional networks, and all families by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from torch import nn

from axonometry.errors import ConfigurationError
from axonometry.populations.cifar_networks import AlexNetLike, LeNet, Shape, VGGLike
from axonometry.populations.cifar_resnet import CifarResNet
from axonometry.populations.layers import ACTIVATIONS, linear_layers, require_size
from axonometry.populations.resnet import ResNet

_LAST_HIDDEN = 200


class FullyConnected(nn.Sequential):
    """Paper 1's fully connected networks: D-h-h-200-10, logits at the end (definitions 1.2).

    The layers are called ``fc1``, ``fc2``...

    Args:
        input_shape: Shape of one input; it is flattened.
        widths: Units of each hidden layer.
        n_classes: Number of logits.
        activation: A name in ``layers.ACTIVATIONS``; ReLU in the paper.
        dropout: Probability to drop a hidden unit while training.

    >>> network = FullyConnected((1, 28, 28), (32, 32, 200))
    >>> [tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]
    [(32, 784), (32, 32), (200, 32), (10, 200)]
    """

    def __init__(
        self,
        input_shape: Shape,
        widths: Sequence[int],
        n_classes: int = 10,
        *,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        head = linear_layers((prod(input_shape), *widths, n_classes), activation, dropout)
        super().__init__(OrderedDict([("flatten", nn.Flatten()), *head]))


class Convolutional(nn.Sequential):
    """Paper 1's convolutional networks: convolutions of 3x3 without padding or pooling, then 200-10 (definitions 1.2).

    The layers are called ``conv1``..., ``fc1``, ``fc2``.

    Args:
        input_shape: (C, H, W).
        channels: Channels of every convolution.
        layers: Number of convolutions.
        n_classes: Number of logits.
        activation: A name in ``layers.ACTIVATIONS``; ReLU in the paper.
        dropout: Probability to drop one of the 200 hidden units while training.

    Raises:
        ConfigurationError: The input is too small for that many convolutions.
    """

    def __init__(
        self,
        input_shape: Shape,
        channels: int,
        layers: int = 2,
        n_classes: int = 10,
        *,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        require_size(f"{layers} convolutions of 3x3 without padding need", 2 * layers + 1, input_shape)
        height, width = (size - 2 * layers for size in input_shape[1:])
        blocks: list[tuple[str, nn.Module]] = []
        for number, before in enumerate([input_shape[0]] + [channels] * (layers - 1), start=1):
            blocks += [(f"conv{number}", nn.Conv2d(before, channels, 3))]
            blocks += [(f"conv{number}_{activation}", ACTIVATIONS[activation]())]
        head = linear_layers((channels * height * width, _LAST_HIDDEN, n_classes), activation, dropout)
        super().__init__(OrderedDict([*blocks, ("flatten", nn.Flatten()), *head]))


@dataclass(frozen=True)
class Family:
    """A kind of network that a configuration can name.

    Attributes:
        build: From input shape, number of classes and the family's choices, as keywords, to the network.
        choices: Attributes of :class:`Architecture` that may differ from their defaults.
        sizes: Units or channels by the size's name; empty where the family is scaled by ``width`` or not at all.
    """

    build: Callable[..., nn.Module]
    choices: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)


def _fully_connected(input_shape: Shape, n_classes: int, *, units: int, layers: int, **choices: Any) -> nn.Module:
    return FullyConnected(input_shape, [units] * layers + [_LAST_HIDDEN], n_classes, **choices)


def _convolutional(input_shape: Shape, n_classes: int, *, units: int, layers: int, **choices: Any) -> nn.Module:
    return Convolutional(input_shape, units, layers, n_classes, **choices)


def _cifar_resnet(depth: int) -> Family:
    return Family(lambda shape, n_classes, **choices: CifarResNet(depth, shape, n_classes, **choices), _SCALED)


def _resnet(depth: int) -> Family:
    return Family(lambda shape, n_classes: ResNet(depth, n_classes, in_channels=shape[0]))


_SIZED = ("size", "layers", "activation", "dropout")
_SCALED = ("width", "activation", "dropout")

FAMILIES: Mapping[str, Family] = {
    "fully-connected": Family(_fully_connected, _SIZED, {"small": 32, "medium": 256, "big": 2000}),
    "convolutional": Family(_convolutional, _SIZED, {"small": 10, "medium": 64, "big": 256}),
    "lenet": Family(LeNet, _SCALED),
    "vgg-like": Family(VGGLike, _SCALED),
    "alexnet-like": Family(AlexNetLike, _SCALED),
    **{f"resnet-{depth}": _cifar_resnet(depth) for depth in (20, 32, 44, 56)},
    **{f"resnet-{depth}": _resnet(depth) for depth in (18, 34, 50)},
}
"""Families by the name that configurations use; ResNet-20, 32, 44 and 56 are those for small images."""


@dataclass(frozen=True)
class Architecture:
    """A family and what is chosen in it; checked at construction.

    Attributes:
        family: A name in :data:`FAMILIES`.
        size: For fully connected and convolutional networks: small, medium or big; small where None.
        layers: For these: hidden layers of that size, or convolutions; 2 where None.
        width: For the families of paper 3: factor on all channels and hidden units.
        activation: A name in ``layers.ACTIVATIONS``; the ResNets 18, 34 and 50 have ReLU only.
        dropout: Probability to drop a hidden unit of a linear layer while training; not for these either.

    Raises:
        ConfigurationError: There is no such family, or it has no such choice.
    """

    family: str
    size: str | None = None
    layers: int | None = None
    width: float = 1.0
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ConfigurationError(f"`family` is one of {', '.join(FAMILIES)}", repr(self.family))
        family = FAMILIES[self.family]
        for name, neutral in _NEUTRAL.items():
            value = getattr(self, name)
            if value != neutral and name not in family.choices:
                rule = f"{self.family} has no choice of `{name}`"
                raise ConfigurationError(rule, f"`{name}` {value!r}", "Leave it out")
        if self.size is not None and self.size not in family.sizes:
            raise ConfigurationError(f"`size` of {self.family} is one of {', '.join(family.sizes)}", repr(self.size))
        if self.layers is not None and self.layers < 1:
            raise ConfigurationError("`layers` is at least 1", str(self.layers))
        if self.width <= 0:
            raise ConfigurationError("`width` is above 0", str(self.width))
        if self.activation not in ACTIVATIONS:
            raise ConfigurationError(f"`activation` is one of {', '.join(ACTIVATIONS)}", repr(self.activation))
        if not 0 <= self.dropout < 1:
            raise ConfigurationError("`dropout` is at least 0 and below 1", str(self.dropout))

    def network(self, input_shape: Shape, n_classes: int) -> nn.Module:
        """The network, with PyTorch's own initial parameters, drawn from the global random state.

        Args:
            input_shape: Shape of one input, (C, H, W).
            n_classes: Number of logits.

        Raises:
            ConfigurationError: The input is too small.
        """
        family = FAMILIES[self.family]
        chosen = {name: getattr(self, name) for name in family.choices}
        if family.sizes:
            chosen |= {"units": family.sizes[chosen.pop("size") or "small"], "layers": self.layers or 2}
        return family.build(input_shape, n_classes, **chosen)


_NEUTRAL: Mapping[str, object] = {"size": None, "layers": None, "width": 1.0, "activation": "relu", "dropout": 0.0}


def build(family: str, input_shape: Shape, n_classes: int = 10, **choices: Any) -> nn.Module:
    """A network by name, with PyTorch's own initial parameters, drawn from the global random state.

    Args:
        family: A name in :data:`FAMILIES`.
        input_shape: Shape of one input, (C, H, W).
        n_classes: Number of logits.
        choices: Other attributes of :class:`Architecture`.

    Raises:
        ConfigurationError: There is no such family or choice, or the input is too small.

    >>> sum(p.numel() for p in build("fully-connected", (1, 28, 28), size="small").parameters())
    34786
    """
    return Architecture(family, **choices).network(input_shape, n_classes)
