"""All families of networks by name, and what is chosen in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from math import prod
from typing import Any

from torch import nn

from axonometry.errors import ConfigurationError
from axonometry.populations.autoencoders import ConvolutionalAutoencoder, DenseAutoencoder
from axonometry.populations.cifar_networks import AlexNetLike, LeNet, Shape, VGGLike
from axonometry.populations.cifar_resnet import CifarResNet
from axonometry.populations.layers import ACTIVATIONS
from axonometry.populations.networks import LAST_HIDDEN, Convolutional, FullyConnected
from axonometry.populations.resnet import ResNet
from axonometry.populations.sequence_networks import CELLS, Attention, Recurrent


@dataclass(frozen=True)
class Family:
    """A kind of network that a configuration can name.

    Attributes:
        build: From input shape, number of outputs and the family's choices, as keywords, to the network.
        choices: Attributes of :class:`Architecture` that may differ from their defaults.
        sizes: Units or channels by the size's name; empty for families without ``size``.
        usual: What ``units`` and ``layers`` are where they are left out, for families that say so.
        tokens: Whether it reads tokens too; ``build`` then takes ``n_tokens``.
        copies: Whether it puts out as many numbers as came in, and so learns to reconstruct alone.
        stacks: Whether ``torch.func.vmap`` maps over its weights; recurrent layers and fused attention have no rule.
    """

    build: Callable[..., nn.Module]
    choices: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    usual: Mapping[str, int] = field(default_factory=dict)
    tokens: bool = False
    copies: bool = False
    stacks: bool = True


def _fully_connected(
    input_shape: Shape, n_classes: int, *, size: str | None, units: int | None, layers: int, **choices: Any
) -> nn.Module:
    widths = [units] * layers if units else [_FULL_SIZES[size or "small"]] * layers + [LAST_HIDDEN]
    return FullyConnected(input_shape, widths, n_classes, **choices)


def _convolutional(
    input_shape: Shape, n_classes: int, *, size: str | None, units: int | None, layers: int, **choices: Any
) -> nn.Module:
    channels, hidden = (units, ()) if units else (_CONVOLUTIONAL_SIZES[size or "small"], (LAST_HIDDEN,))
    return Convolutional(input_shape, channels, layers, n_classes, hidden=hidden, **choices)


def _recurrent(input_shape: Shape, n_classes: int, *, units: int, **choices: Any) -> nn.Module:
    return Recurrent(input_shape, units, n_classes, **choices)


def _attention(input_shape: Shape, n_classes: int, *, units: int, **choices: Any) -> nn.Module:
    return Attention(input_shape, units, n_classes, **choices)


def _autoencoder(input_shape: Shape, n_outputs: int, **choices: Any) -> nn.Module:
    _require_copy("autoencoder", input_shape, n_outputs)
    return DenseAutoencoder(input_shape, **choices)


def _convolutional_autoencoder(input_shape: Shape, n_outputs: int, **choices: Any) -> nn.Module:
    _require_copy("convolutional-autoencoder", input_shape, n_outputs)
    return ConvolutionalAutoencoder(input_shape, **choices)


def _require_copy(family: str, input_shape: Shape, n_outputs: int) -> None:
    if n_outputs != prod(input_shape):
        came = f"{n_outputs} outputs for inputs of shape {input_shape}"
        raise ConfigurationError(f"{family} puts out what comes in", came, 'Choose the objective "bce" or "mse"')


def _cifar_resnet(depth: int) -> Family:
    return Family(lambda shape, n_classes, **choices: CifarResNet(depth, shape, n_classes, **choices), _SCALED)


def _resnet(depth: int) -> Family:
    return Family(lambda shape, n_classes: ResNet(depth, n_classes, in_channels=shape[0]))


_SIZED = ("size", "units", "layers", "activation", "dropout")
_SCALED = ("width", "activation", "dropout")
_FREE = ("units", "layers", "activation")
_FULL_SIZES: Mapping[str, int] = {"small": 32, "medium": 256, "big": 2000}
_CONVOLUTIONAL_SIZES: Mapping[str, int] = {"small": 10, "medium": 64, "big": 256}

FAMILIES: Mapping[str, Family] = {
    "fully-connected": Family(_fully_connected, _SIZED, _FULL_SIZES, {"layers": 2}),
    "convolutional": Family(_convolutional, _SIZED, _CONVOLUTIONAL_SIZES, {"layers": 2}),
    "lenet": Family(LeNet, _SCALED),
    "vgg-like": Family(VGGLike, _SCALED),
    "alexnet-like": Family(AlexNetLike, _SCALED),
    **{f"resnet-{depth}": _cifar_resnet(depth) for depth in (20, 32, 44, 56)},
    **{f"resnet-{depth}": _resnet(depth) for depth in (18, 34, 50)},
    "recurrent": Family(
        _recurrent, ("units", "layers", "cell"), usual={"units": 64, "layers": 1}, tokens=True, stacks=False
    ),
    "attention": Family(_attention, _FREE, usual={"units": 32, "layers": 2}, tokens=True, stacks=False),
    "autoencoder": Family(_autoencoder, _FREE, usual={"layers": 3}, copies=True),
    "convolutional-autoencoder": Family(
        _convolutional_autoencoder, _FREE, usual={"units": 8, "layers": 2}, copies=True
    ),
}
"""Families by the name that configurations use; ResNet-20, 32, 44 and 56 are those for small images."""


@dataclass(frozen=True)
class Architecture:
    """A family and what is chosen in it; checked at construction.

    Attributes:
        family: A name in :data:`FAMILIES`.
        size: For fully connected and convolutional networks: small, medium or big; small where None.
        layers: For these: hidden layers of that size, or convolutions; 2 where None. For the newer families: recurrent
            layers, blocks of attention, layers of the encoder.
        width: For the families of paper 3: factor on all channels and hidden units.
        activation: A name in ``layers.ACTIVATIONS``; the ResNets 18, 34 and 50 have ReLU only.
        dropout: Probability to drop a hidden unit of a linear layer while training; not for these either.
        units: Units of every hidden layer, or channels. For fully connected and convolutional networks it stands in
            place of ``size``, and there is then no last hidden layer of 200 units. For autoencoders it is the first
            layer's; a third of the input's numbers where None.
        cell: Of recurrent networks, a name in ``sequence_networks.CELLS``.

    Raises:
        ConfigurationError: There is no such family, or it has no such choice.
    """

    family: str
    size: str | None = None
    layers: int | None = None
    width: float = 1.0
    activation: str = "relu"
    dropout: float = 0.0
    units: int | None = None
    cell: str = "tanh"

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
        if self.size is not None and self.units is not None:
            came = f"{self.size} and {self.units}"
            raise ConfigurationError("`units` stand in place of `size`", came, "Leave one of them out")
        self._check_values()

    def _check_values(self) -> None:
        for name in ("layers", "units"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(f"`{name}` is at least 1", str(value))
        if self.width <= 0:
            raise ConfigurationError("`width` is above 0", str(self.width))
        if self.activation not in ACTIVATIONS:
            raise ConfigurationError(f"`activation` is one of {', '.join(ACTIVATIONS)}", repr(self.activation))
        if not 0 <= self.dropout < 1:
            raise ConfigurationError("`dropout` is at least 0 and below 1", str(self.dropout))
        if self.cell not in CELLS:
            raise ConfigurationError(f"`cell` is one of {', '.join(CELLS)}", repr(self.cell))

    def network(self, input_shape: Shape, n_classes: int, n_tokens: int | None = None) -> nn.Module:
        """The network, with PyTorch's own initial parameters, drawn from the global random state.

        Args:
            input_shape: Shape of one input, (C, H, W), or (T,) for tokens.
            n_classes: Number of logits, or of any other outputs.
            n_tokens: Size of the vocabulary; None for images.

        Raises:
            ConfigurationError: The input is too small, or the family does not read tokens.
        """
        family = FAMILIES[self.family]
        chosen = {name: getattr(self, name) for name in family.choices}
        chosen |= {name: usual for name, usual in family.usual.items() if chosen[name] is None}
        if n_tokens is not None and not family.tokens:
            readers = ", ".join(name for name, one in FAMILIES.items() if one.tokens)
            raise ConfigurationError(f"{self.family} reads images", "tokens", f"Families that read them: {readers}")
        if n_tokens is not None:
            chosen["n_tokens"] = n_tokens
        return family.build(input_shape, n_classes, **chosen)


_NEUTRAL: Mapping[str, object] = {field.name: field.default for field in fields(Architecture) if field.name != "family"}


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
