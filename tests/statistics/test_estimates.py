"""Estimates: their words, Student's interval and the bootstrap against scipy's and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from axonometry.statistics import DRAWS, Estimate, bootstrap_estimate, mean_estimate, paired_estimate


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(0.874, 0.83, 0.9, 12, "seeds"), "0.87 [0.83, 0.90]"),
        (Estimate(-1.5, -2.0, -1.0, 3), "−1.50 [−2.00, −1.00]"),
        (Estimate(2.0, math.nan, math.nan, 1), "2.00"),
        (Estimate(math.nan, math.nan, math.nan, 0), "–"),
    ],
)
def test_words(estimate: Estimate, words: str) -> None:
    assert estimate.text() == words


def test_words_with_the_samples_size() -> None:
    assert Estimate(0.5, 0.25, 0.75, 1200, "networks").text(".1f", sample=True) == "0.5 [0.2, 0.8], 1,200 networks"
    assert Estimate(0.5, 0.25, 0.75, 12).text(sample=True) == "0.50 [0.25, 0.75], 12"


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_students_interval_is_scipys(level: float) -> None:
    values = np.random.default_rng(0).normal(size=7)
    found = mean_estimate([*values, math.nan], level=level, unit="runs")
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(level)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.n, found.unit) == (7, "runs")


def test_two_values_by_hand() -> None:
    # t of one degree of freedom at level 0.5 is tan(45 degrees) = 1; the standard error of 1 and 3 is sqrt(2)/sqrt(2).
    found = mean_estimate([1.0, 3.0], level=0.5)
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 1.0, 3.0))


@pytest.mark.parametrize(("values", "value", "n"), [([], math.nan, 0), ([2.5], 2.5, 1), ([math.nan], math.nan, 0)])
def test_too_few_values_have_no_interval(values: list[float], value: float, n: int) -> None:
    found = mean_estimate(values)
    assert found.value == pytest.approx(value, nan_ok=True)
    assert found.n == n
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_the_bootstrap_is_percentiles_of_seeded_resamples() -> None:
    values = np.random.default_rng(1).normal(size=20)
    found = bootstrap_estimate([values], np.mean, level=0.9, seed=3, unit="networks")
    drawn = values[np.random.default_rng(3).integers(20, size=(DRAWS, 20))].mean(axis=1)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.05, 0.95])))
    assert (found.n, found.unit) == (20, "networks")


def test_both_tails_of_the_bootstrap_hold_what_lies_outside() -> None:
    values = np.random.default_rng(2).normal(size=400)
    found = bootstrap_estimate([values], np.mean, level=0.8)
    error = values.std() / math.sqrt(400)
    low, high = (found.low - found.value) / error, (found.high - found.value) / error
    # The mean of 400 is normal: each tail of a tenth begins 1.2816 standard errors out.
    assert low == pytest.approx(-1.2816, abs=0.1)
    assert high == pytest.approx(1.2816, abs=0.1)


def test_paired_samples_are_drawn_together_and_others_apart() -> None:
    values = np.random.default_rng(0).normal(size=30)

    def difference(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return a.mean(axis=axis) - b.mean(axis=axis)

    together = bootstrap_estimate([values, values + 1.0], difference, paired=True)
    assert (together.value, together.n) == (pytest.approx(-1.0), 30)
    assert np.isnan([together.low, together.high]).all()  # all resamples agree: no interval of zero width
    varied = bootstrap_estimate([values, values + 1.0 + 0.01 * np.sin(np.arange(30))], difference, paired=True)
    assert varied.high - varied.low < 0.01
    apart = bootstrap_estimate([values, values + 1.0], difference)
    assert apart.high - apart.low > 0.3
    assert apart.n == 60


def test_resamples_without_a_value_are_left_out() -> None:
    def only_mixed(x: np.ndarray, axis: int = -1) -> np.ndarray:
        mean = x.mean(axis=axis)
        return np.where(x.std(axis=axis) > 0, mean, np.nan)

    found = bootstrap_estimate([np.array([0.0, 1.0])], only_mixed)
    assert found.value == 0.5
    assert np.isnan([found.low, found.high]).all()  # what is left does not vary
    bounded = bootstrap_estimate([np.array([0.0, 1.0])], only_mixed, within=(0.0, 1.0))
    q = 1 - 0.025**0.5
    assert (bounded.low, bounded.high) == pytest.approx((0.5 - 0.5 * q, 0.5 + 0.5 * q))


def test_one_member_or_no_value_has_no_interval() -> None:
    assert bootstrap_estimate([np.array([1.0])], np.mean).text() == "1.00"
    nothing = bootstrap_estimate([np.array([math.nan, math.nan])], np.mean)
    assert math.isnan(nothing.value)
    assert math.isnan(nothing.low)


def test_pairs_are_the_first_less_the_second_where_both_are_there() -> None:
    found = paired_estimate({0: 3.0, 1: 5.0, 2: 9.0}, {0: 1.0, 1: 2.0, 7: 0.0}, "runs")
    assert found == mean_estimate([2.0, 3.0], unit="runs")
    assert found.value == 2.5
