"""Networks with known symmetries, by name: each with an example of two samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, Tensor]
NETWORKS: dict[str, Callable[[], Made]] = {}


def network(make: Callable[[], Made]) -> Callable[[], Made]:
    NETWORKS[make.__name__] = make
    return make


def images(channels: int = 3, size: int = 6) -> Tensor:
    return torch.randn(2, channels, size, size)


class Function(nn.Module):
    """A forward function over named layers."""

    def __init__(self, forward: Callable[[Any, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


@network
def dense() -> Made:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), torch.randn(2, 3)


@network
def flattened() -> Made:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = F.relu(m.b(F.relu(m.n(m.a(x)))))
        return m.d(F.relu(m.c(F.max_pool2d(h, 2).flatten(1))))

    layers = {"a": nn.Conv2d(1, 4, 3), "n": nn.BatchNorm2d(4), "b": nn.Conv2d(4, 6, 3)}
    return Function(forward, **layers, c=nn.Linear(96, 7), d=nn.Linear(7, 3)), images(1, 12)


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.c2, self.n2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = shortcut if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.n2(self.c2(F.relu(self.n1(self.c1(x))))) + self.shortcut(x))


@network
def residual() -> Made:
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    return nn.Sequential(nn.Conv2d(3, 4, 3), Block(4, 4, 1), Block(4, 6, 2), *head), images()


@network
def padded_shortcut() -> Made:
    """Two channels of zeros on either side of the shortcut's six: these stay, the six move with those they meet."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = F.relu(m.a(x))
        h = F.relu(m.b(h) + F.pad(h[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)))
        return m.o(F.relu(m.c(h) + h))

    layers = {"a": nn.Conv2d(3, 6, 3, padding=1), "b": nn.Conv2d(6, 10, 3, 2, 1), "c": nn.Conv2d(10, 10, 3, padding=1)}
    return Function(forward, **layers, o=nn.Conv2d(10, 2, 1)), images(size=8)


@network
def depthwise() -> Made:
    first = (nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, groups=6), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.ReLU())
    return nn.Sequential(*first, nn.Conv2d(4, 8, 3, groups=4), nn.ReLU(), nn.Conv2d(8, 2, 1)), images()


@network
def grouped() -> Made:
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, groups=4), nn.Conv2d(12, 2, 1)), images()


@network
def shuffled() -> Made:
    first = (nn.Conv2d(3, 8, 1), nn.ReLU(), nn.ChannelShuffle(2), nn.Conv2d(8, 8, 3, groups=4), nn.ReLU())
    return nn.Sequential(*first, nn.ChannelShuffle(4), nn.Conv2d(8, 2, 1)), images()


@network
def group_norms() -> Made:
    first = (nn.Conv2d(3, 8, 1), nn.GroupNorm(4, 8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.GroupNorm(6, 6))
    return nn.Sequential(*first, nn.Conv2d(6, 6, 1), nn.GroupNorm(1, 6), nn.Conv2d(6, 2, 1)), images()


@network
def divided_differently() -> Made:
    """Two groups of a normalisation, four of a convolution over the same channels: neither can move."""
    first = (nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8), nn.ReLU())
    return nn.Sequential(*first, nn.Conv2d(8, 8, 3, groups=4), nn.ReLU(), nn.Conv2d(8, 2, 1)), images()


@network
def transposed() -> Made:
    first = (nn.Conv2d(3, 8, 1), nn.ReLU(), nn.ConvTranspose2d(8, 6, 3), nn.ReLU())
    return nn.Sequential(*first, nn.ConvTranspose2d(6, 6, 3, groups=6), nn.Conv2d(6, 2, 1)), images()


@network
def pixels_from_channels() -> Made:
    first = (nn.Conv2d(3, 8, 1), nn.ReLU(), nn.PixelShuffle(2), nn.ReLU())
    return nn.Sequential(*first, nn.Conv2d(2, 5, 3), nn.PReLU(5), nn.Conv2d(5, 2, 1)), images()


