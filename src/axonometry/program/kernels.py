"""A synapse's weights at one snapshot, with what is folded into them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from axonometry.program.ir import Kernel, Program
from axonometry.program.op_call import Lowering


def kernel_of(program: Program, synapse: str, statics: Mapping[fx.Node, Any]) -> Kernel:
    """The synapse's weights at one snapshot, with what is folded into them."""
    site = program.sites[synapse]
    lowering = site.lowering
    weight = statics[weight_node(program, synapse, statics)]
    # A factor in half precision would be rounded by 0.4 %.
    one = weight.new_ones(1, dtype=torch.promote_types(weight.dtype, torch.float32))
    gain: Tensor | None = None
    for node, scale in site.scales:
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), statics.get)
        factor = scale.gain(*args, **kwargs).factor  # type: ignore[misc]
        factor = factor.reshape(-1) if isinstance(factor, Tensor) else one * factor
        gain = factor if gain is None else gain * factor
    if site.factor != 1:
        gain = (one if gain is None else gain) * site.factor
    return Kernel(
        weight, None if gain is None else _along(gain, weight, lowering), lowering.output_axis, lowering.groups
    )


def weight_node(program: Program, synapse: str, statics: Container[fx.Node]) -> fx.Node:
    """The node of a synapse's weight: a parameter's, or that of the call that computes it."""
    site = program.sites[synapse]
    flat = [a for argument in site.node.args for a in (argument if isinstance(argument, list) else [argument])]
    named = [site.node.args[site.lowering.weight], *flat]
    return next(node for node in named if isinstance(node, fx.Node) and node in statics)


def _along(gain: Tensor, weight: Tensor, lowering: Lowering) -> Tensor:
    """A gain of one number a channel, shaped to multiply the weight."""
    if gain.numel() == 1:
        return gain.reshape([1] * weight.dim())
    if lowering.groups > 1 and lowering.output_axis == 1:
        # a transposed convolution's weight is (in, out / groups, ...): channel = block * (out / groups) + place in it
        blocks = gain.reshape(lowering.groups, -1).repeat_interleave(weight.shape[0] // lowering.groups, 0)
        return blocks.reshape(*blocks.shape, *[1] * (weight.dim() - 2))
    shape = [1] * weight.dim()
    shape[lowering.output_axis] = -1
    return gain.reshape(shape)
