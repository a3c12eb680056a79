"""More networks with known symmetries: attention of all kinds, gates, weights that are used twice or turned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.program.symmetry.networks import Function, Made, images, network


@network
def grouped_transposed() -> Made:
    """Outputs of a group keep their order, inputs do not: the mirror image of a grouped convolution."""
    first = (nn.Conv2d(3, 8, 1), nn.ReLU(), nn.ConvTranspose2d(8, 12, 3, groups=4), nn.ReLU())
    return nn.Sequential(*first, nn.Conv2d(12, 2, 1)), images()


@network
def depthwise_transposed() -> Made:
    first = (nn.Conv2d(3, 6, 1), nn.ReLU(), nn.ConvTranspose2d(6, 12, 3, groups=6), nn.ReLU())
    return nn.Sequential(*first, nn.Conv2d(12, 2, 1)), images()


@network
def volumes() -> Made:
    first = (nn.Conv3d(2, 4, 2), nn.BatchNorm3d(4), nn.LeakyReLU(0.1), nn.MaxPool3d(2), nn.Flatten())
    return nn.Sequential(*first, nn.Linear(32, 5), nn.ReLU(), nn.Linear(5, 2)), torch.randn(2, 2, 5, 5, 5)


@network
def signals() -> Made:
    first = (nn.Conv1d(2, 6, 3), nn.ReLU(), nn.Conv1d(6, 6, 3, groups=3), nn.InstanceNorm1d(6, affine=True))
    return nn.Sequential(*first, nn.ReLU(), nn.Conv1d(6, 2, 1)), torch.randn(2, 2, 10)


@network
def upsampled() -> Made:
    def forward(m: Any, x: Tensor) -> Tensor:
        a = F.relu(m.a(x))
        b = F.relu(m.b(F.max_pool2d(a, 2)))
        return m.o(F.relu(m.c(torch.cat([a, F.interpolate(b, scale_factor=2)], 1))))

    layers = {"a": nn.Conv2d(3, 4, 3, padding=1), "b": nn.Conv2d(4, 6, 3, padding=1)}
    return Function(forward, **layers, c=nn.Conv2d(10, 5, 3, padding=1), o=nn.Conv2d(5, 2, 1)), images()


def heads(layer: nn.Module, x: Tensor, size: int) -> Tensor:
    return layer(x).unflatten(-1, (-1, size)).transpose(1, 2)  # type: ignore[no-any-return]


def rotated(x: Tensor) -> Tensor:
    """Rotary embeddings: pairs of coordinates turned by the place, each pair at a frequency of its own."""
    half = x.shape[-1] // 2
    angle = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * torch.logspace(0, -1, half, dtype=x.dtype)
    cos, sin = angle.cos().repeat(1, 2), angle.sin().repeat(1, 2)
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def attention(queries: int, keys: int, size: int, change: Any = lambda m, q, k: (q, k), **layers: nn.Module) -> Made:
    def forward(m: Any, x: Tensor) -> Tensor:
        q, k, v = heads(m.q, x, size), heads(m.k, x, size), heads(m.v, x, size)
        q, k = change(m, q, k)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=queries != keys)
        return m.o(m.p(mixed.transpose(1, 2).flatten(2)))

    inner = {"q": nn.Linear(6, queries * size), "k": nn.Linear(6, keys * size), "v": nn.Linear(6, keys * size)}
    return Function(forward, **inner, p=nn.Linear(queries * size, 8), o=nn.Linear(8, 2), **layers), torch.randn(2, 5, 6)


@network
def grouped_attention() -> Made:
    return attention(4, 2, 3)


@network
def one_key() -> Made:
    return attention(4, 1, 3)


@network
def rotary() -> Made:
    return attention(2, 2, 4, lambda _, q, k: (rotated(q), rotated(k)))


@network
def grouped_rotary() -> Made:
    return attention(4, 2, 4, lambda _, q, k: (rotated(q), rotated(k)))


@network
def normed_queries() -> Made:
    """One gain a coordinate, the same in all heads, which so cannot be told apart by an order of their own."""
    return attention(2, 2, 4, lambda m, q, k: (m.nq(q), m.nk(k)), nq=nn.RMSNorm(4), nk=nn.LayerNorm(4))


class Crossed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.i, self.j, self.o = nn.Linear(3, 8), nn.Linear(3, 6), nn.Linear(8, 2)
        self.a = nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        keys = self.j(x)
        return self.o(self.a(self.i(x), keys, keys, need_weights=False)[0])  # type: ignore[no-any-return]


@network
def crossed() -> Made:
    return Crossed(), torch.randn(2, 5, 3)


class TiedLanguageModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(9, 8), nn.Embedding(5, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, norm_first=True)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 9, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.layer(self.words(x) + self.places(torch.arange(5)))))  # type: ignore[no-any-return]


@network
def tied_language_model() -> Made:
    return TiedLanguageModel(), torch.randint(0, 9, (2, 5))


@network
def gated_units() -> Made:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.i(x)
        return m.o(F.glu(m.e(h + m.d(F.silu(m.g(h)) * m.u(h)))))

    layers = {"i": nn.Linear(3, 6), "g": nn.Linear(6, 7), "u": nn.Linear(6, 7), "d": nn.Linear(7, 6)}
    return Function(forward, **layers, e=nn.Linear(6, 8), o=nn.Linear(4, 2)), torch.randn(2, 3)


@network
def largest_of_three() -> Made:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.o(m.a(x).unflatten(1, (4, 3)).amax(-1))

    return Function(forward, a=nn.Linear(3, 12), o=nn.Linear(4, 2)), torch.randn(2, 3)


@network
def of_length_one() -> Made:
    return Function(lambda m, x: m.o(F.normalize(F.relu(m.a(x)))), a=nn.Linear(3, 5), o=nn.Linear(5, 2)), torch.randn(
        2, 3
    )


@network
def two_branches() -> Made:
    """Modules that are used twice, on two halves of the input."""

    def forward(m: Any, x: Tensor) -> Tensor:
        one, two = (F.relu(m.b(F.relu(m.a(half)))) for half in x.chunk(2, 1))
        return m.o((one - two).abs())

    return Function(forward, a=nn.Linear(3, 5), b=nn.Linear(5, 6), o=nn.Linear(6, 2)), torch.randn(2, 6)


@network
def by_a_transpose() -> Made:
    """Classes of five, seven and six; the matrix of the second pair is read by its transpose."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = torch.tanh(m.w(torch.relu(m.a(x))))
        return m.o(torch.relu(h @ m.v.weight))

    layers = {"a": nn.Linear(3, 5), "w": nn.Linear(5, 7), "v": nn.Linear(6, 7, bias=False)}
    return Function(forward, **layers, o=nn.Linear(6, 2)), torch.randn(2, 3)


@network
def plus_its_transpose() -> Made:
    """A matrix added to its own transpose: rows and columns trade places together."""

    def forward(m: Any, x: Tensor) -> Tensor:
        return m.o(F.linear(torch.relu(m.a(x)), m.w.weight + m.w.weight.t()))

    layers = {"a": nn.Linear(3, 5), "w": nn.Linear(5, 5, bias=False)}
    return Function(forward, **layers, o=nn.Linear(5, 2)), torch.randn(2, 3)
