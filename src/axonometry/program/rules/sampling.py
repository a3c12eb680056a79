"""Values read from, or written to, places between and among others: grids, unpooling, bags of table rows."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional as F

from axonometry.program.links import Links
from axonometry.program.op_call import LinearFunction, Lowering, OpCall
from axonometry.program.primitives import bags, in_bags, owners_of
from axonometry.program.registry import op_rule, overloads
from axonometry.program.rules.dense import MappedMatrix
from axonometry.program.rules.indexing import winners

aten = torch.ops.aten


@op_rule(*overloads("grid_sampler", "grid_sampler_2d", "grid_sampler_3d"))
def grid_sample(call: OpCall) -> Lowering:
    """A fixed grid interpolates; one that depends on the input chooses: without data, any place with equal shares."""
    x, grid = call.args[:2]
    operation, shape = call.operation, call.shape()
    if not call.is_signal(x):
        call.refuse("it reads constants at places that depend on the input")
    axes = list(range(2, len(shape)))

    def read(links: Links, x: Tensor, grid: Any, *rest: Any) -> Tensor:
        if call.is_signal(grid_node):
            share = links(1.0 / math.prod(x.shape[axis] for axis in axes))
            return (x.sum(axes, keepdim=True) * share).expand(shape)
        return _sampled(links, x, grid.to(links.dtype), rest)

    def _sampled(links: Links, x: Tensor, grid: Tensor, rest: tuple[Any, ...]) -> Tensor:
        if links.identity:
            return operation(x, grid, *rest)

        def transform(one: Tensor, basis: Tensor) -> Tensor:
            return operation(basis.squeeze(1), one.expand(len(basis), *one.shape[1:]), *rest)

        parts = zip(x.split(1), grid.split(1), strict=True)  # every sample of the call has a grid of its own
        after = (1, *shape[1:])
        return torch.cat([MappedMatrix(partial(transform, g), links, p.shape, after, axes)(p) for p, g in parts])

    def recorded(_: Tensor, real: Tensor, *rest: Any) -> LinearFunction:
        return lambda links, x, *_: _sampled(links, x, real.to(links.dtype), rest)

    grid_node = grid
    return Lowering("wiring", read, reads=(x,), data_dependent=recorded if call.is_signal(grid) else None)


@op_rule(*overloads("max_unpool2d", "max_unpool3d"))
def unpool(call: OpCall) -> Lowering:
    """The values go back to their windows: without data to each place with equal shares, with data to the winner's."""
    x, indices = call.args[:2]
    operation, shape = call.operation, call.shape()
    if not call.is_signal(indices):
        return Lowering("wiring", lambda links, x, places, *rest: operation(x, places, *rest))
    rank = int(call.name[10])
    window = _window(indices, rank)
    if window is None:
        call.refuse(
            "where its windows overlap, or its places come from elsewhere than a max-pooling, it has no reading"
        )

    def read(links: Links, x: Tensor, *_: Any) -> Tensor:
        share = links(1.0 / math.prod(window))
        for axis, n in zip(range(-rank, 0), window, strict=True):
            x = x.repeat_interleave(n, axis)
        border = [v for axis in range(-1, -rank - 1, -1) for v in (0, shape[axis] - x.shape[axis])]
        return F.pad(x * share, border)

    def recorded(_: Tensor, real: Tensor, *rest: Any) -> LinearFunction:
        return lambda links, x, *_: operation(x, real, *rest)

    return Lowering("wiring", read, reads=(x,), data_dependent=recorded)


def _window(indices: fx.Node, rank: int) -> list[int] | None:
    """The windows of the pooling that found the winners, where they lie side by side."""
    pool: Any = indices.args[0] if indices.args else None
    if not isinstance(pool, fx.Node) or "max_pool" not in str(pool.target):
        return None
    given: list[Any] = [*pool.args[1:], None, None, None]
    spread = [[v] * rank if isinstance(v, int) else list(v or []) for v in given[:4]]
    window = spread[0] * (rank if len(spread[0]) == 1 else 1)
    apart = (spread[1] or window) * (rank if len(spread[1]) == 1 else 1)
    fits = not any(spread[2]) and all(d == 1 for d in spread[3])
    return window if apart == window and fits else None


@op_rule(bags)
def bag(call: OpCall) -> Lowering:
    """Sums of rows, or their means; of the largest each row has its share, with data the row that is the largest.

    With data, what is padding has no links.
    """
    shape, mode, padded = call.shape(), call.argument(2), call.argument(4) is not None
    if call.is_signal(call.args[1]):
        call.refuse("the bounds of its bags depend on the input")

    def read(links: Links, rows: Tensor, offsets: Tensor, mode: int, last: bool, *_: Any) -> Tensor:
        owner = owners_of(rows, offsets, last)
        total = torch.zeros(shape, dtype=rows.dtype, device=rows.device).index_add(0, owner, rows)
        if mode == 0:
            return total
        members = torch.bincount(owner, minlength=shape[0]).clamp(min=1).to(links.dtype)
        return total * links(members.reciprocal())[:, None]

    def recorded(rows: Tensor, offsets: Tensor, mode: int, last: bool, *which: Any) -> LinearFunction:
        owner, kept = owners_of(rows, offsets, last), in_bags(rows, *(which or (None, None)))
        empty = torch.zeros(shape, dtype=rows.dtype, device=rows.device)
        if mode == 2:
            best, places = bags(rows, offsets, mode, last, *which), owner[:, None].expand(rows.shape)
            real = rows.where(kept[:, None] > 0, torch.finfo(rows.dtype).min)
            _, passes = winners(torch.zeros_like(best), real, best, places, 0, included=False)
            return lambda links, rows, *_: empty.to(rows).scatter_add(0, places, rows * passes)
        members = torch.zeros_like(empty[:, 0]).index_add(0, owner, kept).clamp(min=1)
        share = kept / members[owner] if mode else kept
        return lambda links, rows, *_: empty.to(rows).index_add(0, owner, rows * links(share.to(links.dtype))[:, None])

    return Lowering("wiring", read, reads=(call.args[0],), data_dependent=recorded if mode == 2 or padded else None)
