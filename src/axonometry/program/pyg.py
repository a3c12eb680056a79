"""A network as ``torch_geometric`` data, in the conventions of graph networks that learn from weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from torch import Tensor

from axonometry.annotations import Fits
from axonometry.arguments import argument_errors
from axonometry.errors import ConfigurationError, closest
from axonometry.program.entry import of_graph
from axonometry.program.graph import NeuralGraph
from axonometry.program.nino import nino_graph
from axonometry.program.parameter_graph import ParameterGraph, from_entries, parameter_graph, pyg_data

PygData = Annotated[
    Any, Fits("torch_geometric data that to_pyg or to_hetero made", lambda data: hasattr(data, "parameters"))
]
CONVENTIONS = ("neural-graphs", "gmn", "nino")


@of_graph
def to_pyg(
    graph: NeuralGraph, convention: str = "neural-graphs", *, states: Sequence[Mapping[str, Tensor]] = ()
) -> Any:
    """The network as ``torch_geometric.data.Data``, with places in the parameters: ``edge_place``, ``x_place``.

    :func:`from_pyg` is the way back to tensors.

    - ``neural-graphs`` (Kofinas et al. 2024): a node a channel with its bias as feature, an edge a kernel.
    - ``gmn`` (Lim et al. 2024): a node a channel and one more a layer that has biases; an edge a parameter, so that
      kernels are parallel edges, and biases are edges from their layer's node. ``tap`` is an edge's place in its
      kernel, -1 of a bias; ``bias_node`` tells the added nodes.
    - ``nino`` (Knyazev et al. 2025): a node a channel and one more for each bias, gain and shift, in front of the
      layer's channels; an edge a kernel, or an entry of those, with its values in several states, oldest first:
      ``edge_attr.reshape(edges, taps, states)``, kernels padded at their end. ``edge_type`` is 1 of a linear map, 2 of
      a bias or shift, 3 of a convolution, 4 of a gain, 5 of an embedding, 10 of a skip and 13 of a node's edge to
      itself, whose first feature is 2. Queries, keys and values are linear maps: the types and the added nodes of its
      eight families of transformers are not made. A gain or shift is of the last layer before it, in the order of
      parameters, with as many channels, as there. The encoding of positions, ``pos``, is PyTorch Geometric's
      ``AddLaplacianEigenvectorPE``.

    Skips are edges of constant weight, whose place is -1. Gains of norms are no edges of the first two.

    Args:
        graph: The network.
        convention: Whose graph it is.
        states: For ``nino``: the last states of a training, oldest first, five there; by default that of the graph.

    Raises:
        ConfigurationError: There is no such convention, or it has no states.
        WeightsError: A parameter is missing in one of the states, or has another shape than in the captured network.
        ValuesError: A weight is computed from parameters; or no layer has as many channels as a norm.
        MissingExtraError: torch_geometric is not installed.

    >>> from axonometry.testing import graph_of
    >>> data = to_pyg(graph_of([[1.0, 2.0]], [[3.0], [4.0]]), "gmn")
    >>> data.edge_index.tolist(), data.edge_attr[:, 0].tolist()
    ([[0, 1, 2, 2], [2, 2, 3, 4]], [1.0, 2.0, 3.0, 4.0])
    """
    if convention not in CONVENTIONS:
        remedy = f"Choose from: {', '.join(CONVENTIONS)}"
        raise ConfigurationError(
            "a convention of graphs has a name", repr(convention), closest(convention, CONVENTIONS, remedy)
        )
    found = parameter_graph(graph)
    if convention == "nino":
        return nino_graph(graph, found, states or [graph.state])
    if states:
        raise ConfigurationError("states are of the convention 'nino'", repr(convention), "Leave them out")
    return _multigraph(found) if convention == "gmn" else found.to_pyg()


@argument_errors
def from_pyg(data: PygData, *, state: int = -1) -> dict[str, Tensor]:
    """The tensors of what :func:`to_pyg` or :func:`to_hetero` made, with the features that it has now.

    The way back from what a network on the graph has changed. Parameters that are no feature are not among them. An
    entry that stands on several edges, as of a layer that is called twice, is taken from one of them: they have to
    agree.

    Args:
        data: ``torch_geometric`` data of any convention, or of :func:`to_hetero`; of a batch, one of its
            ``to_data_list()``.
        state: Which of its states, where it has several; the last by default.

    Returns:
        Parameters by state-dict name, in the features' type.

    >>> from axonometry.testing import graph_of
    >>> data = to_pyg(graph_of([[1.0, 2.0]], [[3.0], [4.0]]), "gmn")
    >>> data.edge_attr = 2 * data.edge_attr
    >>> from_pyg(data)["2.weight"].tolist()
    [[6.0], [8.0]]
    """
    shapes = {name: tuple(shape) for name, shape in zip(data.parameters, data.shapes, strict=True)}
    placed = []
    for store in data.stores:
        if "x_place" in store:
            placed.append((store.x_place, store.x))
        if "edge_place" in store:
            place = store.edge_place.reshape(len(store.edge_place), -1)
            placed.append((place, store.edge_attr.reshape(*place.shape, -1)[..., state]))
    return from_entries(shapes, *placed)


def _multigraph(found: ParameterGraph) -> Any:
    there = (found.edge_place >= 0) | (found.edge_attr != 0)  # padding is no parameter
    edge, tap = there.nonzero(as_tuple=True)
    node, column = (found.x_place >= 0).nonzero(as_tuple=True)
    layers, of_node = torch.unique(found.layer[node], return_inverse=True)
    nodes = len(found.layer)
    bias_edges = torch.stack([nodes + of_node, node]) if len(node) else torch.zeros(2, 0, dtype=torch.int64)
    values = torch.cat([found.edge_attr[edge, tap], found.x[node, column].to(found.edge_attr)])
    return pyg_data(
        edge_index=torch.cat([found.edge_index[:, edge], bias_edges], 1),
        edge_attr=values[:, None],
        edge_place=torch.cat([found.edge_place[edge, tap], found.x_place[node, column]]),
        tap=torch.cat([tap, torch.full((len(node),), -1)]),
        layer=torch.cat([found.layer, layers]),
        parameters=found.parameters,
        shapes=tuple(found.shapes[name] for name in found.parameters),
        bias_node=_marked(nodes, len(layers)),
        num_nodes=nodes + len(layers),
    )


def _marked(nodes: int, added: int) -> Tensor:
    return torch.cat([torch.zeros(nodes, dtype=torch.bool), torch.ones(added, dtype=torch.bool)])
