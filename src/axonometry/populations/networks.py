"""Reference networks: paper 1's fully connected and convolutional networks, and one with skips."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from axonometry.errors import ConfigurationError
from axonometry.populations.cifar_networks import Shape
from axonometry.populations.layers import ACTIVATIONS, Normalisation, linear_layers, require_size

LAST_HIDDEN = 200
"""Units of the last hidden layer of all of paper 1's networks."""


class FullyConnected(nn.Sequential):
    """Linear layers with an activation between them; paper 1's are D-h-h-200-10, logits at the end (definitions 1.2).

    The layers are called ``fc1``, ``fc2``...

    Args:
        input_shape: Shape of one input; it is flattened.
        widths: Units of each hidden layer.
        n_classes: Number of logits.
        activation: A name in ``layers.ACTIVATIONS``; ReLU in the paper.
        dropout: Probability to drop a hidden unit while training.
        normalisation: What stands in front of each activation, such as ``nn.BatchNorm1d``; nothing where None.

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
        normalisation: Normalisation | None = None,
    ) -> None:
        head = linear_layers((prod(input_shape), *widths, n_classes), activation, dropout, normalisation)
        super().__init__(OrderedDict([("flatten", nn.Flatten()), *head]))


class ResidualMLP(nn.Module):
    """Linear layers of one width with skips around them: h¹ = f(N(W¹ x)), then h^l = h^(l-1) + f(N(W^l h^(l-1))).

    f is the activation and N the normalisation, if any. A network of n widths has n hidden layers, as
    :class:`FullyConnected` has. The layers are called ``fc1``, ``fc2``...

    Args:
        input_shape: Shape of one input; it is flattened.
        widths: Units of each hidden layer, all of them equal.
        n_classes: Number of logits.
        activation: A name in ``layers.ACTIVATIONS``.
        dropout: Probability to drop a unit of what a layer adds, while training.
        normalisation: What stands in front of each activation; nothing where None.

    Raises:
        ConfigurationError: Widths differ, or there is none.

    >>> network = ResidualMLP((1, 8, 8), (16, 16, 16))
    >>> [tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]
    [(16, 64), (16, 16), (16, 16), (10, 16)]
    """

    def __init__(
        self,
        input_shape: Shape,
        widths: Sequence[int],
        n_classes: int = 10,
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        normalisation: Normalisation | None = None,
    ) -> None:
        if len(set(widths)) != 1:
            rule = "a network with skips has hidden layers of one width"
            raise ConfigurationError(rule, str(list(widths)), "Give every layer the same")
        super().__init__()
        layers = linear_layers((prod(input_shape), *widths, n_classes), activation, dropout, normalisation)
        self.flatten, self.hidden = nn.Flatten(), len(widths)
        for name, layer in layers:
            self.add_module(name, layer)
        # Which modules make up each hidden layer, by name: `fc2`, `fc2_norm`, `fc2_relu`.
        names = [name for name, _ in layers]
        self._parts = [
            [name for name in names if name.split("_")[0] == f"fc{number}"] for number in range(1, self.hidden + 2)
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, shape (N, n_classes)."""
        x = self._through(0, self.flatten(x))
        for number in range(1, self.hidden):
            x = x + self._through(number, x)
        return self._through(self.hidden, x)

    def _through(self, number: int, x: Tensor) -> Tensor:
        for name in self._parts[number]:
            x = self.get_submodule(name)(x)
        return x


class Convolutional(nn.Sequential):
    """Paper 1's convolutional networks: convolutions of 3x3 without padding or pooling, then 200-10 (definitions 1.2).

    The layers are called ``conv1``..., ``fc1``, ``fc2``.

    Args:
        input_shape: (C, H, W).
        channels: Channels of every convolution.
        layers: Number of convolutions.
        n_classes: Number of logits.
        hidden: Units of the hidden linear layers behind the convolutions.
        activation: A name in ``layers.ACTIVATIONS``; ReLU in the paper.
        dropout: Probability to drop one of the hidden units of linear layers while training.

    Raises:
        ConfigurationError: The input is too small for that many convolutions.

    >>> import torch
    >>> Convolutional((1, 8, 8), 4, 2, 10)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(  # noqa: PLR0913 - what is chosen of the network
        self,
        input_shape: Shape,
        channels: int,
        layers: int = 2,
        n_classes: int = 10,
        *,
        hidden: Sequence[int] = (LAST_HIDDEN,),
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        require_size(f"{layers} convolutions of 3x3 without padding need", 2 * layers + 1, input_shape)
        height, width = (size - 2 * layers for size in input_shape[1:])
        blocks: list[tuple[str, nn.Module]] = []
        for number, before in enumerate([input_shape[0]] + [channels] * (layers - 1), start=1):
            blocks += [(f"conv{number}", nn.Conv2d(before, channels, 3))]
            blocks += [(f"conv{number}_{activation}", ACTIVATIONS[activation]())]
        head = linear_layers((channels * height * width, *hidden, n_classes), activation, dropout)
        super().__init__(OrderedDict([*blocks, ("flatten", nn.Flatten()), *head]))
