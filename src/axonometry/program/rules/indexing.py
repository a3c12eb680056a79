"""Places named by whole numbers: those that are constants are wiring, those that a signal decides are a choice.

Whole numbers that a signal decides (the argmax, the indices of a topk or a sort) are no signals: they choose, as
queries and keys do, and have no links. What is looked up by them is, without data, any of the places with equal shares;
with data it is the one that was chosen. ``x.gather(1, x.argmax(1))`` of four features has links of 1/4 from each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from axonometry.program.links import Links
from axonometry.program.op_call import KEEP_ALL, LinearFunction, Lowering, OpCall
from axonometry.program.registry import op_rule, overloads

aten = torch.ops.aten


@op_rule(*overloads("gather", "take_along_dim"))
def gathered(call: OpCall) -> Lowering:
    """Entries along one axis."""
    x, dim, index = _named(call)
    operation, shape = call.operation, call.shape()
    if not call.is_signal(x):
        return chosen_constant(call)
    if not call.is_signal(index):
        return Lowering("wiring", lambda links, *args, **named: operation(*args, **named))
    if dim is None:
        call.refuse("its indices depend on the input, and run through all axes")

    def read(links: Links, x: Tensor, *_: Any, **__: Any) -> Tensor:
        mean = x.sum(dim, keepdim=True) * links(1.0 / x.shape[dim])
        return mean[tuple(slice(n if m != 1 else None) for n, m in zip(shape, mean.shape, strict=True))].expand(shape)

    def recorded(*real: Any, **also: Any) -> LinearFunction:
        return lambda links, x, *_, **__: operation(x, *real[1:], **also)

    return Lowering("wiring", read, reads=(x,), data_dependent=recorded)


def _named(call: OpCall) -> tuple[Any, Any, Any]:
    """Signal, axis and indices, whatever their order."""
    if call.name == "gather":
        return call.args[0], call.args[1], call.args[2]
    return call.args[0], call.argument(2, call.node.kwargs.get("dim")), call.args[1]


@op_rule(*overloads("index"))
def indexed(call: OpCall) -> Lowering:
    """Several axes at once."""
    x, indices = call.args[:2]
    operation = call.operation
    decided = [axis for axis, index in enumerate(indices) if call.is_signal(index)]
    if any(isinstance(i, fx.Node) and i.meta["val"].dtype == torch.bool for i in indices if call.is_signal(i)):
        call.refuse("its indices or values depend on the input, by a mask, so that there is no one graph", KEEP_ALL)
    if not call.is_signal(x):
        return chosen_constant(call)
    if not decided:
        return Lowering("wiring", lambda links, *args: operation(*args))
    shape = call.shape()

    def read(links: Links, x: Tensor, indices: list[Any]) -> Tensor:
        # x[:, i] of x (2, 5): without data the mean over axis 1, which has one entry left there for every i to read.
        members = 1
        for axis in decided:
            members *= x.shape[axis]
            x = x.sum(axis, keepdim=True)
        places = [torch.zeros_like(i, dtype=torch.long) if a in decided else i for a, i in enumerate(indices)]
        return (operation(x, places) * links(1.0 / members)).reshape(shape)

    def recorded(_: Any, real: list[Any]) -> LinearFunction:
        return lambda links, x, *__: operation(x, real)

    return Lowering("wiring", read, reads=(x,), data_dependent=recorded)


@op_rule(aten.embedding.default)
def chosen_constant(call: OpCall) -> Lowering:
    """Constants that whole numbers of the input choose from: a constant, without data the mean of all."""
    x, operation, shape = call.args[0], call.operation, call.shape()
    if call.is_signal(x):
        call.refuse("its table depends on the input")
    indices = call.args[1] if call.name != "gather" else call.args[2]
    places = (
        [axis for axis, i in enumerate(indices) if call.is_signal(i)] if isinstance(indices, (list, tuple)) else [0]
    )

    def read(links: Links, table: Tensor, *_: Any, **__: Any) -> Tensor:
        if not links.constants:
            return torch.zeros(shape, dtype=links.dtype, device=table.device)
        mean = table.to(links.dtype).mean(places)
        rest = shape[len(shape) - mean.dim() :]
        # Rows of a table (10, 3) chosen by 4 numbers are (4, 3): the mean row, of shape (3,), for each. Where what is
        # left of the table does not lie along the last axes of the result, the mean of all stands everywhere.
        return mean.expand(shape) if tuple(mean.shape) == tuple(rest) else mean.mean().expand(shape)

    def recorded(*real: Any, **also: Any) -> LinearFunction:
        value = operation(*real, **also)
        return lambda links, *_, **__: value if links.constants else torch.zeros(shape, dtype=links.dtype)

    return Lowering("wiring", read, reads=(), data_dependent=recorded)


@op_rule(*overloads("index_select"))
def selection_rule(call: OpCall) -> Lowering:
    """Entries of one axis, in the order of a list of numbers."""
    x, dim, index = call.args[:3]
    operation, shape = call.operation, call.shape()
    if not call.is_signal(x):
        call.refuse("it chooses from constants by numbers that depend on the input: index them, constants[numbers]")
    if not call.is_signal(index):
        return Lowering("wiring", lambda links, *args: operation(*args))

    def read(links: Links, x: Tensor, *_: Any) -> Tensor:
        return (x.sum(dim, keepdim=True) * links(1.0 / x.shape[dim])).expand(shape)

    def recorded(*real: Any) -> LinearFunction:
        return lambda links, x, *_: operation(x, *real[1:])

    return Lowering("wiring", read, reads=(x,), data_dependent=recorded)


# ------------------------------------------------------------------------------------------------------- writing


def _values(links: Links, value: Any, is_signal: bool, like: Tensor | None = None) -> Tensor:
    """A signal; of a constant, its value where constants are read, else zeros."""
    if is_signal:
        return value
    value = torch.as_tensor(value, device=None if like is None else like.device).to(links.dtype)
    return value if links.constants else torch.zeros_like(value)


def _written(source: int, indices: int) -> Callable[[OpCall], Lowering]:
    """Writing by index is linear in what is written over and in what is written; constants among them are biases."""

    def resolve(call: OpCall) -> Lowering:
        operation = call.operation
        places = call.args[indices]
        if any(call.is_signal(i) for i in (places if isinstance(places, (list, tuple)) else [places])):
            return _written_anywhere(call, source)
        signals = [call.is_signal(call.args[0]), call.is_signal(call.args[source])]
        alpha: Any = call.node.kwargs.get("alpha", 1)

        def read(links: Links, *args: Any, **named: Any) -> Tensor:
            given = list(args)
            given[0] = _values(links, args[0], signals[0])
            given[source] = _values(links, args[source], signals[1], given[0])
            given[source] = _reached(call.name, given[indices], given[source])
            # index_add(..., alpha=2): the 2 is a coefficient of the links, to be mapped with them, and not a second
            # time by the call.
            if alpha != 1:
                given[source], named = given[source] * links(float(alpha)), {**named, "alpha": 1}
            return _call(operation, given, named)

        return Lowering("wiring", read)

    return resolve


def _reached(name: str, index: Any, written: Any) -> Any:
    """Of what is written, the part that there are indices for: torch has no derivative of the rest."""
    if name not in ("scatter", "scatter_add") or not isinstance(written, Tensor) or written.dim() != index.dim():
        return written
    return written[tuple(slice(n) for n in index.shape)]


def _written_anywhere(call: OpCall, source: int) -> Lowering:
    """Places that a signal decides along one axis: without data each is written to with equal shares."""
    base, written = call.args[0], call.args[source]
    if source != 3 or call.name not in ("scatter", "scatter_add", "index_add"):
        call.refuse("it writes to places that depend on the input, and these have no fixed links")
    operation, dim, signals = call.operation, call.args[1], [call.is_signal(base), call.is_signal(written)]
    shape = call.shape()

    def read(links: Links, base: Tensor, _: int, index: Tensor, value: Any, **__: Any) -> Tensor:
        kept = _values(links, base, signals[0])
        if not signals[1]:
            return kept
        spread = value.sum(dim, keepdim=True) * links(1.0 / shape[dim])
        return kept + spread.expand(shape) if spread.shape[dim] == 1 else kept

    def recorded(_: Any, __: int, real: Tensor, *___: Any, **named: Any) -> LinearFunction:
        def at_real_places(links: Links, base: Tensor, _: int, __: Any, value: Any, **___: Any) -> Tensor:
            written = _reached(call.name, real, _values(links, value, signals[1]))
            parts = [_values(links, base, signals[0]), dim, real, written]
            return _call(operation, parts, named)

        return at_real_places

    linked = tuple(x for x, signal in zip((base, written), signals, strict=True) if signal)
    return Lowering("wiring", read, reads=linked, data_dependent=recorded)


def _call(operation: Any, args: list[Any], named: dict[str, Any]) -> Tensor:
    """The call, in its form with a tensor where it was one with a number."""
    packet, name = operation.overloadpacket, operation._overloadname
    if name == "value" and packet is aten.scatter:
        args = [*args[:3], args[3].expand(args[2].shape)]
        return aten.scatter.src(*args, **named)
    if name == "int_Scalar" and packet is aten.index_fill:
        operation = aten.index_fill.int_Tensor
    return operation(*args, **named)


op_rule(*overloads("scatter_add", "index_add", "index_copy"))(_written(3, 2))
op_rule(aten.scatter.src, aten.scatter.value)(_written(3, 2))
op_rule(aten.index_fill.int_Scalar, aten.index_fill.int_Tensor)(_written(3, 2))
op_rule(*overloads("index_put", "_unsafe_index_put"))(_written(2, 1))
op_rule(*overloads("masked_scatter"))(_written(2, 1))
op_rule(*overloads("put"))(_written(2, 1))


@op_rule(*overloads("diagonal_scatter", "as_strided_scatter"))
def written_aside(call: OpCall) -> Lowering:
    """Writing into a diagonal, or a part that strides tell."""
    operation = call.operation
    signals = [call.is_signal(operand) for operand in call.args[:2]]

    def read(links: Links, base: Tensor, part: Tensor, *where: Any, **named: Any) -> Tensor:
        return operation(_values(links, base, signals[0]), _values(links, part, signals[1]), *where, **named)

    return Lowering("wiring", read)


@op_rule(aten.scatter_reduce.two, *overloads("index_reduce"))
def reduced_by_index(call: OpCall) -> Lowering:
    """Sums; means by their counts; of the largest or a product each member has its share, as in pooling.

    The largest, or smallest, is without data the mean of the members; with data it is the first that is as large. A
    product links each factor with weight 1.
    """
    base, dim, index, source, how = call.args[:5]
    if call.is_signal(index):
        call.refuse("it writes to places that depend on the input, and these have no fixed links")
    operation, by_list = call.operation, call.name == "index_reduce"
    included = bool(call.node.kwargs.get("include_self", call.argument(5, True)))
    signals = [call.is_signal(base), call.is_signal(source)]
    shared = how in ("mean", "amax", "amin")

    def members(index: Tensor, written: Tensor) -> tuple[Tensor, Tensor]:
        places = _spread(index, written.shape, dim) if by_list else index
        return places, written[tuple(slice(n) for n in places.shape)]

    def read(links: Links, base: Tensor, _: int, index: Tensor, source: Tensor, *__: Any, **___: Any) -> Tensor:
        given, written = _values(links, base, signals[0]), _values(links, source, signals[1])
        places, written = members(index, written)
        reached = torch.zeros_like(given).scatter_add(dim, places, torch.ones_like(written))
        kept = given if included else given * (reached == 0)
        total = kept.scatter_add(dim, places, written)
        if not shared:
            return total
        return total * links((reached + 1 if included else reached.clamp(min=1)).reciprocal())

    def recorded(base: Tensor, _: int, index: Tensor, source: Tensor, *__: Any, **___: Any) -> LinearFunction:
        best = operation(base, dim, index, source, how, include_self=included)
        places, written = members(index, source)
        keeps, passes = winners(base, written, best, places, dim, included=included)

        def of_winners(
            links: Links, base: Tensor, _: int, __: Tensor, source: Tensor, *___: Any, **____: Any
        ) -> Tensor:
            given, written = _values(links, base, signals[0]), _values(links, source, signals[1])
            return (given * keeps).scatter_add(dim, places, members(index, written)[1] * passes)

        return of_winners

    return Lowering("wiring", read, data_dependent=recorded if how in ("amax", "amin") else None)


def winners(
    base: Tensor, written: Tensor, best: Tensor, places: Tensor, dim: int, *, included: bool
) -> tuple[Tensor, Tensor]:
    """Which of what was there stays, and which of what is written passes: one for each place, of several the first.

    Of [5, 3, 5] written to one place over a 4, the first 5.
    """
    count = written.shape[dim]
    order = [-1 if axis == dim % written.dim() else 1 for axis in range(written.dim())]
    numbers = torch.arange(count, device=written.device).reshape(order).expand(written.shape)
    reached = torch.zeros_like(base, dtype=torch.bool).scatter(dim, places, True)
    keeps = ~reached | ((base == best) & included)
    wins = (written == best.gather(dim, places)) & ~keeps.gather(dim, places)
    first = torch.full(base.shape, count, device=base.device)
    first = first.scatter_reduce(dim, places, numbers.where(wins, count), "amin")
    return keeps, wins & (numbers == first.gather(dim, places))


def _spread(index: Tensor, shape: torch.Size, dim: int) -> Tensor:
    """A list of numbers as indices of every entry along one axis."""
    return index.reshape([-1 if axis == dim % len(shape) else 1 for axis in range(len(shape))]).expand(shape)
