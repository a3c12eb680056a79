"""Pooling: means over windows. Max-pooling is read as the mean of its window: each input wins 1/k of the time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from axonometry.program.links import Links
from axonometry.program.op_call import LinearFunction, Lowering, OpCall
from axonometry.program.registry import op_rule, overloads
from axonometry.program.rules.arithmetic import extremes

aten = torch.ops.aten
POOLS = {1: aten.avg_pool2d.default, 2: aten.avg_pool2d.default, 3: aten.avg_pool3d.default}


def _tuple(value: Any, rank: int, default: Sequence[int] | None = None) -> list[int]:
    if value is None or (isinstance(value, (list, tuple)) and not value):
        return list(default if default is not None else [1] * rank)
    if isinstance(value, int):
        return [value] * rank
    return list(value) * (rank if len(value) == 1 else 1)


def _window_sum(
    x: Tensor, kernel: list[int], stride: list[int], padding: list[int], dilation: list[int], ceil: bool
) -> Tensor:
    """The sum over each window's real members; padding adds nothing."""
    rank = len(kernel)
    narrow = any(n < k for n, k in zip(x.shape[-rank:], kernel, strict=True))  # what avg_pool3d refuses, padded or not
    if narrow or any(d != 1 for d in dilation):
        return _dilated_sum(x, kernel, stride, padding, dilation, ceil)
    if rank == 1:  # avg_pool1d cannot be told to divide by one
        return _window_sum(x.unsqueeze(-2), [1, *kernel], [1, *stride], [0, *padding], [1, 1], ceil).squeeze(-2)
    return POOLS[rank](x, kernel, stride, padding, ceil, True, 1)


def _dilated_sum(
    x: Tensor, kernel: list[int], stride: list[int], padding: list[int], dilation: list[int], ceil: bool
) -> Tensor:
    """A depthwise convolution of ones; ceil mode may need a border on the far side."""
    rank = len(kernel)
    border: list[int] = []
    for n, k, s, p, d in zip(x.shape[-rank:], kernel, stride, padding, dilation, strict=True):
        span = n + 2 * p - d * (k - 1) - 1
        positions = (math.ceil(span / s) if ceil else span // s) + 1
        # A window may not begin in the border on the far side. n 3, kernel 2, stride 2, padding 1: windows would begin
        # at the padded places 0, 2 and 4, and 4 is the border.
        if ceil and (positions - 1) * s >= n + p:
            positions -= 1
        border = [p, max((positions - 1) * s + d * (k - 1) + 1 - n - p, 0)] + border
    flat = F.pad(x.reshape(-1, 1, *x.shape[-rank:]), border)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    ones = torch.ones(1, 1, *kernel, dtype=x.dtype, device=x.device)
    result = convolve(flat, ones, stride=stride, dilation=dilation)
    return result.reshape(*x.shape[:-rank], *result.shape[-rank:])


def _ones(x: Tensor, rank: int) -> Tensor:
    return torch.ones(1, 1, *x.shape[-rank:], dtype=x.dtype, device=x.device)


@op_rule(*overloads("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices"))
def max_pool(call: OpCall) -> Lowering:
    """The mean of the window's real members."""
    rank = int(call.name[8])

    def read(links: Links, x: Tensor, kernel: Any, *rest: Any) -> Tensor:
        stride, padding, dilation, ceil = rest + (None, 0, 1, False)[len(rest) :]
        window = _tuple(kernel, rank)
        geometry = (_tuple(stride, rank, window), _tuple(padding, rank), _tuple(dilation, rank), ceil)
        members = _window_sum(_ones(x, rank), window, *geometry)
        return _window_sum(x, window, *geometry) * links(members.reciprocal()).reshape(members.shape[-rank:])

    largest = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1]

    def recorded(x: Tensor, *geometry: Any) -> LinearFunction:
        window, stride, padding, dilation, ceil = geometry + (None, 0, 1, False)[len(geometry) - 1 :]
        _, winner = largest(x, window, stride or None, padding, dilation, ceil, True)
        return _of_winner(winner, rank)

    return Lowering("pooling", read, data_dependent=recorded)


def _of_winner(winner: Tensor, rank: int) -> LinearFunction:
    """Each window passes on the member that has won: its index among all places, of the result's shape."""

    def read(links: Links, x: Tensor, *_: Any, **__: Any) -> Tensor:
        places, windows = x.flatten(-rank), winner.flatten(-rank)
        return places.expand(*windows.shape[:-1], -1).gather(-1, windows).reshape(winner.shape)

    return read


