"""Toys of convolutions: rank, stride, padding, dilation, groups, transposed; every link placed by index arithmetic."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from axonometry.testing import Toy

from .oracles import Net, conv, linear, register, sequential, taps, toy, transposed_taps, zeros

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def per_axis(value: Any, rank: int) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value] * rank


def convolution(name: str, shape: tuple[int, ...], outputs: int, kernel: Any, **options: Any) -> None:
    """One convolution on an input of the given shape (channels, *size)."""
    rank = len(shape) - 1

    def build() -> Toy:
        net = sequential(CONV[rank](shape[0], outputs, kernel, **options))
        spread = {
            key: per_axis(options.get(key, default), rank)
            for key, default in {"stride": 1, "padding": 0, "dilation": 1}.items()
        }
        mode = options.get("padding_mode", "zeros")
        axes = [
            taps(n, per_axis(kernel, rank)[a], spread["stride"][a], spread["padding"][a], spread["dilation"][a], mode)
            for a, n in enumerate(shape[1:])
        ]
        block = conv(net[0].weight, axes, groups=options.get("groups", 1))
        groups = {"input": shape, "0": (outputs, *[axis.shape[0] for axis in axes])}
        return Toy(name, net, zeros(*shape), groups, {("0", "input"): block})

    register(name, build)


convolution("conv1d", (2, 6), 3, 3)
convolution("conv1d_stride_padding", (2, 7), 2, 3, stride=2, padding=2)
convolution("conv1d_dilation", (1, 9), 2, 3, dilation=3, padding=1)
convolution("conv1d_groups", (4, 5), 2, 2, groups=2)
convolution("conv1d_circular", (2, 5), 2, 3, padding=2, padding_mode="circular")
convolution("conv1d_reflect", (2, 5), 2, 3, padding=2, padding_mode="reflect")
convolution("conv1d_replicate", (2, 5), 2, 4, padding=3, padding_mode="replicate", stride=2)
convolution("conv1d_same_even", (1, 6), 2, 4, padding="same")
convolution("conv2d", (2, 4, 5), 3, 3)
convolution("conv2d_stride", (1, 5, 6), 2, (2, 3), stride=(2, 1))
convolution("conv2d_stride_leaves_a_rest", (1, 6, 6), 2, 3, stride=2)
convolution("conv2d_padding", (2, 3, 4), 2, 3, padding=(1, 2))
convolution("conv2d_padding_beyond_kernel", (1, 2, 2), 1, 2, padding=(3, 2))
convolution("conv2d_dilation", (1, 6, 7), 2, (2, 3), dilation=(3, 2), padding=1)
convolution("conv2d_everything", (4, 5, 6), 6, (3, 2), stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2)
convolution("conv2d_depthwise", (3, 4, 3), 3, 3, padding=1, groups=3)
convolution("conv2d_depthwise_multiplier", (2, 3, 3), 4, 2, groups=2)
convolution("conv2d_pointwise", (3, 2, 2), 4, 1)
convolution("conv2d_pointwise_stride", (2, 5, 4), 2, 1, stride=2)
convolution("conv2d_same", (2, 4, 3), 2, 3, padding="same")
convolution("conv2d_same_even_dilated", (1, 5, 4), 2, (2, 4), padding="same", dilation=(3, 1))
convolution("conv2d_valid", (1, 4, 4), 1, 3, padding="valid", bias=False)
convolution("conv2d_reflect", (2, 4, 3), 1, 3, padding=(2, 1), padding_mode="reflect")
convolution("conv2d_circular", (1, 4, 3), 2, 3, padding=1, padding_mode="circular", stride=2)
convolution("conv2d_circular_same", (1, 4, 3), 2, (2, 3), padding="same", padding_mode="circular")
convolution("conv2d_replicate", (1, 3, 3), 2, 3, padding=2, padding_mode="replicate", groups=1)
convolution("conv3d", (1, 3, 3, 2), 2, 2)
convolution(
    "conv3d_everything", (2, 3, 4, 3), 2, (2, 3, 1), stride=(1, 2, 2), padding=(1, 1, 0), dilation=(2, 1, 1), groups=2
)
convolution("conv3d_circular", (1, 2, 3, 2), 1, 2, padding=1, padding_mode="circular")


def transposed(name: str, shape: tuple[int, ...], outputs: int, kernel: Any, **options: Any) -> None:
    """One transposed convolution on an input of the given shape (channels, *size)."""
    rank = len(shape) - 1

    def build() -> Toy:
        net = sequential(TRANSPOSED[rank](shape[0], outputs, kernel, **options))
        defaults = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
        spread = {key: per_axis(options.get(key, default), rank) for key, default in defaults.items()}
        axes = [
            transposed_taps(n, per_axis(kernel, rank)[a], **{key: values[a] for key, values in spread.items()})
            for a, n in enumerate(shape[1:])
        ]
        block = conv(net[0].weight, axes, groups=options.get("groups", 1), transposed=True)
        groups = {"input": shape, "0": (outputs, *[axis.shape[0] for axis in axes])}
        return Toy(name, net, zeros(*shape), groups, {("0", "input"): block})

    register(name, build)


transposed("conv_transpose1d", (2, 4), 3, 3)
transposed("conv_transpose1d_everything", (2, 3), 4, 3, stride=3, padding=2, output_padding=2, dilation=2, groups=2)
transposed("conv_transpose2d", (2, 3, 2), 3, (3, 2))
transposed("conv_transpose2d_stride", (1, 2, 3), 2, 2, stride=2)
transposed("conv_transpose2d_output_padding", (2, 2, 3), 1, 3, stride=2, padding=1, output_padding=(1, 0))
transposed("conv_transpose2d_groups", (4, 2, 2), 6, 2, groups=2, stride=(1, 2))
transposed("conv_transpose2d_depthwise", (3, 2, 2), 3, 3, groups=3, stride=2, padding=1)
transposed("conv_transpose2d_dilation", (1, 2, 2), 2, 2, dilation=(2, 3), padding=1)
transposed("conv_transpose2d_never_written", (1, 2, 2), 1, 1, stride=3)
transposed("conv_transpose3d", (1, 2, 2, 2), 2, 2, stride=(2, 1, 2), output_padding=(1, 0, 0))
transposed("conv_transpose3d_groups", (2, 2, 1, 2), 2, 2, groups=2)


@toy
def functional_conv() -> Toy:
    net = Net(
        lambda n, x: n.out(torch.relu(F.conv2d(x, n.kernel, n.bias, stride=2, padding=1)).flatten(1)),
        kernel=nn.Parameter(torch.zeros(2, 1, 3, 3)),
        bias=nn.Parameter(torch.zeros(2)),
        out=nn.Linear(8, 2),
    )
    axes = [taps(4, 3, 2, 1)] * 2
    blocks = {("conv", "input"): conv(net.kernel, axes), ("out", "conv"): lambda x, f: linear(net.out)(x.flatten(1), f)}
    return Toy(
        "functional_conv",
        net,
        zeros(1, 4, 4),
        {"input": (1, 4, 4), "conv": (2, 2, 2), "out": (2,)},
        blocks,
        named=False,
    )


@toy
def depthwise_separable() -> Toy:
    net = sequential(
        nn.Conv2d(2, 2, 3, padding=1, groups=2, bias=False),
        nn.ReLU6(),
        nn.Conv2d(2, 3, 1),
        nn.ReLU6(),
        nn.Conv2d(3, 1, 2, stride=2),
    )
    blocks = {
        ("0", "input"): conv(net[0].weight, [taps(4, 3, 1, 1)] * 2, groups=2),
        ("2", "0"): conv(net[2].weight, [taps(4, 1)] * 2),
        ("4", "2"): conv(net[4].weight, [taps(4, 2, 2)] * 2),
    }
    groups = {"input": (2, 4, 4), "0": (2, 4, 4), "2": (3, 4, 4), "4": (1, 2, 2)}
    return Toy("depthwise_separable", net, zeros(2, 4, 4), groups, blocks)


@toy
def encoder_decoder() -> Toy:
    net = sequential(
        nn.Conv1d(1, 2, 3, stride=2, padding=1), nn.ELU(), nn.ConvTranspose1d(2, 1, 4, stride=2, padding=1), nn.Tanh()
    )
    blocks = {
        ("0", "input"): conv(net[0].weight, [taps(6, 3, 2, 1)]),
        ("2", "0"): conv(net[2].weight, [transposed_taps(3, 4, 2, 1)], transposed=True),
    }
    return Toy("encoder_decoder", net, zeros(1, 6), {"input": (1, 6), "0": (2, 3), "2": (1, 6)}, blocks)


@toy
def conv_flatten_linear() -> Toy:
    """Channels first in the flattened order."""
    net = sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))
    blocks = {
        ("0", "input"): conv(net[0].weight, [taps(3, 2), taps(4, 2)]),
        ("3", "0"): lambda x, f: linear(net[3])(x.flatten(1), f),
    }
    return Toy("conv_flatten_linear", net, zeros(1, 3, 4), {"input": (1, 3, 4), "0": (2, 2, 3), "3": (3,)}, blocks)


@toy
def channels_last_linear() -> Toy:
    """permute to channels last, linear over channels, and back."""
    net = Net(
        lambda n, x: n.mix(n.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
        conv=nn.Conv2d(1, 3, 2),
        mix=nn.Linear(3, 2),
    )
    blocks = {
        ("conv", "input"): conv(net.conv.weight, [taps(3, 2)] * 2),
        ("mix", "conv"): lambda x, f: linear(net.mix)(x.permute(0, 2, 3, 1), f),
    }
    return Toy(
        "channels_last_linear", net, zeros(1, 3, 3), {"input": (1, 3, 3), "conv": (3, 2, 2), "mix": (2, 2, 2)}, blocks
    )


@toy
def memory_format() -> Toy:
    """The same network with weights and input in channels_last memory."""
    net = sequential(nn.Conv2d(2, 2, 2), nn.ReLU(), nn.Conv2d(2, 1, 2)).to(memory_format=torch.channels_last)
    blocks = {("0", "input"): conv(net[0].weight, [taps(3, 2)] * 2), ("2", "0"): conv(net[2].weight, [taps(2, 2)] * 2)}
    example = zeros(2, 3, 3)[0].to(memory_format=torch.channels_last)
    return Toy("memory_format", net, (example,), {"input": (2, 3, 3), "0": (2, 2, 2), "2": (1, 1, 1)}, blocks)
