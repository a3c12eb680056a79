"""Node strength: worked numbers, the dense matrix, the official code's way of counting by nested loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from axonometry.metrics import node_strength
from axonometry.program import capture
from axonometry.testing import matrix
from axonometry.values import NodeValues
from tests.metrics.networks import example_a, fully_connected, one_convolution


def test_example_a_as_the_official_code_counts() -> None:
    strengths = node_strength(example_a(), "ictai2021")
    assert strengths["input"].tolist() == pytest.approx([0.5, 4])
    assert strengths["0"].tolist() == pytest.approx([5.1, -0.2, -0.7])
    assert strengths["2"].tolist() == pytest.approx([2.25, 0.75])


def test_example_a_with_real_links_only() -> None:
    strengths = node_strength(example_a())
    assert strengths["input"].tolist() == pytest.approx([-0.5, 3])
    assert strengths["0"].tolist() == pytest.approx([5.0, 0.0, -1.0])
    assert strengths["2"].tolist() == pytest.approx([1.0, 0.5])


ONES = torch.ones(3, 3)
NINE = torch.arange(1.0, 10.0).reshape(3, 3)
FOUR = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("kernel", "size", "options", "sent"),
    [
        (ONES, 4, {}, [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]),
        (ONES, 4, {"padding": 1}, [[4, 6, 6, 4], [6, 9, 9, 6], [6, 9, 9, 6], [4, 6, 6, 4]]),
        (FOUR, 3, {}, [[1, 3, 2], [4, 10, 6], [3, 7, 4]]),
        (FOUR, 4, {"stride": 2}, [[1, 2, 1, 2], [3, 4, 3, 4], [1, 2, 1, 2], [3, 4, 3, 4]]),
        (NINE, 3, {"padding": 1, "bias": 0.5}, [[12, 21, 16], [27, 45, 33], [24, 39, 28]]),
    ],
)
def test_worked_convolutions(kernel: Tensor, size: int, options: dict[str, float], sent: list[list[float]]) -> None:
    graph = one_convolution(kernel, size, **options)
    target = graph.groups[-1].name
    assert node_strength(graph)["input"][0].tolist() == sent
    official = node_strength(graph, "ictai2021")
    assert (official["input"][0] - 1).tolist() == sent
    whole = float(kernel.sum()) + options.get("bias", 0.0) + 1
    assert torch.equal(official[target], torch.full_like(official[target], whole))


def test_true_links_into_a_padded_convolution() -> None:
    graph = one_convolution(NINE, 3, padding=1, bias=0.5)
    received = node_strength(graph)[graph.groups[-1].name][0] + 0.5
    assert received.tolist() == [[28.5, 39.5, 24.5], [33.5, 45.5, 27.5], [16.5, 21.5, 12.5]]


@pytest.mark.parametrize("widths", [(3, 2), (4, 5, 3), (6, 4, 4, 2)])
def test_real_links_are_row_and_column_sums_of_the_matrix(widths: tuple[int, ...]) -> None:
    graph = fully_connected(*widths)
    dense = matrix(graph)
    assert torch.allclose(node_strength(graph).flatten(), dense.sum(0) + dense.sum(1))


def test_total_of_a_fully_connected_network() -> None:
    """Σ s = 2 ΣW + Σb + N_0 + N_L."""
    graph = fully_connected(5, 7, 6, 3)
    weights = sum(float(t.sum()) for name, t in graph.state.items() if name.endswith("weight"))
    biases = sum(float(t.sum()) for name, t in graph.state.items() if name.endswith("bias"))
    assert node_strength(graph, "ictai2021").sum() == pytest.approx(2 * weights + biases + 5 + 3)
    assert node_strength(graph).sum() == pytest.approx(2 * weights)


def test_spread_at_initialisation() -> None:
    """iid N(0, σ²) weights and biases: Var s = σ² (N_{l-1} + N_{l+1} + 1); paper 1's small network: 1.429."""
    network = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 32))
    graph = capture(network, torch.zeros(1, 784))
    found = []
    for _ in range(100):
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.05)
        found.append(node_strength(graph.at(network.state_dict()), "ictai2021")["0"])
    expected = 0.05 * math.sqrt(784 + 32 + 1)
    assert expected == pytest.approx(1.429, abs=1e-3)
    assert torch.stack(found).std().item() == pytest.approx(expected, rel=4 / math.sqrt(2 * 3200))


