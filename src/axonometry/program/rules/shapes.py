"""Shape operations: each result is a neuron of the argument, a copy of one, or a plain sum over some."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from axonometry.program.links import Links
from axonometry.program.op_call import Kind, Lowering, OpCall
from axonometry.program.registry import op_rule, overloads

aten = torch.ops.aten

IDENTITIES = """
clone contiguous alias detach to _to_copy dropout feature_dropout alpha_dropout feature_alpha_dropout native_dropout
lift_fresh_copy type_as
""".split()
RELABELS = """
reshape flatten unflatten permute transpose t numpy_T movedim swapaxes swapdims squeeze unsqueeze
pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle flip roll rot90
""".split()
INDEX_MAPS = """
slice select narrow expand expand_as repeat repeat_interleave tile chunk split split_with_sizes
tensor_split unbind unfold diagonal diag_embed tril triu reflection_pad1d reflection_pad2d reflection_pad3d
replication_pad1d replication_pad2d replication_pad3d _pad_circular im2col col2im broadcast_to
""".split()
SUMS = "sum cumsum".split()


@op_rule(*overloads(*IDENTITIES))
def identity(call: OpCall) -> Lowering:
    """The neurons themselves."""
    return Lowering("relabel", lambda links, x, *_, **__: x)


def _as_it_is(kind: Kind) -> Callable[[OpCall], Lowering]:
    """Operations that are linear with coefficients of one: read as they are under every map."""

    def resolve(call: OpCall) -> Lowering:
        operation = call.operation
        if not call.is_signal(call.args[0]):
            call.refuse("only its first argument may be a signal")
        return Lowering(kind, lambda links, *args, **named: operation(*args, **named))

    return resolve


op_rule(*overloads(*RELABELS))(_as_it_is("relabel"))
op_rule(*overloads(*INDEX_MAPS, *SUMS))(_as_it_is("wiring"))


@op_rule(aten.view.default, aten._unsafe_view.default)
def view(call: OpCall) -> Lowering:
    """As reshape: a reading's values need not lie in memory as the network's do."""
    return Lowering("relabel", lambda links, x, shape: x.reshape(shape))


@op_rule(*overloads("as_strided"))
def strided(call: OpCall) -> Lowering:
    """Entries that strides tell, of a tensor that lies in memory row by row."""
    sizes, strides = call.args[1:3]
    if not call.args[0].meta["val"].is_contiguous():
        call.refuse("what its strides mean depends on how its argument lies in memory")
    places = torch.full(sizes, int(call.argument(3) or 0))
    for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
        places += (torch.arange(size) * stride).reshape([-1 if a == axis else 1 for a in range(len(sizes))])
    return Lowering("wiring", lambda links, x, *_: x.reshape(-1)[places.to(x.device)])


@op_rule(aten.glu.default)
def gated_linear_unit(call: OpCall) -> Lowering:
    """The product of one half with a function of the other links both."""

    def read(links: Links, x: Tensor, dim: int = -1) -> Tensor:
        half, gate = x.chunk(2, dim)
        return half + gate

    return Lowering("wiring", read)


@op_rule(operator.getitem)
def item(call: OpCall) -> Lowering:
    """One of several results; of a pooling or a norm that also gives indices, only the first is a signal."""
    producer = call.args[0]
    several = isinstance(producer.meta["val"], (tuple, list)) and producer.target in _MANY
    if several:
        return Lowering("relabel", lambda links, values, position: values[position])
    if call.args[1] != 0:
        if not call.node.meta["val"].is_floating_point():  # they choose, as an argmax does
            shape = call.shape()
            return Lowering("wiring", lambda links, *_: torch.zeros(shape, dtype=links.dtype), reads=())
        call.refuse("statistics of a norm are no signals")
    return Lowering("relabel", lambda links, value, position: value)


_MANY = set(overloads("chunk", "split", "split_with_sizes", "tensor_split", "unbind"))


@op_rule(*overloads("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack", "row_stack"))
def joined(call: OpCall) -> Lowering:
    """Signals side by side; a constant among them is a bias."""
    operation = call.operation
    signals = [call.is_signal(operand) for operand in call.args[0]]

    def read(links: Links, tensors: list[Tensor], *dim: Any) -> Tensor:
        return operation([_or_zeros(links, x, signal) for x, signal in zip(tensors, signals, strict=True)], *dim)

    return Lowering("wiring", read)


@op_rule(*overloads("slice_scatter", "select_scatter"))
def overwritten(call: OpCall) -> Lowering:
    """Writing into a part of a tensor."""
    operation = call.operation
    signals = [call.is_signal(operand) for operand in call.args[:2]]

    def read(links: Links, base: Tensor, part: Tensor, *where: Any) -> Tensor:
        return operation(_or_zeros(links, base, signals[0]), _or_zeros(links, part, signals[1]), *where)

    return Lowering("wiring", read)


def _or_zeros(links: Links, value: Tensor, is_signal: bool) -> Tensor:
    if is_signal:
        return value
    return value.to(links.dtype) if links.constants else torch.zeros_like(value, dtype=links.dtype)


@op_rule(aten.pad.default, aten.constant_pad_nd.default)
def padded(call: OpCall) -> Lowering:
    """A constant border carries no link; the other modes repeat neurons."""
    constant = call.operation is aten.constant_pad_nd.default or call.argument(2, "constant") == "constant"
    if not constant:
        return Lowering("wiring", lambda links, x, *args: aten.pad(x, *args))
    value_at = 3 if call.operation is aten.pad.default else 2

    def read(links: Links, x: Tensor, widths: list[int], *rest: Any) -> Tensor:
        fill = rest[value_at - 2] if len(rest) > value_at - 2 else None
        return aten.constant_pad_nd(x, widths, links.constant(fill) or 0.0)

    return Lowering("wiring", read)
