"""The graph that neuron interaction and nowcasting networks learn from (NiNo, Knyazev et al. 2025, ICLR).

Facts about that software, of its graphs of convolutional networks: nodes of a layer's biases, gains and shifts stand
in front of its channels; edges follow the order of parameters, those of a weight first by source and then by target.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from axonometry.errors import ValuesError
from axonometry.program.parameter_blocks import NOWHERE, Ids
from axonometry.program.parameter_graph import ParameterGraph, pyg_data
from axonometry.program.weights.snapshots import weights_of_captured_shapes

if TYPE_CHECKING:
    from axonometry.program.graph import NeuralGraph

LINEAR, BIAS, CONVOLUTION, GAIN, EMBEDDING, SKIP, LOOP = 1, 2, 3, 4, 5, 10, 13
"""Types of edges."""
LOOP_FEATURE = 2.0


@dataclass(frozen=True)
class _Vector:
    """A bias, gain or shift: its name, its type, its layer, and by entry the channel and its place among parameters."""

    name: str
    kind: int
    layer: int
    channels: Ids
    place: Ids


@dataclass(frozen=True)
class _Edges:
    """Edges of one kind: sources, targets, their order among all, types, places of their features, constant weights."""

    ends: Ids
    order: Ids
    kind: Ids
    place: Ids
    constant: Ids


def nino_graph(graph: NeuralGraph, found: ParameterGraph, states: Sequence[Mapping[str, Tensor]]) -> Any:
    """As ``torch_geometric`` data; see :func:`axonometry.program.to_pyg`."""
    shapes, rank = {**found.shapes, **_norms(graph)}, {name: i for i, name in enumerate(graph.program.parameters)}
    names = [*shapes]
    starts = np.cumsum([0, *(math.prod(shape) for shape in shapes.values())])
    vectors = [*_biases(found, starts), *_gains(graph, found, shapes, starts)]
    vectors.sort(key=lambda one: rank[one.name])
    channel, added = _numbers(found.layer.numpy(), vectors)
    ranks = np.array([rank[name] for name in names])
    blocks = [_weights(graph, found, starts, ranks, channel), *_vectors(vectors, ranks, names, channel, added)]
    taps = max(block.place.shape[1] for block in blocks)
    ends = np.concatenate([block.ends for block in blocks], 1)
    order = np.lexsort([*ends[::-1], np.concatenate([block.order for block in blocks])])
    nodes = len(channel) + len(vectors)
    loops = np.tile(np.arange(nodes), (2, 1))
    place = np.concatenate([_padded(block.place, taps) for block in blocks])[order]
    constant = np.concatenate([block.constant for block in blocks])[order]
    values = torch.stack([_features(state, shapes, place, constant) for state in states], -1)
    own = torch.zeros(nodes, taps, len(states), dtype=values.dtype)
    own[:, 0] = LOOP_FEATURE
    kinds = np.concatenate([block.kind for block in blocks])[order]
    return pyg_data(
        edge_index=torch.from_numpy(np.concatenate([ends[:, order], loops], 1)),
        edge_attr=torch.cat([values, own]).flatten(1),
        edge_type=torch.from_numpy(np.concatenate([kinds, np.full(nodes, LOOP)])),
        edge_place=torch.from_numpy(np.concatenate([place, np.full((nodes, taps), NOWHERE)])),
        pos_w=torch.zeros(nodes, dtype=torch.int64),
        parameters=tuple(names),
        shapes=tuple(shapes.values()),
        num_nodes=nodes,
    )


def _norms(graph: NeuralGraph) -> dict[str, tuple[int, ...]]:
    """Gains and shifts by name, with their shapes."""
    named = [c.parameter for c in graph.coverage if c.role == "normalisation"]
    return {name: tuple(graph.state[name].shape) for name in named if graph.state[name].dim() == 1}


def _biases(found: ParameterGraph, starts: Ids) -> Iterator[_Vector]:
    for column in found.x_place.T.numpy():
        there = np.flatnonzero(column >= 0)
        of = np.searchsorted(starts, column[there], "right") - 1
        for number in np.unique(of).tolist():
            channels = there[of == number]
            layer = int(found.layer[channels[0]])
            yield _Vector(found.parameters[number], BIAS, layer, channels, column[channels])


def _gains(
    graph: NeuralGraph, found: ParameterGraph, shapes: Mapping[str, tuple[int, ...]], starts: Ids
) -> Iterator[_Vector]:
    """Gains and shifts, each with the last layer before it that has as many channels."""
    layers = found.layer.numpy()
    targets = {synapse.parameter: found.groups.index(_rolled(graph, synapse.target)) for synapse in graph.synapses}
    sizes, before = np.bincount(layers), [0]
    names = [*shapes]
    for name in graph.program.parameters:
        if name in targets:
            before.append(int(layers[targets[name]]))
        if name not in shapes or name in found.shapes:
            continue
        fitting = [layer for layer in before if sizes[layer] == shapes[name][0]]
        if not fitting:
            raise ValuesError(
                "NiNo's graph puts a norm behind a layer with as many channels",
                f"{name!r} with {shapes[name][0]}",
                "Choose another convention: neural-graphs, gmn",
            )
        entries = starts[names.index(name)] + np.arange(shapes[name][0])
        kind = GAIN if name.endswith("weight") else BIAS
        yield _Vector(name, kind, fitting[-1], np.flatnonzero(layers == fitting[-1]), entries)


def _rolled(graph: NeuralGraph, group: str) -> str:
    return next(one.rolled or one.name for one in graph.groups if one.name == group)


def _numbers(layers: Ids, vectors: Sequence[_Vector]) -> tuple[Ids, Ids]:
    """Numbers of the channels, and of the nodes that are added, which stand in front of their layer's channels."""
    extra = np.bincount([one.layer for one in vectors], minlength=layers.max() + 1)
    channel = np.arange(len(layers)) + np.cumsum(extra)[layers]
    first = np.searchsorted(layers, np.arange(len(extra)))
    seen = np.zeros_like(extra)
    added = []
    for one in vectors:
        added.append(channel[first[one.layer]] - extra[one.layer] + seen[one.layer])
        seen[one.layer] += 1
    return channel, np.array(added, dtype=np.int64)


