"""Estimates: seeds in pairs, bootstrap draws, rows, and how they are written."""

from __future__ import annotations

import math

import numpy as np
import pytest

from axonometry.experiments import Estimate, estimate_of_draws, estimate_of_row, paired_estimate


def test_estimates_in_cells() -> None:
    assert str(Estimate(0.0004, -0.0004, 1.0, 3)) == "0.000 [0.000, 1.000]"
    assert str(Estimate(-0.5, -0.75, -0.25, 3, "seeds")) == "−0.500 [−0.750, −0.250]"
    assert -Estimate(0.5, 0.25, 0.75, 3, "seeds") == Estimate(-0.5, -0.75, -0.25, 3, "seeds")


def test_differences_are_taken_seed_by_seed() -> None:
    gap = paired_estimate({0: 0.2, 1: 0.3, 2: 0.4}, {2: 0.3, 1: 0.2})
    assert (gap.value, gap.n) == (pytest.approx(0.1), 2)
    assert math.isnan(gap.low)  # both differences are 0.1: that is no interval of zero width
    varied = paired_estimate({0: 0.2, 1: 0.3, 2: 0.45}, {2: 0.3, 1: 0.2})
    assert varied.high - varied.low == pytest.approx(2 * 12.7062 * 0.025, rel=1e-4)


def test_draws_that_are_no_numbers_do_not_count() -> None:
    draws = np.concatenate([np.linspace(0, 1, 101), [np.nan, np.inf]])
    one = estimate_of_draws(0.5, draws, 7)
    assert (one.low, one.high, one.n) == (pytest.approx(0.025), pytest.approx(0.975), 7)
    assert math.isnan(estimate_of_draws(math.nan, draws, 7).low)
    assert math.isnan(estimate_of_draws(0.5, np.array([np.nan]), 7).high)


def test_a_row_of_a_table_is_an_estimate() -> None:
    assert estimate_of_row({"value": 1, "low": 0, "high": 2}, 5) == Estimate(1.0, 0.0, 2.0, 5, "networks")
    assert estimate_of_row({"value": 1, "low": 0, "high": 2, "n": 6}, 5).n == 6
