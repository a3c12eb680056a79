"""Folds that keep groups together, and CV+ intervals against their definition and numbers worked by hand."""

from __future__ import annotations

from collections import Counter
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, strategies as st

from axonometry.errors import PredictionError
from axonometry.predict.ensemble import StackedEnsemble
from axonometry.predict.folds import cv_plus, fold_numbers, needed_for


def an_ensemble(targets: list[float], out_of_fold: list[float], fold_of: list[int]) -> StackedEnsemble:
    """Residuals without learners; only the first of two targets counts."""
    columns = [np.stack([np.array(values), np.full(len(values), 99.0)], axis=1) for values in (targets, out_of_fold)]
    return StackedEnsemble((), np.array(fold_of, dtype=int), columns[1], columns[0])


def by_definition(ensemble: StackedEnsemble, by_fold: np.ndarray, level: float) -> np.ndarray:
    """Barber et al. 2021, section 3, one row at a time, ranks counted from 1."""
    n, found = len(ensemble.targets), []
    for row in range(by_fold.shape[1]):
        low, high = [], []
        for i in range(n):
            residual = abs(ensemble.targets[i, 0] - ensemble.out_of_fold[i, 0])
            low.append(by_fold[ensemble.fold_of[i], row, 0] - residual)
            high.append(by_fold[ensemble.fold_of[i], row, 0] + residual)
        ranks = floor(round((1 - level) * (n + 1), 9)), ceil(round(level * (n + 1), 9))
        found.append([sorted(low)[ranks[0] - 1], sorted(high)[ranks[1] - 1]])
    return np.array(found)


@given(st.lists(st.integers(0, 12), min_size=20, max_size=60), st.integers(2, 4), st.integers(0, 5))
def test_folds_never_split_a_group(groups: list[int], folds: int, seed: int) -> None:
    if len(set(groups)) < folds:
        with pytest.raises(PredictionError, match="two folds or more"):
            fold_numbers(groups, folds, seed)
        return
    fold_of = fold_numbers(groups, folds, seed)
    assert set(fold_of) == set(range(folds))
    assert len(set(zip(groups, fold_of, strict=True))) == len(set(groups))


@pytest.mark.parametrize(("rows", "folds"), [(20, 5), (23, 5), (7, 2)])
def test_rows_of_their_own_make_even_folds(rows: int, folds: int) -> None:
    sizes = Counter(fold_numbers(range(rows), folds, 0).tolist())
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_large_groups_first_make_even_folds() -> None:
    groups = [0] * 6 + [1] * 3 + [2] * 2 + [3]  # 6 = 3 + 2 + 1
    for seed in range(10):
        fold_of = fold_numbers(groups, 2, seed)
        assert sorted(Counter(fold_of.tolist()).values()) == [6, 6]


def test_the_seed_decides_and_decides_alone() -> None:
    groups = list(range(30))
    np.testing.assert_array_equal(fold_numbers(groups, 5, 1), fold_numbers(groups, 5, 1))
    assert (fold_numbers(groups, 5, 1) != fold_numbers(groups, 5, 2)).any()


@pytest.mark.parametrize(("groups", "folds"), [([0, 1, 1], 3), ([0, 1, 2], 1)])
def test_too_few_groups_or_folds_are_refused(groups: list[int], folds: int) -> None:
    with pytest.raises(PredictionError, match=f"{len(set(groups))} groups for {folds} folds"):
        fold_numbers(groups, folds, 0)
    assert set(fold_numbers([0, 1, 2], 3, 0)) == {0, 1, 2}


def test_the_ends_by_hand() -> None:
    ensemble = an_ensemble([1.1, 1.2, 2.05, 2.3], [1.0, 1.0, 2.0, 2.0], [0, 0, 1, 1])
    by_fold = np.array([[[0.5, 99.0]], [[0.7, 99.0]]])
    # Downwards 0.4, 0.3, 0.65, 0.4, upwards 0.6, 0.7, 0.75, 1.0; ranks floor(0.4 * 5) = 2 and ceil(0.6 * 5) = 3.
    np.testing.assert_allclose(cv_plus(ensemble, by_fold, 0.6), [[0.4, 0.75]])
    # floor(0.2 * 5) = 1 and ceil(0.8 * 5) = 4: the least and the greatest.
    np.testing.assert_allclose(cv_plus(ensemble, by_fold, 0.8), [[0.3, 1.0]])


@pytest.mark.parametrize("n", [9, 10, 19, 25])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_each_end_takes_the_rank_of_the_definition(n: int, level: float) -> None:
    # One fold that predicts 0, and residuals 1, 2, ..., n: the ends say which rank was taken.
    ensemble = an_ensemble([float(i) for i in range(1, n + 1)], [0.0] * n, [0] * n)
    ((low, high),) = cv_plus(ensemble, np.zeros((1, 1, 2)), level)
    low_rank, high_rank = floor(round((1 - level) * (n + 1), 9)), ceil(round(level * (n + 1), 9))
    assert low == -(n + 1 - low_rank)  # the low_rank-th smallest of -n, ..., -1
    assert high == high_rank  # the high_rank-th smallest of 1, ..., n
    assert low_rank + high_rank == n + 1  # as much is left out below as above


@given(st.integers(0, 10**6), st.integers(20, 40), st.sampled_from([0.3, 0.5, 0.75, 0.9, 0.95]))
def test_any_interval_is_that_of_the_definition(seed: int, n: int, level: float) -> None:
    random = np.random.default_rng(seed)
    ensemble = an_ensemble(random.normal(size=n).tolist(), random.normal(size=n).tolist(), random.integers(3, size=n))
    by_fold = random.normal(size=(3, 4, 2))
    np.testing.assert_allclose(cv_plus(ensemble, by_fold, level), by_definition(ensemble, by_fold, level))


def test_a_residual_counts_the_same_whichever_its_sign() -> None:
    random = np.random.default_rng(0)
    targets, by_fold = random.normal(size=20).tolist(), random.normal(size=(1, 3, 2))
    above = an_ensemble(targets, [0.0] * 20, [0] * 20)
    below = an_ensemble([-target for target in targets], [0.0] * 20, [0] * 20)
    np.testing.assert_array_equal(cv_plus(above, by_fold, 0.9), cv_plus(below, by_fold, 0.9))


@pytest.mark.parametrize(("level", "needed"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_the_fewest_runs_for_a_level(level: float, needed: int) -> None:
    assert needed_for(level) == needed
    # With one run fewer the low end would be the zeroth smallest, which there is not.
    assert floor(round((1 - level) * (needed + 1), 9)) == 1
    enough = an_ensemble([1.0] * needed, [0.0] * needed, [0] * needed)
    np.testing.assert_allclose(cv_plus(enough, np.zeros((1, 1, 2)), level), [[-1.0, 1.0]])
    few = an_ensemble([1.0] * (needed - 1), [0.0] * (needed - 1), [0] * (needed - 1))
    with pytest.raises(PredictionError, match=rf"an interval of level {level} needs {needed} runs; got {needed - 1}"):
        cv_plus(few, np.zeros((1, 1, 2)), level)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 90.0])
def test_a_level_outside_0_to_1_is_refused(level: float) -> None:
    with pytest.raises(PredictionError, match=rf"level lies between 0 and 1; got {level}"):
        cv_plus(an_ensemble([1.0] * 30, [0.0] * 30, [0] * 30), np.zeros((1, 1, 2)), level)
