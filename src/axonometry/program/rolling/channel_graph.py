"""From neurons to channels: which channels meet in which weight, found once a network by following them.

Take ``Sequential(Conv2d(1, 2, 1), ReLU(), AvgPool2d(2), Flatten(), Linear(4, 3))`` on an input of shape (1, 1, 4, 2).
The group ``0`` has two channels of 4 x 2 neurons. Behind pooling and flattening, its channel 0 arrives at the inputs 0
and 1 of the linear map and channel 1 at 2 and 3::

    index = [0, 1, 2, 3]    onto = [0, 0, 1, 1]    # the pairs of ``4`` with ``0``

so that columns 0 and 1 of the weight are added up, squared, in the channel graph's column 0, and 2 and 3 in column 1:
the block ('4', '0') has shape (3, 2), each entry the root of such a sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from axonometry.program.channels import ChannelGraph
from axonometry.program.fx_utils import shape_of
from axonometry.program.ir import Group, Kernel, Program, Synapse
from axonometry.program.links import Links, square
from axonometry.program.op_call import Lowering
from axonometry.program.rolling.arrivals import Arrivals, Pairs
from axonometry.program.rolling.following import Follower
from axonometry.program.weights.module_weights import common_device

if TYPE_CHECKING:
    from axonometry.program.operators import CapturedGraph

Weights = Literal["norm", "sum"]


def channel_graph(graph: CapturedGraph, weights: Weights = "norm") -> ChannelGraph:
    """Reduce a neuron graph to its channels."""
    plan = plan_of(graph)
    powers: dict[tuple[str, str], Tensor] = {}
    names = {group.name: group.rolled or group.name for group in graph.groups}
    repeated = set()
    for synapse in graph.synapses:
        power = None
        for source in synapse.sources:
            key = (names[synapse.target], names[source])
            step = (*key, synapse.parameter)
            if key[0] != synapse.target and step in repeated:  # the same weights at another step of a loop
                continue
            repeated.add(step)
            if power is None:
                reading = graph.program.sites[synapse.name].lowering
                power = _power(graph.kernel(synapse.name), reading, graph.dtype, weights)
            block = plan.reads[synapse.name, source].gather(power, axis=1)
            block = plan.feeds[synapse.name].gather(block, axis=0)
            powers[key] = powers[key] + block if key in powers else block
    for (target, source), block in wired(graph, plan, weights).items():
        key = names[target], names[source]
        powers[key] = powers[key] + block if key in powers else block
    first = {names[group.name]: group for group in reversed(graph.groups)}
    rolled = tuple(Group(name, (g.n_channels,), g.role, 0, g.place, name) for name, g in reversed(first.items()))
    return ChannelGraph(rolled, {key: b.sqrt() if weights == "norm" else b for key, b in powers.items()})


def layer_matrices(graph: CapturedGraph) -> dict[str, Tensor]:
    """By synapse, one matrix of shape (output channels, input channels): weights, or of kernels their L2 norms.

    Channels are those of the synapse: a linear layer behind a flatten has a column for each of its inputs.
    """
    found = {}
    for synapse in graph.synapses:
        lowering = graph.program.sites[synapse.name].lowering
        found[synapse.name] = _power(graph.kernel(synapse.name), lowering, graph.dtype, "norm").sqrt()
    return found


@dataclass(frozen=True)
class Plan:
    """Which channels meet where; the same for every snapshot.

    Attributes:
        reads: By (synapse, source group), which input channels of the weight carry which channels of the group.
        feeds: By synapse, which output channels of the weight are which channels of the target group.
        wires: By (target, source) of a wire, which channel of the source arrives at which neuron of the target.
    """

    reads: Mapping[tuple[str, str], Pairs]
    feeds: Mapping[str, Pairs]
    wires: Mapping[tuple[str, str], Arrivals]


_PLANS: WeakKeyDictionary[Program, dict[torch.device, Plan]] = WeakKeyDictionary()


def plan_of(graph: CapturedGraph) -> Plan:
    """Which channels meet where, found once a program and device."""
    program, state = graph.program, graph.state
    device = common_device(state)
    plans = _PLANS.setdefault(program, {})
    if device not in plans:
        follow = Follower(program, state)
        groups = {g.name: g for g in graph.groups}
        reads: dict[tuple[str, str], Pairs] = {}
        wires: dict[tuple[str, str], Arrivals] = {}
        for group in graph.groups:
            arrivals = follow.carried(follow.start(group.name), _axis(program, group), group.n_channels)
            for (kind, place), carried in arrivals.items():
                if kind == "synapse":
                    reading = program.sites[place].lowering
                    reads[place, group.name] = carried.pairs(reading.signal_axis, group.n_channels)
                elif any(w.target == place and group.name in w.sources for w in graph.wires):
                    wires[place, group.name] = carried
        feeds = {s.name: _feed(follow, s, groups[s.target]) for s in graph.synapses}
        plans[device] = Plan(reads, feeds, wires)
    return plans[device]


def _power(kernel: Kernel, reading: Lowering, dtype: torch.dtype, weights: Weights) -> Tensor:
    """The weights between channels, squared for norms, summed over taps: shape (output channels, input channels)."""
    entries = kernel.effective.to(dtype)
    entries = entries.square() if weights == "norm" else entries
    if entries.dim() == 1:
        return entries.unsqueeze(0)
    power = entries.movedim((reading.output_axis, reading.input_axis), (0, 1))
    power = power.flatten(2).sum(-1) if power.dim() > 2 else power
    if reading.groups == 1:
        return power
    split = 1 if reading.output_axis else 0  # a transposed convolution's inputs come in blocks, a convolution's outputs
    return torch.block_diag(*power.chunk(reading.groups, dim=split))


def _feed(follow: Follower, synapse: Synapse, target: Group) -> Pairs:
    """Which output channels of the weight are which channels of the target group."""
    site = follow.program.sites[synapse.name]
    shape, axis = shape_of(site.node), site.lowering.channel_axis
    axis = len(shape) - 1 if axis is None else axis
    channels = shape[axis] if shape else 1
    # conv -> add: output channel c of the weight is channel c of the group. Where the sum is relabelled on its way into
    # the group, as by pixel_shuffle(2), of 8 output channels 0 to 3 are channel 0 of the group and 4 to 7 channel 1.
    if follow.start(target.name) is site.node:
        same = torch.arange(channels, device=follow.device)
        return Pairs(same, same % target.n_channels, channels, target.n_channels)
    arrived = follow.carried(site.node, axis, channels)["group", target.name]
    return arrived.turned(_axis(follow.program, target), channels)


def wired(graph: CapturedGraph, plan: Plan, weights: Weights) -> dict[tuple[str, str], Tensor]:
    """Weights of links without a parameter, squared for norms: by neuron, then the mean over each pair of channels."""
    maps = (square,) if weights == "norm" else ()
    follow, groups = Follower(graph.program, graph.state), {g.name: g for g in graph.groups}
    blocks: dict[tuple[str, str], Tensor] = {}
    for source in dict.fromkeys(source for wire in graph.wires for source in wire.sources):
        start = follow.start(source)
        ones = torch.ones(shape_of(start), dtype=graph.dtype, device=graph.device)
        arrived = follow.values(start, ones, Links(maps, dtype=graph.dtype))
        for target in (w.target for w in graph.wires if source in w.sources):
            carried = plan.wires[target, source]
            channel, position = carried.arrivals()
            pair = carried.index(position, _axis(graph.program, groups[target])) * groups[source].n_channels + channel
            shape = groups[target].n_channels, groups[source].n_channels
            weight = arrived["group", target].flatten()[position]
            total = torch.zeros(math.prod(shape), dtype=graph.dtype, device=graph.device)
            number = total.index_add(0, pair, torch.ones_like(weight))
            blocks[target, source] = (total.index_add(0, pair, weight) / number.clamp(min=1)).reshape(shape)
    return blocks


def _axis(program: Program, group: Group) -> int:
    """The group's axis of channels with the batch axis counted."""
    return len(program.shapes[group.name]) - len(group.shape) + group.channel_axis
