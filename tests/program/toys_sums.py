"""Toys of sums: skips, projection shortcuts, dense connections, sums that are one group and sums that are wiring."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.testing import Toy

from .oracles import Net, averaged, conv, gain, linear, number, register, skip, taps, toy, windows, zeros

SAME = [taps(3, 3, 1, 1)] * 2
VECTOR = {"input": (3,)}


def three(**layers: nn.Module) -> dict[str, nn.Module]:
    return {name: nn.Linear(3, 3) for name in layers}


def added(name: str, forward: object, incoming: object, *, layers: str = "first second", group: str = "second") -> None:
    """A sum of layers of width three, read by ``out``: the blocks into its one group come from ``incoming(net)``."""

    def build() -> Toy:
        net = Net(forward, **{layer: nn.Linear(3, 3) for layer in layers.split()}, out=nn.Linear(3, 2))
        blocks = {**incoming(net), ("out", group): linear(net.out)}
        names = list(dict.fromkeys(["input", *[target for target, _ in blocks]]))
        return Toy(name, net, zeros(3), {n: (2,) if n == "out" else (3,) for n in names}, blocks)

    register(name, build)


def body(net: nn.Module) -> dict[tuple[str, str], object]:
    """input -> first -> second, and the skip input -> second."""
    return {("first", "input"): linear(net.first), ("second", "first"): linear(net.second), ("second", "input"): skip()}


added("skip", lambda n, x: n.out(F.relu(n.second(F.relu(n.first(x))) + x)), body)
added("skip_other_order", lambda n, x: n.out(F.relu(x + n.second(F.relu(n.first(x))))), body)
added("skip_without_activation", lambda n, x: n.out(n.second(n.first(x).tanh()) + x), body)
added("skip_torch_add", lambda n, x: n.out(torch.add(n.second(F.relu(n.first(x))), x).relu()), body)


def in_place(n: nn.Module, x: Tensor) -> Tensor:
    h = F.relu(n.first(x), inplace=True)
    h = n.second(h)
    h += x
    return n.out(h.relu_())


def in_place_method(n: nn.Module, x: Tensor) -> Tensor:
    return n.out(n.second(n.first(x).relu_()).add_(x).relu_())


added("skip_in_place", in_place, body)
added("skip_add_method", in_place_method, body)
added(
    "skip_weighted",
    lambda n, x: n.out(torch.add(n.second(F.relu(n.first(x))), x, alpha=0.25)),
    lambda n: {**body(n), ("second", "input"): skip(0.25)},
)
added(
    "skip_scaled",
    lambda n, x: n.out(n.second(F.relu(n.first(x))) + 0.5 * x),
    lambda n: {**body(n), ("second", "input"): skip(0.5)},
)
added(
    "skip_subtracted",
    lambda n, x: n.out(torch.tanh(n.second(F.relu(n.first(x))) - x)),
    lambda n: {**body(n), ("second", "input"): skip(-1.0)},
)
added("skip_twice", lambda n, x: n.out(n.second(F.relu(n.first(x))) + x + x), lambda n: {**body(n), ("second", "input"): lambda x, f: 2 * x})
added(
    "skip_from_hidden",
    lambda n, x: n.out((h := F.relu(n.first(x))) + n.second(h)),
    lambda n: {("first", "input"): linear(n.first), ("second", "first"): lambda x, f: linear(n.second)(x, f) + x},
)
added(
    "skip_reversed",
    lambda n, x: n.out(n.second(F.relu(n.first(x))) + x.flip(1)),
    lambda n: {**body(n), ("second", "input"): lambda x, f: x.flip(1)},
)
added(
    "two_blocks",
    lambda n, x: n.out(F.relu(n.fourth(F.relu(n.third(h := F.relu(n.second(F.relu(n.first(x))) + x)))) + h)),
    lambda n: {
        **body(n),
        ("third", "second"): linear(n.third),
        ("fourth", "third"): linear(n.fourth),
        ("fourth", "second"): skip(),
    },
    layers="first second third fourth",
    group="fourth",
)
added(
    "two_blocks_without_activation_between",
    lambda n, x: n.out((h := n.second(F.relu(n.first(x))) + x) + n.fourth(F.relu(n.third(F.relu(h))))),
    lambda n: {
        **body(n),
        ("third", "second"): linear(n.third),
        ("fourth", "third"): linear(n.fourth),
        ("fourth", "second"): skip(),
    },
    layers="first second third fourth",
    group="fourth",
)
added(
    "two_synapses_one_group",
    lambda n, x: n.out(torch.tanh(n.first(x) + n.second(x))),
    lambda n: {("first", "input"): lambda x, f: linear(n.first)(x, f) + linear(n.second)(x, f)},
    group="first",
)
added(
    "leftmost_synapse_names_the_group",
    lambda n, x: n.out(torch.tanh(n.second(x) + n.first(x))),
    lambda n: {("second", "input"): lambda x, f: linear(n.first)(x, f) + linear(n.second)(x, f)},
)
added(
    "difference_of_synapses",
    lambda n, x: n.out(torch.tanh(n.first(x) - n.second(x))),
    lambda n: {("first", "input"): lambda x, f: linear(n.first)(x, f) + linear(n.second)(x, f) * f(number(-1.0))},
    group="first",
)
added(
    "three_synapses_and_a_skip",
    lambda n, x: n.out((x + n.first(x)) + (n.second(x) + n.third(F.relu(x)))),
    lambda n: {("first", "input"): lambda x, f: linear(n.first)(x, f) + linear(n.second)(x, f) + linear(n.third)(x, f) + x},
    layers="first second third",
    group="first",
)
added(
    "activation_plus_synapse",
    lambda n, x: n.out(F.relu(n.first(x)) + n.second(x)),
    lambda n: {("first", "input"): linear(n.first), ("second", "input"): linear(n.second), ("second", "first"): skip()},
)
added(
    "dropout_in_the_branch",
    lambda n, x: n.out(x + F.dropout(n.second(F.relu(n.first(x))), 0.5, training=n.training)),
    body,
)


@toy
def activations_added() -> Toy:
    """relu(a) + relu(b): both are groups already, their sum is wiring to the reader."""
    net = Net(lambda n, x: n.out(F.relu(n.first(x)) + F.relu(n.second(x))), first=nn.Linear(3, 3), second=nn.Linear(3, 3), out=nn.Linear(3, 2))
    blocks = {
        ("first", "input"): linear(net.first),
        ("second", "input"): linear(net.second),
        ("out", "first"): linear(net.out),
        ("out", "second"): linear(net.out),
    }
    return Toy("activations_added", net, zeros(3), {"input": (3,), "first": (3,), "second": (3,), "out": (2,)}, blocks)


@toy
def sum_of_a_shared_output() -> Toy:
    """The synapse's output has a second reader, so it is its own group and the sum is wiring."""
    net = Net(
        lambda n, x: n.out(torch.cat([(h := n.first(x)) + x, h.relu()], 1)), first=nn.Linear(3, 3), out=nn.Linear(6, 2)
    )
    left, right = net.out.weight[:, :3], net.out.weight[:, 3:]
    blocks = {
        ("first", "input"): linear(net.first),
        ("out", "first"): lambda x, f: x @ f(left).T + x @ f(right).T,
        ("out", "input"): lambda x, f: x @ f(left).T,
    }
    return Toy("sum_of_a_shared_output", net, zeros(3), {"input": (3,), "first": (3,), "out": (2,)}, blocks)


