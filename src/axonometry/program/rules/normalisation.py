"""Normalisations: running statistics fold into the links; statistics of the sample contribute their gain alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from axonometry.program.links import Links
from axonometry.program.op_call import Gain, Lowering, OpCall
from axonometry.program.registry import op_rule, overloads

aten = torch.ops.aten


def folded(weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float) -> Gain:
    """The affine map that a normalisation with fixed statistics is.

    >>> folded(torch.tensor(3.0), torch.tensor(-1.0), torch.tensor(0.25), torch.tensor(3.75), 0.25)
    Gain(factor=tensor(1.5000), shift=tensor(-1.3750))
    """
    factor = torch.rsqrt(variance.to(torch.promote_types(variance.dtype, torch.float32)) + eps)
    factor = factor if weight is None else factor * weight
    shift = -mean * factor
    # (x - m) / s * w + b = (w / s) x + (b - m w / s): a factor of each link into the channel, and a bias.
    return Gain(factor, shift if bias is None else shift + bias)


def _folded_in(call: OpCall, eps: int) -> Lowering:
    """Fixed statistics: an affine map of each channel."""

    def gain(_: Any, weight: Tensor | None, bias: Tensor | None, *rest: Any) -> Gain:
        return folded(weight, bias, rest[0], rest[1], rest[eps - 3])

    return Lowering("scale", of=call.args[0], gain=gain, channel_axis=1, role="normalisation")


def _gain_alone(weight: int, axes: slice) -> Lowering:
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

    return Lowering("wiring", read, role="normalisation")


@op_rule(aten.batch_norm.default)
def batch_norm(call: OpCall) -> Lowering:
    """Evaluation mode: one affine map a channel; without running statistics, the gain alone."""
    return _gain_alone(1, slice(1, 2)) if call.argument(3) is None else _folded_in(call, eps=7)


@op_rule(*overloads("_native_batch_norm_legit_no_training"))
def native_batch_norm(call: OpCall) -> Lowering:
    """The functional form of batch norm in evaluation mode."""
    return _folded_in(call, eps=6)


@op_rule(*overloads("_native_batch_norm_legit"))
def batch_norm_of_the_batch(_: OpCall) -> Lowering:
    """Batch norm without running statistics: the gain alone."""
    return _gain_alone(1, slice(1, 2))


@op_rule(aten.instance_norm.default)
def instance_norm(call: OpCall) -> Lowering:
    """With running statistics as batch norm, else the gain alone."""
    fixed = not call.argument(5) and call.argument(3) is not None
    return _folded_in(call, eps=7) if fixed else _gain_alone(1, slice(1, 2))


@op_rule(aten.group_norm.default, aten.native_group_norm.default)
def group_norm(call: OpCall) -> Lowering:
    """The gain of each channel."""
    return _gain_alone(2 if call.operation is aten.group_norm.default else 1, slice(1, 2))


@op_rule(aten.layer_norm.default, aten.native_layer_norm.default, *overloads("rms_norm"))
def layer_norm(call: OpCall) -> Lowering:
    """The gain of each feature."""
    return _gain_alone(2, slice(-len(call.argument(1)), None))
