"""The classes of three networks are those that Git Re-Basin (Ainsworth et al. 2022) writes down by hand for them.

Facts about its ``mlp_permutation_spec``, ``vgg16_permutation_spec`` and ``resnet20_permutation_spec``: which axes of
which tensors share a permutation. Its kernels have torch's axes in reverse order; the names here are torch's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import axonometry as ax

Axes = frozenset[tuple[str, int]]


def classes(module: nn.Module, example: Tensor) -> set[Axes]:
    found = ax.permutations(ax.capture(module.eval(), example))
    parameters = {name for name, _ in module.named_parameters()}
    by_class: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for name in parameters:
        for axis, one in enumerate(found[name]):
            if one is not None:
                by_class[one].add((name, axis))
    return {frozenset(axes) for axes in by_class.values()}


def written(*axes: Iterable[str]) -> set[Axes]:
    """Classes as lists of words such as ``conv.weight:0``."""
    return {frozenset((w.split(":")[0], int(w.split(":")[1])) for w in one) for one in axes}


def test_mlp() -> None:
    layers = [layer for i in range(3) for layer in (nn.Linear(784 if i == 0 else 64, 64), nn.ReLU())]
    found = classes(nn.Sequential(*layers, nn.Linear(64, 10)), torch.zeros(1, 784))
    assert found == written(*([f"{i}.weight:0", f"{i}.bias:0", f"{i + 2}.weight:1"] for i in (0, 2, 4)))


class Vgg(nn.Module):
    """Thirteen convolutions, each with a norm of its channels, and three dense layers; narrow."""

    widths = (8, 8, 0, 12, 12, 0, 16, 16, 16, 0, 20, 20, 20, 0, 24, 24, 24, 0)

    def __init__(self) -> None:
        super().__init__()
        convolved = [width for width in self.widths if width]
        inputs = [3, *convolved[:-1]]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in zip(inputs, convolved, strict=True))
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for width in convolved)
        self.dense = nn.ModuleList([nn.Linear(24, 32), nn.Linear(32, 28), nn.Linear(28, 10)])

    def forward(self, x: Tensor) -> Tensor:
        layers = iter(zip(self.convs, self.norms, strict=True))
        for width in self.widths:
            if width == 0:
                x = F.max_pool2d(x, 2)
            else:
                conv, norm = next(layers)
                x = F.relu(norm(conv(x)))
        x = F.relu(self.dense[0](x.flatten(1)))
        return self.dense[2](F.relu(self.dense[1](x)))  # type: ignore[no-any-return]


def test_vgg16() -> None:
    convolved = [
        [f"convs.{i}.weight:0", f"convs.{i}.bias:0", f"norms.{i}.weight:0", f"norms.{i}.bias:0"] for i in range(13)
    ]
    reads = [*(f"convs.{i}.weight:1" for i in range(1, 13)), "dense.0.weight:1"]
    dense = [[f"dense.{i}.weight:0", f"dense.{i}.bias:0", f"dense.{i + 1}.weight:1"] for i in range(2)]
    expected = written(*([*own, read] for own, read in zip(convolved, reads, strict=True)), *dense)
    assert classes(Vgg(), torch.zeros(1, 3, 32, 32)) == expected


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        if stride == 2:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut(x) if hasattr(self, "shortcut") else x
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))) + shortcut)


class ResNet20(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.blocks = nn.ModuleList(BasicBlock(i, o) for i, o in pairwise(widths))
        self.dense = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        for block in self.blocks:
            x = block(x)
        return self.dense(x.mean((2, 3)))  # type: ignore[no-any-return]


def test_resnet20() -> None:
    """One class a group of blocks, for the stream, and one inside each block."""
    streams: list[list[str]] = [["conv1.weight:0", "norm1.weight:0", "norm1.bias:0"], [], []]
    inner = []
    for i in range(9):
        group, first = i // 3, i in (3, 6)
        reads = group - 1 if first else group
        streams[reads] += [f"blocks.{i}.conv1.weight:1"]
        streams[group] += [f"blocks.{i}.conv2.weight:0", f"blocks.{i}.norm2.weight:0", f"blocks.{i}.norm2.bias:0"]
        if first:
            streams[reads] += [f"blocks.{i}.shortcut.0.weight:1"]
            norm = f"blocks.{i}.shortcut.1"
            streams[group] += [f"blocks.{i}.shortcut.0.weight:0", f"{norm}.weight:0", f"{norm}.bias:0"]
        norm = f"blocks.{i}.norm1"
        inner.append([f"blocks.{i}.conv1.weight:0", f"{norm}.weight:0", f"{norm}.bias:0", f"blocks.{i}.conv2.weight:1"])
    streams[2] += ["dense.weight:1"]
    assert classes(ResNet20(), torch.zeros(1, 3, 32, 32)) == written(*streams, *inner)
