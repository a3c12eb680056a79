"""Disparity: closed forms and the dense matrix."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from axonometry.metrics import disparity
from axonometry.program import capture
from axonometry.testing import matrix
from tests.metrics.networks import fully_connected


def test_equal_links_share_and_a_dominant_one_takes_all() -> None:
    layer = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -1.0, 1.0, -1.0], [1e6, 1.0, 1.0, 1.0]]))
    found = disparity(capture(layer, torch.zeros(1, 4)))
    equal, dominant = found[list(found)[-1]].tolist()
    assert equal == pytest.approx(1 / 4)
    assert dominant == pytest.approx(1.0, abs=1e-5)


def test_a_neuron_without_weight_has_none() -> None:
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 2.0]]))
    found = disparity(capture(layer, torch.zeros(1, 2)))
    assert found[list(found)[-1]].isnan().tolist() == [True, False]


def test_against_the_dense_matrix() -> None:
    graph = fully_connected(5, 7, 3)
    absolute = matrix(graph).abs()
    strength = absolute.sum(0) + absolute.sum(1)
    links = torch.cat([absolute, absolute.T], dim=1)
    assert torch.allclose(disparity(graph).flatten(), (links / strength[:, None]).square().sum(1))


def test_scaling_all_weights_changes_nothing() -> None:
    graph = fully_connected(5, 7, 3)
    scaled = graph.at({name: -3 * tensor for name, tensor in graph.state.items()})
    assert torch.allclose(disparity(scaled).flatten(), disparity(graph).flatten())
