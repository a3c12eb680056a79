"""The linear map: products of matrices, closed forms, and the linear network's own derivative."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ValuesError
from axonometry.populations import CifarResNet, LeNet
from axonometry.program.readings.linear import linear_maps
from axonometry.testing import TOYS


def test_worked_example() -> None:
    # definitions 4: W2 = [[1,-1],[.5,2],[0,1]], W3 = [[1,0,2],[-1,1,0]] gives M = [[1,1],[-.5,3]].
    network = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, -1.0], [0.5, 2.0], [0.0, 1.0]]))
        network[2].weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [-1.0, 1.0, 0.0]]))
    maps = linear_maps(ax.capture(network, torch.zeros(1, 2)))
    assert [m.tolist() for m in maps.values()] == [
        [[1.0, 1.0], [-0.5, 3.0]],
        [[1.0, 0.0, 2.0], [-1.0, 1.0, 0.0]],
        [[1.0, 0.0], [0.0, 1.0]],
    ]


def test_batch_norm_scales_the_paths() -> None:
    # The same with D = diag(2, .5, 1) behind W2: [[2, 0], [-1.75, 3]].
    network = nn.Sequential(nn.Linear(2, 3, bias=False), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, -1.0], [0.5, 2.0], [0.0, 1.0]]))
        network[3].weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [-1.0, 1.0, 0.0]]))
        network[1].weight.copy_(torch.tensor([2.0, 0.5, 1.0]))
        network[1].running_var.fill_(1.0 - network[1].eps)
    maps = linear_maps(ax.capture(network.eval(), torch.zeros(1, 2)))
    assert torch.allclose(next(iter(maps.values())), torch.tensor([[2.0, 0.0], [-1.75, 3.0]]))


@pytest.mark.parametrize(
    "network", [LeNet((1, 16, 16)), CifarResNet(8, (1, 8, 8), width=0.25)], ids=["lenet", "resnet"]
)
def test_equal_to_the_derivative_of_the_linear_network(network: nn.Module) -> None:
    torch.manual_seed(0)
    network = network.double().eval()
    shape = (1, 16, 16) if isinstance(network, LeNet) else (1, 8, 8)
    graph = ax.capture(network, torch.zeros(1, *shape, dtype=torch.float64))
    maps = linear_maps(graph)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.ReLU | nn.MaxPool2d):
            *path, last = name.split(".")
            replacement = nn.AvgPool2d(2) if isinstance(module, nn.MaxPool2d) else nn.Identity()
            setattr(network.get_submodule(".".join(path)), last, replacement)
    jacobian = torch.func.jacrev(lambda x: network(x[None])[0])(torch.randn(*shape, dtype=torch.float64))
    assert torch.allclose(maps[graph.groups[0].name], jacobian, atol=1e-12)


@pytest.mark.parametrize("name", TOYS)
def test_equal_to_repeated_transposed_products(name: str) -> None:
    toy = TOYS[name]()
    graph = ax.capture(toy.module, *toy.inputs, pooling=toy.pooling)
    output = next(group.name for group in reversed(graph.groups) if group.role == "output")
    unit = dict(graph.zeros())
    unit[output] = torch.ones_like(unit[output])
    step = ax.NodeValues(unit)
    total = step
    for _ in range(len(graph.groups)):
        step = graph.T @ step
        total = total + step
    maps = linear_maps(graph, output)
    for group in graph.groups:
        assert torch.allclose(maps[group.name].sum(0), total[group.name], rtol=1e-4, atol=1e-5), group.name


def test_which_output_is_asked_for() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.a(x), self.b(x)

    graph = ax.capture(Two(), torch.zeros(1, 3))
    with pytest.raises(ValuesError, match="one output group; got 2 of them"):
        linear_maps(graph)
    with pytest.raises(ValuesError, match="leads to a group; got 'c'"):
        linear_maps(graph, "c")
    assert not linear_maps(graph, "a")["b"].any()
