r"""A bag of neurons: which types of hidden neurons a network is made of, the types found in a population of networks.

A hidden neuron is described by four strengths: the sums of the weights into it and out of it, and of their sizes, all
without biases. The neurons of some networks, standardised together, are put into k types by k-means; any network is
then the share of its hidden neurons that each type has, a vector of fixed length whatever its widths and depth.

Scabini and Bruno describe neurons by strength and other centralities of networks of one architecture, and count layers
apart; strengths of both kinds and sides, and one bag for all hidden layers, are [our choice].

Source: Scabini and Bruno 2021, arXiv 2107.14062 [recalled].
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float

from axonometry.errors import ConfigurationError, ValuesError
from axonometry.program.entry import of_graph

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

FEATURES = ("strength in", "strength out", "size in", "size out")


@of_graph
def neuron_features(graph: NeuralGraph) -> Float[np.ndarray, "neurons 4"]:
    """Strengths of every hidden neuron: sums of weights into it and out of it, and of their sizes.

    Args:
        graph: The network at one snapshot.

    Raises:
        ValuesError: There is no hidden neuron, or a strength is not finite.

    >>> from axonometry.testing import graph_of
    >>> neuron_features(graph_of([[1.0, -2.0]], [[3.0], [-1.0]])).tolist()
    [[-1.0, 2.0, 3.0, 4.0]]
    """
    hidden = [group.name for group in graph.groups if group.role == "hidden"]
    if not hidden:
        raise ValuesError("types are of hidden neurons", "a network without any", "")
    ones, sizes = graph.ones(), graph.abs()
    sums = (graph @ ones, graph.T @ ones, sizes @ ones, sizes.T @ ones)
    columns = [torch.cat([values[name].detach().double().flatten() for name in hidden]) for values in sums]
    features = torch.stack(columns, 1).cpu().numpy()
    if not np.isfinite(features).all():
        raise ValuesError("types are of finite strengths", "others", "See node_strength(graph)")
    return features


@dataclass(frozen=True)
class NeuronTypes:
    """Types of neurons, found in some networks.

    Attributes:
        mean: Of each of :data:`FEATURES` over the neurons that the types were found in.
        spread: Its standard deviation; 1 where it does not vary.
        centres: The types, in standardised features, the smallest size into the neuron first.
    """

    mean: Float[np.ndarray, " 4"]
    spread: Float[np.ndarray, " 4"]
    centres: Float[np.ndarray, "types 4"]

    @classmethod
    def of(cls, graphs: Iterable[NeuralGraph], types: int = 6, *, seed: int = 0) -> NeuronTypes:
        """The types of the hidden neurons of some networks.

        Args:
            graphs: The networks, of any architectures.
            types: How many.
            seed: Of the beginnings of k-means, of which ten are tried.

        Raises:
            ConfigurationError: There are fewer different neurons than types, or no type is asked for.
            ValuesError: A network has no hidden neuron, or a strength is not finite.
        """
        from scipy.cluster.vq import kmeans

        features = np.concatenate([neuron_features(graph) for graph in graphs])
        mean, spread = features.mean(0), features.std(0)
        spread[spread <= 1e-12 * np.abs(features).max(0)] = 1.0
        standard = (features - mean) / spread
        different = len(np.unique(standard, axis=0))
        if not 1 <= types <= different:
            came = f"{types} of {different}"
            raise ConfigurationError("there are from 1 to as many types as different neurons", came, "Ask for fewer")
        centres, _ = kmeans(standard, types, iter=10, rng=np.random.default_rng(seed))
        return cls(mean, spread, centres[np.argsort(centres[:, 2], kind="stable")])

    def bag(self, graph: NeuralGraph) -> Float[np.ndarray, " types"]:
        """The share of a network's hidden neurons that each type has.

        Args:
            graph: The network at one snapshot.

        Raises:
            ValuesError: It has no hidden neuron, or a strength is not finite.

        >>> from axonometry.testing import graph_of
        >>> graph = graph_of([[1.0], [1.0], [5.0]], [[1.0, 1.0, 1.0]])
        >>> NeuronTypes.of([graph], 2).bag(graph).round(3).tolist()
        [0.667, 0.333]
        """
        from scipy.cluster.vq import vq

        labels, _ = vq((neuron_features(graph) - self.mean) / self.spread, self.centres)
        return np.bincount(labels, minlength=len(self.centres)) / len(labels)
