"""Densities: scipy's for small samples, the same but cheap for large ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.stats import gaussian_kde

from axonometry.errors import ValuesError
from axonometry.metrics import density
from axonometry.metrics.distributions import EXACT, bandwidth, binned, kernel_density


def test_small_samples_are_scipys_own() -> None:
    sample = np.random.default_rng(0).normal(size=EXACT)
    grid = np.linspace(-4, 4, 50)
    found = density(torch.from_numpy(sample), grid)
    assert np.array_equal(found.heights, gaussian_kde(sample)(grid))
    assert np.array_equal(found.grid, grid)
    assert found.count == EXACT
    assert found.bandwidth == pytest.approx(sample.std(ddof=1) * EXACT**-0.2)


@pytest.mark.parametrize("name", ["normal", "exponential", "standard_cauchy", "uniform"])
def test_large_samples_agree_with_scipy(name: str) -> None:
    sample = getattr(np.random.default_rng(0), name)(size=20_000)
    exact = gaussian_kde(sample)
    grid = np.linspace(*np.quantile(sample, [0.01, 0.99]), 100)
    found = density(sample, grid)
    assert found.bandwidth == pytest.approx(math.sqrt(exact.covariance[0, 0]))
    assert np.abs(found.heights - exact(grid)).max() < 0.002 * exact(grid).max()


def test_a_density_integrates_to_one() -> None:
    for size in (5, 500, 50_000):
        found = density(torch.randn(size))
        # 3 bandwidths beyond the sample: at most 0.135% of a kernel is cut at each end.
        assert np.trapezoid(found.heights, found.grid) == pytest.approx(1.0, abs=0.003)


def test_cost_does_not_grow_with_the_sample() -> None:
    cells = {
        size: len(kernel_density(np.random.default_rng(0).normal(size=size)).dataset[0]) for size in (10**5, 10**6)
    }
    assert cells[10**6] < 2 * cells[10**5] < 3000


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50), st.floats(0.01, 10))
def test_binning_keeps_mass_and_mean(values: list[float], width: float) -> None:
    sample = np.array(values)
    cells, weights = binned(sample, width)
    assert weights.sum() == pytest.approx(len(sample))
    assert (cells * weights).sum() == pytest.approx(sample.sum(), abs=1e-6)
    assert weights.min() > 0
    nearest = np.abs(sample[:, None] - cells[None, :]).min(axis=1)
    assert nearest.max() <= width * (1 + 1e-9)


def test_half_floats_and_other_shapes_are_read() -> None:
    found = density(torch.randn(2, 3, 4).bfloat16())
    assert found.count == 24


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, math.nan, math.inf], r"finite values; got 2 of 3 NaN or infinite\. Leave them out"),
        ([2.0, 2.0], r"at least two different values; got 2 times 2\.0"),
        ([2.0], r"at least two different values; got 1 values"),
        ([], r"at least two different values; got 0 values"),
    ],
)
def test_samples_without_a_density_are_refused(values: list[float], message: str) -> None:
    with pytest.raises(ValuesError, match=message):
        density(np.array(values))


def test_bandwidth_is_scotts_of_the_true_size() -> None:
    sample = np.random.default_rng(1).exponential(size=30_000)
    assert bandwidth(kernel_density(sample)) == pytest.approx(sample.std(ddof=1) * 30_000**-0.2)
