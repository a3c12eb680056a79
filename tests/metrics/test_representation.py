"""Representations: worked numbers of the definitions, and what changes nothing."""

from __future__ import annotations

import math

import pytest
import torch

from axonometry.metrics.representation import complexity, effective_dimension, linear_cka


def test_complexity_of_the_definitions() -> None:
    p = torch.tensor([0.5, 1.0, 0.25])
    h = torch.where(torch.arange(8)[:, None] < 8 * p, 1.0, -1.0)
    assert complexity(h) == pytest.approx(1.255482, abs=1e-6)
    assert complexity(h) / math.log(2) == pytest.approx(1.811278, abs=1e-6)
    assert complexity(h, correction=True) == pytest.approx(1.255482 + 2 / 16, abs=1e-6)


def test_effective_dimension_does_not_depend_on_the_side_of_the_gram_matrix() -> None:
    x = torch.randn(20, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wide, high = effective_dimension(x), effective_dimension(torch.cat([x, x]))
    assert wide == pytest.approx(high)
    assert math.isnan(effective_dimension(torch.ones(4, 3))[0])


def test_cka_is_one_of_rotations_and_small_of_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 6, generator=generator).double()
    turn = torch.linalg.qr(torch.randn(6, 6, generator=generator).double()).Q
    assert linear_cka(x, 5 * x @ turn + 3) == pytest.approx(1)
    assert linear_cka(x, torch.randn(500, 6, generator=generator)) < 0.05
