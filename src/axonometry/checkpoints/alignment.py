"""Two checkpoints of one network whose neurons stand in another order: the second's are exchanged as the first's stand.

Networks that were trained from other initial weights may compute the same with their neurons in another order; entry by
entry they have nothing in common. Both are held in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from axonometry.checkpoints.checkpoint import Checkpoint
from axonometry.checkpoints.element_types import Array, as_array
from axonometry.checkpoints.graph_measures import checkpoint_names
from axonometry.errors import WeightsError
from axonometry.program import align, capture, permutations, permute


@dataclass(frozen=True)
class Aligned:
    """The second of two checkpoints, its neurons in the order of the first.

    Attributes:
        arrays: Its tensors, by its own names.
        exchanged: Axes of tensors whose entries stand elsewhere now.
        axes: Axes that can be exchanged.
    """

    arrays: dict[str, Array]
    exchanged: int
    axes: int


def align_checkpoints(first: Checkpoint, second: Checkpoint, module: nn.Module, example: tuple[Any, ...]) -> Aligned:
    """Exchange the second's neurons so that it comes near the first (:func:`~axonometry.align`).

    Args:
        first: What stays.
        second: What is exchanged.
        module: The network of both, with any weights, or with none (:func:`~axonometry.checkpoints.hollow.hollow`).
        example: What its forward takes.

    Raises:
        WeightsError: A checkpoint is not of this network.
        CaptureError: The network has no graph.
    """
    graph = capture(module, *example)
    own = {name: value for name, value in graph.state.items() if isinstance(value, Tensor)}
    states = []
    for checkpoint in (first, second):
        names = checkpoint_names(checkpoint, module, list(own))
        lacking = [name for name in own if name not in names and name in module.state_dict()]
        if lacking:
            rule = "both checkpoints have every parameter of the network"
            raise WeightsError(rule, f"{checkpoint.path} without {lacking[0]!r}", "Pass the network of these weights")
        for name, key in names.items():
            found, wanted = tuple(checkpoint.entries[key].shape), tuple(own[name].shape)
            if found != wanted:
                rule = f"{name!r} has the shape {wanted} in the network"
                raise WeightsError(rule, f"{found} in {checkpoint.path}", "Pass the network of these weights")
        states.append((names, {**own, **{name: checkpoint[key] for name, key in names.items()}}))
    (_, a), (names, b) = states
    exchange = align(graph, a, b)
    moved = permute(b, graph, exchange)
    turned = sum(not np.array_equal(order, np.arange(len(order))) for order in exchange.order.values())
    arrays = {key: as_array(moved[name])[0] for name, key in names.items() if name in moved}
    return Aligned(arrays, turned, sum(axis is not None for axes in permutations(graph).values() for axis in axes))
