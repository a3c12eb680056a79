"""Networks that read an input as a sequence: recurrent ones, and small transformers.

An image is read row by row: a sequence of H rows, each of C·W numbers. A signal is read in frames of four moments.
Tokens are looked up in an embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.errors import ConfigurationError
from axonometry.populations.cifar_networks import Shape
from axonometry.populations.layers import ACTIVATIONS

CELLS: Mapping[str, Callable[..., nn.Module]] = {
    "tanh": nn.RNN,
    "relu": lambda *sizes, **choices: nn.RNN(*sizes, nonlinearity="relu", **choices),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}
"""Recurrent layers by the name that configurations use: Elman's with tanh or ReLU, and the two with gates."""

HEADS = 4
"""Heads of every self-attention."""
FRAME = 4
"""Moments of a signal that are read at a time [our choice]: 40 moments are ten steps."""


class Rows(nn.Module):
    """An image of shape (N, C, H, W) as a sequence of its rows, of shape (N, H, C·W)."""

    def forward(self, images: Tensor) -> Tensor:
        """The rows from top to bottom."""
        return images.transpose(1, 2).flatten(2)


class Frames(nn.Module):
    """A signal of shape (N, C, T) as a sequence of its frames, of shape (N, T / FRAME, C·FRAME).

    >>> Frames()(torch.arange(8.0).reshape(1, 1, 8)).tolist()
    [[[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]]
    """

    def forward(self, signals: Tensor) -> Tensor:
        """The frames from the first to the last."""
        return signals.unflatten(2, (-1, FRAME)).transpose(1, 2).flatten(2)


class Recurrent(nn.Module):
    """Recurrent layers over a sequence, and a linear layer ``head`` on what the last of them says at the end.

    The parts are ``read`` (an embedding, for tokens), ``cell`` and ``head``.

    Args:
        input_shape: (C, H, W) of images, (C, T) of signals, (T,) of tokens.
        units: Units of every recurrent layer.
        n_classes: Number of logits.
        layers: Recurrent layers, one on the other.
        cell: A name in :data:`CELLS`.
        n_tokens: Size of the vocabulary; None for images.

    >>> Recurrent((1, 28, 28), 64)(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        input_shape: Shape,
        units: int,
        n_classes: int = 10,
        *,
        layers: int = 1,
        cell: str = "tanh",
        n_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self.read, width = _reader(input_shape, units, n_tokens)
        self.cell = CELLS[cell](width, units, num_layers=layers, batch_first=True)
        self.head = nn.Linear(units, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (N, n_classes)."""
        states, _ = self.cell(self.read(x))
        logits: Tensor = self.head(states[:, -1])
        return logits


class Attention(nn.Module):
    """A small transformer: tokens or rows, blocks of self-attention and two linear layers, the mean over the sequence.

    Norms stand in front of what they feed (pre-norm), as in today's transformers; every place of the sequence attends
    to all of it. Places are told apart by a vector each, which is learned and 0 at first.

    The parts are ``read`` (an embedding, or a linear layer on rows), ``places``, ``blocks``, ``norm`` and ``head``.

    Args:
        input_shape: (C, H, W) of images, (C, T) of signals, (T,) of tokens.
        units: Width of the stream between the blocks, a multiple of :data:`HEADS`.
        n_classes: Number of logits.
        layers: Blocks.
        activation: Of the hidden layer in each block, a name in ``layers.ACTIVATIONS``.
        n_tokens: Size of the vocabulary; None for images.

    Raises:
        ConfigurationError: The heads cannot share the units evenly.
    """

    def __init__(
        self,
        input_shape: Shape,
        units: int,
        n_classes: int = 10,
        *,
        layers: int = 2,
        activation: str = "relu",
        n_tokens: int | None = None,
    ) -> None:
        if units % HEADS:
            raise ConfigurationError(f"`units` of attention is a multiple of its {HEADS} heads", str(units))
        super().__init__()
        read, width = _reader(input_shape, units, n_tokens)
        self.read = read if n_tokens else nn.Sequential(read, nn.Linear(width, units))
        self.places = nn.Parameter(torch.zeros(_steps(input_shape, n_tokens), units))
        self.blocks = nn.Sequential(*(TransformerBlock(units, activation) for _ in range(layers)))
        self.norm = nn.LayerNorm(units)
        self.head = nn.Linear(units, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (N, n_classes)."""
        stream = self.blocks(self.read(x) + self.places)
        logits: Tensor = self.head(self.norm(stream).mean(1))
        return logits


class TransformerBlock(nn.Module):
    """One block of a transformer: self-attention, then a hidden layer four times as wide, each added to the stream."""

    def __init__(self, units: int, activation: str) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(units), nn.LayerNorm(units)
        self.query, self.key, self.value, self.out = (nn.Linear(units, units) for _ in range(4))
        self.up, self.down = nn.Linear(units, 4 * units), nn.Linear(4 * units, units)
        self.act = ACTIVATIONS[activation]()

    def forward(self, stream: Tensor) -> Tensor:
        """The stream of shape (N, T, units) with what the block adds to it."""
        x = self.norm1(stream)
        query, key, value = (_heads(part(x)) for part in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(query, key, value)
        stream = stream + self.out(mixed.transpose(1, 2).flatten(2))
        added: Tensor = self.down(self.act(self.up(self.norm2(stream))))
        return stream + added


def _steps(input_shape: Shape, n_tokens: int | None) -> int:
    """How long the sequence is."""
    if n_tokens:
        return input_shape[0]
    return input_shape[1] // FRAME if len(input_shape) == 2 else input_shape[1]


def _heads(x: Tensor) -> Tensor:
    """(N, T, units) as (N, HEADS, T, units / HEADS)."""
    return x.unflatten(2, (HEADS, -1)).transpose(1, 2)


def _reader(input_shape: Shape, units: int, n_tokens: int | None) -> tuple[Any, int]:
    """What makes a sequence of vectors of an input, and how long the vectors are."""
    if n_tokens:
        return nn.Embedding(n_tokens, units), units
    if len(input_shape) == 2 and input_shape[1] % FRAME == 0:
        return Frames(), input_shape[0] * FRAME
    if len(input_shape) != 3:
        rule = f"a sequence is read from the rows of images, or from tokens, or from signals in frames of {FRAME}"
        raise ConfigurationError(rule, f"inputs of shape {input_shape}", "Give the data set its number of tokens")
    return Rows(), input_shape[0] * input_shape[2]
