"""Order: the largest few, sorted values, running extremes and products. Whole numbers that are found choose."""

from __future__ import annotations

import torch
from torch import Tensor

from axonometry.program.links import Links
from axonometry.program.op_call import LinearFunction, Lowering, OpCall
from axonometry.program.registry import op_rule, overloads

aten = torch.ops.aten


@op_rule(*overloads(*"topk sort msort kthvalue mode nanmedian cummax cummin".split()), aten.median.dim)
def ordered(call: OpCall) -> Lowering:
    """Each result is any of the values along its axis, with equal shares; with data, the one that it is.

    Of a running extreme, any of the values so far.
    """
    operation, name, rank = call.operation, call.name, len(call.shape(call.args[0]))
    place = {"topk": 2, "kthvalue": 2}.get(name, 1)
    default = None if name in ("nanmedian", "median") else 0 if name == "msort" else -1
    dim = call.node.kwargs.get("dim", call.argument(place, default))
    if name == "sort" and call.operation is aten.sort.stable:
        dim = call.node.kwargs.get("dim", call.argument(2, -1))
    if dim is None:
        call.refuse("it has no axis: name one, x.median(dim=-1)")
    axis, shape, running = dim % max(rank, 1), call.shape(), name in ("cummax", "cummin")

    def read(links: Links, x: Tensor, *_: object, **__: object) -> Tensor:
        if running:
            numbers = torch.arange(1, x.shape[axis] + 1, dtype=links.dtype, device=x.device)
            share = numbers.reciprocal().reshape([-1 if a == axis else 1 for a in range(rank)])
            return x.cumsum(axis) * links(share)
        mean = x.sum(axis, keepdim=True) * links(1.0 / x.shape[axis])
        return mean.expand(shape) if len(shape) == rank else mean.squeeze(axis)

    def recorded(x: Tensor, *rest: object, **named: object) -> LinearFunction:
        found = x.sort(0)[1] if name == "msort" else operation(x, *rest, **named)[1]
        places = found if found.dim() == rank else found.unsqueeze(axis)
        return lambda links, x, *_, **__: x.gather(axis, places).reshape(shape)

    return Lowering("wiring", read, data_dependent=recorded)


@op_rule(*overloads(*"argmax argmin argsort searchsorted bucketize multinomial count_nonzero any all".split()))
def choice_rule(call: OpCall) -> Lowering:
    """Whole numbers and truth values: they choose, and have no links."""
    value = call.node.meta["val"]
    if not isinstance(value, (Tensor, tuple, list)):
        call.refuse("its size depends on the input's values")
    shapes = [part.shape for part in value] if isinstance(value, (tuple, list)) else value.shape

    def read(links: Links, *_: object, **__: object) -> Tensor | list[Tensor]:
        if isinstance(shapes, list):
            return [torch.zeros(shape, dtype=links.dtype) for shape in shapes]
        return torch.zeros(shapes, dtype=links.dtype)

    return Lowering("wiring", read, reads=())


@op_rule(*overloads("prod"))
def product(call: OpCall) -> Lowering:
    """A product of signals links each factor with weight 1, as where gates multiply."""
    axis, shape = call.node.kwargs.get("dim", call.argument(1)), call.shape()

    def read(links: Links, x: Tensor, *_: object, **__: object) -> Tensor:
        return (x.sum() if axis is None else x.sum(axis)).reshape(shape)

    return Lowering("wiring", read)


@op_rule(*overloads("cumprod"))
def running_product(_: OpCall) -> Lowering:
    """The factors so far, each with weight 1."""
    return Lowering("wiring", lambda links, x, axis, **__: x.cumsum(axis))


@op_rule(*overloads("logcumsumexp"))
def running_logsumexp(call: OpCall) -> Lowering:
    """The values so far, with equal shares, as of a logsumexp."""
    axis, rank = call.args[1], len(call.shape())

    def read(links: Links, x: Tensor, *_: object) -> Tensor:
        numbers = torch.arange(1, x.shape[axis] + 1, dtype=links.dtype, device=x.device)
        return x.cumsum(axis) * links(
            numbers.reciprocal().reshape([-1 if a == axis % rank else 1 for a in range(rank)])
        )

    return Lowering("wiring", read)


@op_rule(aten.cdist.default)
def distances(call: OpCall) -> Lowering:
    """The norm of a difference: equal shares of the features, positive of the first, negative of the second."""
    signals = [call.is_signal(x) for x in call.args[:2]]
    shape = call.shape()

    def read(links: Links, a: Tensor, b: Tensor, *_: object) -> Tensor:
        total = torch.zeros(shape, dtype=links.dtype, device=a.device)
        for x, signal, sign, axis in ((a, signals[0], 1.0, -1), (b, signals[1], -1.0, -2)):
            term = x if signal else links.constant(x)
            if isinstance(term, Tensor):
                total = total + (term.sum(-1) * links(sign / x.shape[-1])).unsqueeze(axis)
        return total

    return Lowering("wiring", read)
