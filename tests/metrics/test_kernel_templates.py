"""Depthwise kernels against templates: each kind is found again, and noise is seldom explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from axonometry.errors import ValuesError
from axonometry.metrics import fit_templates
from axonometry.metrics.kernel_templates import EXPLAINED, KINDS, templates


def test_templates_are_of_zero_mean_and_unit_norm() -> None:
    bank, kinds = templates(7)
    np.testing.assert_allclose(bank.sum((1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(np.square(bank).sum((1, 2)), 1)
    assert len(kinds) == len(bank)


def test_derivatives_are_those_of_the_difference_of_gaussians() -> None:
    """By finite differences, along x, on a fine grid."""
    place = np.linspace(-4, 4, 401)
    y, x = np.meshgrid(place, place, indexing="ij")
    difference = np.exp(-(x**2 + y**2) / 2) - np.exp(-(x**2 + y**2) / (2 * 1.6**2)) / 1.6**2
    first, second = np.gradient(difference, place, axis=1), None
    second = np.gradient(first, place, axis=1)
    wide, narrow = (np.exp(-(x**2 + y**2) / (2 * s**2)) / s**2 for s in (1.6, 1.0))
    np.testing.assert_allclose(x * (wide / 1.6**2 - narrow), first, atol=2e-3)
    expected = (x**2 - 1) * narrow - (x**2 / 1.6**4 - 1 / 1.6**2) * wide
    np.testing.assert_allclose(expected[:, 5:-5], second[:, 5:-5], atol=5e-3)


@pytest.mark.parametrize("side", [3, 5, 7])
def test_every_template_is_its_own_best_whatever_its_size_sign_and_mean(side: int) -> None:
    bank, kinds = templates(side)
    fit = fit_templates(torch.from_numpy(-0.3 * bank + 2))
    np.testing.assert_allclose(fit.likeness, 1, atol=1e-6)
    assert not fit.positive.any() or side == 3  # of so few points some templates are each other's opposite
    assert fit.coverage == 1
    assert sum(fit.counts().values()) == len(kinds)


def test_noise_is_seldom_explained_and_a_constant_kernel_never() -> None:
    noise = torch.randn(500, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    fit = fit_templates(noise)
    assert fit.coverage < 0.02
    flat = fit_templates(torch.ones(1, 1, 5, 5))
    assert flat.likeness.tolist() == [0]
    assert flat.kind.tolist() == [-1]
    assert flat.counts() == {}
    assert len(KINDS) == 4
    assert EXPLAINED == 0.8


def test_a_depthwise_layer() -> None:
    layer = nn.Conv2d(6, 6, 7, groups=6)
    with torch.no_grad():
        layer.weight[:, 0] = torch.from_numpy(templates(7)[0][:6]).float() * 0.1
    assert fit_templates(layer.weight).coverage == 1


def test_what_is_refused() -> None:
    with pytest.raises(ValuesError, match="square kernels; got 3 x 5"):
        fit_templates(torch.ones(2, 3, 5))
    with pytest.raises(ValuesError, match="3 x 3 or larger; got 1"):
        fit_templates(torch.ones(4, 1, 1))
    with pytest.raises(ValuesError, match="finite kernels"):
        fit_templates(torch.full((1, 3, 3), torch.nan))
