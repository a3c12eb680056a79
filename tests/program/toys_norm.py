"""Toys of normalisation: batch norm in every position, layer, group, instance and RMS norm, written by hand too."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.testing import Block, Toy

from .oracles import Net, conv, gain, linear, register, sequential, taps, toy, transposed_taps, zeros


def scaled(block: Block, scale: Tensor, *, source: bool = False) -> Block:
    """A block with a coefficient a target neuron, or a source neuron, more on each path."""
    if source:
        return lambda x, f: block(x * f(scale), f)
    return lambda x, f: block(x, f) * f(scale)


@toy
def batch_norm_after_linear() -> Toy:
    net = sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    blocks = {("0", "input"): scaled(linear(net[0]), gain(net[1])), ("3", "0"): linear(net[3])}
    return Toy("batch_norm_after_linear", net, zeros(3), {"input": (3,), "0": (4,), "3": (2,)}, blocks)


@toy
def batch_norm_last() -> Toy:
    net = sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.BatchNorm1d(2, affine=False))
    blocks = {("0", "input"): linear(net[0]), ("2", "0"): scaled(linear(net[2]), gain(net[3]))}
    return Toy("batch_norm_last", net, zeros(3), {"input": (3,), "0": (4,), "2": (2,)}, blocks)


def batch_norm_after(
    name: str, layer: nn.Module, norm: nn.Module, axes: list[Tensor], *, transposed: bool = False
) -> None:
    """A convolution of any rank whose batch norm is folded."""

    def build() -> Toy:
        net = sequential(copy.deepcopy(layer), copy.deepcopy(norm))
        shape = (layer.in_channels, *[axis.shape[2] for axis in axes])
        groups = {"input": shape, "0": (layer.out_channels, *[axis.shape[0] for axis in axes])}
        block = conv(net[0].weight, axes, groups=layer.groups, transposed=transposed, scale=gain(net[1]))
        return Toy(name, net, zeros(*shape), groups, {("0", "input"): block})

    register(name, build)


batch_norm_after("batch_norm_after_conv1d", nn.Conv1d(2, 3, 2, bias=False), nn.BatchNorm1d(3), [taps(4, 2)])
batch_norm_after("batch_norm_after_conv2d", nn.Conv2d(2, 3, 2, groups=1), nn.BatchNorm2d(3, eps=0.1), [taps(3, 2)] * 2)
batch_norm_after("batch_norm_after_depthwise", nn.Conv2d(2, 4, 2, groups=2), nn.BatchNorm2d(4), [taps(3, 2)] * 2)
batch_norm_after("batch_norm_after_conv3d", nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2), [taps(2, 2), taps(3, 2), taps(2, 2)])
batch_norm_after(
    "batch_norm_after_transposed",
    nn.ConvTranspose2d(2, 3, 2, stride=2),
    nn.BatchNorm2d(3),
    [transposed_taps(2, 2, 2)] * 2,
    transposed=True,
)
batch_norm_after(
    "batch_norm_after_grouped_transposed",
    nn.ConvTranspose1d(2, 4, 3, groups=2),
    nn.BatchNorm1d(4),
    [transposed_taps(3, 3)],
    transposed=True,
)


@toy
def batch_norm_functional() -> Toy:
    """F.batch_norm without affine parameters, and with statistics only."""

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.out = nn.Linear(3, 4), nn.Linear(4, 2)
            self.register_buffer("mean", torch.zeros(4))
            self.register_buffer("running_var", torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            return self.out(F.relu(F.batch_norm(self.first(x), self.mean, self.running_var)))

    net = sequential(Functional())[0]
    scale = (net.running_var + 1e-5).rsqrt()
    blocks = {("first", "input"): scaled(linear(net.first), scale), ("out", "first"): linear(net.out)}
    return Toy("batch_norm_functional", net, zeros(3), {"input": (3,), "first": (4,), "out": (2,)}, blocks)


@toy
def batch_norm_on_the_input() -> Toy:
    """No synapse to fold into: a gain on the signal."""
    net = sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    blocks = {("1", "input"): scaled(linear(net[1]), gain(net[0]), source=True)}
    return Toy("batch_norm_on_the_input", net, zeros(3), {"input": (3,), "1": (2,)}, blocks)


@toy
def batch_norm_after_the_activation() -> Toy:
    """The norm reads an activation, so the group before it keeps its links and the next one's carry the gain."""
    net = sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 2))
    blocks = {
        ("0", "input"): conv(net[0].weight, [taps(3, 2)] * 2),
        ("3", "0"): scaled(conv(net[3].weight, [taps(2, 2)] * 2), gain(net[2], 2), source=True),
    }
    return Toy(
        "batch_norm_after_the_activation",
        net,
        zeros(1, 3, 3),
        {"input": (1, 3, 3), "0": (2, 2, 2), "3": (1, 1, 1)},
        blocks,
    )


