"""p values, power and smallest visible effects, against scipy's tests, noncentral t and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from axonometry.statistics import Estimate, detectable, mean_estimate, p_value, power_at, share_estimate


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=20), st.floats(-2, 2))
def test_p_is_students(values: list[float], bound: float) -> None:
    if np.std(values) < 1e-3 or abs(np.mean(values) - bound) < 1e-6:
        return
    assert p_value(mean_estimate(values), bound) == pytest.approx(stats.ttest_1samp(values, bound).pvalue, rel=1e-6)


@given(st.floats(0.02, 0.98), st.floats(0.01, 0.5), st.floats(0.01, 0.5), st.floats(0.05, 0.95))
def test_p_is_below_the_level_exactly_where_the_interval_excludes(
    value: float, down: float, up: float, b: float
) -> None:
    one = Estimate(value, max(value - down, 0.0), min(value + up, 1.0), 40, within=(0.0, 1.0))
    if min(abs(b - one.low), abs(b - one.high)) < 1e-6:
        return
    assert (p_value(one, b) < 0.05) == (not one.low < b < one.high)


@pytest.mark.parametrize(
    ("n", "effect", "percent"), [(3, 1.0, 18), (3, 2.0, 47), (5, 1.0, 40), (5, 2.0, 91), (10, 1.0, 80), (10, 2.0, 100)]
)
def test_how_often_so_many_seeds_see_an_effect(n: int, effect: float, percent: int) -> None:
    """Of one standard deviation and of two; the percentages are known of Student's test."""
    half = stats.t.ppf(0.975, n - 1) / math.sqrt(n)  # of a sample whose standard deviation is 1
    assert 100 * power_at(Estimate(0.0, -half, half, n, df=n - 1), effect) == pytest.approx(percent, abs=1.5)


def test_power_is_what_a_simulation_sees() -> None:
    draw = np.random.default_rng(0)
    samples = draw.normal(0.6, 1.0, size=(4000, 8))
    half = stats.t.ppf(0.975, 7) * samples.std(axis=1, ddof=1) / math.sqrt(8)
    seen = (samples.mean(axis=1) - half > 0).mean()
    known = stats.t.ppf(0.975, 7) / math.sqrt(8)
    assert power_at(Estimate(0.0, -known, known, 8, df=7), 0.6) == pytest.approx(seen, abs=0.025)


@pytest.mark.parametrize("df", [0, 2, 9])
@pytest.mark.parametrize("below", [False, True])
def test_what_is_detectable_has_the_power_that_is_asked(df: int, below: bool) -> None:
    one = Estimate(0.1, -0.2, 0.4, df + 1, df=df)
    least = detectable(one, 0.05, below=below)
    assert (least < 0.05) == below
    assert power_at(one, least, 0.05) == pytest.approx(0.8, abs=1e-6)


def test_a_detectable_share_stays_a_share() -> None:
    found = share_estimate(6, 10)
    assert 0.5 < detectable(found, 0.5) < 1
    assert 0 < detectable(found, 0.5, below=True) < 0.5
    assert 0.5 < detectable(share_estimate(10, 10), 0.5) < 1  # one end of the interval is the range's own


def test_without_an_interval_nothing_is_known() -> None:
    one = Estimate(0.5, math.nan, math.nan, 1)
    assert math.isnan(p_value(one))
    assert math.isnan(detectable(one))
    assert math.isnan(power_at(one, 1.0))
