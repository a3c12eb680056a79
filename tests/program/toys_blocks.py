"""Toys of the blocks that residual, dense and encoder-decoder networks are made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.testing import Toy

from .oracles import Net, averaged, conv, gain, linear, register, skip, taps, toy, windows, zeros

SAME = [taps(3, 3, 1, 1)] * 2


class BasicBlock(nn.Module):
    """ResNet's block, with a projection shortcut where channels or stride change."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, shortcut_first: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.down = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if stride > 1 or inputs != outputs
            else None
        )
        self.shortcut_first = shortcut_first

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        identity = x if self.down is None else self.down(x)
        if self.shortcut_first:
            return self.relu(identity + h)
        h += identity
        return self.relu(h)


@toy
def resnet_block() -> Toy:
    net = Net(lambda n, x: n.block(x), block=BasicBlock(2, 2, 1))
    b = net.block
    blocks = {
        ("block.conv1", "input"): conv(b.conv1.weight, SAME, scale=gain(b.bn1)),
        ("block.conv2", "block.conv1"): conv(b.conv2.weight, SAME, scale=gain(b.bn2)),
        ("block.conv2", "input"): skip(),
    }
    shape = (2, 3, 3)
    return Toy("resnet_block", net, zeros(*shape), {"input": shape, "block.conv1": shape, "block.conv2": shape}, blocks)


def projection(name: str, shortcut_first: bool, group: str) -> None:
    def build() -> Toy:
        net = Net(lambda n, x: n.block(x), block=BasicBlock(2, 3, 2, shortcut_first=shortcut_first))
        b = net.block
        blocks = {
            ("block.conv1", "input"): conv(b.conv1.weight, [taps(4, 3, 2, 1)] * 2, scale=gain(b.bn1)),
            (group, "block.conv1"): conv(b.conv2.weight, [taps(2, 3, 1, 1)] * 2, scale=gain(b.bn2)),
            (group, "input"): conv(b.down[0].weight, [taps(4, 1, 2)] * 2, scale=gain(b.down[1])),
        }
        return Toy(name, net, zeros(2, 4, 4), {"input": (2, 4, 4), "block.conv1": (3, 2, 2), group: (3, 2, 2)}, blocks)

    register(name, build)


projection("projection_shortcut", False, "block.conv2")
projection("projection_shortcut_first", True, "block.down.0")


@toy
def preactivation_block() -> Toy:
    """bn and relu come first: their gain is on the signal, the sums stay sums."""
    net = Net(
        lambda n, x: n.out((h := n.stem(x)) + n.conv(F.relu(n.bn(h)))),
        stem=nn.Conv2d(1, 2, 3, padding=1),
        bn=nn.BatchNorm2d(2),
        conv=nn.Conv2d(2, 2, 3, padding=1),
        out=nn.Conv2d(2, 1, 3),
    )
    inner = conv(net.conv.weight, SAME)
    blocks = {
        ("stem", "input"): conv(net.stem.weight, SAME),
        ("conv", "stem"): lambda x, f: inner(x * f(gain(net.bn, 2)), f) + x,
        ("out", "conv"): conv(net.out.weight, [taps(3, 3)] * 2),
    }
    groups = {"input": (1, 3, 3), "stem": (2, 3, 3), "conv": (2, 3, 3), "out": (1, 1, 1)}
    return Toy("preactivation_block", net, zeros(1, 3, 3), groups, blocks)


@toy
def padded_shortcut() -> Toy:
    """ResNet's option A: every second position, zeros for the new channels."""
    net = Net(
        lambda n, x: F.relu(n.conv(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))),
        conv=nn.Conv2d(1, 3, 3, stride=2, padding=1),
    )
    inner = conv(net.conv.weight, [taps(4, 3, 2, 1)] * 2)

    def block(x: Tensor, f: object) -> Tensor:
        nothing = x.new_zeros(x.shape[0], 1, 2, 2)
        return inner(x, f) + torch.cat([nothing, x[:, :, [0, 2]][:, :, :, [0, 2]], nothing], 1)

    return Toy(
        "padded_shortcut", net, zeros(1, 4, 4), {"input": (1, 4, 4), "conv": (3, 2, 2)}, {("conv", "input"): block}
    )


@toy
def pooled_shortcut() -> Toy:
    """The skip comes through average pooling: links of 1 / 4 into the sum."""
    net = Net(lambda n, x: F.relu(n.conv(x) + F.avg_pool2d(x, 2)), conv=nn.Conv2d(2, 2, 2, stride=2))
    inner, pooled = conv(net.conv.weight, [taps(4, 2, 2)] * 2), averaged([windows(4, 2)] * 2)
    blocks = {("conv", "input"): lambda x, f: inner(x, f) + pooled(x, f)}
    return Toy("pooled_shortcut", net, zeros(2, 4, 4), {"input": (2, 4, 4), "conv": (2, 2, 2)}, blocks)


@toy
def dense_connections() -> Toy:
    """DenseNet: every layer reads all before it."""
    net = Net(
        lambda n, x: n.out(torch.cat([c := torch.cat([x, F.relu(n.first(x))], 1), F.relu(n.second(c))], 1)),
        first=nn.Linear(3, 2),
        second=nn.Linear(5, 2),
        out=nn.Linear(7, 2),
    )
    second, out = net.second.weight, net.out.weight
    blocks = {
        ("first", "input"): linear(net.first),
        ("second", "input"): lambda x, f: x @ f(second[:, :3]).T,
        ("second", "first"): lambda x, f: x @ f(second[:, 3:]).T,
        ("out", "input"): lambda x, f: x @ f(out[:, :3]).T,
        ("out", "first"): lambda x, f: x @ f(out[:, 3:5]).T,
        ("out", "second"): lambda x, f: x @ f(out[:, 5:]).T,
    }
    return Toy("dense_connections", net, zeros(3), {"input": (3,), "first": (2,), "second": (2,), "out": (2,)}, blocks)


@toy
def unet() -> Toy:
    """Down, up by a transposed convolution, and the skip by cat."""
    net = Net(
        lambda n, x: n.out(torch.cat([h := F.relu(n.down(x)), n.up(F.relu(n.deep(F.max_pool1d(h, 2))))], 1)),
        down=nn.Conv1d(1, 2, 3, padding=1),
        deep=nn.Conv1d(2, 2, 1),
        up=nn.ConvTranspose1d(2, 1, 2, stride=2),
        out=nn.Conv1d(3, 1, 1),
    )
    deep, out, pooled = conv(net.deep.weight, [taps(2, 1)]), net.out.weight, averaged([windows(4, 2)])
    placed = torch.zeros(4, 2, 2).double()
    for i in range(2):
        for tap in range(2):
            placed[2 * i + tap, tap, i] = 1
    blocks = {
        ("down", "input"): conv(net.down.weight, [taps(4, 3, 1, 1)]),
        ("deep", "down"): lambda x, f: deep(pooled(x, f), f),
        ("up", "deep"): conv(net.up.weight, [placed], transposed=True),
        ("out", "down"): conv(out[:, :2], [taps(4, 1)]),
        ("out", "up"): conv(out[:, 2:], [taps(4, 1)]),
    }
    groups = {"input": (1, 4), "down": (2, 4), "deep": (2, 2), "up": (1, 4), "out": (1, 4)}
    return Toy("unet", net, zeros(1, 4), groups, blocks)
