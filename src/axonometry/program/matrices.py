"""Small graphs as matrices: scipy's sparse arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from axonometry.errors import TooLargeError

if TYPE_CHECKING:
    import scipy.sparse

    from axonometry.program.ir import Synapse, Wire
    from axonometry.program.operators import CapturedGraph

LARGEST = 2**31
"""Bytes that a matrix, or the largest of its blocks while it is found, may take."""


def sparse_matrix(graph: CapturedGraph) -> scipy.sparse.csr_array:
    """``A[target, source]``, found by sending a one from every neuron; see :meth:`~axonometry.NeuralGraph.to_scipy`."""
    import scipy.sparse

    _refuse_if_large(graph)
    index = {group.name: i for i, group in enumerate(graph.groups)}
    grid: list[list[Any]] = [[None] * len(index) for _ in index]
    for source in graph.groups:
        eye = torch.eye(source.n_neurons, dtype=graph.dtype, device=graph.device).reshape(-1, *source.shape)
        for target, columns in graph.from_group(source.name, eye).items():
            block = columns.reshape(source.n_neurons, -1).T.cpu().numpy()
            grid[index[target]][index[source.name]] = scipy.sparse.coo_array(block)
    name = str(graph.dtype).removeprefix("torch.")
    for i, group in enumerate(graph.groups):
        if grid[i][i] is None:  # fixes the size of rows and columns without links
            grid[i][i] = scipy.sparse.coo_array((group.n_neurons, group.n_neurons), dtype=name)
    return scipy.sparse.block_array(grid, format="csr")


def _refuse_if_large(graph: CapturedGraph) -> None:
    sizes = {group.name: group.n_neurons for group in graph.groups}
    bundles: list[Synapse | Wire] = [*graph.synapses, *graph.wires]
    dense = max(sizes[bundle.target] * sizes[source] for bundle in bundles for source in bundle.sources)
    needed = max(dense * graph.dtype.itemsize, graph.n_links * (graph.dtype.itemsize + 8))
    if needed > LARGEST:
        raise TooLargeError(
            f"a matrix is built for graphs that need at most {LARGEST / 2**30:.0f} GiB",
            f"{graph.n_links:,} links, which need {needed / 2**30:,.1f} GiB",
            "Use graph @ x and graph.T @ y, or the channel graph: graph.channels()",
        )
