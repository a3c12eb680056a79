r"""Topological uncertainty: whether a sample flows through a network as samples of its class did that are known.

The activation graph of a sample x at a linear layer has the links \|W_ij x_j\|, x_j what the source neuron hands on.
What is left of its zero-dimensional persistence are the weights of the maximum spanning tree, here in ascending order.
For each layer and class, the mean of these vectors over known samples that the network puts into the class is their
Fréchet mean. A sample is as strange as its own vectors are far from those of the class that it is put into:

TU(x) = 1/L Σ_l sqrt(1/n_l Σ_i (t_i - m_i)²), L layers, n_l links of the tree.

Layers are linear ones whose inputs are the neurons of one group, in order; convolutions, and linear layers behind
pooling, are left out, as in the paper's experiments.

Two plainer scores stand beside it, from the logits z: 1 - the largest softmax, and the energy -ln Σ exp(z).

Source: Lacombe et al. 2021, arXiv 2105.04404 [formulas recalled]; Hendrycks and Gimpel 2017, arXiv 1610.02136; Liu et
al. 2020, arXiv 2010.03759.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from axonometry.errors import ConfigurationError, ValuesError
from axonometry.metrics.topology.trees import bipartite_tree
from axonometry.program.readings.live import live_batches
from axonometry.program.readings.samples import Samples

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph

Trees = dict[str, Float[np.ndarray, "samples links"]]


def activation_trees(graph: NeuralGraph, samples: Samples) -> Trees:
    """The weights of the maximum spanning trees of every sample's activation graphs, ascending.

    Args:
        graph: The network at one snapshot.
        samples: What it is run on.

    Returns:
        By layer, a row a sample; as many columns as the layer has inputs and outputs, less one.

    Raises:
        ConfigurationError: No linear layer reads the neurons of one group.
        ValuesError: A weight or an activation is not finite.
        SamplesError: The samples do not fit the network.

    >>> from axonometry.testing import graph_of
    >>> trees = activation_trees(graph_of([[0.5, 0.25], [-1.0, 0.75]]), torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
    >>> trees["0"].tolist()
    [[0.5, 1.0, 1.5], [0.0, 0.25, 0.75]]
    """
    return _read(graph, samples)[0]


def shift_scores(graph: NeuralGraph, samples: Samples, known: Samples) -> pd.DataFrame:
    """How strange samples are to a network: topological uncertainty beside two scores of the outputs alone.

    Args:
        graph: A classifier at one snapshot, whose outputs are logits.
        samples: What is judged.
        known: Samples like those that it learned from, some of each class that it decides for.

    Returns:
        A row a sample: ``topological_uncertainty`` (in units of weight times activation; NaN where no known sample is
        put into the same class), ``softmax`` (one less the largest probability) and ``energy``. The larger, the
        stranger.

    Raises:
        ConfigurationError: No linear layer reads the neurons of one group.
        ValuesError: A weight or an activation is not finite.
        SamplesError: The samples do not fit the network.

    >>> from axonometry.testing import graph_of
    >>> graph, known = graph_of([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    >>> scores = shift_scores(graph, torch.tensor([[2.0, 0.0], [5.0, 0.0]]), known)
    >>> scores["topological_uncertainty"].round(6).tolist()  # of the tree 0, 0, 2 on average
    [0.0, 1.732051]
    """
    import pandas as pd

    known_trees, known_logits = _read(graph, known)
    trees, logits = _read(graph, samples)
    classes, decided = known_logits.argmax(1).numpy(), logits.argmax(1).numpy()
    apart = [_distances(rows, decided, known_trees[name], classes) for name, rows in trees.items()]
    return pd.DataFrame(
        {
            "topological_uncertainty": np.mean(apart, axis=0),
            "softmax": 1 - logits.softmax(1).amax(1).numpy(),
            "energy": -logits.logsumexp(1).numpy(),
        }
    )


def _distances(
    rows: Float[np.ndarray, "samples links"],
    decided: Int[np.ndarray, " samples"],
    known: Float[np.ndarray, "known links"],
    classes: Int[np.ndarray, " known"],
) -> Float[np.ndarray, " samples"]:
    """Root mean square of the sorted vectors less the mean one of the class: a Wasserstein distance on the line."""
    found = np.full(len(rows), np.nan)
    for one in np.unique(classes):
        mine = decided == one
        found[mine] = np.sqrt(((rows[mine] - known[classes == one].mean(0)) ** 2).mean(1))
    return found


def _read(graph: NeuralGraph, samples: Samples) -> tuple[Trees, Float[Tensor, "samples classes"]]:
    """Trees by layer, and the outputs in float64."""
    layers = _linear_layers(graph)
    output = next(group.name for group in graph.groups if group.role == "output")
    trees: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    outputs = []
    for batch in live_batches(graph, samples, pre_activations=False):
        outputs.append(batch.activations[output].detach().reshape(batch.size, -1).double().cpu())
        for name, (source, weights) in layers.items():
            arriving = batch.activations[source].detach().reshape(batch.size, -1).abs().double().cpu().numpy()
            if not np.isfinite(arriving).all():
                raise ValuesError("activation graphs are of finite activations", f"others in {source}", "")
            trees[name] += [bipartite_tree(weights * row[:, None])[::-1] for row in arriving]
    return {name: np.stack(rows) for name, rows in trees.items()}, torch.cat(outputs)


def _linear_layers(graph: NeuralGraph) -> dict[str, tuple[str, Float[np.ndarray, "inputs outputs"]]]:
    """By synapse, the group that it reads and its absolute weights."""
    sizes = {group.name: group.n_neurons for group in graph.groups}
    found = {}
    for synapse in graph.synapses:
        weights = graph.kernel(synapse.name).effective.detach()
        if len(synapse.sources) == 1 and tuple(weights.shape) == (sizes[synapse.target], sizes[synapse.sources[0]]):
            if not bool(weights.isfinite().all()):
                raise ValuesError("activation graphs are of finite weights", f"others in {synapse.name}", "")
            found[synapse.name] = synapse.sources[0], weights.abs().double().T.cpu().numpy()
    if not found:
        rule = "activation graphs are of linear layers that read the neurons of one group"
        raise ConfigurationError(rule, "a network without any", "See graph.synapses")
    return found
