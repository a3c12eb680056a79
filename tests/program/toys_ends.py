"""Toys of several inputs and outputs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from axonometry.testing import Toy, randomise

from .oracles import linear, number, register, toy, zeros


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.out = nn.Linear(2, 3), nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, image: Tensor, context: Tensor) -> Tensor:
        return self.out(torch.relu(self.left(image) + self.right(context)))


@toy
def two_inputs() -> Toy:
    net = randomise(TwoInputs())
    blocks = {
        ("left", "image"): linear(net.left),
        ("left", "context"): linear(net.right),
        ("out", "left"): linear(net.out),
    }
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
    return Toy(
        "inputs_added",
        net,
        (*zeros(3), *zeros(3)),
        {"x": (3,), "y": (3,), "a": (2,), "b": (2,)},
        blocks,
        outputs=("a", "b"),
    )


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
        blocks = {
            ("trunk", "input"): linear(net.trunk),
            ("label", "trunk"): linear(net.label),
            ("box", "trunk"): linear(net.box),
        }
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
    return Toy(
        "features_are_an_output",
        net,
        zeros(3),
        {"input": (3,), "trunk": (4,), "head": (2,)},
        blocks,
        outputs=("trunk", "head"),
    )
