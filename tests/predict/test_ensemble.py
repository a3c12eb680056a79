"""Stacking: weights in closed form, and nothing learned from the rows that it is judged on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, strategies as st

from axonometry.predict import ensemble as module
from axonometry.predict.ensemble import StackedEnsemble, fit_ensemble, stacking_weights
from axonometry.predict.learners import Learner, LearnerKind

X = np.linspace(0, 1, 24)[:, None]
FOLD_OF = np.arange(24) % 3


@given(st.floats(0.1, 5), st.floats(0.1, 5), st.floats(-3, 3))
def test_errors_of_opposite_signs_cancel(a: float, b: float, truth: float) -> None:
    # w a - (1 - w) b = 0 has w = b / (a + b).
    targets = np.full((3, 1), truth)
    found = stacking_weights(np.stack([targets + a, targets - b]), targets)
    np.testing.assert_allclose(found, [b / (a + b), a / (a + b)], atol=1e-6)


def test_independent_errors_are_weighted_by_their_inverse_squares() -> None:
    # Errors that are never there together: the sum of (w_i e_i)^2 is least where w_i is proportional to 1 / e_i^2.
    errors = np.array([1.0, 2.0, 0.5])
    targets = np.zeros((3, 1))
    found = stacking_weights(np.diag(errors)[:, :, None], targets)
    np.testing.assert_allclose(found, (1 / errors**2) / (1 / errors**2).sum(), atol=1e-6)


def test_a_learner_that_is_right_has_all_the_weight_and_none_is_negative() -> None:
    targets = np.array([[1.0], [2.0], [4.0]])
    np.testing.assert_allclose(stacking_weights(np.stack([targets, targets + 1]), targets), [1, 0], atol=1e-6)
    # Without the bound, twice the first minus the second would be exact.
    found = stacking_weights(np.stack([targets + 1, targets + 2]), targets)
    np.testing.assert_allclose(found, [1, 0], atol=1e-6)


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 3))
def test_weights_are_a_distribution(seed: int, learners: int, targets: int) -> None:
    random = np.random.default_rng(seed)
    found = stacking_weights(random.normal(size=(learners, 8, targets)), random.normal(size=(8, targets)))
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)


def test_all_targets_count() -> None:
    # Each learner is right about one target; the second target's errors are twice as large.
    predictions = np.array([[[0.0, 2.0]], [[1.0, 0.0]]])
    found = stacking_weights(predictions, np.zeros((1, 2)))
    # The square (1 - w)^2 + (2 w)^2 is least at w = 1/5.
    np.testing.assert_allclose(found, [0.2, 0.8], atol=1e-6)


def test_stacking_weights_come_from_rows_that_the_learners_did_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    weights = module.stacking_weights

    def spy(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        rows.append((predictions, targets))
        return weights(predictions, targets)

    monkeypatch.setattr(module, "stacking_weights", spy)
    targets = np.arange(24.0)[:, None]
    found = fit_ensemble([X], targets, FOLD_OF, trees=3)
    assert len(rows) == 3
    for number, (predictions, seen) in enumerate(rows):
        others = number != FOLD_OF
        np.testing.assert_array_equal(seen, targets[others])
        for row, place in enumerate(np.flatnonzero(others)):
            fold = found.folds[FOLD_OF[place]]
            np.testing.assert_allclose(predictions[:, row], fold.predict_each([X[[place]]])[:, 0])


def test_a_row_is_predicted_by_learners_that_did_not_see_it() -> None:
    targets = np.sin(6 * X)
    found = fit_ensemble([X], targets, FOLD_OF, trees=3)
    for place in range(24):
        fold = found.folds[FOLD_OF[place]]
        np.testing.assert_allclose(found.out_of_fold[place], fold.predict([X[[place]]])[0])
    # Whatever a row's target: its own fold's learners stay as they are.
    changed = targets.copy()
    changed[0] += 5.0
    again = fit_ensemble([X], changed, FOLD_OF, trees=3)
    np.testing.assert_array_equal(again.folds[0].predict_each([X]), found.folds[0].predict_each([X]))
    assert (again.folds[1].predict_each([X]) != found.folds[1].predict_each([X])).any()


def test_new_rows_get_the_mean_over_the_folds() -> None:
    found = fit_ensemble([X], 2 * X, FOLD_OF, trees=3)
    new = [np.array([[0.3], [0.7]])]
    each = found.by_fold(new)
    assert each.shape == (3, 2, 1)
    np.testing.assert_allclose(found.predict(new), (each[0] + each[1] + each[2]) / 3)
    for number, fold in enumerate(found.folds):
        by_hand = sum(w * p for w, p in zip(fold.weights, fold.predict_each(new), strict=True))
        np.testing.assert_allclose(each[number], by_hand)


def test_every_fold_has_a_seed_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[tuple[str, int, int]] = []
    fit_learner = module.fit_learner

    def spy(kind: LearnerKind, *data: np.ndarray, trees: int, seed: int) -> Learner:
        seeds.append((kind, trees, seed))
        return fit_learner(kind, *data, trees=trees, seed=seed)

    monkeypatch.setattr(module, "fit_learner", spy)
    fit_ensemble([X], X, FOLD_OF, trees=3, seed=7)
    assert seeds == [(kind, 3, 7 + fold) for fold in range(3) for kind in ("trees", "kernel")]


def test_every_view_has_the_learners_of_its_width() -> None:
    random = np.random.default_rng(0)
    wide = random.normal(size=(24, 65))
    found = fit_ensemble([X, wide], X, FOLD_OF, trees=2)
    for fold in found.folds:
        assert [len(learners) for learners in fold.learners] == [2, 1]
        assert fold.weights.shape == (3,)


def test_a_view_that_says_nothing_gets_little_weight() -> None:
    noise = np.random.default_rng(0).normal(size=(24, 5))
    found = fit_ensemble([noise, X], X, FOLD_OF, trees=5)
    for fold in found.folds:
        assert fold.weights[:2].sum() < 0.05


def test_r2_by_hand() -> None:
    def r2(targets: Sequence[Sequence[float]], out_of_fold: Sequence[Sequence[float]]) -> float:
        return StackedEnsemble((), np.zeros(len(targets), int), np.array(out_of_fold), np.array(targets)).r2()

    assert r2([[1.0], [2.0], [3.0]], [[1.0], [2.0], [3.0]]) == 1.0
    assert r2([[1.0], [2.0], [3.0]], [[2.0], [2.0], [2.0]]) == 0.0
    assert r2([[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]]) == pytest.approx(1 - 1 / 2)
    # Two targets: the errors' squares add up, 1 + 4, and the variances, 2 + 8.
    assert r2([[1.0, 10.0], [3.0, 14.0]], [[2.0, 10.0], [3.0, 12.0]]) == pytest.approx(1 - 5 / 10)
