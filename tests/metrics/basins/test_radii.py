"""Directional radii against the closed form of a half plane, and their marks for what was not found."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from axonometry.errors import ConfigurationError
from axonometry.metrics.basins import sample_radii


def half_planes(n: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (m, 0) with m = 1, 2...; the boundary is the diagonal."""
    samples = torch.zeros(n, 2)
    samples[:, 0] = torch.arange(1, n + 1)
    return samples, torch.zeros(n, dtype=torch.int64)


def test_distances_to_a_line() -> None:
    found = sample_radii(nn.Identity(), *half_planes(), directions=2000, precision=1e-3, tried=(0.01, 1e4))
    m = torch.arange(1.0, 4.0)[:, None]
    # Along u the line is met at m / (u2 - u1), and u2 - u1 = √2 sin θ with θ even over the circle.
    sine = (m / (2**0.5 * found.radii)).double()
    assert float(sine.max()) < 1.001
    assert found.radii.isinf().double().mean(1).tolist() == pytest.approx([0.5] * 3, abs=0.05)
    for row in sine:
        angles = torch.arcsin(row[row > 0].clamp(max=1)).sort().values / (math.pi / 2)
        even = torch.linspace(0, 1, len(angles), dtype=torch.float64)
        assert float((angles - even).abs().max()) < 0.06  # Kolmogorov and Smirnov's distance, at 1000 values


def test_the_bracket_is_as_narrow_as_asked_for() -> None:
    rough, fine = (
        sample_radii(nn.Identity(), *half_planes(), directions=50, precision=precision).radii
        for precision in (0.5, 0.001)
    )
    met = fine.isfinite()
    ratio = (rough[met] / fine[met]).numpy()
    assert ((ratio > 1 / 1.5) & (ratio < 1.5)).all()
    assert np.abs(ratio - 1).max() > 0.01


def test_marks_and_the_table() -> None:
    samples, _ = half_planes(2)
    found = sample_radii(nn.Identity(), samples, torch.tensor([0, 1]), directions=20, tried=(1e-3, 0.5))
    assert found.radii[0].isinf().all()  # the line is 0.7 away at least
    assert (found.radii[1] == 0).all()  # misclassified as it is
    frame = found.frame()
    assert frame["infinite"].tolist() == [20, 0]
    assert frame["median"].tolist() == [math.inf, 0.0]
    far = sample_radii(nn.Identity(), samples, torch.tensor([0, 0]), directions=20, tried=(50.0, 500.0))
    assert float(far.radii.min()) == 50  # the least that was tried, and too far for most
    assert int((far.radii[0] == 50).sum()) > 5


def test_the_range_grows_with_the_dimensions_and_the_seed_decides() -> None:
    model, samples = nn.Linear(400, 3), torch.randn(4, 400)
    labels = model(samples).argmax(1)
    first = sample_radii(model, samples, labels, directions=5)
    assert first.dimensions == 400
    assert first.tried == pytest.approx((0.02, 200.0))
    assert torch.equal(first.radii, sample_radii(model, samples, labels, directions=5).radii)
    assert not torch.equal(first.radii, sample_radii(model, samples, labels, directions=5, seed=1).radii)
    with pytest.raises(ConfigurationError, match="`draws` is at least 2"):
        sample_radii(model, samples, labels, directions=1)


def test_a_sample_moved_by_less_than_its_radius_keeps_its_class() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 20), nn.Tanh(), nn.Linear(20, 3))
    samples = torch.randn(10, 3)
    labels = model(samples).argmax(1)
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    radii = sample_radii(model, samples, labels, directions=6).radii
    assert seen == []  # the user's hooks are set aside
    assert (radii > 0).all()
