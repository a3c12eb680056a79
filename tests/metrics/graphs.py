"""Networks for graph measures: small enough for networkx, with and without skips, and broken ones."""

from __future__ import annotations

from functools import cache
from typing import Any

import networkx as nx
import torch
from torch import Tensor, nn

from axonometry.program import NeuralGraph, capture
from axonometry.program.channels import ChannelGraph
from axonometry.values import NodeValues


class Residual(nn.Module):
    """Two convolutions with batch norm and a skip around them, then a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn0 = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn0(self.stem(x)))
        x = torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + x)
        return self.head(x.mean((2, 3)))


@cache
def residual(size: int = 5) -> NeuralGraph:
    """A residual network in float64 whose batch norms are not trivial."""
    torch.manual_seed(1)
    model = Residual().double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight)
    return capture(model, torch.zeros(1, 1, size, size, dtype=torch.float64))


@cache
def lenet(*, double: bool = False) -> NeuralGraph:
    """LeNet on 3x32x32 with pooled values as neurons, as in paper 3."""
    torch.manual_seed(2)
    features = [nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    graph = capture(nn.Sequential(*features, *head), torch.zeros(1, 3, 32, 32), pooling="nodes")
    return graph.at({name: value.double() for name, value in graph.state.items()}) if double else graph


@cache
def small_convolutional() -> NeuralGraph:
    """A convolution with stride, a pooling and a linear layer, in float64; more neurons than are decomposed densely."""
    torch.manual_seed(3)
    layers = [nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(3, 4, 2), nn.Tanh(), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(16, 5)).double()
    return capture(model, torch.zeros(1, 2, 6, 6, dtype=torch.float64))


@cache
def linear(*matrices: tuple[tuple[float, ...], ...]) -> NeuralGraph:
    """A chain of linear layers in float64 with these matrices, rows = inputs."""
    layers = []
    for rows in matrices:
        weight = torch.tensor(rows, dtype=torch.float64).T
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False).double()
        layer.weight = nn.Parameter(weight.clone())
        layers += [layer, nn.ReLU()]
    return capture(nn.Sequential(*layers[:-1]), torch.zeros(1, len(matrices[0]), dtype=torch.float64))


def with_weights(graph: NeuralGraph, **weights: Any) -> NeuralGraph:
    """The same graph with some tensors replaced, dots in their names as double underscores."""
    return graph.at({**graph.state, **{name.replace("__", "."): value for name, value in weights.items()}})


def networkx_of(graph: NeuralGraph | ChannelGraph) -> nx.DiGraph:
    """The directed graph of absolute weights."""
    return graph.abs().to_networkx()


def flat(values: NodeValues) -> Tensor:
    """All values in float64."""
    return values.flatten().double()


def vector_of(found: dict[Any, float]) -> Tensor:
    """What networkx found, in the order of its nodes, which is that of ``NodeValues.flatten``."""
    return torch.tensor(list(found.values()), dtype=torch.float64)
