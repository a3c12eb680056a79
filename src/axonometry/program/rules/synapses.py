"""Synapses: linear layers, convolutions of every rank, matrix products with a constant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from axonometry.program.links import Links
from axonometry.program.op_call import Lowering, OpCall
from axonometry.program.primitives import look_up
from axonometry.program.registry import op_rule, overloads
from axonometry.program.rules.attention import of_softmax
from axonometry.program.transposable import is_constant, transposable_map

aten = torch.ops.aten
LARGE = 2**18
"""Weights from which on a product is worth dividing among threads."""


@op_rule(aten.linear.default)
def linear_rule(call: OpCall) -> Lowering:
    """X W' + b."""
    shape = call.shape()

    def read(links: Links, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return transposable_map(
            x,
            lambda: _linear(links, x, links(weight), bias),
            lambda y: _linear_pulled(y, links(weight)),
            shape,
        )

    return Lowering("synapse", read)


def _linear(links: Links, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if is_constant(x, -1):  # equal features meet the sum of their weights
        return links.plus(x[..., :1] * weight.sum(1), bias)
    return aten.linear(x, weight, links.constant(bias))


def _linear_pulled(y: Tensor, weight: Tensor) -> Tensor:
    """Y W. BLAS multiplies a single row by a matrix in one thread; blocks of rows go to all of them."""
    threads = torch.get_num_threads()
    alone = y.numel() == weight.shape[0] and weight.numel() > LARGE and weight.shape[0] % threads == 0
    if not alone or weight.device.type != "cpu":
        return y @ weight
    blocks = weight.reshape(threads, -1, weight.shape[1])
    return torch.bmm(y.reshape(threads, 1, -1).contiguous(), blocks).sum(0).reshape(*y.shape[:-1], -1)


def _convolution(
    operation: Callable[..., Tensor], shape: tuple[int, ...], geometry: Geometry | None
) -> Callable[..., Tensor]:
    def read(links: Links, x: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **named: Any) -> Tensor:
        weight = links(weight)
        constants = links.constant(bias)
        if geometry is None:
            return operation(x, weight, constants, *rest, **named)
        return transposable_map(
            x,
            lambda: operation(*geometry.reduced(x, weight), constants, *rest, **named),
            lambda y: geometry.pull(y, x, weight),
            shape,
        )

    return read


@dataclass(frozen=True)
class Geometry:
    """Where a convolution's kernel goes, as ``aten.convolution`` takes it."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    transposed: bool
    output_padding: list[int]
    groups: int

    @classmethod
    def of(cls, call: OpCall, rank: int) -> Geometry | None:
        """The geometry of a call; None where the padding is a word."""
        transposed = "transpose" in call.name
        names = ["stride", "padding"] + (
            ["output_padding", "groups", "dilation"] if transposed else ["dilation", "groups"]
        )
        given = dict(zip(names, call.args[3:], strict=False)) | dict(call.node.kwargs)
        if isinstance(given.get("padding"), str):
            return None

        def spread(name: str, default: int) -> list[int]:
            value = given.get(name, default)
            value = [value] if isinstance(value, int) else list(value)
            return value * rank if len(value) == 1 else value

        sides = spread("stride", 1), spread("padding", 0), spread("dilation", 1)
        return cls(*sides, transposed, spread("output_padding", 0), given.get("groups", 1))

    def reduced(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """A signal and weights with the same result: equal channels meet the sum of their kernels."""
        if self.groups > 1 or not is_constant(x, 1):
            return x, weight
        return x[:, :1], weight.sum(0 if self.transposed else 1, keepdim=True)

    def pull(self, y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """The transposed map; equal channels again meet the sum of their kernels."""
        if self.groups == 1 and is_constant(y, 1):
            y, weight = y[:, :1], weight.sum(1 if self.transposed else 0, keepdim=True)
        places = (self.stride, self.padding, self.dilation, self.transposed, self.output_padding, self.groups)
        return aten.convolution_backward(y, x, weight, None, *places, [True, False, False])[0]


@op_rule(*overloads("conv1d", "conv2d", "conv3d"))
def convolution_rule(call: OpCall) -> Lowering:
    """The weight's layout is (out, in / groups, ...)."""
    groups = call.node.kwargs.get("groups", call.argument(6, 1))
    geometry = Geometry.of(call, len(call.shape()) - 2)
    read = _convolution(call.operation, call.shape(), geometry)
    return Lowering("synapse", read, channel_axis=1, signal_axis=1, groups=groups)


@op_rule(*overloads("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"))
def transposed_convolution(call: OpCall) -> Lowering:
    """The weight's layout is (in, out / groups, ...)."""
    groups = call.node.kwargs.get("groups", call.argument(6, 1))
    read = _convolution(call.operation, call.shape(), Geometry.of(call, len(call.shape()) - 2))
    return Lowering("synapse", read, output_axis=1, input_axis=0, channel_axis=1, signal_axis=1, groups=groups)


@op_rule(aten.convolution.default)
def general_convolution(call: OpCall) -> Lowering:
    """Transposed or not."""
    transposed, groups = int(call.args[6]), call.args[8]
    read = _convolution(aten.convolution.default, call.shape(), Geometry(*call.args[3:9]))
    axes: dict[str, Any] = {
        "output_axis": transposed,
        "input_axis": 1 - transposed,
        "channel_axis": 1,
        "signal_axis": 1,
    }
    return Lowering("synapse", read, groups=groups, **axes)


@op_rule(aten.matmul.default, aten.mm.default, aten.bmm.default, aten.mv.default)
def matrix_product(call: OpCall) -> Lowering:
    """A constant matrix on either side of the signal."""
    left, right = call.args
    operation = call.operation
    if call.is_signal(left) and call.is_signal(right):
        return of_softmax(call) or _of_two_signals(operation, call)
    if call.is_signal(left):
        axis, shape = len(call.shape(right)) - 1, call.shape()

        def read(links: Links, x: Tensor, weight: Tensor) -> Tensor:
            if axis != 1 or x.dim() < 2:
                return operation(x, links(weight))
            return _times(x, lambda: links(weight), shape)

        return Lowering("synapse", read, output_axis=axis, input_axis=max(axis - 1, 0))
    rank, rows = len(call.shape()), max(len(call.shape(left)) - 2, 0)
    return Lowering(
        "synapse",
        lambda links, weight, x: operation(links(weight), x),
        weight=0,
        output_axis=rows,
        input_axis=len(call.shape(left)) - 1,
        channel_axis=max(rank - (2 if len(call.shape(right)) > 1 else 1), 0),
        signal_axis=-2 if len(call.shape(right)) > 1 else -1,
    )


def _of_two_signals(product: Callable[[Tensor, Tensor], Tensor], call: OpCall, first: int = 0) -> Lowering:
    """A product of two signals links both, as where gates multiply: each term of each sum with weight 1."""
    written = call.operation is aten.einsum.default

    def read(links: Links, *args: Any, **_: Any) -> Tensor:
        a, b = args[1] if written else args[first : first + 2]
        return product(a, torch.ones_like(b)) + product(torch.ones_like(a), b)

    return Lowering("wiring", read)


@op_rule(look_up)
def embedding(call: OpCall) -> Lowering:
    """One-hot vectors, times the table."""
    shape = call.shape()

    def read(links: Links, x: Tensor, table: Tensor) -> Tensor:
        return _times(x, lambda: links(table), shape)

    return Lowering("synapse", read, output_axis=1, input_axis=0)


def _times(x: Tensor, weight: Callable[[], Tensor], shape: tuple[int, ...]) -> Tensor:
    """X W for a matrix that is not held on the way back."""

    def value() -> Tensor:
        return x[..., :1] * weight().sum(0) if is_constant(x, -1) else x @ weight()

    return transposable_map(x, value, lambda y: y @ weight().T, shape)


@op_rule(aten.addmm.default, aten.baddbmm.default)
def biased_matrix_product(call: OpCall) -> Lowering:
    """Bias + x W; of two signals, both are linked."""
    bias, signal, weight = call.args[:3]
    if call.is_signal(bias):
        call.refuse("it adds a signal to a product")
    if call.is_signal(signal) and call.is_signal(weight):  # scores of attention with a mask added
        return _of_two_signals(aten.matmul.default, call, first=1)
    if not call.is_signal(signal):
        call.refuse("a constant on its left has no reading")
    shape = call.shape()

    def read(links: Links, bias: Tensor, x: Tensor, weight: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        flat = weight.dim() == 2
        product = _times(x, lambda: links(weight), shape) if flat else x @ links(weight)
        product = product if alpha == 1 else product * links(float(alpha))
        term = links.constant(bias)
        return product if term is None else product + beta * term

    axis = len(call.shape(weight)) - 1
    return Lowering("synapse", read, weight=2, output_axis=axis, input_axis=axis - 1)


@op_rule(aten.einsum.default)
def einstein_sum(call: OpCall) -> Lowering:
    """Any product of one signal with one constant."""
    equation, operands = call.args[:2]
    signals = [call.is_signal(operand) for operand in operands]
    if len(operands) == 2 and all(signals):
        return of_softmax(call) or _of_two_signals(lambda a, b: aten.einsum(equation, [a, b]), call)
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
    return Lowering(
        "synapse",
        read,
        output_axis=weight_letters.index(free[0]),
        input_axis=weight_letters.index(shared[-1]),
        channel_axis=result.index(free[0]),
        signal_axis=letters.index(shared[-1]),
    )