@toy
def batch_norm_of_a_shared_output() -> Toy:
    """The synapse's output is read by the norm and by somebody else: it is a group itself, the norm a gain."""
    net = Net(
        lambda n, x: n.out(torch.cat([(h := n.first(x)).relu(), n.norm(h).relu()], 1)),
        first=nn.Linear(3, 2),
        norm=nn.BatchNorm1d(2),
        out=nn.Linear(4, 2),
    )
    w = net.out.weight
    blocks = {
        ("first", "input"): linear(net.first),
        ("out", "first"): lambda x, f: x @ f(w[:, :2]).T + (x * f(gain(net.norm))) @ f(w[:, 2:]).T,
    }
    return Toy("batch_norm_of_a_shared_output", net, zeros(3), {"input": (3,), "first": (2,), "out": (2,)}, blocks)


@toy
def batch_norm_of_a_sum() -> Toy:
    """The norm alone reads a sum of synapse and skip: it folds into all links of the sum, the skip's too."""
    net = Net(
        lambda n, x: n.out(n.norm(n.first(x) + x).relu()),
        first=nn.Linear(3, 3),
        norm=nn.BatchNorm1d(3),
        out=nn.Linear(3, 2),
    )
    blocks = {
        ("first", "input"): scaled(lambda x, f: linear(net.first)(x, f) + x, gain(net.norm)),
        ("out", "first"): linear(net.out),
    }
    return Toy("batch_norm_of_a_sum", net, zeros(3), {"input": (3,), "first": (3,), "out": (2,)}, blocks)


@toy
def batch_norm_with_zero_gain() -> Toy:
    """A gain of exactly zero silences its channel: no link in the binary graph, links structurally."""
    net = sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        net[1].weight[1] = 0
    blocks = {("0", "input"): scaled(linear(net[0]), gain(net[1])), ("3", "0"): linear(net[3])}
    return Toy("batch_norm_with_zero_gain", net, zeros(3), {"input": (3,), "0": (4,), "3": (2,)}, blocks)


def gained(name: str, norm: nn.Module, scale: object, *, shape: tuple[int, ...] = (4,)) -> None:
    """A norm of the layer's output that contributes its gain to the links that leave the group."""

    def build() -> Toy:
        if len(shape) == 1:
            net = Net(
                lambda n, x: n.out(torch.relu(n.norm(n.first(x)))),
                first=nn.Linear(3, 4),
                norm=copy.deepcopy(norm),
                out=nn.Linear(4, 2),
            )
            blocks = {
                ("first", "input"): linear(net.first),
                ("out", "first"): scaled(linear(net.out), scale(net.norm), source=True),
            }
            return Toy(name, net, zeros(3), {"input": (3,), "first": (4,), "out": (2,)}, blocks)
        net = Net(
            lambda n, x: n.out(torch.relu(n.norm(n.first(x)))),
            first=nn.Conv2d(1, 4, 2),
            norm=copy.deepcopy(norm),
            out=nn.Conv2d(4, 1, 2),
        )
        blocks = {
            ("first", "input"): conv(net.first.weight, [taps(3, 2)] * 2),
            ("out", "first"): scaled(conv(net.out.weight, [taps(2, 2)] * 2), scale(net.norm), source=True),
        }
        return Toy(name, net, zeros(1, 3, 3), {"input": (1, 3, 3), "first": (4, 2, 2), "out": (1, 1, 1)}, blocks)

    register(name, build)


