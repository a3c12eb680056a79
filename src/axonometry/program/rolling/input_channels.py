"""Which axis of an input counts its channels: the one that the first weights run along, followed back to the input.

``Conv1d`` takes features first, and a user who has time first turns the input round::

    x of shape (1, 9, 5)       transpose = aten.transpose(x, 1, 2)      # (1, 5, 9)
                               conv1d    = aten.conv1d(transpose, p_w)   # weights along axis 1: five channels

Labels along each axis of ``x`` are sent through the wiring. Those along axis 1 arrive along axis 2 of ``transpose``,
those along axis 2 arrive along axis 1, where the weights are: the channels of ``x`` are along its axis 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, fx

from axonometry.program.fx_utils import shape_of
from axonometry.program.ir import Program
from axonometry.program.links import Links, existence
from axonometry.program.rolling.following import Follower, Place


def with_input_channels(program: Program, state: Mapping[str, Tensor]) -> Program:
    """The program with the channel axes of its inputs; an input whose axes do not reach a weight's keeps its own."""
    groups = []
    for group in program.groups:
        if group.name in program.inputs:
            node = program.inputs[group.name]
            rank = len(program.shapes[group.name])
            batch = _batch_axis(program, node) if rank > len(group.shape) else None
            axis = _axis_of(program, state, node, batch)
            if axis is not None and axis != batch:
                group = replace(group, channel_axis=axis - int(batch is not None and axis > batch))  # noqa: PLW2901
        groups.append(group)
    return replace(program, groups=tuple(groups))


def _batch_axis(program: Program, node: fx.Node) -> int:
    axis, shape = program.batch_axes.get(node), shape_of(node)
    return axis if axis is not None and shape[axis] == 1 else 0


def _axis_of(program: Program, state: Mapping[str, Tensor], node: fx.Node, batch: int | None) -> int | None:
    for site in program.sites.values():  # most inputs are read by weights themselves
        if node in site.node.all_input_nodes:
            return site.lowering.signal_axis % len(shape_of(node))
    shape = shape_of(node)
    follow, links = Follower(program, state), Links((existence,), dtype=torch.float64)
    number = follow.values(node, torch.ones(shape, dtype=torch.float64, device=follow.device), links)
    axes = [axis for axis in range(len(shape)) if axis != batch]
    found = {axis: follow.values(node, _labels(shape, axis, follow.device), links) for axis in axes if shape[axis] > 1}
    for name, site in program.sites.items():
        place: Place = ("synapse", name)
        if place not in number:
            continue
        along = site.lowering.signal_axis % number[place].dim()
        for axis, labels in found.items():
            if _runs_along(labels[place], number[place], along, shape[axis]):
                return axis
        single = [axis for axis in axes if shape[axis] == 1]
        if number[place].shape[along] == 1 and len(single) == 1:
            return single[0]
    return None


def _labels(shape: tuple[int, ...], axis: int, device: torch.device) -> Tensor:
    labels = torch.arange(1, shape[axis] + 1, dtype=torch.float64, device=device)
    return labels.reshape([-1 if i == axis else 1 for i in range(len(shape))]).expand(shape)


def _runs_along(labels: Tensor, number: Tensor, along: int, size: int) -> bool:
    """Whether labels differ along one axis and no other, one index a label; padding has none."""
    if labels.shape[along] != size:
        return False
    none, mean = number == 0, labels / number
    low, high = mean.masked_fill(none, torch.inf), mean.masked_fill(none, -torch.inf)
    differ = [bool((high.amax(i) - low.amin(i) > 1e-9).any()) for i in range(labels.dim())]
    return differ == [i == along for i in range(labels.dim())]
