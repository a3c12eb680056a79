"""Spectrum of the linear map on networks whose map is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

import axonometry as ax
from axonometry.metrics.paths import linear_map_spectrum


def spectrum_of(weight: torch.Tensor) -> dict[str, float]:
    network = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        network.weight.copy_(weight)
    return linear_map_spectrum(ax.capture(network, torch.zeros(1, weight.shape[1])))["input"]


def test_identity_has_all_directions_but_the_shared_one() -> None:
    found = spectrum_of(2 * torch.eye(4))
    assert found["effective_rank"] == pytest.approx(3)
    assert found["log_norm"] == pytest.approx(math.log10(2 * math.sqrt(3)))
    assert found["log_tail"] == pytest.approx(0, abs=1e-6)
    assert found["coherence"] == pytest.approx(1 / 3)


def test_one_direction() -> None:
    found = spectrum_of(torch.outer(torch.tensor([1.0, -1.0, 2.0]), torch.arange(5.0)))
    assert found["effective_rank"] == pytest.approx(1, abs=1e-5)
    assert found["coherence"] == pytest.approx(1, abs=1e-5)
    assert found["log_tail"] < -3


@pytest.mark.parametrize("weight", [torch.ones(3, 4), torch.full((3, 4), math.nan)], ids=["shared", "nan"])
def test_what_has_no_spectrum_is_nan(weight: torch.Tensor) -> None:
    assert all(math.isnan(value) for value in spectrum_of(weight).values())


@given(st.integers(0, 1000), st.floats(0.1, 10))
@settings(max_examples=15, deadline=None)
def test_scale_and_what_all_outputs_share(seed: int, scale: float) -> None:
    source = torch.Generator().manual_seed(seed)
    weight = torch.randn(4, 6, generator=source)
    found, other = spectrum_of(weight), spectrum_of(scale * weight + torch.randn(6, generator=source))
    assert other["log_norm"] - found["log_norm"] == pytest.approx(math.log10(scale), abs=1e-4)
    for name in ("effective_rank", "log_tail", "coherence"):
        assert other[name] == pytest.approx(found[name], rel=1e-3, abs=1e-4)


def test_a_network_with_one_output_has_no_rows() -> None:
    graph = ax.capture(nn.Linear(3, 1), torch.zeros(1, 3))
    assert ax.measure(graph, ["linear_map"]).empty