@network
def gated() -> Made:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = F.relu(m.c(x))
        gate = torch.sigmoid(m.g(F.relu(m.f(h.mean((2, 3))))))
        return m.o(h * gate[:, :, None, None])

    layers = {"c": nn.Conv2d(3, 6, 3), "f": nn.Linear(6, 3), "g": nn.Linear(3, 6), "o": nn.Conv2d(6, 2, 1)}
    return Function(forward, **layers), images()


@network
def concatenated() -> Made:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = torch.cat([x, F.relu(m.a(x))], 1)
        return m.o(m.n(torch.cat([h, F.relu(m.b(h))], 1)))

    layers = {"a": nn.Conv2d(3, 4, 3, padding=1), "b": nn.Conv2d(7, 4, 3, padding=1), "n": nn.BatchNorm2d(11)}
    return Function(forward, **layers, o=nn.Conv2d(11, 2, 1)), images()


@network
def weight_norm() -> Made:
    first = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 6, 3))
    return nn.Sequential(first, nn.ReLU(), nn.Conv2d(6, 2, 1)), images()


@network
def layer_norm_of_images() -> Made:
    first = (nn.Conv2d(3, 6, 3), nn.LayerNorm([6, 4, 4]), nn.ReLU())
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(96, 2)), images()


def recurrent(kind: type[nn.Module], **options: Any) -> Made:
    width = (options.get("proj_size") or 6) * (2 if options.get("bidirectional") else 1)
    layers = {"r": kind(4, 6, batch_first=True, **options), "o": nn.Linear(width, 2)}
    return Function(lambda m, x: m.o(m.r(x)[0]), **layers), torch.randn(2, 5, 4)


for _kind in (nn.LSTM, nn.GRU, nn.RNN):
    NETWORKS[_kind.__name__] = partial(recurrent, _kind)
NETWORKS["LSTM, projected"] = lambda: recurrent(nn.LSTM, proj_size=3)
NETWORKS["LSTM, both ways"] = lambda: recurrent(nn.LSTM, bidirectional=True, num_layers=2)
NETWORKS["GRU, two layers"] = lambda: recurrent(nn.GRU, num_layers=2)


def cells(kind: type[nn.Module]) -> Made:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = c = torch.zeros(x.shape[0], 6, dtype=x.dtype)
        for t in range(3):
            if isinstance(m.c, nn.LSTMCell):
                h, c = m.c(x[:, t], (h, c))
            else:
                h = m.c(x[:, t], h)
        return m.o(h)

    return Function(forward, c=kind(4, 6), o=nn.Linear(6, 2)), torch.randn(2, 3, 4)


for _cell in (nn.LSTMCell, nn.GRUCell, nn.RNNCell):
    NETWORKS[_cell.__name__] = partial(cells, _cell)


@network
def encoder() -> Made:
    layer = nn.TransformerEncoderLayer(8, 4, 16, batch_first=True, norm_first=True)
    layers = {"i": nn.Linear(5, 8), "e": nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)}
    return Function(lambda m, x: m.o(m.e(m.i(x)).mean(1)), **layers, o=nn.Linear(8, 3)), torch.randn(2, 5, 5)


@network
def grouped_queries() -> Made:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.i(x)
        heads = [layer(h).unflatten(-1, (-1, 3)).transpose(1, 2) for layer in (m.q, m.k, m.v)]
        q, k, v = heads[0], *(one.repeat_interleave(2, 1) for one in heads[1:])
        mixed = (q @ k.transpose(-1, -2) / 3**0.5).softmax(-1) @ v
        return m.o(F.gelu(m.p(mixed.transpose(1, 2).flatten(2))) + h)

    layers = {"i": nn.Linear(5, 12), "q": nn.Linear(12, 12), "k": nn.Linear(12, 6), "v": nn.Linear(12, 6)}
    return Function(forward, **layers, p=nn.Linear(12, 12), o=nn.Linear(12, 3)), torch.randn(2, 5, 5)


class Patches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c, self.o = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 3)
        self.places = nn.Parameter(torch.randn(1, 4, 8))
        self.e = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.e(self.c(x).flatten(2).transpose(1, 2) + self.places)[:, 0])


@network
def patches() -> Made:
    return Patches(), images(3, 8)
