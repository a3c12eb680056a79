"""Alignment by activations: neurons are alike that say the same about the same samples, whatever their weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonometry.annotations import Seed
from axonometry.errors import SamplesError
from axonometry.program.entry import of_graph
from axonometry.program.graph import NeuralGraph
from axonometry.program.readings.live import live_batches, refuse_nonfinite
from axonometry.program.readings.samples import Samples
from axonometry.program.symmetry.alignment import Matching, best_match, matching_of
from axonometry.program.symmetry.classes import Permutation

Centred = dict[str, Tensor]
SILENT = 1e-3
"""Weight of the pre-activations' correlations beside those of the activations: they tell units apart that are 0 in all
samples, and next to nothing else."""


@of_graph
def align_activations(
    graph: NeuralGraph, a: Mapping[str, Tensor], b: Mapping[str, Tensor], samples: Samples, *, seed: Seed = 0
) -> Permutation:
    """The exchange of neurons that brings what ``b`` says about samples near to what ``a`` says.

    For each class, the linear assignment of largest summed correlation between neurons of ``a`` and of ``b``, over
    samples and positions and over all groups of the class (Li et al. 2016; Ainsworth et al. 2022, section 3.1). Classes
    of blocks (heads, groups of channels), and classes whose neurons are no channel of a group, are matched by weights.

    Args:
        graph: The captured network of both.
        a: Weights that stay.
        b: Weights whose neurons are exchanged.
        samples: What the network takes, shape (P, ...), at least two.
        seed: Draws the order in which the other classes are visited.

    Returns:
        The permutation; ``ax.permute(b, graph, permutation)`` is the aligned network.

    Raises:
        WeightsError: A parameter or buffer is missing, is not finite, or has another shape than in the captured
            network.
        SamplesError: There are fewer than two samples, or they do not fit the network.
        NonfiniteError: A sample is NaN or infinite at some neuron.

    >>> from torch import nn
    >>> from axonometry import capture, permutations, permute
    >>> from axonometry.program import align_activations
    >>> net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    >>> graph, weights = capture(net, torch.zeros(1, 3)), net.state_dict()
    >>> other = permute(weights, graph, permutations(graph).random(seed=0))
    >>> aligned = permute(other, graph, align_activations(graph, weights, other, torch.randn(50, 3)))
    >>> all(torch.equal(aligned[name], weights[name]) for name in weights)
    True
    """
    matching = matching_of(graph, a, b)
    said, felt = zip(*(_normalised(graph.at(state), samples) for state in (a, b)), strict=True)
    left = []
    for family in matching.all:
        places = list(_channels(graph, matching, family))
        if not places:
            left.append(family)
            continue
        alike = np.zeros((len(family), len(family)))
        for group, rows in places:
            for (mine, theirs), weight in ((said, 1.0), (felt, SILENT)):
                alike += weight * (mine[group][rows] @ theirs[group][rows].T).numpy()
        rows, columns = best_match(alike)
        matching.source[np.array(family)[rows]] = np.array(family)[columns]
    matching.descend(np.random.default_rng(seed), left)
    return matching.permutation()


def _normalised(graph: NeuralGraph, samples: Samples) -> tuple[Centred, Centred]:
    """Of each hidden group, its channels' activations and pre-activations: centred, of length one.

    Each a row over samples and positions.

    Raises:
        SamplesError: There is one sample.
    """
    groups = {group.name: group.channel_axis for group in graph.groups if group.role == "hidden"}
    said, felt = ({name: list[Tensor]() for name in groups} for _ in range(2))
    count = 0
    for batch in live_batches(graph, samples, groups=groups):
        refuse_nonfinite(batch)
        count += batch.size
        for name, axis in groups.items():
            for into, values in ((said, batch.activations), (felt, batch.pre_activations)):
                into[name].append(values[name].detach().double().cpu().movedim(axis + 1, 0).flatten(1))
    if count < 2:
        raise SamplesError("neurons are compared by how they vary over samples", "one sample", "Pass two or more")
    return _centred(said), _centred(felt)


def _centred(parts: Mapping[str, Sequence[Tensor]]) -> Centred:
    rows = {name: torch.cat([*some], 1) for name, some in parts.items()}
    centred = {name: value - value.mean(1, keepdim=True) for name, value in rows.items()}
    return {name: value / value.norm(dim=1, keepdim=True).clamp_min(1e-300) for name, value in centred.items()}


def _channels(graph: NeuralGraph, matching: Matching, family: Sequence[int]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """The groups whose channels a family of neurons is, and the channel of each."""
    units = [matching.units[unit] for unit in family]
    if any(unit.children for unit in units):
        return
    groups = {group.name: group for group in graph.groups if group.role == "hidden"}
    seen = set()
    for synapse in graph.synapses:
        axis = (synapse.parameter, graph.program.sites[synapse.name].lowering.output_axis)
        group = groups.get(synapse.target)
        if group is None or synapse.target in seen or axis not in units[0].places:
            continue
        if graph.state[synapse.parameter].shape[axis[1]] == group.n_channels and len(units[0].places[axis]) == 1:
            seen.add(synapse.target)
            yield group.name, np.array([unit.places[axis][0] for unit in units])
