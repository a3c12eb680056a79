"""Intervals inside the range of their number: closed forms, coverage, and what no interval may be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from axonometry.statistics import (
    Estimate,
    estimate_of_draws,
    mean_estimate,
    rank_correlation,
    ratio_estimate,
    repeated_folds_estimate,
    roc_area,
    share_estimate,
)
from axonometry.statistics.ranges import REALS, Range, from_scale, slope, to_scale

RANGES: list[Range] = [(0.0, 1.0), (-1.0, 1.0), (0.0, math.inf), (-math.inf, 2.0), (2.0, 10.0), REALS]


@pytest.mark.parametrize("within", RANGES)
def test_the_scale_goes_there_and_back_and_its_slope_is_its_derivative(within: Range) -> None:
    low, high = (end if math.isfinite(end) else other for end, other in zip(within, (-3.0, 12.0), strict=True))
    for share in (0.01, 0.3, 0.5, 0.9):
        x = low + share * (high - low)
        assert from_scale(to_scale(x, within), within) == pytest.approx(x)
        numeric = (to_scale(x + 1e-6, within) - to_scale(x - 1e-6, within)) / 2e-6
        assert slope(x, within) == pytest.approx(numeric, rel=1e-5)


def test_the_scales_are_logit_and_fishers_z() -> None:
    for x in (0.02, 0.4, 0.97):
        assert to_scale(x, (0.0, 1.0)) == pytest.approx(np.log(x / (1 - x)))
        assert to_scale(x, (-1.0, 1.0)) == pytest.approx(2 * np.arctanh(x))


bounded = st.lists(st.floats(0.0, 1.0, allow_subnormal=False), min_size=2, max_size=12)


@given(bounded)
def test_no_interval_leaves_its_range_or_has_no_width(values: list[float]) -> None:
    for within, low in (((0.0, 1.0), 0.0), ((-1.0, 1.0), -1.0)):
        found = mean_estimate(values, within=within)
        assert low <= found.low <= found.value + 1e-12
        assert found.value - 1e-12 <= found.high <= 1.0
        assert found.high > found.low


@given(st.integers(0, 40), st.integers(1, 40))
def test_a_share_has_clopper_and_pearsons_interval(happened: int, n: int) -> None:
    happened = min(happened, n)
    found = share_estimate(happened, n)
    low = stats.beta.ppf(0.025, happened, n - happened + 1) if happened else 0.0
    high = stats.beta.ppf(0.975, happened + 1, n - happened) if happened < n else 1.0
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_what_never_differed_is_the_exact_share_at_both_ends() -> None:
    for value in (0.0, 1.0):
        found = mean_estimate([value] * 7, within=(0.0, 1.0))
        exact = share_estimate(int(7 * value), 7)
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_perfect_separation_and_perfect_order_leave_room() -> None:
    area = roc_area(np.arange(20.0), np.arange(20.0) + 100)
    assert (area.value, area.high) == (1.0, 1.0)
    assert area.low == pytest.approx(0.025 ** (1 / 40))
    order = rank_correlation(np.arange(25.0), np.arange(25.0) ** 3)
    assert (order.value, order.high) == (1.0, 1.0)
    assert 0.7 < order.low < 1.0


def test_intervals_of_bounded_means_hold_the_truth_as_often_as_they_say() -> None:
    """Accuracies of ten seeds near 1: Beta(18, 2) has mean .9."""
    draw = np.random.default_rng(0)
    held = sum(
        found.low <= 0.9 <= found.high
        for found in (mean_estimate(draw.beta(18, 2, size=10), within=(0.0, 1.0)) for _ in range(1000))
    )
    assert 920 <= held <= 975


def test_a_ratio_is_students_interval_of_logs() -> None:
    first, second = {0: 2.0, 1: 9.0, 2: 3.0, 3: 0.0}, {0: 1.0, 1: 3.0, 2: 2.0, 3: 1.0}
    found = ratio_estimate(first, second)
    logs = np.log([2.0, 3.0, 1.5])
    expected = stats.ttest_1samp(logs, 0.0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((np.exp(expected.low), np.exp(expected.high)))
    assert found.value == pytest.approx(stats.gmean([2.0, 3.0, 1.5]))
    assert found.n == 3


def test_repeated_folds_are_corrected_for_what_they_share() -> None:
    scores = np.random.default_rng(0).normal(0.7, 0.1, size=50)  # 10 repeats of 5 folds
    found = repeated_folds_estimate(scores, folds=5, n=200)
    variance = (1 / 50 + 0.2 / 0.8) * scores.var(ddof=1)  # Nadeau and Bengio: test over training members is 1 / 4
    half = stats.t.ppf(0.975, 49) * math.sqrt(variance)
    assert (found.low, found.high) == pytest.approx((scores.mean() - half, scores.mean() + half))
    inside = repeated_folds_estimate(scores, folds=5, n=200, within=(0.0, 1.0))
    assert 0 < inside.low < found.value < inside.high < 1
    same = repeated_folds_estimate([1.0] * 50, folds=5, n=200, within=(0.0, 1.0))
    assert same.low == pytest.approx(0.025 ** (1 / 200))  # 200 networks, not 50 scores


def test_overlapping_folds_would_be_too_sure_without_the_correction() -> None:
    """Fifty scores with a common error: the plain interval misses the truth most of the time, the corrected seldom."""
    draw, missed = np.random.default_rng(1), np.zeros(2)
    for _ in range(400):
        # A correlation of .2 between scores is what 5 folds have (Nadeau and Bengio: n_test / (n_train + n_test)).
        scores = math.sqrt(0.2) * draw.normal() + math.sqrt(0.8) * draw.normal(size=50)
        for place, found in enumerate((mean_estimate(scores), repeated_folds_estimate(scores, folds=5, n=100))):
            missed[place] += not found.low <= 0 <= found.high
    assert missed[0] > 150
    assert missed[1] < 40


def test_draws_without_spread_need_a_range() -> None:
    assert math.isnan(estimate_of_draws(1.0, np.ones(9), 60).low)
    assert estimate_of_draws(1.0, np.ones(9), 60, within=(0.0, 1.0)).low == pytest.approx(0.025 ** (1 / 60))


def test_a_narrow_interval_is_written_with_its_width() -> None:
    assert Estimate(0.99991, 0.99984, 1.0, 60).text() == "0.9999 [0.9998, 1.0000]"
    assert Estimate(0.5, 0.5, 0.5, 60).text() == "0.50 [0.50, 0.50]"  # no more digits would show more
