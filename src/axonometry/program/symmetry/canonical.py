"""One state for all that are the same network: units scaled to length one, and in an order of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonometry.program.entry import of_graph
from axonometry.program.graph import NeuralGraph
from axonometry.program.symmetry.classes import Permutations, permute
from axonometry.program.symmetry.reading import permutations
from axonometry.program.symmetry.scaling import ScaleClass, scales
from axonometry.program.weights.snapshots import refuse_values, weights_of_captured_shapes
from axonometry.program.weights.state_names import renamed

Key = tuple[float, list[float]]


@of_graph
def canonical(graph: NeuralGraph, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state that stands for all states which differ by an exchange or by a scale of neurons alone.

    First, from the input on, each unit that may be scaled (:func:`axonometry.program.symmetry.scales`) gets incoming
    weights and bias of length one, what was taken being put into its outgoing weights. Then units of a class stand in
    the order of the norm of all their entries, and of their sorted entries where norms are equal; blocks likewise, with
    what stands in them. Two copies of one network, permuted and rescaled, become equal to rounding. Units that have the
    same entries in another arrangement keep their order: for those the form is not one.

    Args:
        graph: The captured network.
        state: Its parameters and buffers by name.

    Returns:
        New tensors; a network of them computes the same.

    Raises:
        WeightsError: A parameter is missing, is not finite, or has another shape than in the captured network.

    >>> from torch import nn
    >>> from axonometry import capture, permutations, permute
    >>> net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> graph, weights = capture(net, torch.zeros(1, 3)), net.state_dict()
    >>> other = permute(weights, graph, permutations(graph).random(seed=0))
    >>> one, two = canonical(graph, weights), canonical(graph, other)
    >>> all(torch.equal(one[name], two[name]) for name in one)
    True
    """
    found, captured = permutations(graph), graph.state
    keys = renamed({key: key for key in state}, [*found])
    scaled = {name: state[key].detach().clone() for name, key in keys.items()}
    moving = [name for name in graph.program.parameters if any(found.get(name, ()))]
    refuse_values(weights_of_captured_shapes(scaled, {name: tuple(captured[name].shape) for name in moving}))
    for one in scales(graph):
        _to_length_one(scaled, one)
    arrays = {name: scaled[name].double().cpu().numpy() for name in moving}
    known: dict[int, Key] = {}

    def in_order(units: Sequence[int]) -> list[int]:
        return sorted(units, key=lambda unit: _key(found, arrays, known, unit))

    moved = permute(scaled, graph, found.arranged(in_order))
    return {**state, **{keys[name]: tensor for name, tensor in moved.items()}}


def _to_length_one(state: dict[str, Tensor], one: ScaleClass) -> None:
    lengths = sum(_rows(state[axis[0]], axis[1], places).square().sum(1) for axis, places in one.incoming.items())
    assert isinstance(lengths, Tensor)
    factors = torch.where(lengths > 0, lengths.sqrt(), torch.ones_like(lengths))
    for axes, of_unit in ((one.incoming, 1 / factors), (one.outgoing, factors)):
        for (name, axis), places in axes.items():
            tensor = state[name]
            along = torch.ones(tensor.shape[axis], dtype=torch.float64, device=tensor.device)
            along[torch.from_numpy(places).to(tensor.device)] = of_unit[:, None].expand(places.shape)
            shape = [-1 if number == axis else 1 for number in range(tensor.dim())]
            state[name] = (tensor.double() * along.reshape(shape)).to(tensor.dtype)


def _rows(tensor: Tensor, axis: int, places: NDArray[np.int64]) -> Tensor:
    """The entries of each unit along an axis, as one row in float64."""
    moved = tensor.detach().double().movedim(axis, 0)
    return moved[torch.from_numpy(places).to(moved.device)].reshape(len(places), -1)


def _key(found: Permutations, arrays: Mapping[str, NDArray[np.float64]], known: dict[int, Key], unit: int) -> Key:
    """What tells a unit from others of its class, whatever the order of all others."""
    if unit not in known:
        one, entries = found.units[unit], []
        for (name, axis), places in sorted(one.places.items()):
            if name in arrays:
                # Sorted, since the order of a unit's entries is the order of the neurons at their other ends, which is
                # not known yet.
                entries += np.sort(arrays[name].take(places, axis), axis=None).tolist()
        for child in sorted(_key(found, arrays, known, child) for child in one.children):
            entries += child[1]
        known[unit] = (float(np.square(entries).sum()), entries)
    return known[unit]