def per_channel(norm: nn.Module) -> Tensor:
    return norm.weight.reshape(-1, 1, 1)


def one(norm: nn.Module) -> Tensor:
    return torch.ones(()).double()


class HandRMS(nn.Module):
    """RMS norm as large language models write it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * x


class HandRMSFraction(HandRMS):
    """The same with a square root and a division."""

    def forward(self, x: Tensor) -> Tensor:
        return x / torch.sqrt(torch.mean(x**2, dim=-1, keepdim=True) + 1e-6) * self.weight


class UnitLength(nn.Module):
    """The direction of a vector."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1)


gained("layer_norm", nn.LayerNorm(4), lambda n: n.weight)
gained("layer_norm_plain", nn.LayerNorm(4, elementwise_affine=False), one)
gained("layer_norm_without_bias", nn.LayerNorm(4, bias=False), lambda n: n.weight)
gained("layer_norm_over_maps", nn.LayerNorm((4, 2, 2)), lambda n: n.weight, shape=(4, 2, 2))
gained("rms_norm", nn.RMSNorm(4), lambda n: n.weight)
gained("rms_norm_by_hand", HandRMS(4), lambda n: n.weight)
gained("rms_norm_by_hand_fraction", HandRMSFraction(4), lambda n: n.weight)
gained("unit_length", UnitLength(), one)
gained("group_norm", nn.GroupNorm(2, 4), per_channel, shape=(4, 2, 2))
gained("group_norm_of_one_group", nn.GroupNorm(1, 4), lambda n: n.weight)
gained("group_norm_plain", nn.GroupNorm(2, 4, affine=False), one, shape=(4, 2, 2))
gained("instance_norm", nn.InstanceNorm2d(4, affine=True), per_channel, shape=(4, 2, 2))
gained("instance_norm_plain", nn.InstanceNorm2d(4), one, shape=(4, 2, 2))
gained("local_response_norm", nn.LocalResponseNorm(2), one, shape=(4, 2, 2))


@toy
def instance_norm_with_statistics() -> Toy:
    """In eval mode with running statistics it is a batch norm, and folds as one."""
    net = sequential(
        nn.Conv2d(1, 2, 2), nn.InstanceNorm2d(2, affine=True, track_running_stats=True), nn.ReLU(), nn.Conv2d(2, 1, 2)
    )
    blocks = {
        ("0", "input"): conv(net[0].weight, [taps(3, 2)] * 2, scale=gain(net[1])),
        ("3", "0"): conv(net[3].weight, [taps(2, 2)] * 2),
    }
    return Toy(
        "instance_norm_with_statistics",
        net,
        zeros(1, 3, 3),
        {"input": (1, 3, 3), "0": (2, 2, 2), "3": (1, 1, 1)},
        blocks,
    )


@toy
def channels_last_layer_norm() -> Toy:
    """ConvNeXt's layer norm over channels, between two permutations."""
    net = Net(
        lambda n, x: n.out(n.norm(n.first(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)),
        first=nn.Conv2d(1, 3, 2),
        norm=nn.LayerNorm(3),
        out=nn.Conv2d(3, 1, 2),
    )
    blocks = {
        ("first", "input"): conv(net.first.weight, [taps(3, 2)] * 2),
        ("out", "first"): scaled(conv(net.out.weight, [taps(2, 2)] * 2), per_channel(net.norm), source=True),
    }
    return Toy(
        "channels_last_layer_norm",
        net,
        zeros(1, 3, 3),
        {"input": (1, 3, 3), "first": (3, 2, 2), "out": (1, 1, 1)},
        blocks,
    )
