"""The parameter graph: channels as nodes, the kernel between two of them as the features of their edge.

What graph networks that learn from weights take as their input. The conventions are those of neural graphs (Kofinas et
al. 2024, ICLR): a node is a channel (a neuron of a dense layer), its feature the bias; an edge's features are its
kernel, zero-padded to the largest kernel and flattened; a dense weight or a skip stands at the kernel's centre.

Built once for a network; any number of snapshots are then read by one look-up each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from axonometry.errors import MissingExtraError, ValuesError
from axonometry.program.entry import of_graph
from axonometry.program.ir import Synapse
from axonometry.program.rolling import Plan, plan_of, wired
from axonometry.program.rolling.arrivals import Pairs
from axonometry.program.weights.snapshots import of_captured_shape

if TYPE_CHECKING:
    from axonometry.program.graph import NeuralGraph

Ids = np.ndarray
NOWHERE = -1
"""The place of a feature that no parameter has: padding, the bias of an input, a skip."""


@dataclass(frozen=True, eq=False)
class ParameterGraph:
    """A network's channels and kernels as arrays.

    Attributes:
        edge_index: Source and target node of every edge, shape (2, edges).
        edge_attr: The kernel of every edge, flattened, shape (edges, taps).
        x: The bias of every node, 0 where it has none, shape (nodes, 1); two columns where a recurrent layer has two.
        groups: The neuron group of every node, shape (nodes,).
        layer: The number of that group in the order of computation, from 0 for the input, shape (nodes,).
        kernel_size: Height and width that kernels are padded to.
        parameters: Names of the parameters that features come from, one behind the other in one vector.
        edge_place: By feature of an edge, its place in that vector; -1 where none, shape (edges, taps).
        x_place: By node, the place of its bias; -1 where it has none, in the shape of ``x``.
        shapes: Shape of each parameter.
    """

    edge_index: Int[Tensor, "2 edges"]
    edge_attr: Float[Tensor, "edges taps"]
    x: Float[Tensor, "nodes biases"]
    groups: tuple[str, ...]
    layer: Int[Tensor, " nodes"]
    kernel_size: tuple[int, int]
    parameters: tuple[str, ...]
    edge_place: Int[Tensor, "edges taps"]
    x_place: Int[Tensor, "nodes biases"]
    shapes: Mapping[str, tuple[int, ...]]

    def at(self, state: Mapping[str, Tensor]) -> tuple[Float[Tensor, "nodes biases"], Float[Tensor, "edges taps"]]:
        """The features ``(x, edge_attr)`` of another snapshot.

        Raises:
            WeightsError: A parameter is missing, or has another shape.
        """
        parts = [of_captured_shape(state, name, self.shapes[name]).reshape(-1) for name in self.parameters]
        vector = torch.cat(parts)
        return _looked_up(vector, self.x_place, self.x), _looked_up(vector, self.edge_place, self.edge_attr)

    def state(self, x: Tensor, edge_attr: Tensor) -> dict[str, Tensor]:
        """The parameters that have these features; the way back from what a network on the graph has changed.

        Gains of norms and other parameters that are no feature are not among them. An entry that stands on several
        edges, as of a layer that is called twice, is taken from one of them: they have to agree.
        """
        vector = torch.zeros(sum(math.prod(shape) for shape in self.shapes.values()), dtype=edge_attr.dtype)
        for place, values in ((self.x_place, x), (self.edge_place, edge_attr)):
            there = place >= 0
            vector[place[there]] = values[there].to(vector)
        parts = vector.split([math.prod(self.shapes[name]) for name in self.parameters])
        return {name: part.reshape(self.shapes[name]) for name, part in zip(self.parameters, parts, strict=True)}

    def to_pyg(self) -> Any:
        """As ``torch_geometric.data.Data``: x, edge_index, edge_attr, layer, x_place, edge_place.

        Raises:
            MissingExtraError: torch_geometric is not installed.
        """
        return pyg_data(
            x=self.x,
            edge_index=self.edge_index,
            edge_attr=self.edge_attr,
            layer=self.layer,
            x_place=self.x_place,
            edge_place=self.edge_place,
        )


def pyg_data(**tensors: Any) -> Any:
    """Tensors by name as ``torch_geometric.data.Data``.

    Raises:
        MissingExtraError: torch_geometric is not installed.
    """
    try:
        from torch_geometric.data import Data
    except ImportError:
        missing = MissingExtraError.of("torch_geometric", "pyg")
        raise missing from None
    return Data(**tensors)


@of_graph
def parameter_graph(graph: NeuralGraph) -> ParameterGraph:
    """A network's channels and the kernels between them, as arrays with places in the parameters.

    Behind a flatten an edge has one feature a position, in their order. Batch norm is not folded. Two kernels between
    the same channels, as of parallel branches, are two edges.

    Args:
        graph: The network at one snapshot, as it was captured: not a mapped graph.

    Raises:
        ValuesError: A synapse's weight is computed from parameters, so that none of its entries is one.

    >>> from axonometry.testing import graph_of
    >>> found = parameter_graph(graph_of([[1.0, 2.0]], [[3.0], [4.0]]))
    >>> found.edge_index.tolist(), found.edge_attr[:, 0].tolist()
    ([[0, 1, 2, 2], [2, 2, 3, 4]], [1.0, 2.0, 3.0, 4.0])
    >>> found.groups
    ('input', 'input', '0', '2', '2')
    """
    plan, state = plan_of(graph), graph.state
    nodes = _Nodes(graph, plan, state)
    blocks = [*_kernels(graph, nodes, plan)]
    height = max((block.size[0] for block in blocks), default=1)
    width = max((block.size[1] for block in blocks), default=1)
    taps = max([height * width, *(block.place.shape[1] for block in blocks if block.flat)])
    places = [block.padded((height, width), taps) for block in blocks]
    skips = [*_skips(graph, nodes, plan)]
    edges = np.concatenate([*(block.edges for block in blocks), *(edge for edge, _ in skips)], axis=1)
    constant = np.zeros((edges.shape[1], taps))
    beginning = edges.shape[1] - sum(len(weight) for _, weight in skips)
    constant[beginning:, (height // 2) * width + width // 2] = np.concatenate([np.zeros(0), *(w for _, w in skips)])
    places += [np.full((len(weight), taps), NOWHERE) for _, weight in skips]
    edge_place, x_place = np.concatenate(places), _biases(nodes, plan)
    vector = torch.cat([state[name].detach().reshape(-1).to(graph.dtype) for name in nodes.parameters])
    places_of_edges, places_of_x = torch.from_numpy(edge_place), torch.from_numpy(x_place)
    return ParameterGraph(
        edge_index=torch.from_numpy(edges),
        edge_attr=_looked_up(vector, places_of_edges, torch.from_numpy(constant)),
        x=_looked_up(vector, places_of_x, torch.zeros(x_place.shape)),
        groups=nodes.groups,
        layer=torch.from_numpy(nodes.layer),
        kernel_size=(height, width),
        parameters=nodes.parameters,
        edge_place=places_of_edges,
        x_place=places_of_x,
        shapes=nodes.shapes,
    )


class _Nodes:
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
        weights = [c.parameter for c in graph.coverage if c.role == "synapse"]
        self.parameters = (*weights, *self.biases)
        self.shapes = {name: tuple(state[name].shape) for name in self.parameters}
        lengths = [math.prod(shape) for shape in self.shapes.values()]
        self.place = dict(zip(self.parameters, np.cumsum([0, *lengths]).tolist(), strict=False))

    def of(self, group: str, channels: Ids) -> Ids:
        """Numbers of some channels of a group."""
        return self.first[self.rolled[group]] + channels


@dataclass(frozen=True, eq=False)
class _Kernels:
    """The edges of one synapse from one group: source and target of each, the places of its features."""

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
        top, left = ((whole - own) // 2 for whole, own in zip(size, self.size, strict=True))
        rows, columns = np.mgrid[: self.size[0], : self.size[1]]
        out[:, ((rows + top) * size[1] + columns + left).ravel()] = self.place
        return out


def _kernels(graph: NeuralGraph, nodes: _Nodes, plan: Plan) -> Iterator[_Kernels]:
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
            yield _Kernels(edges, place, _size(synapse), flat)


def _meetings(entries: Ids, feeds: Pairs, reads: Pairs) -> tuple[tuple[Ids, Ids], Ids, bool]:
    """Pairs of channels of the source and of the target that meet, and the places of their entries.

    The last value says whether a channel of the source arrives in several inputs of the weight.
    """
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


def _entries(graph: NeuralGraph, nodes: _Nodes, synapse: Synapse) -> Ids:
    """Places of a weight's entries, of shape (output channels, input channels, taps)."""
    if synapse.parameter not in nodes.place:
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


def _skips(graph: NeuralGraph, nodes: _Nodes, plan: Plan) -> Iterator[tuple[Ids, Ids]]:
    for (target, source), block in wired(graph, plan, "sum").items():
        rows, columns = block.nonzero(as_tuple=True)
        edges = np.stack([nodes.of(source, columns.cpu().numpy()), nodes.of(target, rows.cpu().numpy())])
        yield edges, block[rows, columns].double().cpu().numpy()


def _biases(nodes: _Nodes, plan: Plan) -> Ids:
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


def _looked_up(vector: Tensor, place: Tensor, otherwise: Tensor) -> Tensor:
    """Entries of a vector by their places; where there is none, what stood there: a skip's weight, or 0."""
    return torch.where(place >= 0, vector[place.clamp(min=0)], otherwise.to(vector))
