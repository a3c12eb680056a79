"""Ordinary and odd uses of torch: one small network each, as somebody might write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.coverage.network import Example, Net, Network

Use = Callable[[], tuple[Any, ...]]
USES: dict[str, Use] = {}
EDGES = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])


def weight(*shape: int) -> nn.Parameter:
    """A parameter of random values."""
    return nn.Parameter(torch.randn(*shape) * 0.5)


def use(
    name: str, function: Callable[..., Any], *shape: int, inputs: tuple[Any, ...] | None = None, **parts: Any
) -> None:
    """Register a use: a function of the module and of one input of two samples, or of the inputs given."""

    def build() -> tuple[Any, ...]:
        return Net(function, **parts), *(inputs or (torch.randn(2, *shape),))

    USES[name] = build


def module(name: str, build: Callable[[], nn.Module], *inputs: Any) -> None:
    """Register a module by itself."""
    USES[name] = lambda: (build(), *inputs)


def uses() -> Iterator[Network]:
    """All of them."""
    for name, build in USES.items():
        yield Network("uses of torch", name, partial(_example, build))


def _example(build: Use) -> Example:
    made, *inputs = build()
    return Example(made, tuple(inputs))


def _assigned(s: Any, x: Tensor) -> Tensor:
    h = torch.zeros(len(x), 4)
    h[:, 1:3] = s.a(x)[:, 1:3]
    h[:, 0] += s.b(x)[:, 0]
    return s.o(h)


def _looped(s: Any, x: Tensor) -> Tensor:
    for _ in range(3):
        x = torch.tanh(s.a(x))
    return s.o(x)


def _cast(s: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        h = s.a(x)
    return s.o(h.float())


def two(n: int = 3, m: int = 4) -> dict[str, Any]:
    """Two linear layers, read again by a third."""
    return {"a": lambda: nn.Linear(n, m), "b": lambda: nn.Linear(n, m), "o": lambda: nn.Linear(m, 2)}


def images(channels: int = 4) -> dict[str, Any]:
    """A convolution and one that reads it."""
    return {"a": lambda: nn.Conv2d(3, channels, 3, padding=1), "o": lambda: nn.Conv2d(channels, 2, 1)}


# ------------------------------------------------------------------------------------------------------- arithmetic
use(
    "addcmul", lambda s, x: s.o(torch.addcmul(s.c, s.g, s.a(x))), 3, c=partial(weight, 4), g=partial(weight, 4), **two()
)
use(
    "addcdiv of signals",
    lambda s, x: s.o(torch.addcdiv(s.a(x), s.b(x), s.g)),
    3,
    g=lambda: nn.Parameter(torch.rand(4) + 1),
    **two(),
)
use("lerp by a number", lambda s, x: s.o(torch.lerp(s.a(x), s.b(x), 0.3)), 3, **two())
use("lerp by a gate", lambda s, x: s.o(torch.lerp(s.a(x), s.b(x), torch.sigmoid(s.a(x)))), 3, **two())
use("multiply and divide", lambda s, x: s.o(torch.multiply(s.a(x), torch.divide(s.b(x), 2))), 3, **two())
use("arccos", lambda s, x: s.o(torch.arccos(torch.tanh(s.a(x)))), 3, **two())
use("special functions", lambda s, x: s.o(torch.special.erfcx(s.a(x)) + torch.special.i0e(s.b(x))), 3, **two())
use("logaddexp", lambda s, x: s.o(torch.logaddexp(s.a(x), s.b(x))), 3, **two())
use("hypot", lambda s, x: s.o(torch.hypot(s.a(x), s.b(x))), 3, **two())
use("atan2", lambda s, x: s.o(torch.atan2(s.a(x), s.b(x))), 3, **two())
use("where of two branches", lambda s, x: s.o(torch.where(x[:, :1] > 0, s.a(x), s.b(x))), 3, **two())
use("where of a branch and zero", lambda s, x: s.o(torch.where(s.b(x) > 0, s.a(x), 0.0)), 3, **two())
use("masked_fill by a signal", lambda s, x: s.o(s.a(x).masked_fill(s.b(x) < 0, 0.0)), 3, **two())
use("clamp by a signal", lambda s, x: s.o(torch.minimum(s.a(x), s.b(x))), 3, **two())
use("prod", lambda s, x: s.o(torch.stack([s.a(x), s.b(x)], 0).prod(0)), 3, **two())
use("cumprod", lambda s, x: s.o(torch.sigmoid(s.a(x)).cumprod(-1)), 3, **two())
use("cumsum", lambda s, x: s.o(s.a(x).cumsum(-1)), 3, **two())
use("logcumsumexp", lambda s, x: s.o(s.a(x).logcumsumexp(-1)), 3, **two())
use("cummax", lambda s, x: s.o(s.a(x).cummax(-1)[0]), 3, **two())
use(
    "snake",
    lambda s, x: s.o(s.a(x) + torch.sin(s.g * s.a(x)) ** 2 / s.g),
    3,
    g=lambda: nn.Parameter(torch.rand(4) + 1),
    **two(),
)
use("learned polynomial", lambda s, x: s.o((h := s.a(x)) * s.g + h**2 * s.g), 3, g=partial(weight, 4), **two())
use("softmax temperature", lambda s, x: s.o(torch.softmax(s.a(x) / s.t.exp(), -1)), 3, t=partial(weight, 1), **two())
# ----------------------------------------------------------------------------------------------------------- places
use(
    "scatter_add",
    lambda s, x: s.o(torch.zeros_like(s.a(x)).scatter_add(1, EDGES[1][None, :4, None].expand(len(x), 4, 4), s.a(x))),
    4,
    3,
    **two(),
)
use(
    "scatter_reduce mean",
    lambda s, x: s.o(
        torch.zeros_like(s.a(x)).scatter_reduce(1, EDGES[1][None, :4, None].expand(len(x), 4, 4), s.a(x), "mean")
    ),
    4,
    3,
    **two(),
)
use(
    "scatter_reduce amax",
    lambda s, x: s.o(
        torch.zeros_like(s.a(x)).scatter_reduce(1, EDGES[1][None, :4, None].expand(len(x), 4, 4), s.a(x), "amax")
    ),
    4,
    3,
    **two(),
)
use(
    "graph convolution",
    lambda s, x: s.o(torch.relu(torch.zeros_like(s.b(x)).index_add(1, EDGES[1], s.a(x)[:, EDGES[0]]) + s.b(x))),
    4,
    3,
    **two(),
)


def _edge_attention(s: Any, x: Tensor) -> Tensor:
    values, scores = s.a(x)[:, EDGES[0]], s.b(x)[:, EDGES[0], :1].exp()
    total = torch.zeros(len(x), 4, 1).index_add(1, EDGES[1], scores)
    return s.o(torch.zeros(len(x), 4, 4).index_add(1, EDGES[1], values * scores / (total[:, EDGES[1]] + 1e-6)))


use("graph attention", _edge_attention, 4, 3, **two())
use(
    "degree-normalised adjacency",
    lambda s, x: s.o(torch.relu(s.adj @ s.a(x))),
    4,
    3,
    adj=lambda: torch.rand(4, 4),
    **two(),
)
use(
    "index_put",
    lambda s, x: s.o(s.a(x).index_put((torch.arange(len(x))[:, None], torch.tensor([[0, 2]])), s.b(x)[:, :2])),
    3,
    **two(),
)
use("assignment to a slice", _assigned, 3, **two())
use("index_select", lambda s, x: s.o(s.a(x).index_select(1, torch.tensor([3, 1, 0, 2]))), 3, **two())
use(
    "gather by constants",
    lambda s, x: s.o(s.a(x).gather(1, torch.tensor([[3, 1, 0, 2]]).expand(len(x), 4))),
    3,
    **two(),
)
use("topk values", lambda s, x: s.o(s.a(x).topk(4)[0]), 3, a=lambda: nn.Linear(3, 6), o=lambda: nn.Linear(4, 2))
use("sort", lambda s, x: s.o(s.a(x).sort(-1)[0]), 3, **two())
use("k winners", lambda s, x: s.o(s.a(x) * (s.a(x) >= s.a(x).topk(2)[0][:, -1:])), 3, **two())
use(
    "median",
    lambda s, x: s.o(s.a(x).unflatten(-1, (2, 4)).median(1)[0]),
    3,
    a=lambda: nn.Linear(3, 8),
    o=lambda: nn.Linear(4, 2),
)
use("argmax one-hot", lambda s, x: s.o(s.a(x) * F.one_hot(s.b(x).argmax(-1), 4)), 3, **two())
use(
    "bucketize",
    lambda s, x: s.o(s.a(x) + s.e(torch.bucketize(x[:, 0], torch.tensor([-1.0, 0.0, 1.0])))),
    3,
    e=lambda: nn.Embedding(4, 4),
    **two(),
)


# ---------------------------------------------------------------------------------------------------------- experts
def _dense_experts(s: Any, x: Tensor) -> Tensor:
    best, places = torch.softmax(s.r(x), -1).topk(2)
    gates = torch.zeros_like(s.r(x)).scatter(1, places, best / best.sum(-1, keepdim=True))
    return s.o((torch.stack([e(x) for e in s.e], 1) * gates[..., None]).sum(1))


def _picked_experts(s: Any, x: Tensor) -> Tensor:
    best, places = s.r(x).topk(2)
    made = torch.stack([e(x) for e in s.e], 1).gather(1, places[..., None].expand(-1, -1, 4))
    return s.o((made * torch.softmax(best, -1)[..., None]).sum(1))


def _switch(s: Any, x: Tensor) -> Tensor:
    best = s.r(x).argmax(-1)
    return s.o(torch.einsum("boi,bi->bo", s.w[best], x))


MIXTURE: dict[str, Any] = {"r": lambda: nn.Linear(3, 4), "o": lambda: nn.Linear(4, 2)}
LAYERS: Any = lambda: nn.ModuleList(nn.Linear(3, 4) for _ in range(4))
use("experts, dense gates", _dense_experts, 3, e=LAYERS, **MIXTURE)
use("experts, picked", _picked_experts, 3, e=LAYERS, **MIXTURE)
use("experts, indexed weights", _switch, 3, w=partial(weight, 4, 4, 3), **MIXTURE)
use(
    "soft experts",
    lambda s, x: s.o((torch.stack([e(x) for e in s.e], 1) * s.r(x).softmax(-1)[..., None]).sum(1)),
    3,
    e=LAYERS,
    **MIXTURE,
)
# --------------------------------------------------------------------------------------------------------- Fourier
use("fft2 mixing", lambda s, x: s.o(torch.fft.fft2(s.a(x)).real), 5, 3, **two())
use(
    "rfft filter",
    lambda s, x: s.o(torch.fft.irfft(torch.fft.rfft(s.a(x), dim=1) * torch.view_as_complex(s.g), n=5, dim=1)),
    5,
    3,
    g=partial(weight, 3, 4, 2),
    **two(),
)
use(
    "spectral magnitude",
    lambda s, x: s.o(torch.fft.rfft(s.a(x)).abs()),
    3,
    a=lambda: nn.Linear(3, 6),
    o=lambda: nn.Linear(4, 2),
)
use(
    "stft",
    lambda s, x: s.o(torch.stft(x, 8, 4, window=torch.hann_window(8), return_complex=True).abs().transpose(1, 2)),
    32,
    o=lambda: nn.Linear(5, 2),
)
# ----------------------------------------------------------------------------------------- weights and normalisation
use("bilinear", lambda s, x: s.o(s.w(s.a(x), s.b(x))), 3, w=lambda: nn.Bilinear(4, 4, 4), **two())
use(
    "einsum of three",
    lambda s, x: torch.einsum("bi,kij,bj->bk", s.a(x), s.w, s.b(x)),
    3,
    w=partial(weight, 2, 4, 4),
    a=lambda: nn.Linear(3, 4),
    b=lambda: nn.Linear(3, 4),
)
use(
    "hypernetwork",
    lambda s, x: s.o(torch.bmm(s.a(x).view(-1, 4, 3), x[..., None])[..., 0]),
    3,
    a=lambda: nn.Linear(3, 12),
    o=lambda: nn.Linear(4, 2),
)
use(
    "dynamic convolution",
    lambda s, x: s.o(
        torch.vmap(lambda i, k: F.conv2d(i[None], k, padding=1)[0])(x, s.k(x.mean((2, 3))).view(-1, 4, 3, 3, 3))
    ),
    3,
    6,
    6,
    k=lambda: nn.Linear(3, 108),
    o=lambda: nn.Conv2d(4, 2, 1),
)
use(
    "elementwise weights",
    lambda s, x: s.o(torch.relu((x[..., None] * s.w).sum(-2))),
    3,
    w=partial(weight, 3, 4),
    o=lambda: nn.Linear(4, 2),
)
use(
    "weight standardisation",
    lambda s, x: s.o(torch.relu(F.linear(x, (s.w - s.w.mean(1, keepdim=True)) / s.w.std(1, keepdim=True)))),
    3,
    w=partial(weight, 4, 3),
    o=lambda: nn.Linear(4, 2),
)
use(
    "low rank adaptation",
    lambda s, x: s.o(s.a(x) + s.d(s.u(x)) * 0.5),
    3,
    u=lambda: nn.Linear(3, 1, bias=False),
    d=lambda: nn.Linear(1, 4, bias=False),
    **two(),
)
use(
    "weight norm",
    lambda s, x: s.o(torch.relu(s.a(x))),
    3,
    a=lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)),
    o=lambda: nn.Linear(4, 2),
)
use(
    "spectral norm",
    lambda s, x: s.o(torch.relu(s.a(x))),
    3,
    a=lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4)),
    o=lambda: nn.Linear(4, 2),
)
use(
    "group norm on a slice",
    lambda s, x: s.o(torch.relu(s.g(s.a(x)[:, :4]))),
    3,
    6,
    6,
    a=lambda: nn.Conv2d(3, 8, 1),
    g=lambda: nn.GroupNorm(2, 4),
    o=lambda: nn.Conv2d(4, 2, 1),
)
use("conditional layer norm", lambda s, x: s.o(F.layer_norm(s.a(x), (4,)) * (1 + s.b(x)) + s.b(x)), 3, **two())
use("local response norm", lambda s, x: s.o(F.local_response_norm(s.a(x), 3)), 3, 6, 6, **images())
use(
    "cosine similarity head",
    lambda s, x: F.linear(F.normalize(s.a(x)), F.normalize(s.w)) * 10,
    3,
    a=lambda: nn.Linear(3, 4),
    w=partial(weight, 5, 4),
)
# ------------------------------------------------------------------------------------------------- looking up, space
module(
    "embedding bag",
    lambda: nn.Sequential(nn.EmbeddingBag(10, 4, mode="mean"), nn.Linear(4, 2)),
    torch.randint(0, 10, (2, 5)),
)
module(
    "embedding bag, sum",
    lambda: nn.Sequential(nn.EmbeddingBag(10, 4, mode="sum"), nn.Linear(4, 2)),
    torch.randint(0, 10, (2, 5)),
)
use(
    "prototypes",
    lambda s, x: s.o(torch.exp(-torch.cdist(s.a(x)[:, None], s.p[None])[:, 0])),
    3,
    p=partial(weight, 5, 4),
    a=lambda: nn.Linear(3, 4),
    o=lambda: nn.Linear(5, 2),
)
use(
    "code book",
    lambda s, x: s.o(s.e(torch.cdist(s.a(x)[:, None], s.e.weight[None])[:, 0].argmin(-1))),
    3,
    e=lambda: nn.Embedding(5, 4),
    **two(),
)
use(
    "grid sample, fixed",
    lambda s, x: s.o(F.grid_sample(s.a(x), s.grid.expand(len(x), 4, 4, 2), align_corners=False)),
    3,
    6,
    6,
    grid=lambda: torch.rand(1, 4, 4, 2) * 2 - 1,
    **images(),
)
use(
    "spatial transformer",
    lambda s, x: s.o(
        F.grid_sample(
            x,
            F.affine_grid(s.l(x.flatten(1)).view(-1, 2, 3), [len(x), 3, 4, 4], align_corners=False),
            align_corners=False,
        )
    ),
    3,
    6,
    6,
    l=lambda: nn.Linear(108, 6),
    o=lambda: nn.Conv2d(3, 2, 1),
)
use(
    "max unpool",
    lambda s, x: s.o(F.max_unpool2d(*F.max_pool2d(s.a(x), 2, return_indices=True), 2)),
    3,
    6,
    6,
    **images(),
)
use(
    "pixel shuffle",
    lambda s, x: s.o(F.pixel_shuffle(s.a(x), 2)),
    3,
    6,
    6,
    a=lambda: nn.Conv2d(3, 16, 3),
    o=lambda: nn.Conv2d(4, 2, 1),
)
use(
    "unfold and fold", lambda s, x: s.o(F.fold(F.unfold(s.a(x), 2, stride=2), (6, 6), 2, stride=2)), 3, 6, 6, **images()
)
use("lp pool", lambda s, x: s.o(F.lp_pool2d(s.a(x), 2, 2)), 3, 6, 6, **images())
use("roll and flip", lambda s, x: s.o(torch.roll(s.a(x), 1, 2).flip(3)), 3, 6, 6, **images())
use("bicubic upsampling", lambda s, x: s.o(F.interpolate(s.a(x), scale_factor=2, mode="bicubic")), 3, 6, 6, **images())
# -------------------------------------------------------------------------------------------------------- attention


def _heads(s: Any, x: Tensor, of_keys: int) -> Tensor:
    q, k, v = (f(x).unflatten(-1, (-1, 2)).transpose(1, 2) for f in (s.q, s.k, s.v))
    return s.o(F.scaled_dot_product_attention(q, k, v, enable_gqa=of_keys > 1).transpose(1, 2).flatten(2))


def attention(of_keys: int) -> dict[str, Any]:
    """Four heads of queries, fewer of keys."""
    keys = {name: lambda: nn.Linear(3, 2 * of_keys) for name in ("k", "v")}
    return {"q": lambda: nn.Linear(3, 8), **keys, "o": lambda: nn.Linear(8, 2)}


use("multi-query attention", partial(_heads, of_keys=1), 5, 3, **attention(1))
use("grouped-query attention", partial(_heads, of_keys=2), 5, 3, **attention(2))
use("linear attention", lambda s, x: s.o(F.elu(s.a(x)) @ (F.elu(s.b(x)).mT @ s.a(x)) / 5), 5, 3, **two())
use(
    "attention pooling", lambda s, x: s.o((s.w(x).softmax(1) * s.a(x)).sum(1)), 5, 3, w=lambda: nn.Linear(3, 1), **two()
)
module(
    "MultiheadAttention, batch first",
    lambda: _Self(nn.MultiheadAttention(8, 2, batch_first=True)),
    torch.randn(2, 5, 8),
)
module(
    "TransformerEncoder",
    lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
    torch.randn(2, 5, 8),
)
module("LSTM", lambda: _First(nn.LSTM(3, 4, batch_first=True)), torch.randn(2, 5, 3))
module("GRU, both ways", lambda: _First(nn.GRU(3, 4, bidirectional=True, batch_first=True)), torch.randn(2, 5, 3))


class _Self(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


class _First(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)[0]


# ------------------------------------------------------------------------------------------------------- programming
use(
    "loss beside logits",
    lambda s, x, y: (F.mse_loss(h := s.o(torch.relu(s.a(x))), y), h),
    inputs=(torch.randn(2, 3), torch.randn(2, 2)),
    **two(),
)
use("a dictionary of outputs", lambda s, x: {"first": s.a(x), "second": [s.b(x), s.o(s.a(x))]}, 3, **two())
use("writing in place", lambda s, x: s.o(s.a(x).mul_(2).add_(s.b(x)).relu_()), 3, **two())
use("a fixed loop", _looped, 3, a=lambda: nn.Linear(3, 3), o=lambda: nn.Linear(3, 2))
use("torch.cond", lambda s, x: s.o(torch.cond(torch.tensor(True), s.a, s.b, (x,))), 3, **two())
use("vmap inside", lambda s, x: s.o(torch.vmap(s.a)(x)), 3, **two())
use("checkpoint", lambda s, x: s.o(torch.utils.checkpoint.checkpoint(s.a, x, use_reentrant=False)), 3, **two())
use("autocast inside", _cast, 3, **two())
use("half in the middle", lambda s, x: s.o(s.a(x).to(torch.bfloat16).float()), 3, **two())
use("detach", lambda s, x: s.o(s.a(x) + s.b(x).detach()), 3, **two())
use("dropout always on, p=0", lambda s, x: s.o(F.dropout(s.a(x), 0.0, training=True)), 3, **two())
use(
    "submodules named code and graph",
    lambda s, x: s.graph(torch.relu(s.code(x))),
    3,
    code=lambda: nn.Linear(3, 4),
    graph=lambda: nn.Linear(4, 2),
)
use(
    "tensordot",
    lambda s, x: s.o(torch.tensordot(x, s.w, dims=([1], [1]))),
    3,
    w=partial(weight, 4, 3),
    o=lambda: nn.Linear(4, 2),
)
use(
    "outer product",
    lambda s, x: s.o((s.a(x)[:, :, None] * s.b(x)[:, None, :]).flatten(1)),
    3,
    a=lambda: nn.Linear(3, 2),
    b=lambda: nn.Linear(3, 2),
    o=lambda: nn.Linear(4, 2),
)
use(
    "kronecker weight",
    lambda s, x: s.o(F.linear(x, torch.kron(s.u, s.v))),
    6,
    u=partial(weight, 2, 2),
    v=partial(weight, 2, 3),
    o=lambda: nn.Linear(4, 2),
)
use(
    "masked convolution",
    lambda s, x: s.o(F.conv2d(x, s.w * torch.ones(3, 3).tril(), padding=1)),
    3,
    6,
    6,
    w=partial(weight, 4, 3, 3, 3),
    o=lambda: nn.Conv2d(4, 2, 1),
)