class PaperCnn(nn.Module):
    """Two valid convolutions of unequal kernels and channels, then two linear layers, as in paper 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 4, 2, stride=2)
        self.fc1, self.fc2 = nn.Linear(4 * 2 * 2, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.conv1(x).relu()).relu()
        return self.fc2(self.fc1(x.flatten(1)).relu())


def sent_by_loops(kernel: Tensor, height: int, width: int, stride: int) -> Tensor:
    """Outgoing strength of a valid convolution's inputs, one link after the other."""
    out_channels, in_channels, kh, kw = kernel.shape
    sent = torch.zeros(in_channels, height, width, dtype=torch.float64)
    for o in range(out_channels):
        for y in range((height - kh) // stride + 1):
            for x in range((width - kw) // stride + 1):
                for c in range(in_channels):
                    for i in range(kh):
                        for j in range(kw):
                            sent[c, y * stride + i, x * stride + j] += kernel[o, c, i, j]
    return sent


def test_paper_cnn_against_nested_loops() -> None:
    network = PaperCnn().double()
    found = node_strength(capture(network, torch.zeros(1, 2, 6, 6, dtype=torch.float64)), "ictai2021")
    conv1, conv2, fc1, fc2 = (
        layer.weight.detach() for layer in (network.conv1, network.conv2, network.fc1, network.fc2)
    )
    b1, b2, b3, b4 = (layer.bias.detach() for layer in (network.conv1, network.conv2, network.fc1, network.fc2))
    expected = {
        "input": 1 + sent_by_loops(conv1, 6, 6, 1),
        "conv1": (conv1.sum((1, 2, 3)) + b1)[:, None, None] + sent_by_loops(conv2, 4, 4, 2),
        "conv2": (conv2.sum((1, 2, 3)) + b2)[:, None, None] + fc1.sum(0).reshape(4, 2, 2),
        "fc1": fc1.sum(1) + b3 + fc2.sum(0),
        "fc2": fc2.sum(1) + b4 + 1,
    }
    assert list(found) == list(expected)
    for group, strengths in expected.items():
        assert torch.allclose(found[group], strengths, rtol=1e-12), group


class Skipped(nn.Module):
    """A padded convolution with an identity skip into the same sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        return self.second(x) + x


def test_official_counting_keeps_the_links_that_are_no_convolution() -> None:
    network = Skipped().double()
    graph = capture(network, torch.zeros(1, 1, 4, 4, dtype=torch.float64))
    name = next(group.name for group in graph.groups if group.role == "output")
    found = node_strength(graph, "ictai2021")[name]
    expected = network.second.weight.detach().sum((1, 2, 3)) + 1 + 1  # kernel, skip, phantom link
    assert torch.allclose(found, expected[:, None, None].expand(2, 4, 4))


def test_permuting_hidden_units_permutes_their_strengths() -> None:
    graph = fully_connected(4, 6, 3)
    order = torch.randperm(6)
    state = dict(graph.state)
    permuted = graph.at(
        {
            **state,
            "0.weight": state["0.weight"][order],
            "0.bias": state["0.bias"][order],
            "2.weight": state["2.weight"][:, order],
        }
    )
    for convention in ("links", "ictai2021"):
        before, after = node_strength(graph, convention), node_strength(permuted, convention)
        assert torch.allclose(after["0"], before["0"][order])
        assert torch.allclose(after["input"], before["input"])
        assert torch.allclose(after["2"], before["2"])


@pytest.mark.parametrize("factor", [-3.0, 0.25])
def test_scaling_the_weights_scales_the_strength(factor: float) -> None:
    graph = fully_connected(4, 6, 3)
    scaled = graph.at({name: tensor * factor for name, tensor in graph.state.items()})
    assert torch.allclose(node_strength(scaled).flatten(), factor * node_strength(graph).flatten())
    absolute = node_strength(scaled.abs()).flatten()
    assert torch.allclose(absolute, abs(factor) * node_strength(graph.abs()).flatten())


def test_strengths_are_node_values_of_every_group() -> None:
    strengths = node_strength(example_a())
    assert isinstance(strengths, NodeValues)
    assert list(strengths) == ["input", "0", "2"]
