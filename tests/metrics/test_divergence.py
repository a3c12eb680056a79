"""Divergence: worked numbers of the official code, closed forms of Gaussians, symmetry and bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.special import digamma
from scipy.stats import gaussian_kde

from axonometry.errors import ValuesError
from axonometry.metrics import divergence_matrix, jeffreys_divergence
from axonometry.metrics.density_ratio import LARGEST, ratio_divergence, thinned
from axonometry.metrics.divergence import FLOOR, divergence_null, jeffreys

Draw = Callable[[np.random.Generator, int], np.ndarray]

D1, D2 = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])


def test_the_official_codes_number() -> None:
    found = jeffreys_divergence(D1, D2, "ictai2021")
    assert found == pytest.approx(59.748768, abs=1e-6)
    assert found * 3 / 1000 == pytest.approx(0.179246, abs=1e-6)


def test_normalised_on_the_official_codes_grid() -> None:
    grid = np.arange(0, 3, 3 / 1000)
    masses = np.stack([gaussian_kde(d)(grid) for d in (D1, D2)])
    assert jeffreys(masses)[0, 1] == pytest.approx(0.236439, abs=1e-6)


def test_normalised_is_the_integral_over_all_reals() -> None:
    """Far beyond the samples nothing is left to add: the integral by brute force."""
    grid = np.linspace(-8, 11, 200_001)
    p, q = (gaussian_kde(d)(grid) for d in (D1, D2))
    exact = np.trapezoid((p - q) * np.log(p / q), grid)
    assert jeffreys_divergence(D1, D2, "kernel") == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize(
    ("shift", "scale", "convention", "expected", "error"),
    [
        *((1, 1, "kernel", 1.0, 0.03), (0, 2, "kernel", 1.125, 0.1), (0, 1, "kernel", 0, 1e-3)),
        *((1, 1, "density-ratio", 1.0, 0.03), (0, 2, "density-ratio", 1.125, 0.03), (0, 1, "density-ratio", 0, 1e-3)),
    ],
)
def test_gaussians(shift: float, scale: float, convention: Any, expected: float, error: float) -> None:
    """N(0,1) against N(1,1): 1; against N(0,4): 1.125, where a kernel density's tail counts too much."""
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=300_000), shift + scale * draw.normal(size=300_000)
    found = jeffreys_divergence(torch.from_numpy(a), torch.from_numpy(b), convention)
    assert found == pytest.approx(expected, abs=error)


def normal(scale: float = 1, shift: float = 0) -> Draw:
    return lambda draw, n: shift + scale * draw.normal(size=n)


def laplace(shift: float) -> Draw:
    return lambda draw, n: draw.laplace(shift, 1, n)


def beta(a: float, b: float) -> Draw:
    return lambda draw, n: draw.beta(a, b, n)


PAIRS = {
    "wider": (normal(), normal(2), 1.125),
    "moved": (normal(), normal(1, 1.0607), 1.125),
    "Laplace": (laplace(0), laplace(1), 2 / np.e),
    # KL of betas, whose logarithms of x and 1 - x have digamma means: J = (4 - 2) (E_4,2 - E_2,2) ln x
    "beta": (beta(2, 2), beta(4, 2), 2 * ((digamma(4) - digamma(6)) - (digamma(2) - digamma(4)))),
    "equal": (normal(), normal(), 0.0),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("n", "draws", "bias"), [(200, 40, 0.15), (1000, 4, 0.1)])
def test_at_the_sizes_of_layers_the_mean_is_the_truth(pair: str, n: int, draws: int, bias: float) -> None:
    """Four standard errors beside a share of the truth; kernel densities make 1.74 of 1.125 at 200 values."""
    first, second, truth = PAIRS[pair]
    draw = np.random.default_rng(0)
    found = np.array([jeffreys_divergence(first(draw, n), second(draw, n)) for _ in range(draws)])
    error = found.std(ddof=1) / np.sqrt(draws)
    assert found.mean() == pytest.approx(truth, abs=bias * truth + 0.02 + 2 * error)
    if pair == "wider" and n == 200:
        kernel = [jeffreys_divergence(first(draw, n), second(draw, n), "kernel") for _ in range(10)]
        assert np.mean(kernel) > 1.4


