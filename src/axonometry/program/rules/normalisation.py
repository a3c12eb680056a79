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


def _folded_in(call: Call, eps: int) -> Reading:
    """Fixed statistics: an affine map of each channel."""

    def gain(_: Any, weight: Tensor | None, bias: Tensor | None, *rest: Any) -> Gain:
        return folded(weight, bias, rest[0], rest[1], rest[eps - 3])

    return Reading("scale", of=call.args[0], gain=gain, channel_axis=1, role="normalisation")


def _gain_alone(weight: int, axes: slice) -> Reading:
    """Statistics of the sample at hand are no links: what is left is weight * x + bias.

    The norm is no part of the sum in front of it, so that a group stays the sum before the norm.
    """

    def read(links: Links, x: Tensor, *rest: Any) -> Tensor:
        gain, bias = (rest[i] if len(rest) > i and isinstance(rest[i], Tensor) else None for i in (weight - 1, weight))
        if gain is not None:
            shape = [1] * x.dim()
            shape[axes] = gain.shape
            x = x * links(gain).reshape(shape)
            bias = None if bias is None else bias.reshape(shape)
        return links.plus(x, bias)

    return Reading("wiring", read, role="normalisation")


@resolver(aten.batch_norm.default)
def batch_norm(call: Call) -> Reading:
    """Evaluation mode: one affine map a channel; without running statistics, the gain alone."""
    return _gain_alone(1, slice(1, 2)) if call.argument(3) is None else _folded_in(call, eps=7)


@resolver(*overloads("_native_batch_norm_legit_no_training"))
def native_batch_norm(call: Call) -> Reading:
    """The functional form of batch norm in evaluation mode."""
    return _folded_in(call, eps=6)


@resolver(*overloads("_native_batch_norm_legit"))
def batch_norm_of_the_batch(_: Call) -> Reading:
    """Batch norm without running statistics: the gain alone."""
    return _gain_alone(1, slice(1, 2))


@resolver(aten.instance_norm.default)
def instance_norm(call: Call) -> Reading:
    """With running statistics as batch norm, else the gain alone."""
    fixed = not call.argument(5) and call.argument(3) is not None
    return _folded_in(call, eps=7) if fixed else _gain_alone(1, slice(1, 2))


@resolver(aten.group_norm.default, aten.native_group_norm.default)
def group_norm(call: Call) -> Reading:
    """The gain of each channel."""
    return _gain_alone(2 if call.operation is aten.group_norm.default else 1, slice(1, 2))


@resolver(aten.layer_norm.default, aten.native_layer_norm.default, *overloads("rms_norm"))
def layer_norm(call: Call) -> Reading:
    """The gain of each feature."""
    return _gain_alone(2, slice(-len(call.argument(1)), None))
