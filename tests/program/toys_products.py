"""Toys of products: gates, gated units, squeeze and excitation, numbers and learned scales."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.testing import Toy

from .oracles import Net, conv, linear, number, register, skip, taps, toy, zeros

PIXEL = [taps(2, 1)] * 2


def gated(name: str, forward: object, *, layers: str = "left right", sources: str = "left right") -> None:
    """Two signals of width three combined and read by ``out``: both are linked to it with its full weight."""

    def build() -> Toy:
        net = Net(forward, **{layer: nn.Linear(3, 3) for layer in layers.split()}, out=nn.Linear(3, 2))
        blocks = {(layer, "input"): linear(getattr(net, layer)) for layer in layers.split()}
        blocks |= {("out", source): linear(net.out) for source in sources.split()}
        groups = {"input": (3,), **dict.fromkeys(layers.split(), (3,)), "out": (2,)}
        return Toy(name, net, zeros(3), groups, blocks)

    register(name, build)


gated("gated_tanh", lambda n, x: n.out(torch.sigmoid(n.left(x)) * torch.tanh(n.right(x))))
gated("swiglu", lambda n, x: n.out(F.silu(n.left(x)) * n.right(x)))
gated("swiglu_by_hand", lambda n, x: n.out((h := n.left(x)) * torch.sigmoid(h) * n.right(x)))
gated("bilinear_product", lambda n, x: n.out(n.left(x) * n.right(x)))
gated("product_in_place", lambda n, x: n.out(n.left(x).mul_(n.right(x).sigmoid())))
gated("gate_on_the_input", lambda n, x: n.out(x * torch.sigmoid(n.left(x))), layers="left", sources="left input")


@toy
def glu() -> Toy:
    net = Net(lambda n, x: n.out(F.glu(n.both(x), dim=1)), both=nn.Linear(3, 4), out=nn.Linear(2, 2))
    blocks = {
        ("both", "input"): linear(net.both),
        ("out", "both"): lambda x, f: linear(net.out)(x[:, :2] + x[:, 2:], f),
    }
    return Toy("glu", net, zeros(3), {"input": (3,), "both": (4,), "out": (2,)}, blocks)


@toy
def glu_module() -> Toy:
    net = Net(lambda n, x: n.glu(n.both(x)), both=nn.Conv1d(1, 4, 1), glu=nn.GLU(1))
    return Toy(
        "glu_module",
        net,
        zeros(1, 2),
        {"input": (1, 2), "both": (4, 2)},
        {("both", "input"): conv(net.both.weight, [taps(2, 1)])},
        outputs=("both",),
    )


@toy
def glu_by_hand() -> Toy:
    def forward(n: nn.Module, x: Tensor) -> Tensor:
        value, gate = n.both(x).chunk(2, dim=-1)
        return n.out(value * torch.sigmoid(gate))

    net = Net(forward, both=nn.Linear(3, 4), out=nn.Linear(2, 2))
    blocks = {
        ("both", "input"): linear(net.both),
        ("out", "both"): lambda x, f: linear(net.out)(x[:, :2] + x[:, 2:], f),
    }
    return Toy("glu_by_hand", net, zeros(3), {"input": (3,), "both": (4,), "out": (2,)}, blocks)


@toy
def squeeze_and_excitation() -> Toy:
    """A map multiplied by a factor per channel that layers computed from it: the reader is linked to both."""

    def forward(n: nn.Module, x: Tensor) -> Tensor:
        h = F.relu(n.conv(x))
        s = torch.sigmoid(n.excite(F.relu(n.squeeze(F.adaptive_avg_pool2d(h, 1).flatten(1)))))
        return n.out(h * s[:, :, None, None])

    net = Net(forward, conv=nn.Conv2d(1, 2, 1), squeeze=nn.Linear(2, 1), excite=nn.Linear(1, 2), out=nn.Conv2d(2, 2, 1))
    out = conv(net.out.weight, PIXEL)
    blocks = {
        ("conv", "input"): conv(net.conv.weight, PIXEL),
        ("squeeze", "conv"): lambda x, f: linear(net.squeeze)(x.sum((2, 3)) * f(number(0.25)), f),
        ("excite", "squeeze"): linear(net.excite),
        ("out", "conv"): out,
        ("out", "excite"): lambda x, f: out(x[:, :, None, None].repeat(1, 1, 2, 2), f),
    }
    groups = {"input": (1, 2, 2), "conv": (2, 2, 2), "squeeze": (1,), "excite": (2,), "out": (2, 2, 2)}
    return Toy("squeeze_and_excitation", net, zeros(1, 2, 2), groups, blocks)


@toy
def squeeze_and_excitation_by_convolutions() -> Toy:
    """The same with 1x1 convolutions and broadcasting."""

    def forward(n: nn.Module, x: Tensor) -> Tensor:
        return n.out(x * n.excite(F.silu(n.squeeze(x.mean((2, 3), keepdim=True)))).sigmoid())

    net = Net(forward, squeeze=nn.Conv2d(2, 1, 1), excite=nn.Conv2d(1, 2, 1), out=nn.Conv2d(2, 2, 1))
    out, one = conv(net.out.weight, PIXEL), [taps(1, 1)] * 2
    squeeze = conv(net.squeeze.weight, one)
    blocks = {
        ("squeeze", "input"): lambda x, f: squeeze(x.sum((2, 3), keepdim=True) * f(number(0.25)), f),
        ("excite", "squeeze"): conv(net.excite.weight, one),
        ("out", "input"): out,
        ("out", "excite"): lambda x, f: out(x.repeat(1, 1, 2, 2), f),
    }
    groups = {"input": (2, 2, 2), "squeeze": (1, 1, 1), "excite": (2, 1, 1), "out": (2, 2, 2)}
    return Toy("squeeze_and_excitation_by_convolutions", net, zeros(2, 2, 2), groups, blocks)


@toy
def scaled_synapse() -> Toy:
    """A number between two layers is a coefficient of the links that pass it."""
    net = Net(lambda n, x: n.out(F.relu(n.first(x)) * 2), first=nn.Linear(3, 4), out=nn.Linear(4, 2))
    blocks = {
        ("first", "input"): linear(net.first),
        ("out", "first"): lambda x, f: linear(net.out)(x * f(number(2.0)), f),
    }
    return Toy("scaled_synapse", net, zeros(3), {"input": (3,), "first": (4,), "out": (2,)}, blocks)


@toy
def learned_scale() -> Toy:
    """A parameter per channel between two layers is a coefficient too."""
    net = Net(
        lambda n, x: n.out(F.relu(n.first(x)) * n.scale[:, None, None]),
        first=nn.Conv2d(1, 3, 1),
        scale=nn.Parameter(torch.zeros(3)),
        out=nn.Conv2d(3, 1, 1),
    )
    out = conv(net.out.weight, PIXEL)
    blocks = {
        ("first", "input"): conv(net.first.weight, PIXEL),
        ("out", "first"): lambda x, f: out(x * f(net.scale)[:, None, None], f),
    }
    return Toy("learned_scale", net, zeros(1, 2, 2), {"input": (1, 2, 2), "first": (3, 2, 2), "out": (1, 2, 2)}, blocks)


@toy
def learned_affine() -> Toy:
    """x * scale + shift written out: a gain and a bias."""
    net = Net(
        lambda n, x: n.out(F.relu(n.first(x)) * n.scale + n.shift),
        first=nn.Linear(3, 4),
        scale=nn.Parameter(torch.zeros(4)),
        shift=nn.Parameter(torch.zeros(4)),
        out=nn.Linear(4, 2),
    )
    blocks = {
        ("first", "input"): linear(net.first),
        ("out", "first"): lambda x, f: linear(net.out)(x * f(net.scale), f),
    }
    return Toy("learned_affine", net, zeros(3), {"input": (3,), "first": (4,), "out": (2,)}, blocks)


@toy
def rezero() -> Toy:
    """x + alpha * f(x) with a learned number, after an activation: it is on the links from the branch's group."""
    net = Net(
        lambda n, x: n.out(n.skip(x) + n.alpha * torch.tanh(n.branch(x))),
        skip=nn.Linear(3, 3),
        branch=nn.Linear(3, 3),
        alpha=nn.Parameter(torch.zeros(())),
        out=nn.Linear(3, 2),
    )
    blocks = {
        ("branch", "input"): linear(net.branch),
        ("skip", "input"): linear(net.skip),
        ("skip", "branch"): lambda x, f: x * f(net.alpha),
        ("out", "skip"): linear(net.out),
    }
    return Toy("rezero", net, zeros(3), {"input": (3,), "branch": (3,), "skip": (3,), "out": (2,)}, blocks)


@toy
def input_is_skipped_to_the_second_layer() -> Toy:
    """A skip over a bottleneck that is read by cat with a constant."""
    net = Net(
        lambda n, x: n.second(torch.cat([F.relu(n.first(x)), x, torch.ones(x.shape[0], 1)], 1)) + x,
        first=nn.Linear(2, 1),
        second=nn.Linear(4, 2),
    )
    w = net.second.weight
    blocks = {
        ("first", "input"): linear(net.first),
        ("second", "first"): lambda x, f: x @ f(w[:, :1]).T,
        ("second", "input"): lambda x, f: x @ f(w[:, 1:3]).T + skip()(x, f),
    }
    return Toy(
        "input_is_skipped_to_the_second_layer", net, zeros(2), {"input": (2,), "first": (1,), "second": (2,)}, blocks
    )
