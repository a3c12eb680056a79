"""Spectral norms against numpy's singular values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from axonometry.metrics import spectral_norms
from axonometry.program import capture
from tests.metrics.graphs import lenet, residual
from tests.metrics.networks import fully_connected


def test_kernels_and_blocks_are_the_largest_singular_values() -> None:
    graph = residual()
    found = spectral_norms(graph)
    for name, kernel in graph.kernels().items():
        matrix = kernel.effective.flatten(1).numpy()
        assert found.kernels[name] == pytest.approx(np.linalg.norm(matrix, 2))
    for key, block in graph.channels().blocks.items():
        assert found.blocks[key] == pytest.approx(np.linalg.norm(block.numpy(), 2))


@pytest.mark.parametrize("shape", [(150, 400), (400, 150), (300, 300)])
def test_large_matrices_by_iteration(shape: tuple[int, int]) -> None:
    graph = fully_connected(*shape)
    expected = np.linalg.norm(graph.state["0.weight"].numpy(), 2)
    assert spectral_norms(graph).kernels["0"] == pytest.approx(expected, rel=1e-7)


def test_single_precision_and_a_channel_graph_that_is_there() -> None:
    graph = lenet()
    found = spectral_norms(graph, graph.channels())
    assert found.kernels["7"] == pytest.approx(np.linalg.norm(graph.state["7.weight"].numpy(), 2), rel=1e-5)
    assert found.blocks == spectral_norms(graph).blocks


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1e-200, -3.0, 1e200]))
def test_it_scales_with_the_weights(factor: float) -> None:
    graph = fully_connected(5, 7, 3)
    scaled = spectral_norms(graph.at({name: factor * w for name, w in graph.state.items()}), graph.channels())
    for name, value in spectral_norms(graph).kernels.items():
        assert scaled.kernels[name] == pytest.approx(abs(factor) * value)


def test_an_orthogonal_matrix_has_one() -> None:
    layer = nn.Linear(200, 200, bias=False).double()
    nn.init.orthogonal_(layer.weight)
    found = spectral_norms(capture(layer, torch.zeros(1, 200, dtype=torch.float64)))
    assert list(found.kernels.values()) == pytest.approx([1])


def test_zero_and_diverged_weights() -> None:
    graph = fully_connected(5, 7, 3)
    first = torch.full_like(graph.state["0.weight"], math.nan)
    found = spectral_norms(graph.at({**graph.state, "0.weight": first, "2.weight": graph.state["2.weight"] * 0}))
    assert math.isnan(found.kernels["0"])
    assert found.kernels["2"] == 0
