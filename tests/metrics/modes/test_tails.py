"""The linear network behind a layer: products of matrices, networks that are linear, and tails run by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import SamplesError, ValuesError
from axonometry.populations import CifarResNet, LeNet

W2 = torch.tensor([[1.0, -1.0], [0.5, 2.0], [0.0, 1.0]])
W3 = torch.tensor([[1.0, 0.0, 2.0], [-1.0, 1.0, 0.0]])


def worked(*, normalised: bool) -> ax.NeuralGraph:
    layers: list[nn.Module] = [nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False)]
    layers[0].weight.data.copy_(W2)
    layers[2].weight.data.copy_(W3)
    if normalised:
        norm = nn.BatchNorm1d(3)
        norm.weight.data.copy_(torch.tensor([2.0, 0.5, 1.0]))
        norm.running_var.fill_(1.0 - norm.eps)
        layers.insert(1, norm)
    return ax.capture(nn.Sequential(*layers).eval(), torch.zeros(1, 2))


def test_worked_numbers() -> None:
    assert ax.linear_map(worked(normalised=False), "input").tolist() == [[1.0, 1.0], [-0.5, 3.0]]
    found = ax.linear_map(worked(normalised=True), "input")
    assert torch.allclose(found, torch.tensor([[2.0, 0.0], [-1.75, 3.0]]))
    with pytest.raises(ValuesError, match="'nothing'"):
        ax.linear_map(worked(normalised=False), "nothing")


def deep(activation: Callable[[], nn.Module], widths: tuple[int, ...] = (6, 9, 7, 8, 4)) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        norm = nn.BatchNorm1d(after)
        norm.weight.data.normal_()
        norm.bias.data.normal_()
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
        layers += [nn.Linear(before, after), norm, activation()]
    return nn.Sequential(*layers[:-2]).double().eval()


def test_linear_networks_lose_nothing_and_have_the_product_of_their_matrices() -> None:
    network, samples = deep(nn.Identity), torch.randn(50, 6, dtype=torch.float64)
    graph = ax.capture(network, samples[:1])
    product = torch.eye(4, dtype=torch.float64)
    for place in (9, 6, 3, 0):
        product = product @ network[place].weight
        if place:
            norm = network[place - 2]
            product = product * norm.weight / torch.sqrt(norm.running_var + norm.eps)
    assert torch.allclose(ax.linear_map(graph, "input"), product, rtol=1e-12)
    found = ax.linear_truncation(graph, samples)
    assert (found["agreement"] == 1).all()
    assert (found["error"] < 1e-13).all()
    assert found["accuracy"].isna().all()


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU])
def test_tails_run_by_hand(activation: Callable[[], nn.Module]) -> None:
    network, samples = deep(activation), torch.randn(80, 6, dtype=torch.float64)
    labels = torch.randint(0, 4, (80,))
    found = ax.linear_truncation(ax.capture(network, samples[:1]), samples, labels).set_index("group")
    centred = network(samples).detach()
    centred -= centred.mean(1, keepdim=True)
    for group, behind in (("input", 0), ("0", 3), ("3", 6), ("6", 9), ("9", 10)):
        tail = [layer for layer in network[behind:] if not isinstance(layer, activation)]
        outputs = nn.Sequential(*tail)(network[:behind](samples)).detach()
        row = found.loc[group]
        assert row["accuracy"] == (outputs.argmax(1) == labels).double().mean().item()
        assert row["agreement"] == (outputs.argmax(1) == centred.argmax(1)).double().mean().item()
        error = (outputs - outputs.mean(1, keepdim=True) - centred).norm() / centred.norm()
        assert row["error"] == pytest.approx(error.item(), rel=1e-9, abs=1e-13)
    assert found["error"].iloc[0] > found["error"].iloc[-2]
    assert found["error"].iloc[-1] < 1e-13


def test_a_skip_brings_what_is_real_in_front_of_the_layer() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c, self.d = (nn.Linear(5, 5) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            first = torch.tanh(self.a(x))
            return self.d(torch.relu(first + self.c(torch.relu(self.b(first)))))

    network, samples = Skip().double(), torch.randn(60, 5, dtype=torch.float64)
    with torch.no_grad():
        first = torch.tanh(network.a(samples))
        real = network(samples)
        by_hand = {
            "a": network.d(first + network.c(network.b(first))),
            "b": network.d(first + network.c(torch.relu(network.b(first)))),
            "c": real,
        }
    found = ax.linear_truncation(ax.capture(network, samples[:1]), samples).set_index("group")
    real = real - real.mean(1, keepdim=True)
    for group, outputs in by_hand.items():
        error = (outputs - outputs.mean(1, keepdim=True) - real).norm() / real.norm()
        assert found["error"][group] == pytest.approx(error.item(), rel=1e-9, abs=1e-13), group


@pytest.mark.parametrize("batch", [1, 7, 30])
@pytest.mark.parametrize("residual", [False, True])
def test_convolutions_pooling_and_skips_end_at_the_real_network(residual: bool, batch: int) -> None:
    network = CifarResNet(8, (1, 8, 8), width=0.25) if residual else LeNet((1, 16, 16))
    network = network.double().eval()
    side = 8 if residual else 16
    samples, labels = torch.randn(30, 1, side, side, dtype=torch.float64), torch.randint(0, 10, (30,))
    graph = ax.capture(network, samples[:1])
    found = ax.linear_truncation(graph, list(samples.split(batch)), labels)
    right = (network(samples).argmax(1) == labels).double().mean().item()
    assert found.iloc[-1][["accuracy", "agreement"]].tolist() == [right, 1]
    assert found["error"].iloc[-1] < 1e-12
    assert (found["error"].iloc[:-2] > 1e-6).all()


def test_one_output_and_one_class() -> None:
    graph = ax.capture(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)), torch.zeros(1, 3))
    found = ax.linear_truncation(graph, torch.randn(9, 3), torch.zeros(9, dtype=torch.long))
    assert found["accuracy"].tolist() == [1, 1, 1]
    assert found["error"].iloc[0] > 0.01


@pytest.mark.parametrize(("count", "message"), [(8, "got 8 for more samples"), (10, r"shape \(10,\) for 9 samples")])
def test_as_many_labels_as_samples(count: int, message: str) -> None:
    graph = ax.capture(nn.Linear(3, 4), torch.zeros(1, 3))
    with pytest.raises(SamplesError, match=message):
        ax.linear_truncation(graph, torch.randn(9, 3), torch.zeros(count, dtype=torch.long))
