"""All families of networks by name, and what is chosen in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from inspect import Parameter, signature
from math import prod
from typing import Any

from torch import nn

from axonometry.errors import ConfigurationError, closest
from axonometry.populations.autoencoders import ConvolutionalAutoencoder, DenseAutoencoder
from axonometry.populations.cifar_networks import AlexNetLike, LeNet, Shape, VGGLike
from axonometry.populations.cifar_resnet import CifarResNet
from axonometry.populations.layers import ACTIVATIONS, NORMALISATIONS, Normalisation
from axonometry.populations.networks import LAST_HIDDEN, Convolutional, FullyConnected, ResidualMLP
from axonometry.populations.registry import Registry
from axonometry.populations.resnet import ResNet
from axonometry.populations.sequence_networks import CELLS, Attention, Recurrent
from axonometry.populations.signal_networks import SignalConvolutional


@dataclass(frozen=True)
class Family:
    """A kind of network that a configuration can name.

    Attributes:
        build: From input shape, number of outputs and the family's choices, as keywords, to the network: a function or
            a class.
        choices: Attributes of :class:`Architecture` that may differ from their defaults; the keywords of ``build`` that
            are such attributes where None.
        sizes: Units or channels by the size's name; empty for families without ``size``.
        usual: What ``units``, ``layers`` or ``widths`` are where they are left out, for families that say so.
        tokens: Whether it reads tokens too; ``build`` then takes ``n_tokens``.
        copies: Whether it has as many outputs as its input has numbers, and so learns to reconstruct alone.
        stacks: Whether ``torch.func.vmap`` maps over its weights, so that many are trained at a time on a GPU;
            recurrent layers and fused attention have no rule. Networks that do not say so are trained one at a time.

    >>> Family(lambda shape, n, *, units=8: nn.Linear(shape[0], n)).chosen
    ('units',)
    """

    build: Callable[..., nn.Module]
    choices: tuple[str, ...] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    usual: Mapping[str, Any] = field(default_factory=dict)
    tokens: bool = False
    copies: bool = False
    stacks: bool = False

    @property
    def chosen(self) -> tuple[str, ...]:
        """Attributes of :class:`Architecture` that are given to ``build``."""
        if self.choices is not None:
            return self.choices
        parameters = signature(self.build).parameters.values()
        return tuple(p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY and p.name in _NEUTRAL)


def _fully_connected(
    input_shape: Shape, n_classes: int, *, size: str | None, units: int | None, layers: int, **choices: Any
) -> nn.Module:
    widths = [units] * layers if units else [_FULL_SIZES[size or "small"]] * layers + [LAST_HIDDEN]
    return FullyConnected(input_shape, widths, n_classes, **choices)


def _mlp(
    network: Callable[..., nn.Module],
    input_shape: Shape,
    n_outputs: int,
    *,
    widths: tuple[int, ...],
    normalisation: str,
    norm_momentum: float,
    **choices: Any,
) -> nn.Module:
    norm = _normalisation(normalisation, norm_momentum)
    return network(input_shape, widths, n_outputs, normalisation=norm, **choices)


def _normalisation(name: str, momentum: float) -> Normalisation | None:
    layer = NORMALISATIONS.get(name)
    return partial(nn.BatchNorm1d, momentum=momentum) if layer is nn.BatchNorm1d else layer


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
        raise ConfigurationError(f"{family} reconstructs its input", came, 'Choose the objective "bce" or "mse"')


def _cifar_resnet(depth: int) -> Family:
    def build(shape: Shape, n_classes: int, **choices: Any) -> nn.Module:
        return CifarResNet(depth, shape, n_classes, **choices)

    return Family(build, _SCALED, stacks=True)


def _resnet(depth: int) -> Family:
    return Family(lambda shape, n_classes: ResNet(depth, n_classes, in_channels=shape[0]), stacks=True)


_LAYERED = ("widths", "activation", "dropout", "normalisation", "norm_momentum")
_SIZED = ("size", "units", "layers", "activation", "dropout")
_SCALED = ("width", "activation", "dropout")
_FREE = ("units", "layers", "activation")
_FULL_SIZES: Mapping[str, int] = {"small": 32, "medium": 256, "big": 2000}
_CONVOLUTIONAL_SIZES: Mapping[str, int] = {"small": 10, "medium": 64, "big": 256}

_FAMILIES: Mapping[str, Family] = {
    "fully-connected": Family(_fully_connected, _SIZED, _FULL_SIZES, {"layers": 2}, stacks=True),
    "convolutional": Family(_convolutional, _SIZED, _CONVOLUTIONAL_SIZES, {"layers": 2}, stacks=True),
    "mlp": Family(partial(_mlp, FullyConnected), _LAYERED, usual={"widths": (128, 128)}, stacks=True),
    "residual-mlp": Family(partial(_mlp, ResidualMLP), _LAYERED, usual={"widths": (128, 128)}, stacks=True),
    "lenet": Family(LeNet, _SCALED, stacks=True),
    "vgg-like": Family(VGGLike, _SCALED, stacks=True),
    "alexnet-like": Family(AlexNetLike, _SCALED, stacks=True),
    **{f"resnet-{depth}": _cifar_resnet(depth) for depth in (8, 14, 20, 32, 44, 56)},
    **{f"resnet-{depth}": _resnet(depth) for depth in (18, 34, 50)},
    "signal-convolutional": Family(SignalConvolutional, stacks=True),
    "recurrent": Family(_recurrent, ("units", "layers", "cell"), usual={"units": 64, "layers": 1}, tokens=True),
    "attention": Family(_attention, _FREE, usual={"units": 32, "layers": 2}, tokens=True),
    "autoencoder": Family(_autoencoder, _FREE, usual={"layers": 3}, copies=True, stacks=True),
    "convolutional-autoencoder": Family(
        _convolutional_autoencoder, _FREE, usual={"units": 8, "layers": 2}, copies=True, stacks=True
    ),
}
NETWORKS = Registry("`family`", Family, _FAMILIES)
"""Families of networks by the name that configurations use; ``NETWORKS.register(name, build)`` adds one.

