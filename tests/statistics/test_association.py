"""Statistics over networks: closed forms, scipy, and what intervals must do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from axonometry.statistics import Estimate
from axonometry.statistics.association import (
    holm,
    rank_correlation,
    rank_test,
    roc_area,
    sharper,
    spearman_brown,
)

numbers = st.lists(st.integers(-20, 20).map(float), min_size=4, max_size=30)


@given(numbers, st.randoms())
def test_rank_correlation_is_spearmans(x: list[float], random: object) -> None:
    a = np.array(x)
    b = np.array(random.sample(x, len(x)))  # type: ignore[attr-defined]
    found = rank_correlation(a, b)
    if len(set(x)) == 1:
        assert np.isnan(found.value)
    else:
        assert found.value == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
        assert found.n == len(x)


@given(numbers, numbers)
def test_separation_counts_pairs(low: list[float], high: list[float]) -> None:
    a, b = np.array(low), np.array(high)
    pairs = (b[None, :] > a[:, None]) + 0.5 * (b[None, :] == a[:, None])
    found = roc_area(a, b)
    assert found.value == pytest.approx(pairs.mean())
    assert found.low <= found.high
    assert roc_area(b, a).value == pytest.approx(1 - found.value)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """ρ of a bivariate normal with correlation r is 6/π arcsin(r/2); AUC of two normals 1 apart is Φ(1/√2)."""
    draw = np.random.default_rng(0)
    rho, area = 6 / np.pi * np.arcsin(0.25), stats.norm.cdf(1 / np.sqrt(2))
    held = np.zeros(2)
    for i in range(60):
        x, y = draw.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=80).T
        found = rank_correlation(x, y, seed=i)
        held[0] += found.low <= rho <= found.high
        found = roc_area(draw.normal(size=40), draw.normal(size=40) + 1, seed=i)
        held[1] += found.low <= area <= found.high
    assert (held >= 51).all()  # 95% of 60 is 57; below 51 has a chance of less than 1%


def test_the_seed_makes_the_interval() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 30))
    assert rank_correlation(x, y, seed=1) == rank_correlation(x, y, seed=1)
    assert rank_correlation(x, y, seed=1) != rank_correlation(x, y, seed=2)


def test_strata_take_out_what_differs_between_them() -> None:
    """Between the strata both rise; inside, one falls where the other rises."""
    strata = [s for s in "abc" for _ in range(10)]
    inside = np.tile(np.arange(10.0), 3)
    between = np.repeat([0.0, 100.0, 200.0], 10)
    assert rank_correlation(between + inside, between - inside).value > 0.7
    found = rank_correlation(between + inside, between - inside, strata)
    assert (found.value, found.low, found.n) == (-1, -1, 30)
    assert found.high == pytest.approx(-1 + 2 * (1 - 0.025 ** (1 / 30)))  # 30 of 30 leave room for a few that differ


def test_small_strata_and_broken_numbers_are_left_out() -> None:
    x = np.array([1.0, 2, 3, 4, np.nan, 6, 7])
    strata = [1, 1, 1, 1, 1, 2, 2]
    found = rank_correlation(x, -x, strata)
    assert (found.value, found.n) == (-1, 4)
    assert rank_correlation(x[:3], x[:3], [1, 1, 1]).n == 3  # three are the fewest that say something
    assert np.isnan(rank_correlation(x, x, list("abcdefg")).value)
    assert rank_correlation(x, x, list("abcdefg")).n == 0
    assert roc_area(np.array([np.nan, 1.0]), np.array([2.0])).n == 2
    assert np.isnan(roc_area(np.array([np.nan]), np.array([2.0])).value)
    assert np.isnan(rank_test(np.array([np.nan]), np.array([2.0])))


def test_a_constant_has_no_rank_correlation() -> None:
    found = rank_correlation(np.ones(5), np.arange(5.0))
    assert np.isnan([found.value, found.low, found.high]).all()


def test_holm_steps_down() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    adjusted = holm([0.02, float("nan"), 0.9])
    assert adjusted[0] == pytest.approx(0.04)
    assert np.isnan(adjusted[1])
    assert holm([]) == []


def test_rank_test_is_mann_whitneys() -> None:
    a, b = np.arange(10.0), np.arange(10.0) + 4
    assert rank_test(a, b) == pytest.approx(stats.mannwhitneyu(a, b).pvalue)


@given(st.integers(0, 10**6))
def test_sharper_is_the_difference_of_the_best_areas(seed: int) -> None:
    draw = np.random.default_rng(seed)
    first = draw.normal(size=(2, 6)).round(1), draw.normal(size=(2, 8)).round(1) + 0.5
    second = draw.normal(size=(2, 6)), draw.normal(size=(2, 8))
    best = [max(abs(roc_area(low, high).value - 0.5) for low, high in zip(*some)) for some in (first, second)]
    found = sharper(first, second)
    assert found.value == pytest.approx(best[0] - best[1])
    assert found.low <= found.high
    assert found.n == 14
    assert sharper(second, first).value == pytest.approx(-found.value)


def test_sharper_draws_the_same_networks_for_both() -> None:
    draw = np.random.default_rng(0)
    low, high = draw.normal(size=(1, 30)), draw.normal(size=(1, 30)) + 1
    shifted = sharper((low, high), (low + 5, high + 5))  # the same order: each resample says 0
    assert shifted.value == 0
    assert shifted.high - shifted.low == pytest.approx(1 - 0.025 ** (1 / 60))


def test_spearman_brown_is_what_two_halves_make_of_the_whole() -> None:
    """With errors of variance e on a truth of 1, halves correlate 1 / (1 + e), their mean has 1 / (1 + e/2)."""
    for error in (0.1, 1.0, 4.0):
        half, whole = 1 / (1 + error), 1 / (1 + error / 2)
        assert spearman_brown(Estimate(half, half, half, 9)).value == pytest.approx(whole)
    draw = np.random.default_rng(0)
    truth, noise = draw.normal(size=20_000), draw.normal(size=(2, 20_000))
    halves = np.corrcoef(truth + noise[0], truth + noise[1])[0, 1]
    measured = np.corrcoef(truth, truth + noise.mean(axis=0))[0, 1]
    assert spearman_brown(Estimate(halves, halves, halves, 9)).value == pytest.approx(measured**2, abs=0.02)
    assert spearman_brown(Estimate(0.5, -1.0, 1.0, 9)).low == -np.inf
