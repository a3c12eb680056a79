"""Normalisations: running statistics fold into the links; statistics of the sample contribute their gain alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from axonometry.program.call import Call
from axonometry.program.links import Links
from axonometry.program.registry import Gain, Reading, overloads, resolver

aten = torch.ops.aten


def folded(weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float) -> Gain:
    """The affine map that a normalisation with fixed statistics is.

    >>> folded(torch.tensor(3.0), torch.tensor(-1.0), torch.tensor(0.25), torch.tensor(3.75), 0.25)
    Gain(factor=tensor(1.5000), shift=tensor(-1.3750))
    """
    factor = torch.rsqrt(variance.to(torch.promote_types(variance.dtype, torch.float32)) + eps)
    factor = factor if weight is None else factor * weight
    shift = -mean * factor
    return Gain(factor, shift if bias is None else shift + bias)


def _of_channels(call: Call, eps: int, statistics: bool) -> Reading:
    x = call.node.args[0]

    def gain(_: Any, weight: Tensor | None, bias: Tensor | None, *rest: Any) -> Gain:
        if statistics:
            return folded(weight, bias, rest[0], rest[1], rest[eps - 3])
        return Gain(1.0 if weight is None else weight, bias)

    return Reading("scale", of=x, gain=gain, channel_axis=1, role="normalisation")


@resolver(aten.batch_norm.default)
def batch_norm(call: Call) -> Reading:
    """Evaluation mode: one affine map a channel; without running statistics, the gain alone."""
    return _of_channels(call, eps=7, statistics=call.argument(3) is not None)


@resolver(*overloads("_native_batch_norm_legit_no_training"))
def native_batch_norm(call: Call) -> Reading:
    """The functional form of batch norm in evaluation mode."""
    return _of_channels(call, eps=6, statistics=True)


@resolver(*overloads("_native_batch_norm_legit"))
def batch_norm_of_the_batch(call: Call) -> Reading:
    """Batch norm without running statistics (or an instance norm without): the gain alone."""
    return _of_channels(call, eps=6, statistics=False)


@resolver(aten.instance_norm.default)
def instance_norm(call: Call) -> Reading:
    """With running statistics as batch norm, else the gain alone."""
    return _of_channels(call, eps=7, statistics=not call.argument(5) and call.argument(3) is not None)


@resolver(aten.group_norm.default, aten.native_group_norm.default)
def group_norm(call: Call) -> Reading:
    """The gain of each channel."""
    first = 2 if call.node.target is aten.group_norm.default else 1
    return _gain_alone(call, first, channel_axis=1)


@resolver(aten.layer_norm.default, aten.native_layer_norm.default, *overloads("rms_norm"))
def layer_norm(call: Call) -> Reading:
    """The gain of each feature."""
    return _gain_alone(call, 2, channel_axis=None)


def _gain_alone(call: Call, first: int, channel_axis: int | None) -> Reading:
    """A normalisation by statistics of the sample at hand: weight * x + bias."""
    x, weight = call.node.args[0], call.argument(first)
    rank, gain_rank = len(call.shape()), len(call.shape(weight)) if weight is not None else 1
    if gain_rank > 1:

        def read(links: Links, x: Tensor, *rest: Any) -> Tensor:
            bias = rest[first] if len(rest) > first and isinstance(rest[first], Tensor) else None
            return links.plus(x * links(rest[first - 1]), bias)

        return Reading("wiring", read, role="normalisation")

    def gain(_: Any, *rest: Any) -> Gain:
        weight, bias = (rest[i] if len(rest) > i and isinstance(rest[i], Tensor) else None for i in (first - 1, first))
        return Gain(1.0 if weight is None else weight, bias)

    return Reading("scale", of=x, gain=gain, channel_axis=rank - 1 if channel_axis is None else channel_axis, role="normalisation")
