"""Reference networks: paper 1's fully connected and convolutional families, LeNet and ImageNet's ResNets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod

from torch import nn

from axonometry.errors import ConfigurationError
from axonometry.populations.resnet import ResNet

Shape = tuple[int, ...]

_LAST_HIDDEN = 200


class FullyConnected(nn.Sequential):
    """Paper 1's fully connected networks: D-h-h-200-10 with ReLU, logits at the end (definitions 1.2).

    The layers are called ``fc1``, ``fc2``...

    Args:
        input_shape: Shape of one input; it is flattened.
        widths: Units of each hidden layer.
        n_classes: Number of logits.

    >>> network = FullyConnected((1, 28, 28), (32, 32, 200))
    >>> [tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]
    [(32, 784), (32, 32), (200, 32), (10, 200)]
    """

    def __init__(self, input_shape: Shape, widths: Sequence[int], n_classes: int = 10) -> None:
        head = _linear_layers((prod(input_shape), *widths, n_classes))
        super().__init__(OrderedDict([("flatten", nn.Flatten()), *head]))


class Convolutional(nn.Sequential):
    """Paper 1's convolutional networks: convolutions of 3x3 without padding or pooling, then 200-10 (definitions 1.2).

    Every convolution is followed by ReLU. The layers are called ``conv1``..., ``fc1``, ``fc2``.

    Args:
        input_shape: (C, H, W).
        channels: Channels of every convolution.
        layers: Number of convolutions.
        n_classes: Number of logits.

    Raises:
        ConfigurationError: The input is too small for that many convolutions.
    """

    def __init__(self, input_shape: Shape, channels: int, layers: int = 2, n_classes: int = 10) -> None:
        height, width = (size - 2 * layers for size in input_shape[1:])
        if min(height, width) < 1:
            raise _too_small(f"{layers} convolutions of 3x3 without padding need", 2 * layers + 1, input_shape)
        blocks = []
        for number, before in enumerate([input_shape[0]] + [channels] * (layers - 1), start=1):
            blocks += [(f"conv{number}", nn.Conv2d(before, channels, 3)), (f"conv{number}_relu", nn.ReLU())]
        head = _linear_layers((channels * height * width, _LAST_HIDDEN, n_classes))
        super().__init__(OrderedDict([*blocks, ("flatten", nn.Flatten()), *head]))


class LeNet(nn.Sequential):
    """LeNet with ReLU and max-pooling, as in paper 3's code: 6 and 16 channels, then 120-84-10 (definitions 3.3).

    Convolutions are 5x5 without padding. The layers are called ``conv1``, ``pool1``, ``conv2``, ``pool2``, ``fc1``,
    ``fc2``, ``fc3``.

    Args:
        input_shape: (C, H, W), at least 16 x 16.
        n_classes: Number of logits.

    Raises:
        ConfigurationError: The input is too small.
    """

    def __init__(self, input_shape: Shape = (3, 32, 32), n_classes: int = 10) -> None:
        height, width = (((size - 4) // 2 - 4) // 2 for size in input_shape[1:])
        if min(height, width) < 1:
            raise _too_small("LeNet needs", 16, input_shape)
        features: list[tuple[str, nn.Module]] = []
        for number, (before, after) in enumerate([(input_shape[0], 6), (6, 16)], start=1):
            features += [
                (f"conv{number}", nn.Conv2d(before, after, 5)),
                (f"conv{number}_relu", nn.ReLU()),
                (f"pool{number}", nn.MaxPool2d(2)),
            ]
        head = _linear_layers((16 * height * width, 120, 84, n_classes))
        super().__init__(OrderedDict([*features, ("flatten", nn.Flatten()), *head]))


@dataclass(frozen=True)
class Family:
    """A kind of network that a configuration can name.

    Attributes:
        build: From input shape and number of classes to the network; where there are sizes, ``width`` and ``layers``
            come as keywords too.
        sizes: Width by the size's name; empty where the family has one size only.
    """

    build: Callable[..., nn.Module]
    sizes: Mapping[str, int] = field(default_factory=dict)


def _fully_connected(input_shape: Shape, n_classes: int, *, width: int, layers: int) -> nn.Module:
    return FullyConnected(input_shape, [width] * layers + [_LAST_HIDDEN], n_classes)


def _convolutional(input_shape: Shape, n_classes: int, *, width: int, layers: int) -> nn.Module:
    return Convolutional(input_shape, width, layers, n_classes)


def _resnet(depth: int) -> Callable[..., nn.Module]:
    return lambda input_shape, n_classes: ResNet(depth, n_classes, in_channels=input_shape[0])


FAMILIES: Mapping[str, Family] = {
    "fully-connected": Family(_fully_connected, {"small": 32, "medium": 256, "big": 2000}),
    "convolutional": Family(_convolutional, {"small": 10, "medium": 64, "big": 256}),
    "lenet": Family(LeNet),
    "resnet-18": Family(_resnet(18)),
    "resnet-34": Family(_resnet(34)),
    "resnet-50": Family(_resnet(50)),
}
"""Families by the name that configurations use."""


def build(
    family: str, input_shape: Shape, n_classes: int = 10, *, size: str | None = None, layers: int | None = None
) -> nn.Module:
    """A network with PyTorch's own initial parameters, drawn from the global random state.

    Args:
        family: A name in :data:`FAMILIES`.
        input_shape: Shape of one input, (C, H, W).
        n_classes: Number of logits.
        size: For the families with sizes: small, medium or big; small where None.
        layers: For the families with sizes: hidden layers of that width, or convolutions; 2 where None.

    Raises:
        ConfigurationError: There is no such family or size, or the input is too small.

    >>> sum(p.numel() for p in build("fully-connected", (1, 28, 28), size="small").parameters())
    34786
    """
    check(family, size, layers)
    chosen = FAMILIES[family]
    if not chosen.sizes:
        return chosen.build(input_shape, n_classes)
    return chosen.build(input_shape, n_classes, width=chosen.sizes[size or "small"], layers=layers or 2)


def check(family: str, size: str | None, layers: int | None) -> None:
    """Make sure that a family has that size and may have that many layers.

    Raises:
        ConfigurationError: It does not.
    """
    if family not in FAMILIES:
        raise ConfigurationError(f"`family` is one of {', '.join(FAMILIES)}", repr(family))
    sizes = FAMILIES[family].sizes
    if not sizes and (size is not None or layers is not None):
        raise ConfigurationError(f"{family} has one size", f"`size` {size!r} and `layers` {layers!r}", "Leave both out")
    if sizes and size is not None and size not in sizes:
        raise ConfigurationError(f"`size` of {family} is one of {', '.join(sizes)}", repr(size))
    if layers is not None and layers < 1:
        raise ConfigurationError("`layers` is at least 1", str(layers))


def _linear_layers(widths: Sequence[int]) -> list[tuple[str, nn.Module]]:
    """Linear layers with ReLU between them, none after the last."""
    layers: list[tuple[str, nn.Module]] = []
    for number, (before, after) in enumerate(pairwise(widths), start=1):
        layers += [(f"fc{number}", nn.Linear(before, after)), (f"fc{number}_relu", nn.ReLU())]
    return layers[:-1]


def _too_small(what: str, least: int, shape: Shape) -> ConfigurationError:
    came = f"inputs of {' x '.join(map(str, shape[1:]))}"
    return ConfigurationError(f"{what} inputs of at least {least} x {least}", came, "Choose another data set or family")
