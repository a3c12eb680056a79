"""Where every kernel between two channels stands among the parameters: what graphs of arrays are made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from axonometry.errors import ValuesError
from axonometry.program.ir import Synapse
from axonometry.program.kernels import weight_node
from axonometry.program.rolling import Plan, wired
from axonometry.program.rolling.arrivals import Pairs

if TYPE_CHECKING:
    from axonometry.program.graph import NeuralGraph

Ids = np.ndarray
NOWHERE = -1
"""The place of a feature that no parameter has: padding, the bias of an input, a skip."""


class Nodes:
    """Numbers of the channels, and places of the parameters in one vector."""

    def __init__(self, graph: NeuralGraph, plan: Plan, state: Mapping[str, Tensor]) -> None:
        self.rolled = {group.name: group.rolled or group.name for group in graph.groups}
        sizes: dict[str, int] = {}
        for group in graph.groups:
            sizes.setdefault(self.rolled[group.name], group.n_channels)
        starts = np.cumsum([0, *sizes.values()])
        self.first = dict(zip(sizes, starts.tolist(), strict=False))
        self.groups = tuple(name for name, size in sizes.items() for _ in range(size))
        self.layer = np.repeat(np.arange(len(sizes)), list(sizes.values()))
        synapses = {synapse.name: synapse for synapse in graph.synapses}
        claimed = {
            c.parameter: synapses[c.claimed_by] for c in graph.coverage if c.role == "bias" and c.claimed_by in synapses
        }
        fits = {name: plan.feeds[one.name].n_indices == state[name].numel() for name, one in claimed.items()}
        self.biases = {name: one for name, one in claimed.items() if fits[name]}
        # Of tied weights, which are one tensor with several names, the name that synapses are known by.
        read = {name for synapse in graph.synapses for name in synapse.parameter.split("+")}
        weights = [c.parameter for c in graph.coverage if c.role == "synapse" and c.parameter in read]
        self.parameters = (*weights, *self.biases)
        self.shapes = {name: tuple(state[name].shape) for name in self.parameters}
        lengths = [math.prod(shape) for shape in self.shapes.values()]
        self.place = dict(zip(self.parameters, np.cumsum([0, *lengths]).tolist(), strict=False))

    def of(self, group: str, channels: Ids) -> Ids:
        """Numbers of some channels of a group."""
        return self.first[self.rolled[group]] + channels


@dataclass(frozen=True, eq=False)
class Kernels:
    """The edges of one synapse from one group: source and target of each, the places of its features."""

    ends: tuple[str, str, str]
    """Source group, synapse and target group."""
    edges: Ids
    place: Ids
    size: tuple[int, int]
    flat: bool

    def padded(self, size: tuple[int, int], taps: int) -> Ids:
        """Places in kernels of the largest size: more zeros behind than in front where they do not come out even."""
        out = np.full((len(self.place), taps), NOWHERE)
        if self.flat:
            out[:, : self.place.shape[1]] = self.place
            return out
        # A kernel of 3 x 3 in one of 5 x 5 begins at row 1, column 1: its first entry is number 1 * 5 + 1 = 6.
        top, left = ((whole - own) // 2 for whole, own in zip(size, self.size, strict=True))
        rows, columns = np.mgrid[: self.size[0], : self.size[1]]
        out[:, ((rows + top) * size[1] + columns + left).ravel()] = self.place
        return out


def kernels(graph: NeuralGraph, nodes: Nodes, plan: Plan) -> Iterator[Kernels]:
    """The edges of every synapse, from each of its sources; each step of a loop's weights once."""
    seen = set()
    for synapse in graph.synapses:
        entries = _entries(graph, nodes, synapse)
        feeds = plan.feeds[synapse.name]
        for source in synapse.sources:
            step = (nodes.rolled[synapse.target], nodes.rolled[source], synapse.parameter)
            if nodes.rolled[synapse.target] != synapse.target and step in seen:  # another step of the same loop
                continue
            seen.add(step)
            (sources, targets), place, flat = _meetings(entries, feeds, plan.reads[synapse.name, source])
            edges = np.stack([nodes.of(source, sources), nodes.of(synapse.target, targets)])
            ends = nodes.rolled[source], synapse.name, nodes.rolled[synapse.target]
            yield Kernels(ends, edges, place, _size(synapse), flat)


