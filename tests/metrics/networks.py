"""Small networks whose numbers can be checked by hand."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn

from axonometry.program import NeuralGraph, capture


@cache
def example_a() -> NeuralGraph:
    """Example A of the definitions: 2-3-2, fully connected, with the weights and biases that its numbers come from."""
    first, second = nn.Linear(2, 3), nn.Linear(3, 2)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1, -2, 0.5], [3, 1, -1]]).T)
        first.bias.copy_(torch.tensor([0.1, -0.2, 0.3]))
        second.weight.copy_(torch.tensor([[2, -1], [0, 1], [-1, 0.5]]).T)
        second.bias.copy_(torch.tensor([0.25, -0.75]))
    return capture(nn.Sequential(first, nn.ReLU(), second), torch.zeros(1, 2))


def one_convolution(kernel: Tensor, size: int, *, padding: int = 0, stride: int = 1, bias: float = 0.0) -> NeuralGraph:
    """One channel in, one out: a square image of ``size`` under one kernel."""
    layer = nn.Conv2d(1, 1, tuple(kernel.shape), padding=padding, stride=stride)
    with torch.no_grad():
        layer.weight.copy_(kernel)
        layer.bias.fill_(bias)
    return capture(layer, torch.zeros(1, 1, size, size))


@cache
def fully_connected(*widths: int, seed: int = 0) -> NeuralGraph:
    """A fully connected network in float64 with random weights and biases."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return capture(nn.Sequential(*layers[:-1]).double(), torch.zeros(1, widths[0], dtype=torch.float64))
