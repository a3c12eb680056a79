"""Convolutional networks over one axis, for signals such as MNIST-1D's."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

from torch import nn

from axonometry.errors import ConfigurationError
from axonometry.populations.cifar_networks import Shape
from axonometry.populations.layers import ACTIVATIONS, linear_layers, scaled

CHANNELS = (25, 25, 25)
"""Of the three convolutions."""


class SignalConvolutional(nn.Sequential):
    """Three convolutions over time of stride 2, kernels of 5, 3 and 3, and a linear layer.

    The network of Greydanus and Kobak 2024 for MNIST-1D: 25 channels each and a padding of 1. The layers are called
    ``conv1``, ``conv2``, ``conv3``, ``fc1``.

    Args:
        input_shape: (C, T), at least 8 moments.
        n_classes: Number of logits.
        width: Factor on all channels.
        activation: A name in ``layers.ACTIVATIONS``.

    Raises:
        ConfigurationError: The input is no signal, or too short.

    Source: arXiv 2011.14439, the code's ``ConvBase``.

    >>> import torch
    >>> SignalConvolutional((1, 40))(torch.zeros(3, 1, 40)).shape
    torch.Size([3, 10])
    """

    def __init__(
        self,
        input_shape: Shape,
        n_classes: int = 10,
        *,
        width: float = 1.0,
        activation: str = "relu",
    ) -> None:
        if len(input_shape) != 2 or input_shape[1] < 8:
            rule, came = (
                "signals of shape (C, T), of 8 moments or more, are convolved over time",
                f"shape {input_shape}",
            )
            raise ConfigurationError(rule, came, "Choose another data set or family")
        channels = (input_shape[0], *(scaled(n, width) for n in CHANNELS))
        layers: list[tuple[str, nn.Module]] = []
        length = input_shape[1]
        for number, ((before, after), kernel) in enumerate(zip(pairwise(channels), (5, 3, 3)), start=1):
            layers += [(f"conv{number}", nn.Conv1d(before, after, kernel, stride=2, padding=1))]
            layers += [(f"conv{number}_{activation}", ACTIVATIONS[activation]())]
            length = (length + 2 - kernel) // 2 + 1
        head = linear_layers((channels[-1] * length, n_classes), activation)
        super().__init__(OrderedDict([*layers, ("flatten", nn.Flatten()), *head]))
