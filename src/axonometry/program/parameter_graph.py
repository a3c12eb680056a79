"""The parameter graph: channels as nodes, the kernel between two of them as the features of their edge.

What graph networks that learn from weights take as their input. The conventions are those of neural graphs (Kofinas et
al. 2024, ICLR): a node is a channel (a neuron of a dense layer), its feature the bias; an edge's features are its
kernel, zero-padded to the largest kernel and flattened; a dense weight or a skip stands at the kernel's centre.

Built once for a network; any number of snapshots are then read by one look-up each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from axonometry.errors import MissingExtraError
from axonometry.program.entry import of_graph
from axonometry.program.parameter_blocks import NOWHERE, Nodes, bias_places, kernels, skips
from axonometry.program.rolling import plan_of
from axonometry.program.weights.snapshots import weights_of_captured_shapes

if TYPE_CHECKING:
    from axonometry.program.graph import NeuralGraph


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
        found = weights_of_captured_shapes(state, {name: self.shapes[name] for name in self.parameters})
        vector = torch.cat([tensor.reshape(-1) for tensor in found.values()])
        return looked_up(vector, self.x_place, self.x), looked_up(vector, self.edge_place, self.edge_attr)

    def state(self, x: Tensor, edge_attr: Tensor) -> dict[str, Tensor]:
        """The parameters that have these features; the way back from what a network on the graph has changed.

        Gains of norms and other parameters that are no feature are not among them, and tied weights are there by one
        of their names: ``load_state_dict(..., strict=False)`` sets them by any. An entry that stands on several
        edges, as of a layer that is called twice, is taken from one of them: they have to agree.
        """
        return from_entries(self.shapes, (self.x_place, x), (self.edge_place, edge_attr))

    def to_pyg(self) -> Any:
        """As ``torch_geometric.data.Data``: x, edge_index, edge_attr, layer, x_place, edge_place, parameters, shapes.

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
            parameters=self.parameters,
            shapes=tuple(self.shapes[name] for name in self.parameters),
        )


def from_entries(shapes: Mapping[str, tuple[int, ...]], *placed: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Tensors from their entries, each given with its place in the vector of all; those without one are zero.

    Args:
        shapes: By name, in the order of that vector.
        placed: Places, -1 where a feature is no entry, and values of the same shape.

    >>> from_entries({"w": (1, 2), "b": (1,)}, (torch.tensor([2, -1, 0]), torch.tensor([5.0, 9.0, 7.0])))
    {'w': tensor([[7., 0.]]), 'b': tensor([5.])}
    """
    lengths = [math.prod(shape) for shape in shapes.values()]
    vector = torch.zeros(sum(lengths), dtype=placed[-1][1].dtype)
    for place, values in placed:
        there = place >= 0
        vector[place[there]] = values[there].to(vector)
    parts = zip(shapes.items(), vector.split(lengths), strict=True)
    return {name: part.reshape(shape) for (name, shape), part in parts}


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
    nodes = Nodes(graph, plan, state)
    blocks = [*kernels(graph, nodes, plan)]
    height = max((block.size[0] for block in blocks), default=1)
    width = max((block.size[1] for block in blocks), default=1)
    taps = max([height * width, *(block.place.shape[1] for block in blocks if block.flat)])
    places = [block.padded((height, width), taps) for block in blocks]
    wires = [*skips(graph, nodes, plan)]
    edges = np.concatenate([*(block.edges for block in blocks), *(edge for _, edge, _ in wires)], axis=1)
    constant = np.zeros((edges.shape[1], taps))
    beginning = edges.shape[1] - sum(len(weight) for *_, weight in wires)
    constant[beginning:, (height // 2) * width + width // 2] = np.concatenate([np.zeros(0), *(w for *_, w in wires)])
    places += [np.full((len(weight), taps), NOWHERE) for *_, weight in wires]
    edge_place, x_place = np.concatenate(places), bias_places(nodes, plan)
    vector = torch.cat([state[name].detach().reshape(-1).to(graph.dtype) for name in nodes.parameters])
    places_of_edges, places_of_x = torch.from_numpy(edge_place), torch.from_numpy(x_place)
    return ParameterGraph(
        edge_index=torch.from_numpy(edges),
        edge_attr=looked_up(vector, places_of_edges, torch.from_numpy(constant)),
        x=looked_up(vector, places_of_x, torch.zeros(x_place.shape)),
        groups=nodes.groups,
        layer=torch.from_numpy(nodes.layer),
        kernel_size=(height, width),
        parameters=nodes.parameters,
        edge_place=places_of_edges,
        x_place=places_of_x,
        shapes=nodes.shapes,
    )


def looked_up(vector: Tensor, place: Tensor, otherwise: Tensor) -> Tensor:
    """Entries of a vector by their places; where there is none, what stood there: a skip's weight, or 0."""
    return torch.where(place >= 0, vector[place.clamp(min=0)], otherwise.to(vector))
