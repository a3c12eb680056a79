"""Toys of pooling and upsampling, each window spelled out."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.testing import Block, Toy

from .oracles import (
    Net,
    adaptive,
    averaged,
    conv,
    interpolation,
    linear,
    mapped,
    nearest,
    number,
    padded_lengths,
    register,
    sequential,
    taps,
    toy,
    windows,
    zeros,
)


def read(name: str, layer: nn.Module, shape: tuple[int, ...], block: Block, **options: Any) -> None:
    """layer(input), flattened and read by a linear layer; with pooling="nodes" the pooled values are a group."""

    def build() -> Toy:
        outputs = layer(zeros(*shape)[0]).shape[1:]
        net = sequential(layer, nn.Flatten(), nn.Linear(prod(outputs), 2))
        blocks = {("2", "input"): lambda x, f: linear(net[2])(block(x, f).flatten(1), f)}
        return Toy(name, net, zeros(*shape), {"input": shape, "2": (2,)}, blocks, **options)

    def nodes() -> Toy:
        outputs = layer(zeros(*shape)[0]).shape[1:]
        net = sequential(layer, nn.Flatten(), nn.Linear(prod(outputs), 2))
        blocks = {("0", "input"): block, ("2", "0"): lambda x, f: linear(net[2])(x.flatten(1), f)}
        groups = {"input": shape, "0": tuple(outputs), "2": (2,)}
        return Toy(f"{name}_as_nodes", net, zeros(*shape), groups, blocks, pooling="nodes", **options)

    register(name, build)
    if "pool" in name:
        register(f"{name}_as_nodes", nodes)


def spread(value: Any, rank: int) -> Sequence[Any]:
    return value if isinstance(value, tuple) else (value,) * rank


def window_pool(name: str, layer: nn.Module, shape: tuple[int, ...]) -> None:
    """A pooling layer whose options are its attributes: the mean of real members, or torch's own divisor."""
    rank = len(shape) - 1
    kernel, stride = spread(layer.kernel_size, rank), spread(layer.stride or layer.kernel_size, rank)
    padding, dilation = spread(getattr(layer, "padding", 0), rank), spread(getattr(layer, "dilation", 1), rank)
    axes = [windows(n, kernel[a], stride[a], padding[a], dilation[a], layer.ceil_mode) for a, n in enumerate(shape[1:])]
    if getattr(layer, "divisor_override", None):
        block: Block = mapped([axis / layer.divisor_override ** (1 / rank) for axis in axes])
    elif getattr(layer, "count_include_pad", False):
        block = averaged(
            axes,
            [padded_lengths(n, kernel[a], stride[a], padding[a], axes[a].shape[0]) for a, n in enumerate(shape[1:])],
        )
    else:
        block = averaged(axes)
    read(name, layer, shape, block)


window_pool("max_pool1d", nn.MaxPool1d(2), (2, 5))
window_pool("max_pool1d_everything", nn.MaxPool1d(3, stride=2, padding=1, dilation=2, ceil_mode=True), (1, 8))
window_pool("max_pool2d", nn.MaxPool2d(2), (2, 4, 5))
window_pool("max_pool2d_overlap", nn.MaxPool2d(3, stride=2, padding=1), (1, 5, 4))
window_pool("max_pool2d_ceil", nn.MaxPool2d(2, ceil_mode=True), (1, 3, 5))
window_pool("max_pool2d_dilation", nn.MaxPool2d((2, 3), stride=(1, 2), padding=(1, 1), dilation=(3, 2)), (1, 5, 7))
window_pool("max_pool3d", nn.MaxPool3d(2, stride=(1, 2, 2), padding=(1, 0, 1)), (1, 2, 4, 3))
window_pool("avg_pool1d", nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True), (2, 6))
window_pool("avg_pool1d_excluding", nn.AvgPool1d(3, stride=2, padding=1, count_include_pad=False), (1, 6))
window_pool("avg_pool2d", nn.AvgPool2d(2), (2, 4, 4))
window_pool("avg_pool2d_including", nn.AvgPool2d((3, 2), stride=2, padding=1, ceil_mode=True), (1, 5, 4))
window_pool(
    "avg_pool2d_excluding", nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False), (1, 4, 5)
)
window_pool("avg_pool2d_divisor", nn.AvgPool2d(2, divisor_override=3), (1, 4, 4))
window_pool("avg_pool3d", nn.AvgPool3d(2, stride=1, padding=1), (1, 2, 2, 3))
window_pool("avg_pool3d_excluding", nn.AvgPool3d((1, 2, 2), padding=(0, 1, 1), count_include_pad=False), (1, 2, 3, 2))
window_pool("lp_pool1d", nn.LPPool1d(2, 2), (2, 4))
window_pool("lp_pool2d", nn.LPPool2d(2, (2, 3), stride=(2, 1)), (1, 4, 4))
window_pool("lp_pool3d", nn.LPPool3d(1.5, 2), (1, 2, 2, 4))
read("adaptive_avg_pool1d", nn.AdaptiveAvgPool1d(3), (2, 5), averaged([adaptive(5, 3)]))
read("adaptive_avg_pool2d", nn.AdaptiveAvgPool2d((2, 3)), (2, 5, 4), averaged([adaptive(5, 2), adaptive(4, 3)]))
read("adaptive_avg_pool2d_global", nn.AdaptiveAvgPool2d(1), (3, 2, 4), averaged([adaptive(2, 1), adaptive(4, 1)]))
read("adaptive_avg_pool2d_keep", nn.AdaptiveAvgPool2d((None, 2)), (1, 3, 4), averaged([adaptive(3, 3), adaptive(4, 2)]))
read("adaptive_avg_pool2d_grow", nn.AdaptiveAvgPool2d((3, 5)), (1, 2, 3), averaged([adaptive(2, 3), adaptive(3, 5)]))
read(
    "adaptive_avg_pool3d",
    nn.AdaptiveAvgPool3d((1, 2, 2)),
    (1, 2, 3, 2),
    averaged([adaptive(2, 1), adaptive(3, 2), adaptive(2, 2)]),
)
read("adaptive_max_pool1d", nn.AdaptiveMaxPool1d(2), (2, 5), averaged([adaptive(5, 2)]))
read("adaptive_max_pool2d", nn.AdaptiveMaxPool2d((3, 1)), (1, 4, 3), averaged([adaptive(4, 3), adaptive(3, 1)]))
read(
    "adaptive_max_pool3d",
    nn.AdaptiveMaxPool3d(1),
    (2, 2, 1, 2),
    averaged([adaptive(2, 1), adaptive(1, 1), adaptive(2, 1)]),
)


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)