def _meetings(entries: Ids, feeds: Pairs, reads: Pairs) -> tuple[tuple[Ids, Ids], Ids, bool]:
    """Pairs of channels of the source and of the target that meet, and the places of their entries.

    The last value says whether a channel of the source arrives in several inputs of the weight.
    """
    # Behind a flatten of 2 channels of 4 pixels, inputs 0-3 are of channel 0 and 4-7 of channel 1: columns is [[0, 1,
    # 2, 3], [4, 5, 6, 7]], and an edge has four entries of the weight.
    order = np.lexsort([reads.index.cpu().numpy(), reads.onto.cpu().numpy()])
    inputs, channels = reads.index.cpu().numpy()[order], reads.onto.cpu().numpy()[order]
    some, counts = np.unique(channels, return_counts=True)
    each = int(counts.max(initial=1))
    columns = np.full((len(some), each), NOWHERE)
    columns[np.repeat(np.arange(len(some)), counts), np.concatenate([np.arange(n) for n in counts])] = inputs
    outputs = feeds.index.cpu().numpy()
    # (targets, sources, inputs of each, taps): a place in the vector, NOWHERE in other groups of a grouped convolution
    place = np.where(columns[None, :, :, None] >= 0, entries[outputs[:, None, None], columns[None]], NOWHERE)
    sources = np.broadcast_to(some[None], place.shape[:2])
    targets = np.broadcast_to(feeds.onto.cpu().numpy()[:, None], place.shape[:2])
    place = place.reshape(*place.shape[:2], -1)
    there = (place >= 0).any(-1)
    return (sources[there], targets[there]), place[there], each > 1


def _entries(graph: NeuralGraph, nodes: Nodes, synapse: Synapse) -> Ids:
    """Places of a weight's entries, of shape (output channels, input channels, taps)."""
    weight = weight_node(graph.program, synapse.name, graph.weights)
    if (
        graph.program.names.get(weight) != synapse.parameter
    ):  # of w + w.t() no entry is one of w, though w is all it is of
        raise ValuesError(
            "an edge's features are entries of a parameter",
            f"{synapse.name!r}, whose weight is computed of {synapse.parameter.replace('+', ' and ')}",
            "Remove the parametrization, or merge the weights, before the network is captured",
        )
    reading = graph.program.sites[synapse.name].lowering
    shape = nodes.shapes[synapse.parameter]
    entries = nodes.place[synapse.parameter] + np.arange(math.prod(shape)).reshape(shape)
    if entries.ndim == 1:
        return entries.reshape(1, -1, 1)
    entries = np.moveaxis(entries, (reading.output_axis, reading.input_axis), (0, 1))
    entries = entries.reshape(*entries.shape[:2], -1)
    if reading.groups == 1:
        return entries
    # Two groups of a (4, 2, taps) weight: outputs 0 and 1 see inputs 0 and 1, outputs 2 and 3 see 2 and 3. Written as
    # (4, 4, taps), the other two quarters are NOWHERE.
    parts = np.split(entries, reading.groups, axis=1 if reading.output_axis else 0)
    rows, columns = parts[0].shape[:2]
    whole = np.full((rows * len(parts), columns * len(parts), entries.shape[2]), NOWHERE)
    for i, part in enumerate(parts):
        whole[i * rows : (i + 1) * rows, i * columns : (i + 1) * columns] = part
    return whole


def _size(synapse: Synapse) -> tuple[int, int]:
    """Height and width of a kernel; of one with more axes, all but the last as one."""
    taps = [n for axis, n in enumerate(synapse.shape) if axis > 1]
    if not taps:
        return 1, 1
    return (1, taps[0]) if len(taps) == 1 else (math.prod(taps[:-1]), taps[-1])


def skips(graph: NeuralGraph, nodes: Nodes, plan: Plan) -> Iterator[tuple[tuple[str, str], Ids, Ids]]:
    """Links without a parameter: source and target group, the edges, the weight of each."""
    for (target, source), block in wired(graph, plan, "sum").items():
        rows, columns = block.nonzero(as_tuple=True)
        edges = np.stack([nodes.of(source, columns.cpu().numpy()), nodes.of(target, rows.cpu().numpy())])
        ends = nodes.rolled[source], nodes.rolled[target]
        yield ends, edges, block[rows, columns].double().cpu().numpy()


def bias_places(nodes: Nodes, plan: Plan) -> Ids:
    """The places of every node's biases: one column, or as many as a layer has, such as two of a recurrent one."""
    columns = [np.full(len(nodes.groups), NOWHERE)]
    for name, synapse in nodes.biases.items():
        feeds = plan.feeds[synapse.name]
        numbers = nodes.of(synapse.target, feeds.onto.cpu().numpy())
        free = [column for column in columns if (column[numbers] == NOWHERE).all()]
        if not free:
            columns.append(np.full(len(nodes.groups), NOWHERE))
        column = (free or columns[-1:])[0]
        column[numbers] = nodes.place[name] + feeds.index.cpu().numpy()
    return np.stack(columns, 1)
