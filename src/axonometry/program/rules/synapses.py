"""Synapses: linear layers, convolutions of every rank, matrix products with a constant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from axonometry.program.blocked import BlockedMatrix
from axonometry.program.links import Links
from axonometry.program.op_call import LinearFunction, Lowering, OpCall
from axonometry.program.primitives import look_up, routed
from axonometry.program.registry import op_rule, overloads
from axonometry.program.rules.attention import of_softmax
from axonometry.program.rules.sparse import SPARSE, is_sparse, sparse_product
from axonometry.program.rules.transposable import is_constant, transposable_map

aten = torch.ops.aten
LARGE = 2**18
"""Weights from which on a product is worth dividing among threads."""


@op_rule(aten.linear.default)
def linear_rule(call: OpCall) -> Lowering:
    """X W' + b."""
    if call.is_signal(call.args[1]):
        return _computed_weight(call)
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
    # W of (512, 784) and two threads: y as (2, 1, 256), W as (2, 256, 784), and the two products of (1, 784) are added.
    alone = y.numel() == weight.shape[0] and weight.numel() > LARGE and weight.shape[0] % threads == 0
    if not alone or weight.device.type != "cpu" or isinstance(weight, BlockedMatrix):
        return y @ weight
    blocks = weight.reshape(threads, -1, weight.shape[1])
    return torch.bmm(y.reshape(threads, 1, -1).contiguous(), blocks).sum(0).reshape(*y.shape[:-1], -1)


def _convolution(
    operation: Callable[..., Tensor], shape: tuple[int, ...], geometry: Geometry | None
) -> Callable[..., Tensor]:
    def read(links: Links, x: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **named: Any) -> Tensor:
        weight = links(weight)
        constants = links.constant(bias)
        # padding="same" may pad one side more than the other, which the backward call below cannot be told: autograd
        # does it.
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
        # The gradient of a convolution by its input is the transposed convolution. Of x it asks for the shape alone, so
        # that nothing has to be run forwards.
        places = (self.stride, self.padding, self.dilation, self.transposed, self.output_padding, self.groups)
        return aten.convolution_backward(y, x, weight, None, *places, [True, False, False])[0]


@op_rule(*overloads("conv1d", "conv2d", "conv3d"))
def convolution_rule(call: OpCall) -> Lowering:
    """The weight's layout is (out, in / groups, ...)."""
    if call.is_signal(call.args[1]):
        return _computed_weight(call)
    groups = call.node.kwargs.get("groups", call.argument(6, 1))
    geometry = Geometry.of(call, len(call.shape()) - 2)
    read = _convolution(call.operation, call.shape(), geometry)
    return Lowering("synapse", read, channel_axis=1, signal_axis=1, groups=groups)


@op_rule(*overloads("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"))
def transposed_convolution(call: OpCall) -> Lowering:
    """The weight's layout is (in, out / groups, ...)."""
    if call.is_signal(call.args[1]):
        return _computed_weight(call)
    groups = call.node.kwargs.get("groups", call.argument(6, 1))
    read = _convolution(call.operation, call.shape(), Geometry.of(call, len(call.shape()) - 2))
    return Lowering("synapse", read, output_axis=1, input_axis=0, channel_axis=1, signal_axis=1, groups=groups)


@op_rule(aten.convolution.default)
def general_convolution(call: OpCall) -> Lowering:
    """Transposed or not."""
    if call.is_signal(call.args[1]):
        return _computed_weight(call)
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
    if is_sparse(left):
        return sparse_product(call)
    if is_sparse(right):
        call.refuse(SPARSE)
    if call.is_signal(left) and call.is_signal(right):
        return of_softmax(call) or _of_two_signals(operation, call)
    if call.is_signal(left):
        axis, shape = len(call.shape(right)) - 1, call.shape()

        def read(links: Links, x: Tensor, weight: Tensor) -> Tensor:
            # _times turns a matrix; a stack of them, or a vector, is left to autograd.
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


@op_rule(routed)
def experts(call: OpCall) -> Lowering:
    """Without data each expert's matrix has an equal share, with data it is the one that was chosen."""
    place = call.args[3]
    signal = call.args[1 - place]

    def product(x: Tensor, matrix: Tensor) -> Tensor:
        return x @ matrix if place else matrix @ x

    def read(links: Links, left: Any, right: Any, table: Tensor, _: int) -> Tensor:
        # Mapped before they are added up: of the weights 1 and -1 of two experts, |A| has a link of (1 + 1) / 2 and A
        # one of 0.
        return product(left if place else right, links(table).sum(0) * links(1.0 / len(table)))

    def recorded(*real: Any) -> LinearFunction:
        return lambda links, left, right, *_: product(left if place else right, links(real[place]))

    rank = len(call.shape())
    channels, along = (rank - 1, -1) if place else (rank - 2, -2)
    return Lowering(
        "synapse",
        read,
        weight=2,
        channel_axis=channels,
        signal_axis=along,
        reads=(signal,),
        data_dependent=recorded,
        output_axis=2 if place else 1,
        input_axis=1 if place else 2,
    )


