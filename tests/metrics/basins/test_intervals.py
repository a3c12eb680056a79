"""Crossings and intervals against brute force and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import binomtest, t

from axonometry.metrics.basins.intervals import first_crossing, joined_curves, point, wilson


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0.05, 0.95))
def test_first_crossing_against_brute_force(accuracies: list[float], threshold: float) -> None:
    amplitudes = np.geomspace(0.01, 10, len(accuracies))
    (found,) = first_crossing(amplitudes[:, None], np.array(accuracies)[:, None], threshold)
    below = [place for place, accuracy in enumerate(accuracies) if accuracy <= threshold]
    if not below:
        assert found == math.inf
    elif below[0] == 0:
        assert found == pytest.approx(0.01)
    else:
        low, high = amplitudes[below[0] - 1], amplitudes[below[0]]
        assert low * (1 - 1e-9) <= found <= high * (1 + 1e-9)
        at = np.interp(np.log(found), np.log(amplitudes), accuracies)
        assert at == pytest.approx(threshold, abs=1e-6)


def test_only_the_first_crossing_counts() -> None:
    curve = np.array([0.9, 0.4, 0.9, 0.1])
    (found,) = first_crossing(np.array([1.0, 10.0, 100.0, 1000.0])[:, None], curve[:, None], 0.5)
    assert found == pytest.approx(10**0.8)


def test_nan_stays_nan() -> None:
    assert np.isnan(first_crossing(np.ones((2, 1)), np.full((2, 1), np.nan), 0.5)).all()


@given(st.integers(1, 60), st.data())
def test_wilson_against_scipy(draws: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, draws))
    low, high = wilson(np.array([hits / draws]), draws)
    theirs = binomtest(hits, draws).proportion_ci(0.95, method="wilson")
    assert (low[0], high[0]) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_intervals_over_draws_are_students() -> None:
    shares = np.random.default_rng(0).uniform(0.4, 0.6, size=(7, 2))
    found = point(np.array([1.0, 2.0]), shares, np.array([0.04, 0.0]), np.array([25.0, 1.0]))
    error = shares[:, 0].std(ddof=1) / math.sqrt(7)
    low, high = t.interval(0.95, 6, shares[:, 0].mean(), error)
    assert (found.low[0, 0], found.high[0, 0]) == pytest.approx((low, high))
    wide = t.interval(0.95, 6, shares[:, 0].mean(), math.sqrt(error**2 + 0.04 / 25))
    assert (found.low_all[0, 0], found.high_all[0, 0]) == pytest.approx(wide)
    assert np.isnan(found.low_all[0, 1])
    assert found.low[0, 1] == pytest.approx(wilson(shares[:, 1].mean(keepdims=True), 7)[0][0])


def test_joined_curves_are_sorted_by_column() -> None:
    parts = [
        point(np.array(s), np.full((2, 2), 0.1 * s[0]), np.zeros(2), np.full(2, 3.0)) for s in ([3.0, 1.0], [2.0, 5.0])
    ]
    whole = joined_curves(parts)
    assert whole.amplitudes.T.tolist() == [[2.0, 3.0], [1.0, 5.0]]
    assert whole.accuracy.T.tolist() == pytest.approx(np.array([[0.2, 0.3], [0.3, 0.2]]))


def test_draws_that_agree_are_no_certainty() -> None:
    found = point(np.array([1.0]), np.full((4, 1), 2 / 3), np.array([1 / 3]), np.array([3.0]))
    theirs = binomtest(8, 12).proportion_ci(0.95, method="wilson")
    assert (found.low[0, 0], found.high[0, 0]) == pytest.approx((theirs.low, theirs.high))


def test_ends_stay_between_0_and_1() -> None:
    found = point(np.array([1.0]), np.array([[0.0], [1.0]]), np.array([0.3]), np.array([5.0]))
    assert (found.low[0, 0], found.high[0, 0], found.low_all[0, 0], found.high_all[0, 0]) == (0, 1, 0, 1)
