"""Percolation: what is left of a network while links are taken away: a curve of robustness, and of pruning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonometry.annotations import Seed
from axonometry.errors import ConfigurationError
from axonometry.metrics.networks.matrix import Matrix, link_matrix, of_igraph
from axonometry.metrics.nulls.weights import copied, is_parameter
from axonometry.program.entry import of_graph
from axonometry.program.ir import spans

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph

Order = Literal["weakest", "strongest", "random", "betweenness"]
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


@of_graph
def percolation(
    graph: NeuralGraph,
    order: Order = "weakest",
    *,
    accuracy: Callable[[Mapping[str, Tensor]], float] | None = None,
    shares: Iterable[float] = SHARES,
    seed: Seed = 0,
) -> pd.DataFrame:
    """What is left of a network while links between channels are taken away.

    A link between two channels of a synapse is all of the kernel between them; taking it away sets these weights to 0.
    Skips have no weight and stay.

    Args:
        graph: The network at one snapshot.
        order: What goes first: the ``"weakest"`` links (L2 norms over the network), the ``"strongest"``, any
            (``"random"``), or those with the largest ``"betweenness"`` of the channel graph's links (needs igraph).
        accuracy: From a state dict to the network's accuracy; where None, it is not measured.
        shares: Shares of links that are gone, from 0 to 1.
        seed: Of the random order, and of ties.

    Returns:
        A row for each share: ``removed``, ``largest_component`` (share of all channels), ``spectral_gap`` (1 -
        λ2 / λ1 of the symmetric channel graph; NaN without links) and ``accuracy``.

    Raises:
        ConfigurationError: There is no such order, or a weight is computed from parameters.
        MissingExtraError: igraph is not installed, for betweenness.

    >>> from axonometry.testing import graph_of
    >>> found = percolation(graph_of([[1.0, 0.1], [0.1, 2.0]]), shares=(0.0, 0.5, 0.75))
    >>> found["largest_component"].tolist()
    [1.0, 0.5, 0.5]
    """
    import pandas as pd

    if order not in ("weakest", "strongest", "random", "betweenness"):
        remedy = "Choose 'weakest', 'strongest', 'random' or 'betweenness'"
        raise ConfigurationError("links are taken away in an order", repr(order), remedy)
    scores = _scores(graph, order, np.random.default_rng(seed))
    # [0.3, 0.1, 0.2] -> order [1, 2, 0] -> ranks [2, 0, 1]: at a share of 1/3 the link of rank 0 is gone.
    ranks = np.argsort(np.argsort(np.concatenate([s.ravel() for s in scores.values()]), kind="stable"))
    rows = []
    for share in map(float, shares):
        gone = ranks < round(share * len(ranks))
        other = _without(graph, scores, gone)
        weights = link_matrix(other)
        found = accuracy(other.state) if accuracy is not None else np.nan
        rows.append((share, _largest_component(weights), _spectral_gap(weights), found))
    return pd.DataFrame(rows, columns=["removed", "largest_component", "spectral_gap", "accuracy"])


def _scores(graph: NeuralGraph, order: Order, chance: np.random.Generator) -> dict[str, NDArray[Any]]:
    """By synapse, a number for each link (outputs by inputs): the smallest goes first."""
    norms = {s.name: _norms(graph, s.name) for s in graph.synapses}
    if order == "random":
        return {name: chance.random(norm.shape) for name, norm in norms.items()}
    if order == "betweenness":
        return _by_betweenness(graph, norms)
    return {name: norm if order == "weakest" else -norm for name, norm in norms.items()}


def _norms(graph: NeuralGraph, name: str) -> NDArray[Any]:
    kernel = graph.kernel(name)
    return _taps(kernel.effective).double().square().sum(-1).sqrt().cpu().numpy()


def _taps(weight: Tensor) -> Tensor:
    """A weight as (first axis, second axis, taps)."""
    return weight.reshape(*weight.shape[:2], -1) if weight.dim() > 1 else weight.reshape(-1, 1, 1)


def _by_betweenness(graph: NeuralGraph, norms: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    channels = graph.channels()
    links = of_igraph(link_matrix(channels))
    # Shortest ways are along strong links: a weight of 2 is a length of 1/2.
    through = links.edge_betweenness(directed=True, weights=[1 / w for w in links.es["weight"]] or None)
    matrix = np.zeros((channels.n_nodes, channels.n_nodes))
    if through:
        matrix[tuple(np.array(links.get_edgelist()).T)] = through
    span, found = spans(channels.groups), {}
    for synapse in graph.synapses:
        (source, *_), shape = synapse.sources, norms[synapse.name].shape
        block = matrix[span[source], span[synapse.target]].T if source in span and synapse.target in span else None
        if block is None or shape[0] % block.shape[0] or shape[1] % block.shape[1]:
            block = np.zeros((1, 1))  # channels that a synapse relabels have no link of their own there
        spread = np.repeat(np.repeat(block, shape[0] // block.shape[0], 0), shape[1] // block.shape[1], 1)
        found[synapse.name] = -spread
    return found


def _without(graph: NeuralGraph, scores: dict[str, NDArray[Any]], gone: NDArray[Any]) -> NeuralGraph:
    """The same network with some links' weights set to 0."""
    other = graph.at(copied(graph.state, double=False))
    kernels, place = other.kernels(), 0
    for name, score in scores.items():
        mask = gone[place : place + score.size].reshape(score.shape)
        place += score.size
        weight = kernels[name].weight
        if not is_parameter(weight, other.state):
            rule, came = "links are taken away from weights that are parameters", f"{name!r}, whose weight is computed"
            remedy = "Remove the parametrisation (torch.nn.utils.parametrize.remove_parametrizations)"
            raise ConfigurationError(rule, came, remedy)
        away = torch.from_numpy(mask).to(weight.device)
        away = away.reshape(weight.shape) if weight.dim() < 2 else away.reshape(*score.shape, *[1] * (weight.dim() - 2))
        weight.masked_fill_(away.expand(weight.shape), 0)
    return other


def _largest_component(weights: Matrix) -> float:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(csr_array(weights), directed=True, connection="weak")
    return float(np.bincount(labels).max() / len(weights))


def _spectral_gap(weights: Matrix) -> float:
    """1 - λ2 / λ1 of the eigenvalues of W + W', λ2 at least 0: a layered graph has -λ1 as well, which is no second."""
    both = weights + weights.T
    if not both.any():
        return float("nan")
    values = np.linalg.eigvalsh(both) if len(both) <= 1500 else _two_largest(both)
    top, second = float(values[-1]), float(values[-2]) if len(values) > 1 else 0.0
    return 1 - max(second, 0.0) / top


def _two_largest(both: Matrix) -> NDArray[Any]:
    from scipy.sparse.linalg import eigsh

    return np.sort(eigsh(both, k=2, which="LA", return_eigenvectors=False, v0=np.ones(len(both))))