def _computed_weight(call: OpCall) -> Lowering:
    """A weight that is computed from the input: a product of two signals, in which each term links both."""
    operation, signal = call.operation, call.is_signal(call.args[0])

    def read(links: Links, x: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **named: Any) -> Tensor:
        if not signal:
            return operation(links(x), weight, links.constant(bias), *rest, **named)
        by_signal = operation(x, torch.ones_like(weight), links.constant(bias), *rest, **named)
        return by_signal + operation(torch.ones_like(x), weight, None, *rest, **named)

    return Lowering("wiring", read)


@op_rule(aten.bilinear.default)
def bilinear(call: OpCall) -> Lowering:
    """Of each term W[k, i, j] a[i] b[j], both signals are linked with the term's weight."""
    signals = [call.is_signal(x) for x in call.args[:2]]
    if call.is_signal(call.args[2]):
        call.refuse("its weight depends on the input")

    def read(links: Links, a: Tensor, b: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        weight = links(weight)
        if all(signals):
            found = aten.linear(a, weight.sum(2)) + aten.linear(b, weight.sum(1))
        else:  # the other one is a constant, and a factor of the weights
            found = aten.bilinear(*(x if s else links(x) for x, s in zip((a, b), signals, strict=True)), weight)
        return links.plus(found, bias)

    return Lowering("synapse", read, weight=2, output_axis=0, input_axis=1 if signals[0] else 2)


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

    return transposable_map(x, value, lambda y: aten.linear(y, weight()), shape)


@op_rule(aten.addmm.default, aten.baddbmm.default)
def biased_matrix_product(call: OpCall) -> Lowering:
    """Bias + x W; of two signals, both are linked."""
    bias, signal, weight = call.args[:3]
    if is_sparse(signal) or is_sparse(weight):
        call.refuse(SPARSE)
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
    """Any product of signals with one constant; each term links every signal in it."""
    equation, operands = call.args[:2]
    signals = [call.is_signal(operand) for operand in operands]
    if len(operands) == 2 and all(signals):
        return of_softmax(call) or _of_two_signals(lambda a, b: aten.einsum(equation, [a, b]), call)
    if "." in equation:
        call.refuse("an ellipsis in a sum over signals and constants has no reading: write its letters out")
    inputs, result = equation.replace(" ", "").split("->")

    def read(links: Links, equation: str, operands: list[Tensor], **_: Any) -> Tensor:
        given = [x if signal else links(x) for x, signal in zip(operands, signals, strict=True)]
        linked = [i for i, signal in enumerate(signals) if signal]
        # every signal in turn, with ones in the place of the others
        terms = ([torch.ones_like(x) if i in linked and i != one else x for i, x in enumerate(given)] for one in linked)
        total: Tensor = sum(aten.einsum(equation, term) for term in terms)
        return total

    if all(signals):
        return Lowering("wiring", read)
    if sum(signals) != len(signals) - 1:
        call.refuse("a sum over signals and one constant is what can be read: multiply the constants first")
    constant = signals.index(False)
    weight_letters, letters = (
        inputs.split(",")[constant],
        "".join(inputs.split(",")[:constant] + inputs.split(",")[constant + 1 :]),
    )
    # "bi,oi->bo": o is free, the outputs, and i is shared with the signal, the inputs. "bi,i->bi" has no free letter
    # and sums over none: a gain. "bi,i->b" sums over i and adds no axis for neurons to lie along.
    free = [letter for letter in weight_letters if letter in result and letter not in letters]
    shared = [letter for letter in weight_letters if letter in letters]
    if not free or not shared:
        summed = [letter for letter in shared if letter not in result]
        if not summed:  # it scales, entry by entry, and what it sums besides is wiring
            return Lowering("wiring", read, role="normalisation")
        call.refuse("a constant that adds no axis has no reading")
    first = inputs.split(",")[signals.index(True)]
    along = next((letter for letter in reversed(shared) if letter in first), shared[-1])
    return Lowering(
        "synapse",
        read,
        output_axis=weight_letters.index(free[0]),
        input_axis=weight_letters.index(along),
        channel_axis=result.index(free[0]),
        signal_axis=max(first.find(along), 0),
    )
