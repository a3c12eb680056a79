"""A graph with a function of every link's weight: what a function must be, and that it is refused where it is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from axonometry.errors import ConfigurationError
from axonometry.program import NeuralGraph, capture
from axonometry.testing import check_adjoint, matrix


@pytest.fixture
def graph() -> NeuralGraph:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )
    return capture(net.double(), torch.zeros(1, 1, 6, 6, dtype=torch.float64))


@pytest.mark.parametrize(
    ("f", "same"),
    [(torch.abs, NeuralGraph.abs), (torch.square, NeuralGraph.square), (lambda w: (w != 0).to(w), NeuralGraph.binary)],
)
def test_the_three_maps_are_maps(
    graph: NeuralGraph, f: Callable[[Tensor], Tensor], same: Callable[[NeuralGraph], NeuralGraph]
) -> None:
    assert torch.equal(matrix(graph.map(f)), matrix(same(graph)))


def test_a_map_is_of_every_entry_and_of_the_transpose(graph: NeuralGraph) -> None:
    cubed = graph.map(lambda w: w**3)
    assert torch.allclose(matrix(cubed), matrix(graph) ** 3)
    assert torch.allclose((graph.T.map(lambda w: w**3) @ graph.ones()).flatten(), matrix(cubed).sum(0))
    check_adjoint(cubed, draws=1)


@pytest.mark.parametrize(
    ("f", "match"),
    [
        (lambda w: w + 1, r"a map leaves links of weight 0 at 0; got f\(0\) = 1"),
        (torch.tanh, r"f\(ab\) = f\(a\) f\(b\); got f\("),
        (lambda w: w * (w.abs() > 0.1), r"f\(ab\) = f\(a\) f\(b\); got f\("),
        (lambda w: w * (w.abs() > 1e-3), r"f\(ab\) = f\(a\) f\(b\); got f\("),
        (lambda w: w.clamp(-100, 100), r"f\(ab\) = f\(a\) f\(b\); got f\("),
        (lambda w: w.sum(), "gives one of its shape; got a Tensor of shape"),
        (lambda w: w.tolist(), "gives one of its shape; got a list"),
    ],
)
def test_other_functions_are_refused(graph: NeuralGraph, f: Callable[[Tensor], Tensor], match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        graph.map(f)


def test_channels_are_mapped_by_entries_alone(graph: NeuralGraph) -> None:
    channels = graph.channels()
    assert torch.equal(channels.map(torch.tanh).dense(), channels.dense().tanh())
    with pytest.raises(ConfigurationError, match="a map leaves links of weight 0 at 0"):
        channels.map(torch.cos)
