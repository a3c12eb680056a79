"""Toys of operations that others define, of order, of Fourier transforms and of what a signal chooses."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.testing import Block, Toy, WeightMap

from .oracles import Net, linear, number, register, toy, zeros
from .toys_products import gated
from .toys_wiring import wired

# ------------------------------------------------------------------------------------- defined by other operations


def scaled(name: str, forward: Callable[[nn.Module, Tensor], Tensor], factor: Callable[[nn.Module], Tensor]) -> None:
    """A linear map whose outputs are multiplied with a parameter, one each; what is added is a bias."""

    def build() -> Toy:
        gain, bias = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(3))
        net = Net(
            lambda n, x: n.out(torch.relu(forward(n, n.first(x)))),
            first=nn.Linear(2, 3),
            gain=gain,
            bias=bias,
            out=nn.Linear(3, 2),
        )
        blocks = {
            ("first", "input"): lambda x, f: linear(net.first)(x, f) * f(factor(net)),
            ("out", "first"): linear(net.out),
        }
        return Toy(name, net, zeros(2), {"input": (2,), "first": (3,), "out": (2,)}, blocks)

    register(name, build)


scaled("addcmul", lambda n, h: torch.addcmul(n.bias, n.gain, h), lambda n: n.gain)
scaled("addcmul_by_two", lambda n, h: torch.addcmul(n.bias, h, n.gain, value=2.0), lambda n: 2 * n.gain)
scaled("addcdiv", lambda n, h: torch.addcdiv(n.bias, h, n.gain, value=-1.0), lambda n: -1 / n.gain)
scaled("multiply", lambda n, h: torch.multiply(h, n.gain) + n.bias, lambda n: n.gain)
scaled("divide", lambda n, h: torch.divide(torch.subtract(h, n.bias), n.gain), lambda n: 1 / n.gain)

gated(
    "lerp_by_a_signal",
    lambda n, x: n.out(torch.lerp(n.left(x), n.right(x), torch.sigmoid(n.gate(x)))),
    layers="left right gate",
    sources="left right gate",
)
for name in (
    "arccos",
    "arcsin",
    "arctan",
    "arcsinh",
    "absolute",
    "positive",
    "fix",
    "special_expit",
    "special_erf",
    "special_i0",
    "digamma",
    "lgamma",
):
    operation = getattr(torch, name, None) or getattr(torch.special, name.removeprefix("special_"))
    gated(
        f"carrier_{name}",
        lambda n, x, operation=operation: n.out(operation(n.left(x))),
        layers="left",
        sources="left",
    )


@toy
def lerp_towards_a_constant() -> Toy:
    net = Net(
        lambda n, x: n.out(torch.lerp(torch.tanh(n.first(x)), n.goal, 0.25)),
        first=nn.Linear(2, 3),
        goal=nn.Parameter(torch.zeros(3)),
        out=nn.Linear(3, 2),
    )
    blocks = {
        ("first", "input"): linear(net.first),
        ("out", "first"): lambda x, f: linear(net.out)(x * f(number(0.75)), f),
    }
    return Toy("lerp_towards_a_constant", net, zeros(2), {"input": (2,), "first": (3,), "out": (2,)}, blocks)


@toy
def elementwise_weights() -> Toy:
    """A linear layer written as a product and a sum is one: its sums are neurons."""
    net = Net(
        lambda n, x: n.out(torch.relu((x[..., None] * n.weight).sum(-2))),
        weight=nn.Parameter(torch.zeros(3, 4)),
        out=nn.Linear(4, 2),
    )
    blocks = {("weight", "input"): lambda x, f: x @ f(net.weight), ("out", "weight"): linear(net.out)}
    return Toy("elementwise_weights", net, zeros(3), {"input": (3,), "weight": (4,), "out": (2,)}, blocks, named=False)


@toy
def bilinear_layer() -> Toy:
    """Of each term W[k, i, j] a[i] b[j], a[i] and b[j] have links to k with weight W[k, i, j]."""
    net = Net(
        lambda n, x: n.out(torch.relu(n.both(n.left(x), n.right(x)))),
        left=nn.Linear(2, 2),
        right=nn.Linear(2, 3),
        both=nn.Bilinear(2, 3, 2),
        out=nn.Linear(2, 1),
    )
    blocks = {
        ("left", "input"): linear(net.left),
        ("right", "input"): linear(net.right),
        ("both", "left"): lambda x, f: torch.einsum("bi,kij->bk", x, f(net.both.weight)),
        ("both", "right"): lambda x, f: torch.einsum("bj,kij->bk", x, f(net.both.weight)),
        ("out", "both"): linear(net.out),
    }
    groups = {"input": (2,), "left": (2,), "right": (3,), "both": (2,), "out": (1,)}
    return Toy("bilinear_layer", net, zeros(2), groups, blocks)


@toy
def bilinear_einsum() -> Toy:
    """The same written out."""
    net = Net(
        lambda n, x: torch.einsum("bi,kij,bj->bk", n.left(x), n.weight, n.right(x)),
        left=nn.Linear(2, 2),
        right=nn.Linear(2, 3),
        weight=nn.Parameter(torch.zeros(2, 2, 3)),
    )
    blocks = {
        ("left", "input"): linear(net.left),
        ("right", "input"): linear(net.right),
        ("weight", "left"): lambda x, f: torch.einsum("bi,kij->bk", x, f(net.weight)),
        ("weight", "right"): lambda x, f: torch.einsum("bj,kij->bk", x, f(net.weight)),
    }
    return Toy(
        "bilinear_einsum",
        net,
        zeros(2),
        {"input": (2,), "left": (2,), "right": (3,), "weight": (2,)},
        blocks,
        named=False,
    )


@toy
def computed_weight() -> Toy:
    """A weight that a layer computes: each term w[o, i] x[i] links both of its factors with weight 1."""
    net = Net(
        lambda n, x: n.out(torch.vmap(F.linear)(x, n.weights(x).reshape(-1, 2, 3))),
        weights=nn.Linear(3, 6),
        out=nn.Linear(2, 1),
    )
    blocks = {
        ("weights", "input"): linear(net.weights),
        ("out", "input"): lambda x, f: linear(net.out)(x.sum(1, keepdim=True).repeat(1, 2), f),
        ("out", "weights"): lambda x, f: linear(net.out)(x.reshape(-1, 2, 3).sum(2), f),
    }
    return Toy("computed_weight", net, zeros(3), {"input": (3,), "weights": (6,), "out": (1,)}, blocks)


# ------------------------------------------------------------------------------------------------------------ order


def mean(x: Tensor, f: WeightMap, count: int) -> Tensor:
    """So many copies of the mean along the last axis."""
    return (x.sum(-1, keepdim=True) * f(number(1 / x.shape[-1]))).repeat(*[1] * (x.dim() - 1), count)


def so_far(x: Tensor, f: WeightMap, share: Callable[[int], float]) -> Tensor:
    return torch.stack([x[..., : i + 1].sum(-1) * f(number(share(i + 1))) for i in range(x.shape[-1])], -1)


wired("topk", (2, 4), lambda x: x.topk(3)[0], lambda x, f: mean(x, f, 3))
wired("sort", (2, 4), lambda x: x.sort(descending=True)[0], lambda x, f: mean(x, f, 4))
wired("kthvalue", (2, 4), lambda x: x.kthvalue(2)[0], lambda x, f: mean(x, f, 1)[..., 0])
wired("median_of_an_axis", (2, 4), lambda x: x.median(-1)[0], lambda x, f: mean(x, f, 1)[..., 0])
wired("cummax", (2, 4), lambda x: x.cummax(-1)[0], lambda x, f: so_far(x, f, lambda n: 1 / n))
wired("logcumsumexp", (2, 4), lambda x: x.logcumsumexp(-1), lambda x, f: so_far(x, f, lambda n: 1 / n))
wired("cumprod", (2, 4), lambda x: x.cumprod(-1), lambda x, f: so_far(x, f, lambda n: 1.0))
wired("prod", (2, 4), lambda x: x.prod(-1), lambda x, f: x.sum(-1))
wired("largest_gathered", (2, 4), lambda x: x.gather(2, x.argmax(2, keepdim=True)), lambda x, f: mean(x, f, 1))
wired(
    "largest_indexed",
    (4,),
    lambda x: x.gather(1, x.argsort(1)[:, :2]),
    lambda x, f: mean(x, f, 2),
)
wired(
    "scattered_to_chosen_places",
    (4,),
    lambda x: torch.zeros_like(x).scatter(1, x.argmax(1, keepdim=True), x[:, :1]),
    lambda x, f: (x[:, :1] * f(number(0.25))).repeat(1, 4),
)
wired(
    "distances_to_points",
    (3, 2),
    lambda x: torch.cdist(x, torch.ones(1, 4, 2, dtype=x.dtype)),
    lambda x, f: mean(x, f, 4),
)
wired(
    "max_unpool",
    (1, 4, 4),
    lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2),
    lambda x, f: (
        F.avg_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3) * 4 * f(number(0.25)) * f(number(0.25))
    ),
)


@toy
def a_condition_chooses() -> Toy:
    """Each side of a condition on a third signal wins half of the time."""
    layers = {name: nn.Linear(3, 3) for name in ("gate", "left", "right")}
    net = Net(lambda n, x: n.out(torch.where(n.gate(x) > 0, n.left(x), n.right(x))), **layers, out=nn.Linear(3, 2))
    blocks: dict[tuple[str, str], Block] = {(name, "input"): linear(getattr(net, name)) for name in layers}
    for name in ("left", "right"):
        blocks["out", name] = lambda x, f: linear(net.out)(x * f(number(0.5)), f)
    groups = {"input": (3,), **dict.fromkeys(layers, (3,)), "out": (2,)}
    return Toy("a_condition_chooses", net, zeros(3), groups, blocks, outputs=("out",))


# --------------------------------------------------------------------------------------------------------- Fourier


def cosine(n: int, m: int) -> Tensor:
    """cos(2 pi jk / n) for the first m frequencies k and all places j."""
    return torch.tensor(
        [[exact(math.cos(2 * math.pi * j * k / n)) for j in range(n)] for k in range(m)], dtype=torch.float64
    )


def sine(n: int, m: int) -> Tensor:
    return torch.tensor(
        [[exact(math.sin(2 * math.pi * j * k / n)) for j in range(n)] for k in range(m)], dtype=torch.float64
    )


def exact(value: float) -> float:
    return 0.0 if abs(value) < 1e-9 else value


def kept(f: WeightMap, matrix: Tensor) -> Tensor:
    """A mapped matrix, in which a zero is no link."""
    return f(matrix) * (matrix != 0)


wired("fft_real", (5,), lambda x: torch.fft.fft(x).real, lambda x, f: x @ kept(f, cosine(5, 5)).T)
wired("fft_imaginary", (4,), lambda x: torch.fft.fft(x).imag, lambda x, f: x @ kept(f, -sine(4, 4)).T)
wired(
    "rfft_parts",
    (6,),
    lambda x: torch.view_as_real(torch.fft.rfft(x)),
    lambda x, f: torch.stack([x @ kept(f, cosine(6, 4)).T, x @ kept(f, -sine(6, 4)).T], -1),
)


@toy
def fft_of_two_axes() -> Toy:
    """FNet's mixing: each link is one cosine, of both axes' phases together."""
    phases = torch.tensor(
        [[a * c / 2 + b * d / 3 for a in range(2) for b in range(3)] for c in range(2) for d in range(3)],
        dtype=torch.float64,
    )
    matrix = torch.tensor(
        [[exact(math.cos(2 * math.pi * p)) for p in row] for row in phases.tolist()], dtype=torch.float64
    )
    net = Net(lambda n, x: n.out(torch.fft.fft2(x).real.flatten(1)), out=nn.Linear(6, 2))
    blocks = {("out", "input"): lambda x, f: linear(net.out)(x.flatten(1) @ kept(f, matrix).T, f)}
    return Toy("fft_of_two_axes", net, zeros(2, 3), {"input": (2, 3), "out": (2,)}, blocks)


@toy
def fourier_filter() -> Toy:
    """A gain for each frequency between a transform and its inverse: links of pairs of real numbers."""
    net = Net(
        lambda n, x: n.out(torch.fft.irfft(torch.fft.rfft(x) * n.gain, 4)),
        gain=nn.Parameter(torch.zeros(3)),
        out=nn.Linear(4, 2),
    )
    weight = torch.tensor([1.0, 2.0, 1.0]).double() / 4

    def filtered(x: Tensor, f: WeightMap) -> Tensor:
        real, imaginary = x @ kept(f, cosine(4, 3)).T, x @ kept(f, -sine(4, 3)).T
        back = kept(f, cosine(4, 3).T * weight), kept(f, -sine(4, 3).T * weight)
        return (real * f(net.gain)) @ back[0].T + (imaginary * f(net.gain)) @ back[1].T

    blocks = {("out", "input"): lambda x, f: linear(net.out)(filtered(x, f), f)}
    return Toy("fourier_filter", net, zeros(4), {"input": (4,), "out": (2,)}, blocks, counted=False)


# --------------------------------------------------------------------------------------------------------- experts


def experts(name: str, forward: Callable[[nn.Module, Tensor], Tensor], share: float = 1 / 3) -> None:
    """Three experts of which a router picks two: each has an equal share, and the router no links to what they make."""

    def build() -> Toy:
        parts = {f"expert{i}": nn.Linear(2, 2) for i in range(3)}
        net = Net(forward, router=nn.Linear(2, 3), **parts, out=nn.Linear(2, 1))
        blocks: dict[tuple[str, str], Block] = {("router", "input"): linear(net.router)}
        for part in parts:
            blocks[part, "input"] = linear(getattr(net, part))
            blocks["out", part] = lambda x, f: linear(net.out)(x * f(number(share)), f)
        groups = {"input": (2,), "router": (3,), **dict.fromkeys(parts, (2,)), "out": (1,)}
        return Toy(name, net, zeros(2), groups, blocks, outputs=("out",), counted=False)

    register(name, build)


def every(n: nn.Module, x: Tensor) -> Tensor:
    return torch.stack([n.expert0(x), n.expert1(x), n.expert2(x)], 1)


def renormalised(n: nn.Module, x: Tensor) -> Tensor:
    best, places = torch.softmax(n.router(x), -1).topk(2)
    weights = torch.zeros_like(n.router(x)).scatter(1, places, best / best.sum(1, keepdim=True))
    return n.out((every(n, x) * weights[..., None]).sum(1))


experts("experts_renormalised", renormalised)
experts("experts_by_softmax", lambda n, x: n.out((every(n, x) * torch.softmax(n.router(x), 1)[..., None]).sum(1)))


@toy
def experts_in_one_tensor() -> Toy:
    """The matrices of three experts, of which each input meets the best: links of a third of each."""
    net = Net(
        lambda n, x: n.out((n.experts[n.router(x).argmax(-1)] @ x[..., None])[..., 0]),
        router=nn.Linear(2, 3),
        experts=nn.Parameter(torch.zeros(3, 4, 2)),
        out=nn.Linear(4, 1),
    )
    blocks = {
        ("router", "input"): linear(net.router),
        ("experts", "input"): lambda x, f: sum(x @ f(w).T for w in net.experts)[..., None] * f(number(1 / 3)),
        ("out", "experts"): lambda x, f: linear(net.out)(x[..., 0], f),
    }
    groups = {"input": (2,), "router": (3,), "experts": (4, 1), "out": (1,)}
    return Toy("experts_in_one_tensor", net, zeros(2), groups, blocks, outputs=("out",), named=False)


@toy
def product_added_to_a_signal() -> Toy:
    """``addmm(h, x, w)`` is a synapse and a skip."""
    net = Net(
        lambda n, x: n.out(torch.relu(torch.addmm(n.first(x).tanh(), x, n.weight, beta=2, alpha=-1))),
        first=nn.Linear(2, 3),
        weight=nn.Parameter(torch.zeros(2, 3)),
        out=nn.Linear(3, 1),
    )
    blocks = {
        ("first", "input"): linear(net.first),
        ("weight", "input"): lambda x, f: x @ f(-net.weight),
        ("weight", "first"): lambda x, f: x * f(number(2.0)),
        ("out", "weight"): linear(net.out),
    }
    groups = {"input": (2,), "first": (3,), "weight": (3,), "out": (1,)}
    return Toy("product_added_to_a_signal", net, zeros(2), groups, blocks, named=False)


for name, both in (("logaddexp", torch.logaddexp), ("hypot", torch.hypot), ("atan2", torch.atan2)):
    gated(name, lambda n, x, both=both: n.out(2 * both(n.left(x), n.right(x))))

wired(
    "strided_windows",
    (4,),
    lambda x: x.contiguous().as_strided((len(x), 3, 2), (4, 1, 1)),
    lambda x, f: torch.stack([x[:, i : i + 2] for i in range(3)], 1),
)
wired(
    "spectral_magnitude",
    (4,),
    lambda x: torch.fft.rfft(x).abs(),
    lambda x, f: (x @ kept(f, cosine(4, 3)).T + x @ kept(f, -sine(4, 3)).T) * f(number(0.5)),
)

# ------------------------------------------------------------------------------------------------- short windows


HANN = (0.0, 0.5, 1.0, 0.5)
"""A window of four, whose first entry is no link."""


def windowed(x: Tensor) -> Tensor:
    window = torch.tensor(HANN, dtype=x.dtype)
    return torch.stft(x, 4, 2, window=window, center=False, return_complex=True)


def of_windows(part: Callable[[float], float]) -> Tensor:
    """(frequencies, times, places): what x[place] counts for at each frequency of the windows at 0 and 2."""
    matrix = torch.zeros(3, 2, 6, dtype=torch.float64)
    for k in range(3):
        for t in range(2):
            for j in range(4):
                matrix[k, t, 2 * t + j] = HANN[j] * exact(part(2 * math.pi * j * k / 4))
    return matrix.flatten(0, 1)


wired(
    "stft_real",
    (6,),
    lambda x: windowed(x).real,
    lambda x, f: (x @ kept(f, of_windows(math.cos)).T).reshape(-1, 3, 2),
)
wired(
    "stft_parts",
    (6,),
    lambda x: torch.view_as_real(windowed(x)),
    lambda x, f: torch.stack(
        [(x @ kept(f, of_windows(p)).T).reshape(-1, 3, 2) for p in (math.cos, lambda z: -math.sin(z))], -1
    ),
)


def overlapped(x: Tensor) -> Tensor:
    window = torch.tensor(HANN, dtype=x.dtype)
    return torch.istft(torch.view_as_complex(x.contiguous()), 4, 2, window=window)


def overlap() -> Tensor:
    """(times out, frequency, time, part): windowed inverses that are added where they overlap, over squared sums."""
    matrix, squares = torch.zeros(8, 3, 3, 2, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)
    for t in range(3):
        for j in range(4):
            squares[2 * t + j] += HANN[j] ** 2
            for k in range(3):
                weight = HANN[j] * (1 if k in (0, 2) else 2) / 4
                matrix[2 * t + j, k, t, 0] += weight * exact(math.cos(2 * math.pi * j * k / 4))
                matrix[2 * t + j, k, t, 1] -= weight * exact(math.sin(2 * math.pi * j * k / 4))
    return (matrix / squares.clamp(min=1e-9)[:, None, None, None])[2:-2].flatten(1)


wired("istft", (3, 3, 2), overlapped, lambda x, f: x.flatten(1) @ kept(f, overlap()).T)

# ----------------------------------------------------------------------------------------------- between the places


GRID = torch.tensor([[[[-1.0, -1.0], [0.5, -1.0]], [[0.0, 0.5], [1.0, 3.0]]]])
"""Of an image of 3 x 3: its corner; between two columns; between two rows; outside."""


def sampled(x: Tensor, f: WeightMap) -> Tensor:
    half = f(number(0.5))
    first = torch.stack([x[..., 0, 0], x[..., 0, 1] * half + x[..., 0, 2] * half], -1)
    second = torch.stack([x[..., 1, 1] * half + x[..., 2, 1] * half, torch.zeros_like(x[..., 0, 0])], -1)
    return torch.stack([first, second], -2)


def by_grid(x: Tensor, **choices: str) -> Tensor:
    return F.grid_sample(x, GRID.to(x).expand(len(x), 2, 2, 2), align_corners=True, **choices)


wired("grid_sample", (2, 3, 3), by_grid, sampled)
wired(
    "grid_sample_of_the_nearest",
    (2, 3, 3),
    lambda x: F.grid_sample(x, GRID.to(x).expand(len(x), 2, 2, 2), mode="nearest", align_corners=True),
    lambda x, f: torch.stack(  # torch rounds a half to the even column or row
        [
            torch.stack([x[..., 0, 0], x[..., 0, 2]], -1),
            torch.stack([x[..., 2, 1], torch.zeros_like(x[..., 0, 0])], -1),
        ],
        -2,
    ),
)
