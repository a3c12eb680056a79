"""What a forward pass consists of, besides groups and synapses: by it a run is resumed with its own network only."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from axonometry.program import NeuralGraph

Shapes = Mapping[str, tuple[int, ...]]


def calls(graph: NeuralGraph) -> tuple[str, ...]:
    """The calls that a network's forward pass consists of, with their constants but without types and devices.

    >>> from torch import nn
    >>> from axonometry import capture
    >>> calls(capture(nn.Sequential(nn.Linear(3, 2), nn.LeakyReLU(0.1)), torch.zeros(1, 3)))
    ('aten.linear.default(%2, %0, %1)', 'aten.leaky_relu.default(%3, 0.1)')
    """
    places = {node: f"%{place}" for place, node in enumerate(graph.program.graph.nodes)}

    def written(value: Any) -> str:
        if isinstance(value, torch.fx.Node):
            return places[value]
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(written, value))}]"
        plain = value is None or isinstance(value, bool | int | float | str)
        return repr(value) if plain else "..."  # dtypes and devices, which may change

    return tuple(
        f"{node.target}({', '.join(map(written, (*node.args, *node.kwargs.values())))})"
        for node in graph.program.graph.nodes
        if node.op == "call_function"
    )


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes of tensors by name.

    >>> shapes({"fc.weight": torch.zeros(3, 2)})
    {'fc.weight': (3, 2)}
    """
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def other_shape(recorded: Shapes | None, now: Shapes | None) -> str:
    """The first tensor whose shape differs, in words; empty where none does, or the shapes are not known."""
    if not (recorded and now):
        return ""
    differing = sorted(name for name in {*recorded, *now} if recorded.get(name) != now.get(name))
    if not differing:
        return ""
    first, old, new = differing[0], recorded.get(differing[0]), now.get(differing[0])
    return f"{first} is {'missing' if new is None else new} where the run has {'none' if old is None else old}"


def other_call(recorded: tuple[str, ...] | None, now: tuple[str, ...] | None) -> str:
    """The first call that differs, such as another activation function; empty likewise.

    >>> other_call(("aten.relu.default(%3)",), ("aten.tanh.default(%3)",))
    'aten.tanh.default(%3) where the run has aten.relu.default(%3)'
    """
    if not (recorded and now):
        return ""
    pairs = zip_longest(recorded, now, fillvalue="nothing")
    return next((f"{new} where the run has {old}" for old, new in pairs if old != new), "")
