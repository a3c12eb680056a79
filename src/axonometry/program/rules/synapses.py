"""Synapses: linear layers, convolutions of every rank, matrix products with a constant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from axonometry.program.call import Call
from axonometry.program.links import Links
from axonometry.program.registry import Reading, overloads, resolver, rule

aten = torch.ops.aten


@rule(aten.linear.default, kind="synapse")
def linear(links: Links, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W' + b."""
    return aten.linear(x, links(weight), links.constant(bias))


def _convolution(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def read(links: Links, x: Tensor, weight: Tensor, bias: Tensor | None = None, *geometry: Any, **named: Any) -> Tensor:
        return operation(x, links(weight), links.constant(bias), *geometry, **named)

    return read


@resolver(*overloads("conv1d", "conv2d", "conv3d"))
def convolution(call: Call) -> Reading:
    """The weight's layout is (out, in / groups, ...)."""
    groups = call.node.kwargs.get("groups", call.argument(6, 1))
    return Reading("synapse", _convolution(call.node.target), channel_axis=1, signal_axis=1, groups=groups)


@resolver(*overloads("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"))
def transposed_convolution(call: Call) -> Reading:
    """The weight's layout is (in, out / groups, ...)."""
    groups = call.node.kwargs.get("groups", call.argument(6, 1))
    read = _convolution(call.node.target)
    return Reading("synapse", read, output_axis=1, input_axis=0, channel_axis=1, signal_axis=1, groups=groups)


@resolver(aten.convolution.default)
def general_convolution(call: Call) -> Reading:
    """Transposed or not."""
    transposed, groups = int(call.node.args[6]), call.node.args[8]
    read = _convolution(aten.convolution.default)
    axes = {"output_axis": transposed, "input_axis": 1 - transposed, "channel_axis": 1, "signal_axis": 1}
    return Reading("synapse", read, groups=groups, **axes)


@resolver(aten.matmul.default, aten.mm.default, aten.bmm.default, aten.mv.default)
def matrix_product(call: Call) -> Reading:
    """A constant matrix on either side of the signal."""
    left, right = call.node.args
    operation = call.node.target
    if call.is_signal(left) and call.is_signal(right):
        call.refuse("it multiplies two signals")
    if call.is_signal(left):
        axis = len(call.shape(right)) - 1
        read = lambda links, x, weight: operation(x, links(weight))  # noqa: E731
        return Reading("synapse", read, output_axis=axis, input_axis=max(axis - 1, 0))
    rank, rows = len(call.shape()), max(len(call.shape(left)) - 2, 0)
    return Reading(
        "synapse",
        lambda links, weight, x: operation(links(weight), x),
        weight=0,
        output_axis=rows,
        input_axis=len(call.shape(left)) - 1,
        channel_axis=max(rank - (2 if len(call.shape(right)) > 1 else 1), 0),
        signal_axis=-2 if len(call.shape(right)) > 1 else -1,
    )


@resolver(aten.addmm.default, aten.baddbmm.default)
def biased_matrix_product(call: Call) -> Reading:
    """bias + x W."""
    bias, _, weight = call.node.args[:3]
    if call.is_signal(bias) or call.is_signal(weight):
        call.refuse("it multiplies or adds several signals")
    operation = aten.matmul.default

    def read(links: Links, bias: Tensor, x: Tensor, weight: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        product = operation(x, links(weight))
        product = product if alpha == 1 else product * links(float(alpha))
        term = links.constant(bias)
        return product if term is None else product + beta * term

    axis = len(call.shape(weight)) - 1
    return Reading("synapse", read, weight=2, output_axis=axis, input_axis=axis - 1)


@resolver(aten.einsum.default)
def einstein_sum(call: Call) -> Reading:
    """Any product of one signal with one constant."""
    equation, operands = call.node.args[:2]
    signals = [call.is_signal(operand) for operand in operands]
    if len(operands) != 2 or sum(signals) != 1 or "." in equation:
        call.refuse("a sum over one signal and one constant, without an ellipsis, is what can be read")
    inputs, result = equation.replace(" ", "").split("->")
    letters, weight_letters = inputs.split(",")[signals.index(True)], inputs.split(",")[signals.index(False)]
    free = [letter for letter in weight_letters if letter in result and letter not in letters]

    def read(links: Links, equation: str, operands: list[Tensor], **_: Any) -> Tensor:
        return aten.einsum(equation, [x if signal else links(x) for x, signal in zip(operands, signals, strict=True)])

    shared = [letter for letter in weight_letters if letter in letters]
    if not free or not shared:
        call.refuse("a constant that shares no axis with the signal, or adds none, has no reading")
    return Reading(
        "synapse",
        read,
        output_axis=weight_letters.index(free[0]),
        input_axis=weight_letters.index(shared[-1]),
        channel_axis=result.index(free[0]),
        signal_axis=letters.index(shared[-1]),
    )
