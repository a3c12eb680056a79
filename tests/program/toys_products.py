"""Toys of products and of several inputs and outputs."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.testing import Toy, randomise

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
    blocks = {("both", "input"): linear(net.both), ("out", "both"): lambda x, f: linear(net.out)(x[:, :2] + x[:, 2:], f)}
    return Toy("glu", net, zeros(3), {"input": (3,), "both": (4,), "out": (2,)}, blocks)


@toy
def glu_module() -> Toy:
    net = Net(lambda n, x: n.glu(n.both(x)), both=nn.Conv1d(1, 4, 1), glu=nn.GLU(1))
    return Toy("glu_module", net, zeros(1, 2), {"input": (1, 2), "both": (4, 2)}, {("both", "input"): conv(net.both.weight, [taps(2, 1)])}, outputs=("both",))


@toy
def glu_by_hand() -> Toy:
    def forward(n: nn.Module, x: Tensor) -> Tensor:
        value, gate = n.both(x).chunk(2, dim=-1)
        return n.out(value * torch.sigmoid(gate))

    net = Net(forward, both=nn.Linear(3, 4), out=nn.Linear(2, 2))
    blocks = {("both", "input"): linear(net.both), ("out", "both"): lambda x, f: linear(net.out)(x[:, :2] + x[:, 2:], f)}
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
    blocks = {("first", "input"): linear(net.first), ("out", "first"): lambda x, f: linear(net.out)(x * f(number(2.0)), f)}
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
    blocks = {("first", "input"): conv(net.first.weight, PIXEL), ("out", "first"): lambda x, f: out(x * f(net.scale)[:, None, None], f)}
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
    blocks = {("first", "input"): linear(net.first), ("out", "first"): lambda x, f: linear(net.out)(x * f(net.scale), f)}
    return Toy("learned_affine", net, zeros(3), {"input": (3,), "first": (4,), "out": (2,)}, blocks)


@toy
def rezero() -> Toy:
    """x + alpha * f(x) with a learned number, after an activation: the factor is on the links from the branch's group."""
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


# ----------------------------------------------------------------------------------- several inputs and outputs


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.out = nn.Linear(2, 3), nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, image: Tensor, context: Tensor) -> Tensor:
        return self.out(torch.relu(self.left(image) + self.right(context)))


@toy
def two_inputs() -> Toy:
    net = randomise(TwoInputs())
    blocks = {("left", "image"): linear(net.left), ("left", "context"): linear(net.right), ("out", "left"): linear(net.out)}
    groups = {"image": (2,), "context": (4,), "left": (3,), "out": (2,)}
    return Toy("two_inputs", net, (*zeros(2), *zeros(4)), groups, blocks)


class SharedInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.cat([self.a(x + y), self.b(x - 2 * y)], 1)


@toy
def inputs_added() -> Toy:
    """A sum of inputs is wiring: both are linked to the reader."""
    net = randomise(SharedInput())
    blocks = {
        ("a", "x"): linear(net.a),
        ("a", "y"): linear(net.a),
        ("b", "x"): linear(net.b),
        ("b", "y"): lambda x, f: linear(net.b)(x * f(number(2.0)) * f(number(-1.0)), f),
    }
    return Toy("inputs_added", net, (*zeros(3), *zeros(3)), {"x": (3,), "y": (3,), "a": (2,), "b": (2,)}, blocks, outputs=("a", "b"))


class Heads(NamedTuple):
    label: Tensor
    features: Tensor


class TwoOutputs(nn.Module):
    """A trunk whose features are an output themselves."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.trunk, self.label, self.box = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 3)
        self.kind = kind

    def forward(self, x: Tensor) -> object:
        h = torch.relu(self.trunk(x))
        if self.kind == "dict":
            return {"label": self.label(h), "box": [torch.sigmoid(self.box(h))]}
        return self.label(h), self.box(h)


def outputs(name: str, kind: str) -> None:
    def build() -> Toy:
        net = randomise(TwoOutputs(kind))
        blocks = {("trunk", "input"): linear(net.trunk), ("label", "trunk"): linear(net.label), ("box", "trunk"): linear(net.box)}
        return Toy(name, net, zeros(3), {"input": (3,), "trunk": (4,), "label": (2,), "box": (3,)}, blocks)

    register(name, build)


outputs("two_outputs", "tuple")
outputs("dict_of_outputs", "dict")


class Intermediate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.relu(self.trunk(x))
        return self.head(h), h


@toy
def features_are_an_output() -> Toy:
    net = randomise(Intermediate())
    blocks = {("trunk", "input"): linear(net.trunk), ("head", "trunk"): linear(net.head)}
    return Toy("features_are_an_output", net, zeros(3), {"input": (3,), "trunk": (4,), "head": (2,)}, blocks, outputs=("trunk", "head"))


@toy
def input_is_skipped_to_the_second_layer() -> Toy:
    """A skip over a bottleneck that is read by cat with a constant."""
    net = Net(
        lambda n, x: n.second(torch.cat([F.relu(n.first(x)), x, torch.ones(x.shape[0], 1)], 1)) + x, first=nn.Linear(2, 1), second=nn.Linear(4, 2)
    )
    w = net.second.weight
    blocks = {
        ("first", "input"): linear(net.first),
        ("second", "first"): lambda x, f: x @ f(w[:, :1]).T,
        ("second", "input"): lambda x, f: x @ f(w[:, 1:3]).T + skip()(x, f),
    }
    return Toy("input_is_skipped_to_the_second_layer", net, zeros(2), {"input": (2,), "first": (1,), "second": (2,)}, blocks)
