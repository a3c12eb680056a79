"""Order: the largest few, sorted values, running extremes and products. Whole numbers that are found choose."""

from __future__ import annotations

import torch
from torch import Tensor

from axonometry.program.links import Links
from axonometry.program.op_call import KEEP_ALL, LinearFunction, Lowering, OpCall
from axonometry.program.registry import op_rule, overloads

aten = torch.ops.aten


@op_rule(*overloads(*"topk sort msort kthvalue mode nanmedian cummax cummin median".split()))
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
        return _of_all(call) if name in ("nanmedian", "median") else call.refuse("it has no axis: name one")
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


def _of_all(call: OpCall) -> Lowering:
    """The value in the middle of all: without data any of them, with data the one that it is."""
    operation, shape = call.operation, call.shape()

    def recorded(x: Tensor, *_: object) -> LinearFunction:
        place = (x == operation(x)).flatten().int().argmax(0, keepdim=True)
        return lambda links, x, *_: x.flatten().gather(0, place).reshape(shape)

    return Lowering(
        "wiring", lambda links, x, *_: x.sum().reshape(shape) * links(1.0 / x.numel()), data_dependent=recorded
    )


@op_rule(aten.quantile.scalar, aten.nanquantile.scalar)
def quantile(call: OpCall) -> Lowering:
    """Any of the values along an axis, with equal shares; with data, the two that it lies between, as they weigh."""
    q, dim, shape, rank = call.args[1], call.argument(2), call.shape(), len(call.shape(call.args[0]))
    dim = call.node.kwargs.get("dim", dim)
    way = call.node.kwargs.get("interpolation", "linear")
    if dim is None or way != "linear" or call.name != "quantile":
        call.refuse("only a quantile along one axis, interpolated linearly, has a reading")
    axis, count = dim % rank, call.shape(call.args[0])[dim]
    # The 0.3-quantile of five values is at 0.3 * 4 = 1.2: 0.8 of the second and 0.2 of the third.
    low = min(int(q * (count - 1)), count - 1)
    share = q * (count - 1) - low

    def read(links: Links, x: Tensor, *_: object, **__: object) -> Tensor:
        return (x.sum(axis) * links(1.0 / count)).reshape(shape)

    def recorded(x: Tensor, *_: object, **__: object) -> LinearFunction:
        places = x.sort(axis)[1]
        below, above = places.narrow(axis, low, 1), places.narrow(axis, min(low + 1, count - 1), 1)

        def between(links: Links, x: Tensor, *_: object, **__: object) -> Tensor:
            return (x.gather(axis, below) * links(1 - share) + x.gather(axis, above) * links(share)).reshape(shape)

        return between

    return Lowering("wiring", read, data_dependent=recorded)


@op_rule(*overloads(*"argmax argmin argsort searchsorted bucketize multinomial count_nonzero any all".split()))
def choice_rule(call: OpCall) -> Lowering:
    """Whole numbers and truth values: they choose, and have no links."""
    value = call.node.meta["val"]
    if not isinstance(value, (Tensor, tuple, list)):
        call.refuse("how many values there are depends on the input's values, so that there is no one graph", KEEP_ALL)
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