def test_the_null_is_that_of_relabelled_halves() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=150), draw.normal(size=200)
    null = divergence_null(a, b, draws=30)
    assert null.low <= jeffreys_divergence(a, b) <= null.high
    assert null.n == 30
    assert null.value < 0.05
    assert jeffreys_divergence(a, b + 1) > 5 * divergence_null(a, b + 1).high
    assert divergence_null(a, b, draws=30) == null
    assert divergence_null(a, b, draws=30, seed=1) != null


def test_large_samples_are_thinned_by_order_statistics() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=50_000), draw.normal(size=40_000) + 1
    assert len(thinned(np.sort(a))) == LARGEST
    assert thinned(np.sort(a))[[0, -1]].tolist() == [a.min(), a.max()]
    assert ratio_divergence(a, b) == pytest.approx(1.0, abs=0.03)


def test_matrix_holds_the_pairs() -> None:
    draw = np.random.default_rng(0)
    samples = {"a": draw.normal(size=200), "b": draw.normal(size=300) + 0.5, "c": draw.exponential(size=5000)}
    for convention in ("density-ratio", "kernel", "ictai2021"):
        matrix = divergence_matrix(samples, convention)
        assert list(matrix.index) == list(matrix.columns) == ["a", "b", "c"]
        assert np.array_equal(matrix, matrix.T)
        assert np.diagonal(matrix).tolist() == [0, 0, 0]
        for i, a in samples.items():
            for j, b in samples.items():
                pair = jeffreys_divergence(a, b, convention)
                # One grid for all samples, and the floor that comes with it, against one for each pair.
                assert matrix.loc[i, j] == pytest.approx(pair, rel=0.01)


def test_lists_are_numbered_and_nothing_gives_nothing() -> None:
    assert list(divergence_matrix([D1, D2, D1]).columns) == [0, 1, 2]
    assert divergence_matrix([]).shape == (0, 0)
    assert divergence_matrix([], "ictai2021").shape == (0, 0)


@given(
    st.lists(st.floats(-50, 50), min_size=2, max_size=30),
    st.lists(st.floats(-50, 50), min_size=2, max_size=30),
    st.floats(0.1, 10),
    st.floats(-100, 100),
)
@settings(max_examples=40)
@pytest.mark.parametrize("convention", ["density-ratio", "kernel"])
def test_a_symmetric_bounded_number_that_no_unit_changes(
    convention: Any, a: list[float], b: list[float], scale: float, shift: float
) -> None:
    x, y = np.array(a), np.array(b)
    if min(np.ptp(x), np.ptp(y)) < 0.1:
        return
    found = jeffreys_divergence(x, y, convention)
    assert 0 <= found <= (-2 * np.log(FLOOR) if convention == "kernel" else 1000)
    assert jeffreys_divergence(y, x, convention) == pytest.approx(found, rel=1e-6, abs=1e-9)
    assert jeffreys_divergence(x, x, convention) == 0
    moved = jeffreys_divergence(scale * x + shift, scale * y + shift, convention)
    assert moved == pytest.approx(found, rel=1e-3, abs=1e-6)


def test_a_spike_beside_a_wide_distribution_is_resolved() -> None:
    """Gaussians whose widths differ by 10, 100, 1e6: far apart and ever farther, up to what the floor allows."""
    draw = np.random.default_rng(0)
    wide = draw.normal(size=50_000)
    found = [jeffreys_divergence(width * draw.normal(size=50_000), wide, "kernel") for width in (0.1, 0.01, 1e-6)]
    assert 5 < found[0] < found[1] < found[2] <= 55.3
    ratios = [jeffreys_divergence(width * draw.normal(size=50_000), wide) for width in (0.5, 0.1, 0.01)]
    assert 1 < ratios[0] < 10 < ratios[1] < ratios[2]


def test_the_official_sum_is_infinite_where_a_density_vanishes() -> None:
    assert jeffreys_divergence(np.array([0.0, 1e-3]), np.array([10.0, 11.0]), "ictai2021") == np.inf
    assert jeffreys_divergence(np.array([0.0, 1e-3]), np.array([10.0, 11.0]), "kernel") == pytest.approx(50, abs=5)


def test_samples_without_a_density_are_refused() -> None:
    with pytest.raises(ValuesError, match="at least two different values"):
        jeffreys_divergence(D1, np.ones(5))