@toy
def sum_at_the_output() -> Toy:
    net = Net(lambda n, x: x + n.second(F.relu(n.first(x))), first=nn.Linear(3, 2), second=nn.Linear(2, 3))
    blocks = {("first", "input"): linear(net.first), ("second", "first"): linear(net.second), ("second", "input"): skip()}
    return Toy("sum_at_the_output", net, zeros(3), {"input": (3,), "first": (2,), "second": (3,)}, blocks)


class BasicBlock(nn.Module):
    """ResNet's block, with a projection shortcut where channels or stride change."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, shortcut_first: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)) if stride > 1 or inputs != outputs else None
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
        lambda n, x: F.relu(n.conv(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))), conv=nn.Conv2d(1, 3, 3, stride=2, padding=1)
    )
    inner = conv(net.conv.weight, [taps(4, 3, 2, 1)] * 2)

    def block(x: Tensor, f: object) -> Tensor:
        nothing = x.new_zeros(x.shape[0], 1, 2, 2)
        return inner(x, f) + torch.cat([nothing, x[:, :, [0, 2]][:, :, :, [0, 2]], nothing], 1)

    return Toy("padded_shortcut", net, zeros(1, 4, 4), {"input": (1, 4, 4), "conv": (3, 2, 2)}, {("conv", "input"): block})


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
