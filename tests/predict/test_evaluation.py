"""Evaluation: shared grouped folds, honest scores, intervals, transfer."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import kendalltau
from sklearn.metrics import r2_score, roc_auc_score

from axonometry.errors import PredictionError
from axonometry.predict import EvaluationPlan, evaluate, importances, learning_curve, transfer
from axonometry.predict.folds import fold_numbers
from axonometry.predict.scores import resamples, scores
from tests.predict.synthetic import table

LIGHT = EvaluationPlan(folds=4, inner_folds=3, trees=6, resamples=200)


@given(st.lists(st.integers(0, 12), min_size=20, max_size=60), st.integers(2, 4), st.integers(0, 5))
def test_folds_never_split_a_group(groups: list[int], folds: int, seed: int) -> None:
    if len(set(groups)) < folds:
        with pytest.raises(PredictionError, match="two folds or more"):
            fold_numbers(groups, folds, seed)
        return
    fold_of = fold_numbers(groups, folds, seed)
    assert set(fold_of) == set(range(folds))
    assert len(set(zip(groups, fold_of, strict=True))) == len(set(groups))


def test_scores_are_those_of_scipy_and_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(size=50).round(1)
    predicted = (truth + random.normal(0, 0.2, 50)).round(1)
    counts = resamples([n // 2 for n in range(50)], 3, 0)
    found = scores(truth, predicted, counts, 0.5)
    for number, count in enumerate(counts.astype(int)):
        t, p = np.repeat(truth, count), np.repeat(predicted, count)
        assert found["r2"][number] == pytest.approx(r2_score(t, p))
        assert found["tau"][number] == pytest.approx(kendalltau(t, p).statistic)
        assert found["auc"][number] == pytest.approx(roc_auc_score(t >= 0.5, p))
        assert found["accuracy"][number] == pytest.approx(((t >= 0.5) == (p >= 0.5)).mean())
    assert (counts[0] == 1).all()
    assert all((pair[0] == pair[1]).all() for pair in pairwise(counts.T[:2]))


def test_all_feature_sets_share_the_folds_and_groups_are_whole() -> None:
    runs = table(60, per_group=3)
    found = evaluate(runs, ("degree", "curve"), (1, 2), plan=LIGHT).predictions
    folds = found.pivot(index="run", columns=["features", "epochs"], values="fold")
    assert folds.notna().all(axis=None)
    assert (folds.nunique(axis=1) == 1).all()
    assert (folds.iloc[:, 0].groupby(runs.groups).nunique() == 1).all()


def test_a_planted_relation_is_worth_more_than_the_curve_and_noise_is_worth_nothing() -> None:
    found = evaluate(table(80), ("degree", "curve", "degree+curve"), (1,), plan=LIGHT)
    difference = found.differences.set_index(["features", "score"])
    assert difference.loc[("degree", "r2"), "low"] > 0
    assert difference.loc[("degree+curve", "r2"), "low"] > 0
    noise = evaluate(table(80, planted=False), ("degree",), (1,), plan=LIGHT).scores.set_index("score")
    assert noise.loc["r2", "value"] < 0.05
    assert noise.loc["auc", "low"] < 0.5 < noise.loc["auc", "high"]


def test_transfer_learning_curve_and_importances() -> None:
    moved = transfer(table(60), table(60, seed=1), ("degree",), (1,), plan=LIGHT).scores.set_index("score")
    assert moved.loc["r2", "value"] > 0.85
    curve = learning_curve(table(60), (8, 40), ("degree",), plan=LIGHT).set_index(["size", "score"])["value"]
    assert curve[40, "r2"] > curve[8, "r2"]
    lost = importances(table(60), "degree+curve", plan=LIGHT)
    assert list(lost["family"]) == ["channel_degree", "accuracy"]
    assert lost["loss"].iloc[0] > 0.5