def _weights(graph: NeuralGraph, found: ParameterGraph, starts: Ids, ranks: Ids, channel: Ids) -> _Edges:
    """The edges of weights and, behind all parameters, of skips."""
    place = found.edge_place.numpy()
    kinds = {synapse.parameter: synapse.kind for synapse in graph.synapses}
    types = np.array([_type(kinds.get(name, ""), found.shapes[name]) for name in found.parameters])
    skip = (place < 0).all(1)
    of = np.where(skip, 0, np.searchsorted(starts, place.max(1), "right") - 1)
    front = np.take_along_axis(place, np.argsort(place < 0, axis=1, kind="stable"), 1)  # padded at the end alone
    taps = int((place >= 0).sum(1).max(initial=1))
    constant = np.where(skip, found.edge_attr.double().sum(1).numpy(), 0.0)
    kind = np.where(skip, SKIP, types[of])
    order = np.where(skip, ranks.max() + 1, ranks[of])
    return _Edges(channel[found.edge_index.numpy()], order, kind, front[:, :taps], constant)


def _type(kind: str, shape: tuple[int, ...]) -> int:
    if kind == "embedding":
        return EMBEDDING
    return CONVOLUTION if len(shape) > 2 else LINEAR


def _vectors(
    vectors: Sequence[_Vector], ranks: Ids, names: Sequence[str], channel: Ids, added: Ids
) -> Iterator[_Edges]:
    for one, node in zip(vectors, added.tolist(), strict=True):
        n = len(one.channels)
        ends = np.stack([np.full(n, node), channel[one.channels]])
        order = np.full(n, ranks[names.index(one.name)])
        yield _Edges(ends, order, np.full(n, one.kind), one.place[:, None], np.zeros(n))


def _padded(place: Ids, taps: int) -> Ids:
    return np.pad(place, ((0, 0), (0, taps - place.shape[1])), constant_values=NOWHERE)


def _features(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], place: Ids, constant: Ids) -> Tensor:
    found = weights_of_captured_shapes(state, shapes)
    vector = torch.cat([tensor.reshape(-1).cpu() for tensor in found.values()])
    where = torch.from_numpy(place)
    values = torch.where(where >= 0, vector[where.clamp(min=0)], torch.zeros((), dtype=vector.dtype))
    values[:, 0] += torch.from_numpy(constant).to(values)
    return values
