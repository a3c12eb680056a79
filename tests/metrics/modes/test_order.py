"""Pairs kept in order, turned round and tied: against every pair looked at one by one, and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from scipy.stats import kendalltau

from axonometry.metrics.modes import order
from axonometry.metrics.modes.order import all_pairs, inversions, pair_counts, tied_pairs

Rows = NDArray[np.floating]


def one_by_one(h: Rows, y: Rows) -> tuple[list[int], list[int], list[int]]:
    """Comparable, concordant and discordant pairs of every row, each pair looked at."""
    upper = np.triu(np.ones((h.shape[1],) * 2, bool), 1)
    by_h, by_y = (np.sign(x[:, :, None] - x[:, None, :]) for x in (h, y))
    several = ((by_h != 0) & upper, (by_h * by_y > 0) & upper, (by_h * by_y < 0) & upper)
    comparable, concordant, discordant = (pairs.sum((1, 2)).tolist() for pairs in several)
    return comparable, concordant, discordant


def counted(h: Rows, y: Rows) -> tuple[list[int], list[int], list[int]]:
    found = pair_counts(h, y)
    return found.comparable.tolist(), found.concordant.tolist(), found.discordant.tolist()


@pytest.mark.parametrize("samples", [1, 2, 3, 5, 17, 64, 129, 200])
@pytest.mark.parametrize("different", [1, 2, 5, 50, 10**6])
def test_random_rows_with_ties(samples: int, different: int) -> None:
    random = np.random.default_rng(samples)
    h, y = (random.integers(0, different, (7, samples)).astype(np.float32) for _ in range(2))
    assert counted(h, y) == one_by_one(h, y)


@settings(max_examples=100)
@given(
    st.integers(1, 40).flatmap(
        lambda n: st.lists(
            st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=n, max_size=n), min_size=1, max_size=4
        )
    )
)
def test_any_small_rows(pairs: list[list[tuple[int, int]]]) -> None:
    both = np.array(pairs, np.float64)
    h, y = both[..., 0], both[..., 1]
    assert counted(h, y) == one_by_one(h, y)


@pytest.mark.parametrize(
    "function",
    [np.abs, np.negative, np.sin, lambda h: np.maximum(h, 0), np.zeros_like, np.round, lambda h: h],
)
def test_a_function_counts_as_its_values(function: np.ufunc) -> None:
    h = np.round(np.random.default_rng(0).normal(size=(5, 150)), 1)
    with_function, with_values = pair_counts(h, function), pair_counts(h, function(h))
    expected = one_by_one(h, function(h))
    for found in (with_function, with_values):
        assert (found.comparable.tolist(), found.concordant.tolist(), found.discordant.tolist()) == expected


@pytest.mark.parametrize("samples", [1000, 2**14, 2**14 + 1, 40_001])
def test_long_rows_as_scipy_counts_them(samples: int) -> None:
    random = np.random.default_rng(samples)
    h, y = (random.integers(0, samples // 3, (2, samples)).astype(np.float64) for _ in range(2))
    found = pair_counts(h, y)
    for row in range(2):
        tied_h, tied_y = (tied_pairs(np.diff(np.sort(x[row : row + 1])) == 0)[0] for x in (h, y))
        tau = kendalltau(h[row], y[row]).statistic
        root = np.sqrt((all_pairs(samples) - tied_h) * (all_pairs(samples) - tied_y))
        assert found.concordant[row] - found.discordant[row] == pytest.approx(tau * root, abs=1e-6 * root)
        assert found.comparable[row] == all_pairs(samples) - tied_h


@pytest.mark.parametrize("samples", [0, 1, 2, 5, 127, 128, 129, 300])
def test_inversions(samples: int) -> None:
    random = np.random.default_rng(samples)
    rows = np.stack([random.permutation(samples) for _ in range(9)])
    upper = np.triu(np.ones((samples, samples), bool), 1)
    assert inversions(rows).tolist() == ((rows[:, :, None] > rows[:, None, :]) & upper).sum((1, 2)).tolist()


def test_all_inversions_of_a_long_row() -> None:
    n = 2**14 + 7
    assert inversions(np.arange(n)[None, ::-1]).tolist() == [all_pairs(n)]
    assert inversions(np.arange(n)[None]).tolist() == [0]


def test_equal_fields_with_different_values_are_no_pairs() -> None:
    h = np.array([[1.0, 1.0, 1.0, 2.0, 2.0]])
    y = np.array([[5.0, 3.0, 4.0, 4.0, 9.0]])
    assert counted(h, y) == ([6], [4], [1])


def test_rows_in_blocks_and_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    h, y = (random.normal(size=(40, 30)) for _ in range(2))
    whole = counted(h, y)
    monkeypatch.setattr(order, "_BLOCK", 70)
    monkeypatch.setattr(order.torch, "get_num_threads", lambda: 3)
    assert counted(h, y) == whole == one_by_one(h, y)