two = [windows(4, 2), windows(4, 2)]
read("max_pool2d_function", Function(lambda x: F.max_pool2d(x, 2)), (1, 4, 4), averaged(two))
read("max_pool2d_indices", Function(lambda x: F.max_pool2d(x, 2, return_indices=True)[0]), (1, 4, 4), averaged(two))
read(
    "adaptive_max_pool2d_indices",
    Function(lambda x: F.adaptive_max_pool2d(x, 2, return_indices=True)[0]),
    (1, 4, 4),
    averaged(two),
)
read("avg_pool2d_function", Function(lambda x: F.avg_pool2d(x, (2, 2))), (1, 4, 4), averaged(two))

# Upsampling: one coefficient for each pair of output and input position.
read("upsample_nearest1d", nn.Upsample(scale_factor=2), (2, 3), mapped([nearest(3, 6)]))
read("upsample_nearest2d", nn.Upsample(scale_factor=(2, 3)), (2, 2, 2), mapped([nearest(2, 4), nearest(2, 6)]))
read("upsample_nearest2d_size", nn.Upsample(size=(5, 3)), (1, 3, 2), mapped([nearest(3, 5), nearest(2, 3)]))
read(
    "upsample_nearest3d",
    nn.Upsample(scale_factor=2),
    (1, 1, 2, 2),
    mapped([nearest(1, 2), nearest(2, 4), nearest(2, 4)]),
)
read(
    "upsample_nearest_exact",
    nn.Upsample(size=(4, 5), mode="nearest-exact"),
    (1, 3, 3),
    mapped([nearest(3, 4, True), nearest(3, 5, True)]),
)
read(
    "downsample_nearest",
    Function(lambda x: F.interpolate(x, scale_factor=0.5)),
    (1, 4, 4),
    mapped([nearest(4, 2), nearest(4, 2)]),
)
for align in (False, True):
    corner = "_corners" if align else ""
    read(
        f"upsample_linear{corner}",
        nn.Upsample(scale_factor=2, mode="linear", align_corners=align),
        (1, 4),
        mapped([interpolation(4, 8, align)]),
        counted=False,
    )
    read(
        f"upsample_bilinear{corner}",
        nn.Upsample(size=(5, 4), mode="bilinear", align_corners=align),
        (2, 3, 2),
        mapped([interpolation(3, 5, align), interpolation(2, 4, align)]),
        counted=False,
    )
    read(
        f"upsample_trilinear{corner}",
        nn.Upsample(size=(3, 3, 2), mode="trilinear", align_corners=align),
        (1, 2, 2, 2),
        mapped([interpolation(2, 3, align), interpolation(2, 3, align), interpolation(2, 2, align)]),
        counted=False,
    )


@toy
def max_pool_as_nodes_in_a_chain() -> Toy:
    """Two pooled groups in a row of convolution, pool, pool, linear."""
    net = sequential(nn.Conv1d(1, 2, 2), nn.ReLU(), nn.MaxPool1d(2), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(4, 2))
    half, quarter = windows(8, 2), windows(4, 2)
    groups = {"input": (1, 9), "0": (2, 8), "2": (2, 4), "3": (2, 2), "5": (2,)}
    blocks = {
        ("0", "input"): conv(net[0].weight, [taps(9, 2)]),
        ("2", "0"): averaged([half]),
        ("3", "2"): averaged([quarter]),
        ("5", "3"): lambda x, f: linear(net[5])(x.flatten(1), f),
    }
    return Toy("max_pool_as_nodes_in_a_chain", net, zeros(1, 9), groups, blocks, pooling="nodes")


@toy
def max_over_positions() -> Toy:
    """A maximum over axes is max-pooling with one window."""
    net = Net(lambda n, x: n.out(x.amax((2, 3))), out=nn.Linear(2, 2))
    blocks = {("out", "input"): lambda x, f: linear(net.out)(x.sum((2, 3)) * f(number(1 / 6)), f)}
    return Toy("max_over_positions", net, zeros(2, 2, 3), {"input": (2, 2, 3), "out": (2,)}, blocks)


@toy
def maxout() -> Toy:
    """The maximum over an axis, by torch.max(...).values."""
    net = Net(
        lambda n, x: n.out(n.pieces(x).view(-1, 2, 3).max(dim=2).values), pieces=nn.Linear(2, 6), out=nn.Linear(2, 2)
    )
    blocks = {
        ("pieces", "input"): linear(net.pieces),
        ("out", "pieces"): lambda x, f: linear(net.out)(x.reshape(-1, 2, 3).sum(2) * f(number(1 / 3)), f),
    }
    return Toy("maxout", net, zeros(2), {"input": (2,), "pieces": (6,), "out": (2,)}, blocks)
