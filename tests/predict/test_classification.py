"""Telling classes apart: areas against scikit-learn's, folds that keep groups together, and what cannot be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import roc_auc_score

from axonometry.errors import PredictionError
from axonometry.predict import evaluation
from axonometry.predict.classification import indicators, macro_auc, out_of_fold
from axonometry.predict.ensemble import StackedEnsemble
from axonometry.predict.evaluation import EvaluationPlan, FitTask
from axonometry.predict.folds import fold_numbers
from axonometry.predict.scores import resamples

QUICK = EvaluationPlan(folds=3, inner_folds=2, trees=5)


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(0, 10**6))
def test_the_area_is_scikit_learns(n_classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = [*range(n_classes), *generator.integers(n_classes, size=20).tolist()]
    predicted = generator.integers(4, size=(len(labels), n_classes)).astype(float)  # with ties
    each = [roc_auc_score([label == k for label in labels], predicted[:, k]) for k in range(n_classes)]
    (area,) = macro_auc(labels, predicted, np.ones((1, len(labels))))
    assert area == pytest.approx(np.mean(each))


def test_a_row_that_counts_twice_is_a_row_that_is_there_twice() -> None:
    generator = np.random.default_rng(0)
    labels, predicted = ["a", "b", "c", "a", "b", "c"], generator.normal(size=(6, 3))
    (counted,) = macro_auc(labels, predicted, np.array([[1.0, 2, 1, 1, 1, 3]]))
    rows = [0, 1, 1, 2, 3, 4, 5, 5, 5]
    (listed,) = macro_auc([labels[row] for row in rows], predicted[rows], np.ones((1, 9)))
    assert counted == pytest.approx(listed)


def test_a_resample_without_a_class_has_no_area() -> None:
    found = macro_auc(["a", "b", "b"], np.eye(3)[:, :2], np.array([[1.0, 1, 1], [0, 1, 2]]))
    assert found[0] == pytest.approx(0.875)
    assert np.isnan(found[1])


def test_classes_that_differ_are_told_apart_and_others_are_not() -> None:
    generator = np.random.default_rng(0)
    labels, groups = ["a", "b", "c"] * 30, np.repeat(range(30), 3).tolist()
    shifted = generator.normal(size=(90, 4)) + 3 * indicators(labels) @ generator.normal(size=(3, 4))
    counts = resamples(groups, 50, 0)
    assert macro_auc(labels, out_of_fold(shifted, labels, groups, QUICK), counts)[0] > 0.95
    noise = macro_auc(labels, out_of_fold(generator.normal(size=(90, 4)), labels, groups, QUICK), counts)
    assert 0.3 < noise[0] < 0.7


def test_equal_rows_of_different_classes_are_not_told_apart_at_all() -> None:
    # Networks that start from the same weights, whatever their activation.
    rows = np.repeat(np.random.default_rng(0).normal(size=(12, 3)), 2, axis=0)
    labels, groups = ["a", "b"] * 12, np.repeat(range(12), 2).tolist()
    predicted = out_of_fold(rows, labels, groups, QUICK)
    assert macro_auc(labels, predicted, np.ones((1, 24)))[0] == 0.5


def test_nothing_is_learned_from_a_rows_own_group(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [f"draw {i % 9}" for i in range(27)]
    features = np.array([[float(group.split()[1])] for group in groups])
    learned: list[set[float]] = []
    fit_ensemble = evaluation.fit_ensemble

    class Watched(StackedEnsemble):
        def predict(self, views: Sequence[np.ndarray]) -> np.ndarray:
            assert not learned[-1] & set(views[0][:, 0].tolist())
            return super().predict(views)

    def spy(views: Sequence[np.ndarray], *arguments: object, **more: object) -> StackedEnsemble:
        learned.append(set(views[0][:, 0].tolist()))
        ensemble = fit_ensemble(views, *arguments, **more)  # type: ignore[arg-type]
        return Watched(ensemble.folds, ensemble.fold_of, ensemble.out_of_fold, ensemble.targets)

    monkeypatch.setattr(evaluation, "fit_ensemble", spy)
    found = out_of_fold(features, [i % 2 for i in range(27)], groups, QUICK)
    assert len(learned) == 3
    assert set.union(*learned) == set(map(float, range(9)))
    assert (found != 0).any(axis=1).all()


def test_repeats_are_averaged() -> None:
    generator = np.random.default_rng(0)
    features, labels, groups = generator.normal(size=(24, 2)), ["a", "b"] * 12, list(range(24))
    once = out_of_fold(features, labels, groups, QUICK)
    both = out_of_fold(features, labels, groups, replace(QUICK, repeats=2))
    targets, again = indicators(labels), np.empty((24, 2))
    fold_of = fold_numbers(groups, 3, 1)
    for fold in range(3):
        new = fold_of == fold
        task = FitTask((features[~new],), targets[~new], tuple(np.flatnonzero(~new)), (features[new],), QUICK)
        again[new] = task.fit().predict(task.test)
    np.testing.assert_allclose(both, (once + again) / 2)
    assert not np.allclose(once, again)


def test_nan_is_a_feature() -> None:
    # A network that diverged.
    labels, groups = ["whole", "broken"] * 12, list(range(24))
    features = np.array([[np.nan if label == "broken" else 1.0] for label in labels])
    predicted = out_of_fold(features, labels, groups, QUICK)
    assert macro_auc(labels, predicted, np.ones((1, 24)))[0] == 1.0


def test_one_class_is_refused() -> None:
    with pytest.raises(PredictionError, match="two classes or more to tell apart; got 1"):
        out_of_fold(np.zeros((6, 1)), ["a"] * 6, list(range(6)), QUICK)


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(PredictionError, match="2 groups for 3 folds"):
        out_of_fold(np.zeros((4, 1)), ["a", "b"] * 2, [0, 0, 1, 1], QUICK)
