"""Fully connected networks whose weights one writes down, for examples whose numbers can be followed by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from axonometry.program import NeuralGraph, capture

Rows = Sequence[Sequence[float | int]]


def layers_of(
    *weights: Rows, biases: Rows | None = None, activation: Callable[[], nn.Module] = nn.ReLU
) -> nn.Sequential:
    """A fully connected network with these weights, a nonlinearity between every two layers.

    Args:
        *weights: Of each layer, as ``nn.Linear`` has them: a row for each output.
        biases: Of each layer; none where None.
        activation: Makes the nonlinearity.

    >>> layers_of([[1.0, 2.0], [-3.0, 4.0]], [[1.0, 1.0]])(torch.tensor([[1.0, 1.0]]))
    tensor([[4.]], grad_fn=<MmBackward0>)
    """
    layers: list[nn.Module] = []
    for place, rows in enumerate(weights):
        layer = nn.Linear(len(rows[0]), len(rows), bias=biases is not None)
        layer.weight = nn.Parameter(torch.tensor(rows, dtype=torch.float32))
        if biases is not None:
            layer.bias = nn.Parameter(torch.tensor(biases[place], dtype=torch.float32))
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])


def graph_of(*weights: Rows, biases: Rows | None = None, activation: Callable[[], nn.Module] = nn.ReLU) -> NeuralGraph:
    """The graph of :func:`layers_of`; its groups are called ``input``, ``0``, ``2`` and so on.

    Args:
        *weights: As there.
        biases: As there.
        activation: As there.

    >>> graph = graph_of([[1.0, 2.0], [-3.0, 4.0]])
    >>> (graph @ graph.ones())["0"]
    tensor([3., 1.])
    """
    model = layers_of(*weights, biases=biases, activation=activation)
    return capture(model, torch.zeros(1, len(weights[0][0])))
