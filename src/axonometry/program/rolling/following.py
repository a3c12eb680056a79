"""Following values through the wiring: what arrives at each synapse and at each sum when one group alone sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, fx

from axonometry.program.fx_utils import shape_of
from axonometry.program.ir import Program, nodes_in
from axonometry.program.links import Links, existence
from axonometry.program.readings.adjacency import blank_value, statics_of
from axonometry.program.rolling.arrivals import Arrivals
from axonometry.program.weights.module_weights import common_device

Place = tuple[Literal["synapse", "group"], str]


class Follower:
    """Follows values through the wiring from one node to the synapses and sums that they reach.

    Args:
        program: The captured network.
        state: Parameters and buffers by state-dict name.
    """

    def __init__(self, program: Program, state: Mapping[str, Tensor]) -> None:
        self.program = program
        self.device = common_device(state)
        self.statics = statics_of(program, state)
        self.synapses = {site.node: name for name, site in self.program.sites.items()}

    def start(self, group: str) -> fx.Node:
        """The node whose value a group is."""
        if group in self.program.inputs:
            return self.program.inputs[group]
        return next(step.node for step in self.program.steps if step.group == group)

    def values(self, start: fx.Node, value: Tensor, links: Links) -> dict[Place, Tensor]:
        """What arrives at each synapse (its signal) and at each group (its sum) when ``start`` alone has a value."""
        environment: dict[fx.Node, Any] = {start: value}
        arrived: dict[Place, Tensor] = {}
        for step in self.program.steps:
            signals = [n for n in nodes_in((step.args, step.kwargs)) if n in environment]
            if step.node is start or not signals:
                continue
            if step.node in self.synapses:
                arrived["synapse", self.synapses[step.node]] = environment[signals[0]]
                continue
            args, kwargs = fx.map_arg((step.args, step.kwargs), lambda n: self._value(n, environment, links))
            result = step.read(links, *args, **kwargs)
            if step.group is None:
                environment[step.node] = result
            else:
                arrived["group", step.group] = result
        return arrived

    def carried(self, start: fx.Node, axis: int, channels: int) -> dict[Place, Arrivals]:
        """For each place that is reached, which channel arrives where.

        Channels are told apart by labels drawn at random: where one channel alone arrives, the labels' weighted mean is
        its label. Where channels mix, each is followed on its own.
        """
        # Two channels have the labels 1.71 and 1.97. A pooling over four neurons of channel 0 gives 4 * 1.71 where the
        # labels go in and 4 where ones go in: the mean is 1.71, and channel 0 alone arrives. A sum over both channels
        # gives (1.71 + 1.97) / 2 = 1.84, which is no label: they mix. Labels are drawn at random because a mix of two
        # may not look like a third: of labels 1, 2, 3 the mean of the first and the last is the second.
        shape = shape_of(start)
        links = Links((existence,), dtype=torch.float64)
        along = [-1 if i == axis else 1 for i in range(len(shape))]
        labels = torch.rand(channels, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
        labels = labels.sort().values.to(self.device)
        value = labels.reshape(along).expand(shape)
        weighted = self.values(start, value, links)
        found = {place: Arrivals.whole(shape, axis, self.device) for place, here in weighted.items() if here is value}
        if len(found) == len(weighted):
            return found
        count = self.values(start, torch.ones(shape, dtype=torch.float64, device=self.device), links)
        for place, number in count.items():
            if place in found:
                continue
            mean = weighted[place] / number
            nearest = torch.searchsorted(labels, (mean - 1e-9).contiguous()).clamp(max=channels - 1)
            if bool(((labels[nearest] - mean).abs() > 1e-9)[number > 0].any()):
                return self._one_by_one(start, along, channels, links)
            position = number.flatten().nonzero()[:, 0]
            found[place] = Arrivals(tuple(number.shape), nearest.flatten()[position], position)
        return found

    def _one_by_one(self, start: fx.Node, along: list[int], channels: int, links: Links) -> dict[Place, Arrivals]:
        # A sum over two channels, each of two neurons, and a linear map of it: ones in channel 0 alone reach inputs 0
        # and 1, ones in channel 1 alone reach both too. Arrivals: channel = [0, 0, 1, 1], position = [0, 1, 0, 1].
        # This takes a run for each channel instead of two for all, and so is done only where channels mix.
        eye = torch.eye(channels, dtype=torch.float64, device=self.device)
        arrived = [self.values(start, row.reshape(along).expand(shape_of(start)), links) for row in eye]
        found = {}
        for place, first in arrived[0].items():
            channel, position = torch.stack([each[place].flatten() for each in arrived]).nonzero(as_tuple=True)
            found[place] = Arrivals(tuple(first.shape), channel, position)
        return found

    def _value(self, node: fx.Node, environment: dict[fx.Node, Any], links: Links) -> Any:
        if node in environment:
            return environment[node]
        return self.statics[node] if node in self.statics else blank_value(node, self.device, links.dtype)