ResNet-8, 14, 20, 32, 44 and 56 are those for small images. ``build(input_shape, n_outputs)`` gives a network; keywords
of it that are attributes of :class:`Architecture`, such as ``width``, can be chosen in a configuration.

>>> def perceptron(input_shape: Shape, n_outputs: int, *, units: int = 16) -> nn.Module:
...     return nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), units), nn.ReLU(), nn.Linear(units, n_outputs))
>>> NETWORKS.register("perceptron", perceptron, usual={"units": 16})
>>> build("perceptron", (1, 8, 8), units=3)[1]
Linear(in_features=64, out_features=3, bias=True)
>>> NETWORKS.unregister("perceptron")
"""


@dataclass(frozen=True)
class Architecture:
    """A family and what is chosen in it; checked at construction.

    Attributes:
        family: A name in :data:`NETWORKS`.
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
        widths: Of the families ``mlp`` and ``residual-mlp``: units of each hidden layer, from the first; of ``mlp`` ()
            for one linear map, of the other one all the same.
        normalisation: Of these families: what stands in front of each activation; "none", "batch" or "layer".
        norm_momentum: How far batch norm's running mean and variance go to each batch's, in (0, 1].

    Raises:
        ConfigurationError: There is no such family, or it has no such choice.

    >>> Architecture("fully-connected", units=8, layers=1).units
    8
    >>> Architecture("lenet", units=8)
    Traceback (most recent call last):
        ...
    axonometry.errors.ConfigurationError: lenet has no choice of `units`; got `units` 8. Leave it out.
    """

    family: str
    size: str | None = None
    layers: int | None = None
    width: float = 1.0
    activation: str = "relu"
    dropout: float = 0.0
    units: int | None = None
    cell: str = "tanh"
    widths: tuple[int, ...] | None = None
    normalisation: str = "none"
    norm_momentum: float = 0.1

    def __post_init__(self) -> None:
        family = NETWORKS.lookup(self.family)
        for name, neutral in _NEUTRAL.items():
            value = getattr(self, name)
            if value != neutral and name not in family.chosen:
                rule = f"{self.family} has no choice of `{name}`"
                raise ConfigurationError(rule, f"`{name}` {value!r}", "Leave it out")
        if self.size is not None and self.size not in family.sizes:
            rule = f"`size` of {self.family} is one of {', '.join(family.sizes)}"
            raise ConfigurationError(rule, repr(self.size), closest(self.size, family.sizes))
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
        ACTIVATIONS.lookup(self.activation)
        if not 0 <= self.dropout < 1:
            raise ConfigurationError("`dropout` is at least 0 and below 1", str(self.dropout))
        if self.cell not in CELLS:
            rule = f"`cell` is one of {', '.join(CELLS)}"
            raise ConfigurationError(rule, repr(self.cell), closest(self.cell, CELLS))
        self._check_layers()

    def _check_layers(self) -> None:
        if self.widths is not None and min(self.widths, default=1) < 1:
            raise ConfigurationError("`widths` are at least 1", str(list(self.widths)))
        known = ("none", *NORMALISATIONS)
        if self.normalisation not in known:
            rule = f"`normalisation` is one of {', '.join(known)}"
            raise ConfigurationError(rule, repr(self.normalisation), closest(self.normalisation, known))
        if not 0 < self.norm_momentum <= 1:
            raise ConfigurationError("`norm_momentum` is above 0 and at most 1", str(self.norm_momentum))
        if self.norm_momentum != _NEUTRAL["norm_momentum"] and self.normalisation != "batch":
            came = f"{self.norm_momentum} with {self.normalisation}"
            raise ConfigurationError("`norm_momentum` belongs to batch norm", came, 'Choose `normalisation` "batch"')

    def network(self, input_shape: Shape, n_classes: int, n_tokens: int | None = None) -> nn.Module:
        """The network, with PyTorch's own initial parameters, drawn from the global random state.

        Args:
            input_shape: Shape of one input, (C, H, W), or (T,) for tokens.
            n_classes: Number of logits, or of any other outputs.
            n_tokens: Size of the vocabulary; None for images.

        Raises:
            ConfigurationError: The input is too small, or the family does not read tokens.
        """
        family = NETWORKS[self.family]
        chosen = {name: getattr(self, name) for name in family.chosen}
        chosen |= {name: usual for name, usual in family.usual.items() if chosen[name] is None}
        if n_tokens is not None and not family.tokens:
            readers = ", ".join(name for name, one in NETWORKS.items() if one.tokens)
            raise ConfigurationError(f"{self.family} reads images", "tokens", f"Families that read them: {readers}")
        if n_tokens is not None:
            chosen["n_tokens"] = n_tokens
        return family.build(input_shape, n_classes, **chosen)


_NEUTRAL: Mapping[str, object] = {field.name: field.default for field in fields(Architecture) if field.name != "family"}


def build(family: str, input_shape: Shape, n_classes: int = 10, **choices: Any) -> nn.Module:
    """A network by name, with PyTorch's own initial parameters, drawn from the global random state.

    Args:
        family: A name in :data:`NETWORKS`.
        input_shape: Shape of one input, (C, H, W).
        n_classes: Number of logits.
        choices: Other attributes of :class:`Architecture`.

    Raises:
        ConfigurationError: There is no such family or choice, or the input is too small.

    >>> sum(p.numel() for p in build("fully-connected", (1, 28, 28), size="small").parameters())
    34786
    """
    return Architecture(family, **choices).network(input_shape, n_classes)
