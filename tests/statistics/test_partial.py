"""Partial rank correlation: the formula for one control, what controls say alone, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from axonometry.statistics import partial_rank_correlation, rank_correlation


def numbers(n: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(0)
    z = chance.normal(size=n)
    return z + chance.normal(size=n), z + chance.normal(size=n), z


def test_one_control_is_the_textbooks_formula() -> None:
    x, y, z = numbers()
    a, b, c = (spearmanr(*pair)[0] for pair in ((x, y), (x, z), (y, z)))
    expected = (a - b * c) / np.sqrt((1 - b * b) * (1 - c * c))
    assert partial_rank_correlation(x, y, [z], draws=0).value == pytest.approx(expected)
    assert partial_rank_correlation(x, y, [], draws=0).value == pytest.approx(a)


def test_intervals_are_like_those_of_rank_correlation() -> None:
    x, y, _ = numbers()
    ours, plain = partial_rank_correlation(x, y, [], draws=500), rank_correlation(x, y)
    assert (ours.low, ours.high) == pytest.approx((plain.low, plain.high), abs=0.05)


def test_what_the_controls_say_alone_is_no_number() -> None:
    x, y, z = numbers()
    assert np.isnan(partial_rank_correlation(np.exp(z), y, [z], draws=0).value)
    assert partial_rank_correlation(x, y, [np.ones(50)], draws=0).value == pytest.approx(spearmanr(x, y)[0])


def test_networks_that_lack_a_number_are_left_out() -> None:
    x, y, z = numbers()
    z[:10] = np.nan
    assert partial_rank_correlation(x, y, [z], draws=10).n == 40
    assert partial_rank_correlation(x[:3], y[:3], [z[:3]]).n == 0
