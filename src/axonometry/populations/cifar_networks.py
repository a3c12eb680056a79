"""The networks of paper 3 for small images: LeNet, a VGG-like and an AlexNet-like network, in any width.

Channels and units are those of Vahedian et al. 2021's code (definitions 3.3). What that code says of kernels, padding
and pooling of the VGG- and AlexNet-like networks is not known; here kernels are 3 x 3 (5 x 5 for AlexNet's first two)
with padding that keeps the size, and pooling halves it four and three times [our choice]. Dropout is behind every
hidden linear layer [our choice].
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

from torch import nn

from axonometry.populations.layers import ACTIVATIONS, linear_layers, require_size, scaled

Shape = tuple[int, ...]
Layer = tuple[str, nn.Module]


class LeNet(nn.Sequential):
    """LeNet with max-pooling, as in paper 3's code: 6 and 16 channels, then 120-84-10 (definitions 3.3).

    Convolutions are 5x5 without padding. The layers are called ``conv1``, ``pool1``, ``conv2``, ``pool2``, ``fc1``,
    ``fc2``, ``fc3``.

    Args:
        input_shape: (C, H, W), at least 16 x 16.
        n_classes: Number of logits.
        width: Factor on all channels and hidden units.
        activation: A name in ``layers.ACTIVATIONS``.
        dropout: Probability to drop a hidden unit behind ``fc1`` and ``fc2`` while training.

    Raises:
        ConfigurationError: The input is too small.

    >>> import torch
    >>> LeNet((3, 32, 32), 10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        input_shape: Shape = (3, 32, 32),
        n_classes: int = 10,
        *,
        width: float = 1.0,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        require_size("LeNet needs", 16, input_shape)
        first, second, fc1, fc2 = (scaled(n, width) for n in (6, 16, 120, 84))
        features = [
            *_convolution(1, input_shape[0], first, activation, kernel=5, padding=0),
            ("pool1", nn.MaxPool2d(2)),
            *_convolution(2, first, second, activation, kernel=5, padding=0),
            ("pool2", nn.MaxPool2d(2)),
        ]
        map_size = prod(((size - 4) // 2 - 4) // 2 for size in input_shape[1:])
        head = linear_layers((second * map_size, fc1, fc2, n_classes), activation, dropout)
        super().__init__(OrderedDict([*features, ("flatten", nn.Flatten()), *head]))


class VGGLike(nn.Sequential):
    """Paper 3's VGG-like network: 64-128-128-256-256-256-256 channels, then 128-128-10.

    Pooling follows convolutions 1, 3, 5 and 7.

    Args:
        input_shape: (C, H, W), at least 16 x 16.
        n_classes: Number of logits.
        width: Factor on all channels and hidden units.
        activation: A name in ``layers.ACTIVATIONS``.
        dropout: Probability to drop a hidden unit of the linear layers while training.

    Raises:
        ConfigurationError: The input is too small.
    """

    def __init__(
        self,
        input_shape: Shape = (3, 32, 32),
        n_classes: int = 10,
        *,
        width: float = 1.0,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        require_size("The VGG-like network needs", 16, input_shape)
        channels = [scaled(n, width) for n in (64, 128, 128, 256, 256, 256, 256)]
        features = _features((input_shape[0], *channels), activation, pooled=(1, 3, 5, 7), wide=0)
        map_size = prod(size // 16 for size in input_shape[1:])
        hidden = [scaled(128, width)] * 2
        head = linear_layers((channels[-1] * map_size, *hidden, n_classes), activation, dropout)
        super().__init__(OrderedDict([*features, ("flatten", nn.Flatten()), *head]))


class AlexNetLike(nn.Sequential):
    """Paper 3's AlexNet-like network: 96-256-384-384-256 channels, then 1024-512-10.

    The first two kernels are 5 x 5; pooling follows convolutions 1, 2 and 5.

    Args:
        input_shape: (C, H, W), at least 8 x 8.
        n_classes: Number of logits.
        width: Factor on all channels and hidden units.
        activation: A name in ``layers.ACTIVATIONS``.
        dropout: Probability to drop a hidden unit of the linear layers while training.

    Raises:
        ConfigurationError: The input is too small.
    """

    def __init__(
        self,
        input_shape: Shape = (3, 32, 32),
        n_classes: int = 10,
        *,
        width: float = 1.0,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        require_size("The AlexNet-like network needs", 8, input_shape)
        channels = [scaled(n, width) for n in (96, 256, 384, 384, 256)]
        features = _features((input_shape[0], *channels), activation, pooled=(1, 2, 5), wide=2)
        map_size = prod(size // 8 for size in input_shape[1:])
        hidden = [scaled(n, width) for n in (1024, 512)]
        head = linear_layers((channels[-1] * map_size, *hidden, n_classes), activation, dropout)
        super().__init__(OrderedDict([*features, ("flatten", nn.Flatten()), *head]))


def _features(channels: Sequence[int], activation: str, *, pooled: Sequence[int], wide: int) -> list[Layer]:
    """Convolutions that keep the size, the first ``wide`` of them 5 x 5, with pooling behind the named ones."""
    layers: list[Layer] = []
    for number in range(1, len(channels)):
        kernel = 5 if number <= wide else 3
        layers += _convolution(
            number, channels[number - 1], channels[number], activation, kernel=kernel, padding=kernel // 2
        )
        layers += [(f"pool{number}", nn.MaxPool2d(2))] if number in pooled else []
    return layers


def _convolution(number: int, before: int, after: int, activation: str, *, kernel: int, padding: int) -> list[Layer]:
    return [
        (f"conv{number}", nn.Conv2d(before, after, kernel, padding=padding)),
        (f"conv{number}_{activation}", ACTIVATIONS[activation]()),
    ]
