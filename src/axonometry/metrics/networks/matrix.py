"""A graph as the matrix that network science works on, and the strongest of its links."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from axonometry.annotations import Fits
from axonometry.arguments import argument_errors
from axonometry.errors import MissingExtraError, ValuesError, WeightsError
from axonometry.program.channels import ChannelGraph
from axonometry.program.ir import spans
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

Matrix = Float[np.ndarray, "n n"]
Labels = Int[np.ndarray, " n"]
Links = Annotated[
    Any,
    Fits(
        "a graph, or a square matrix of links, dense or sparse",
        lambda given: (
            hasattr(given, "channels") or (getattr(given, "ndim", 0) == 2 and given.shape[0] == given.shape[1])
        ),
    ),
]
"""``W[i, j]`` from i to j. Of a graph they are the absolute weights between channels, nodes in the order of
``NodeValues.flatten``."""


@argument_errors
def link_matrix(graph: NeuralGraph | ChannelGraph) -> Matrix:
    """Absolute weights of all links, ``W[i, j]`` from i to j; of a network, those between its channels.

    Args:
        graph: The channel graph, or the network at one snapshot.

    Returns:
        In double precision, nodes in the order of ``NodeValues.flatten``.

    Raises:
        WeightsError: A weight is not finite.

    >>> from axonometry.testing import graph_of
    >>> link_matrix(graph_of([[1.0, -3.0]])).tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]]
    """
    matrix = graph.channels().dense().detach().double().abs().T.cpu().numpy()
    _refuse_unfinite(matrix)
    return np.ascontiguousarray(matrix)


def link_array(graph: NeuralGraph | ChannelGraph) -> Any:
    """The same as a sparse array of scipy's, for graphs with many channels and few links.

    Raises:
        WeightsError: A weight is not finite.

    >>> from axonometry.testing import graph_of
    >>> link_array(graph_of([[1.0, -3.0]])).toarray().tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]]
    """
    from scipy.sparse import csr_array

    channels = graph.channels()
    span = spans(channels.groups)
    rows, columns, values = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for (target, source), block in channels.blocks.items():
        links = block.detach().double().abs().T.cpu().numpy()
        _refuse_unfinite(links)
        row, column = links.nonzero()
        rows.append(row + span[source].start)
        columns.append(column + span[target].start)
        values.append(links[row, column])
    size = (channels.n_nodes, channels.n_nodes)
    return csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=size)


def as_links(weights: Links) -> Any:
    """A graph's links, or a matrix, as a sparse array.

    >>> as_links(np.eye(2)).nnz
    2
    """
    from scipy.sparse import csr_array

    return link_array(weights) if hasattr(weights, "channels") else csr_array(weights)


def as_matrix(weights: Links) -> Matrix:
    """A graph's links, or a matrix, as a dense array.

    >>> from axonometry.testing import graph_of
    >>> as_matrix(graph_of([[1.0, -3.0]])).tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]]
    """
    if hasattr(weights, "channels"):
        return link_matrix(weights)
    return np.asarray(weights.toarray() if hasattr(weights, "toarray") else weights)


def as_labels(labels: Labels | NodeValues) -> Labels:
    """The community of each node, given as an array or by group.

    >>> as_labels(NodeValues({"a": torch.tensor([0, 1]), "b": torch.tensor([1])})).tolist()
    [0, 1, 1]
    """
    return labels.flatten().cpu().numpy() if isinstance(labels, NodeValues) else np.asarray(labels)


def layer_labels(graph: NeuralGraph | ChannelGraph) -> Labels:
    """The number of its layer (neuron group) for every node.

    >>> from axonometry.testing import graph_of
    >>> layer_labels(graph_of([[1.0, -3.0]])).tolist()
    [0, 0, 1]
    """
    sizes = [group.n_neurons for group in graph.channels().groups]
    return np.repeat(np.arange(len(sizes)), sizes)


def by_group(graph: NeuralGraph | ChannelGraph, values: NDArray[Any]) -> NodeValues:
    """A vector over nodes as one tensor for each group.

    >>> from axonometry.testing import graph_of
    >>> by_group(graph_of([[1.0, -3.0]]), np.array([1.0, 2.0, 3.0]))["0"]
    tensor([3.], dtype=torch.float64)
    """
    groups = graph.channels().groups
    parts = torch.from_numpy(np.asarray(values)).split([group.n_neurons for group in groups])
    return NodeValues({group.name: part.clone() for group, part in zip(groups, parts, strict=True)})


@argument_errors
def strongest(graph: NeuralGraph | ChannelGraph, share: float) -> ChannelGraph:
    """The channel graph with the strongest links of each block alone; trained layers link everything to everything.

    Args:
        graph: The channel graph, or the network.
        share: How many of a block's links stay, from 0 to 1: at least one, and all that are tied at the threshold.

    Raises:
        ValuesError: The share is no number above 0, up to 1.

    >>> from axonometry.testing import graph_of
    >>> strongest(graph_of([[1.0, -3.0], [2.0, 0.5]]), 0.5).blocks["0", "input"]
    tensor([[0., 3.],
            [2., 0.]])
    """
    if not 0 < share <= 1:
        raise ValuesError("a share of links is above 0 and at most 1", repr(share), "Give 0.1 for a tenth")

    def cut(block: Tensor) -> Tensor:
        if not block.numel():
            return block
        sizes = block.abs()
        keep = max(1, round(share * block.numel()))
        least = sizes.reshape(-1).kthvalue(block.numel() - keep + 1).values
        return torch.where(sizes >= least, block, torch.zeros_like(block))

    channels = graph.channels()
    return ChannelGraph(channels.groups, {key: cut(block) for key, block in channels.blocks.items()})


def extra(package: str) -> Any:
    """The package igraph or leidenalg, or the error that says how to install it."""
    try:
        return import_module(package)
    except ImportError:
        raise MissingExtraError.of(package, "communities") from None


def by_strength(graph: ChannelGraph) -> ChannelGraph:
    """The same graph with the channels of each group in the order of their strengths, the strongest first.

    What a seed then makes of it does not depend on which channel stands where.

    >>> from axonometry.testing import graph_of
    >>> by_strength(graph_of([[1.0, -3.0]]).channels()).blocks["0", "input"]
    tensor([[3., 1.]])
    """
    received, sent = graph.abs().strengths()
    order = {name: (received[name] + sent[name]).argsort(descending=True) for name in received}
    blocks = {(t, s): block[order[t]][:, order[s]] for (t, s), block in graph.blocks.items()}
    return ChannelGraph(graph.groups, blocks)


def of_igraph(weights: Any) -> Any:
    """A directed igraph of the links, each with its ``weight``.

    >>> of_igraph(np.array([[0.0, 2.0], [0.0, 0.0]])).es["weight"]
    [2.0]
    """
    links = as_links(weights).tocoo()
    source, target = (ends.tolist() for ends in links.coords)
    # igraph reads pairs of Python's numbers three times faster than an array
    graph = extra("igraph").Graph(n=links.shape[0], edges=list(zip(source, target, strict=True)), directed=True)
    graph.es["weight"] = links.data.tolist()
    return graph


def _refuse_unfinite(links: NDArray[Any]) -> None:
    if not np.isfinite(links).all():
        came = f"{int((~np.isfinite(links)).sum()):,} links that are not"
        raise WeightsError("network measures are of finite weights", came, "Training has diverged: see link_weights")