@op_rule(*overloads("avg_pool1d", "avg_pool2d", "avg_pool3d"))
def average_pool(call: OpCall) -> Lowering:
    """The exact mean, with padding counted or not, or an own divisor."""
    operation = call.operation
    rank = int(call.name[8])

    def read(
        links: Links, x: Tensor, kernel: Any, stride: Any = None, padding: Any = 0, ceil: bool = False, *rest: Any
    ) -> Tensor:
        if links.identity:
            return operation(x, kernel, stride or kernel, padding, ceil, *rest)
        window = _tuple(kernel, rank)
        geometry = (_tuple(stride, rank, window), _tuple(padding, rank), [1] * rank, ceil)
        ones = _ones(x, rank)
        # A window of 2 x 2 with two real members has 1/2 of each where padding is left out, 1/4 where it counts as
        # zeros.
        share = operation(ones, kernel, stride or kernel, padding, ceil, *rest) / _window_sum(ones, window, *geometry)
        return _window_sum(x, window, *geometry) * links(share).reshape(share.shape[-rank:])

    return Lowering("pooling", read)


def _adaptive_sizes(inputs: Sequence[int], outputs: Sequence[int], like: Tensor) -> Tensor:
    """Members of each adaptive window: from floor(i n / m) to ceil((i + 1) n / m)."""
    sizes = torch.ones((), dtype=like.dtype, device=like.device)
    for n, m in zip(inputs, outputs, strict=True):
        axis = [math.ceil((i + 1) * n / m) - (i * n) // m for i in range(m)]
        sizes = sizes.unsqueeze(-1) * torch.tensor(axis, dtype=like.dtype, device=like.device)
    return sizes


def _adaptive(rank: int) -> Callable[..., Tensor]:
    operation: Callable[..., Tensor] = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[rank - 1]

    def read(links: Links, x: Tensor, size: Any, *_: Any) -> Tensor:
        outputs = [n if m is None else m for n, m in zip(x.shape[-rank:], _tuple(size, rank), strict=True)]
        mean = operation(x, outputs)
        if links.identity:
            return mean
        # Five values into three windows, 0-1, 1-3, 3-4: means of 2, 3 and 2 values. Times their sizes they are sums,
        # whose links have the coefficients 1/2, 1/3 and 1/2.
        sizes = _adaptive_sizes(x.shape[-rank:], outputs, x)
        return mean * sizes * links(sizes.reciprocal())

    return read


@op_rule(
    *overloads("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
    *overloads("_adaptive_avg_pool2d", "_adaptive_avg_pool3d"),
    *overloads("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
)
def adaptive_pool(call: OpCall) -> Lowering:
    """Windows that cover the input in a given number of outputs."""
    rank = int(call.name[-2])
    if "max" not in call.name:
        return Lowering("pooling", _adaptive(rank))
    largest = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[rank - 1]
    return Lowering(
        "pooling", _adaptive(rank), data_dependent=lambda x, size: _of_winner(largest(x, size, True)[1], rank)
    )


@op_rule(*overloads("fractional_max_pool2d", "fractional_max_pool3d"))
def fractional_pool(call: OpCall) -> Lowering:
    """Windows drawn at random: read as the adaptive windows that they jitter around."""
    adaptive = _adaptive(int(call.name[-2]))
    return Lowering("pooling", lambda links, x, kernel, size, *_: adaptive(links, x, size))


REDUCTIONS = "mean nanmean amax amin max min logsumexp var std norm linalg_vector_norm".split()


@op_rule(*overloads(*REDUCTIONS))
def reduction(call: OpCall) -> Lowering:
    """The mean over axes; of the largest, of a norm or a spread, each member has its equal share."""
    name = call.name
    if call.operation in (aten.max.other, aten.min.other):
        return extremes(call)
    at = 2 if name in ("norm", "linalg_vector_norm") else 1
    axes = call.node.kwargs.get("dim", call.argument(at))
    rank, result = len(call.shape(call.args[0])), len(call.shape())
    every = list(range(rank)) if axes is None or axes == [] else ([axes] if isinstance(axes, int) else list(axes))
    keep = result == rank

    def read(links: Links, x: Tensor, *_: Any, **__: Any) -> Tensor:
        members = math.prod(x.shape[axis] for axis in every)
        return x.sum(every, keepdim=keep) * links(1.0 / members)

    over = [axis % rank for axis in every]
    # Of x (2, 3, 4) over axis 1: (2, 4, 3), of which argmax finds a place for each of the 2 x 4.
    order = [axis for axis in range(rank) if axis not in over] + over
    sign = -1 if name in ("amin", "min") else 1

    def recorded(x: Tensor, *_: Any, **__: Any) -> LinearFunction:
        best = (sign * x).permute(order).flatten(rank - len(over)).argmax(-1, keepdim=True)
        shape = [1 if axis in over else n for axis, n in enumerate(x.shape) if keep or axis not in over]
        return lambda links, x, *_, **__: x.permute(order).flatten(rank - len(over)).gather(-1, best).reshape(shape)

    return Lowering("wiring", read, data_dependent=recorded if name in ("amax", "max", "amin", "min") else None)
