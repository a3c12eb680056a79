"""Autoencoders: networks that learn to reconstruct their input, through a narrow middle.

They have one output for each number of the input, in a row, before the sigmoid that the loss takes of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

from torch import nn

from axonometry.errors import ConfigurationError
from axonometry.populations.cifar_networks import Shape
from axonometry.populations.layers import ACTIVATIONS, linear_layers

_FACTOR = 3
"""By how much each layer of the official code's encoder is narrower than the one before."""


def encoder_widths(n: int, layers: int, units: int | None = None) -> tuple[int, ...]:
    """Units of the encoder's layers: max(2, int(n / 3^k)), k = 1..layers (definitions 1.2, official code of paper 1).

    Args:
        n: Numbers in one input.
        layers: Layers of the encoder.
        units: Units of its first layer, from which the others go down by three, where not a third of the input's.

    >>> encoder_widths(784, 3), encoder_widths(784, 2, 32)
    ((261, 87, 29), (32, 10))
    """
    first, start = (n, 1) if units is None else (units, 0)
    return tuple(max(2, int(first / _FACTOR**k)) for k in range(start, start + layers))


class DenseAutoencoder(nn.Sequential):
    """The official code's autoencoder: D-D/3-D/9-D/27-D/9-D/3-D where nothing else is said; layers ``fc1``, ``fc2``...

    Args:
        input_shape: Shape of one input; it is flattened.
        layers: Layers of the encoder, and as many of the decoder.
        units: As for :func:`encoder_widths`.
        activation: A name in ``layers.ACTIVATIONS``; the official code has sigmoids.

    >>> [m.out_features for m in DenseAutoencoder((1, 28, 28)) if isinstance(m, nn.Linear)]
    [261, 87, 29, 87, 261, 784]
    """

    def __init__(
        self, input_shape: Shape, *, layers: int = 3, units: int | None = None, activation: str = "relu"
    ) -> None:
        n = prod(input_shape)
        down = encoder_widths(n, layers, units)
        widths: Sequence[int] = (n, *down, *down[-2::-1], n)
        super().__init__(OrderedDict([("flatten", nn.Flatten()), *linear_layers(widths, activation)]))


class ConvolutionalAutoencoder(nn.Sequential):
    """Convolutions of 3x3 that halve the image, each with twice the channels, and transposed ones of 4x4 back.

    The sizes are our choice: the papers' networks are dense.

    The layers are called ``conv1``... and ``up1``...

    Args:
        input_shape: (C, H, W), the last two multiples of 2^layers.
        layers: Convolutions, and as many transposed ones.
        units: Channels of the first convolution.
        activation: A name in ``layers.ACTIVATIONS``.

    Raises:
        ConfigurationError: The image cannot be halved that often.
    """

    def __init__(self, input_shape: Shape, *, layers: int = 2, units: int = 8, activation: str = "relu") -> None:
        if len(input_shape) != 3 or any(side % 2**layers for side in input_shape[1:]):
            rule = f"{layers} convolutions that halve an image need sides that {2**layers} divides"
            raise ConfigurationError(rule, f"inputs of shape {input_shape}", "Choose fewer `layers`")
        channels = (input_shape[0], *(units * 2**k for k in range(layers)))
        blocks: list[tuple[str, nn.Module]] = []
        for k in range(1, layers + 1):
            blocks += [(f"conv{k}", nn.Conv2d(channels[k - 1], channels[k], 3, stride=2, padding=1))]
            blocks += [(f"conv{k}_{activation}", ACTIVATIONS[activation]())]
        for number, k in enumerate(range(layers, 0, -1), start=1):
            up = nn.ConvTranspose2d(channels[k], channels[k - 1], 4, stride=2, padding=1)
            blocks += [(f"up{number}", up)]
            blocks += [(f"up{number}_{activation}", ACTIVATIONS[activation]())] if k > 1 else []
        super().__init__(OrderedDict([*blocks, ("flatten", nn.Flatten())]))
