"""Small graphs for other programs: networkx's graphs, and GraphML, which Gephi, Cytoscape and igraph read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from axonometry.arguments import argument_errors
from axonometry.errors import MissingExtraError
from axonometry.files import atomic_write
from axonometry.program.ir import Group, spans

if TYPE_CHECKING:
    import networkx
    import scipy.sparse

    from axonometry.program.operators import LinearGraph


Ids = np.ndarray


@runtime_checkable
class Drawable(Protocol):
    """A graph that networkx can have: of neurons, or of channels."""

    def to_networkx(self) -> networkx.DiGraph[Any]:
        """The graph with the attributes of its nodes."""


def networkx_graph(graph: LinearGraph, matrix: scipy.sparse.csr_array) -> networkx.DiGraph[Any]:
    """The graph of a matrix ``A[target, source]``; see :meth:`~axonometry.NeuralGraph.to_networkx`."""
    try:
        import networkx
    except ImportError:
        raise MissingExtraError.of("networkx", "networkx") from None
    result: networkx.DiGraph[Any] = networkx.DiGraph()
    received, sent = (matrix.sum(axis, dtype=np.float64) for axis in (1, 0))
    nodes = [node for layer, group in enumerate(graph.groups) for node in _nodes(layer, group)]
    for (key, about), into, out_of in zip(nodes, received.tolist(), sent.tolist(), strict=True):
        result.add_node(key, **about, in_strength=into, out_strength=out_of, strength=into + out_of)
    links = matrix.tocoo()
    rows, columns = (axis.tolist() for axis in links.coords)
    for row, column, weight in zip(rows, columns, links.data.tolist(), strict=True):
        result.add_edge(nodes[column][0], nodes[row][0], weight=float(weight))
    return result


def block_matrix(groups: Sequence[Group], blocks: Mapping[tuple[str, str], Tensor]) -> scipy.sparse.csr_array:
    """The sparse matrix of a graph of blocks, which are never put together as a dense one."""
    import scipy.sparse

    of_group = spans(groups)
    rows: list[Ids] = []
    columns: list[Ids] = []
    weights: list[Ids] = []
    for (target, source), block in blocks.items():
        row, column = (axis.cpu().numpy() for axis in block.nonzero(as_tuple=True))
        rows.append(row + of_group[target].start)
        columns.append(column + of_group[source].start)
        weights.append(block.cpu().numpy()[row, column])
    places, size = (np.concatenate(rows), np.concatenate(columns)), sum(group.n_neurons for group in groups)
    return scipy.sparse.csr_array((np.concatenate(weights), places), shape=(size, size))


def _nodes(layer: int, group: Group) -> Iterator[tuple[tuple[str, int], dict[str, Any]]]:
    for index, position in enumerate(np.ndindex(group.shape)):
        channel = position[group.channel_axis] if position else 0
        about = {"group": group.name, "layer": layer, "role": group.role, "channel": channel}
        yield (group.name, index), {**about, "position": ",".join(map(str, position))}


@argument_errors
def to_networkx(graph: Drawable) -> networkx.DiGraph[Any]:
    """A small graph as one of networkx: nodes are pairs (group, index inside the group), edges have a ``weight``.

    A node has these attributes: ``group``; ``layer``, the number of its group in the order of computation; ``role``:
    input, hidden or output; ``channel``; ``position``, its place in the group's shape, such as ``2,0,5``;
    ``in_strength``, ``out_strength`` and ``strength``, the sums of the weights of its incoming links, of its outgoing
    links, and of both.

    Args:
        graph: A graph of neurons, or of channels: ``graph.channels()``.

    Raises:
        TooLargeError: A matrix of the graph would take more than 2 GiB.
        MissingExtraError: networkx is not installed.

    >>> from axonometry.testing import graph_of
    >>> found = to_networkx(graph_of([[1.0, 2.0]]))
    >>> found["input", 1]["0", 0]["weight"], found.nodes["0", 0]["role"], found.nodes["0", 0]["in_strength"]
    (2.0, 'output', 3.0)
    """
    return graph.to_networkx()


@argument_errors
def to_graphml(graph: Drawable, path: str | os.PathLike[str]) -> None:
    """Write a small graph as GraphML, for Gephi, Cytoscape, igraph or networkx.

    A node is called ``group[index]``; its attributes are those of :func:`to_networkx`. An edge has its ``weight``. The
    file is whole or not there.

    Args:
        graph: A graph of neurons, or of channels: ``graph.channels()``.
        path: The file, such as ``network.graphml``.

    Raises:
        TooLargeError: A matrix of the graph would take more than 2 GiB.
        MissingExtraError: networkx is not installed.
        WriteError: The file cannot be written.

    >>> import tempfile
    >>> import networkx
    >>> from axonometry.testing import graph_of
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_graphml(graph_of([[1.0, 2.0]]), Path(folder) / "network.graphml")
    ...     found = networkx.read_graphml(Path(folder) / "network.graphml")
    >>> found["input[1]"]["0[0]"]["weight"], found.nodes["0[0]"]["role"], found.nodes["0[0]"]["in_strength"]
    (2.0, 'output', 3.0)
    """
    drawn = graph.to_networkx()
    import networkx

    named = networkx.relabel_nodes(drawn, {key: f"{key[0]}[{key[1]}]" for key in drawn})
    with atomic_write(Path(path)) as partial:
        networkx.write_graphml(named, partial)
