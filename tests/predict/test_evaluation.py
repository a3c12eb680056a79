"""Evaluation: shared grouped folds, outer and inner, honest scores, and intervals with both tails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from axonometry.errors import PredictionError
from axonometry.predict import EvaluationPlan, available, classification, evaluate, evaluation
from axonometry.predict.ensemble import StackedEnsemble
from axonometry.predict.evaluation import score_predictions
from axonometry.predict.scores import resamples, scores
from tests.predict.synthetic import table

LIGHT = EvaluationPlan(folds=4, inner_folds=3, trees=6, resamples=200)


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


@pytest.mark.parametrize("repeats", [1, 2])
def test_before_training_sets_are_compared_with_the_number_of_parameters(repeats: int) -> None:
    runs = table(60)
    names, truth = runs.features.index, runs.final_accuracy
    noise = np.random.default_rng(0).normal(size=60)
    frame = runs.features.assign(**{"proxies.synflow@0": truth * 3.0, "parameters@0": noise, "accuracy@0": 0.1})
    plan = replace(LIGHT, repeats=repeats)
    features = ("curve", "proxies", "parameters", "initial")
    found = evaluate(replace(runs, features=frame.loc[names]), features, (0, 1), plan=plan)
    assert {(f, e) for f, e in found.scores[["features", "epochs"]].itertuples(index=False)} == {
        *((name, 0) for name in ("proxies", "parameters", "initial")),
        ("curve", 1),  # the initial network says the same after an epoch; before the first there is no curve
    }
    gains = found.differences.set_index(["features", "score"])
    assert set(found.differences["features"]) == {"proxies", "initial"}
    assert gains.loc[("proxies", "r2"), "low"] > 0.5


def test_inner_folds_never_split_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = table(60, per_group=3)
    group_of = dict(zip(runs.features["channel_degree.log_mean@1"], runs.groups, strict=True))
    calls: list[tuple[list[str], np.ndarray]] = []
    fit_ensemble = evaluation.fit_ensemble

    def spy(views: Sequence[np.ndarray], targets: np.ndarray, fold_of: np.ndarray, **more: int) -> StackedEnsemble:
        calls.append(([group_of[value] for value in views[0][:, 1]], fold_of))
        return fit_ensemble(views, targets, fold_of, **more)

    monkeypatch.setattr(evaluation, "fit_ensemble", spy)
    chosen = replace(runs, features=runs.features[["channel_degree.log_mean@0", "channel_degree.log_mean@1"]])
    evaluate(chosen, ("degree",), (1,), plan=replace(LIGHT, trees=2))
    classification.out_of_fold(chosen.features.to_numpy(), ["a", "b"] * 30, list(runs.groups), replace(LIGHT, trees=2))
    assert len(calls) == 2 * LIGHT.folds
    for groups, fold_of in calls:
        assert set(fold_of) == set(range(LIGHT.inner_folds))
        assert len(set(zip(groups, fold_of, strict=True))) == len(set(groups))


def test_fewer_groups_than_inner_folds_get_a_fold_each() -> None:
    runs = table(12, per_group=3)  # two folds of two groups each leave two for five inner folds
    found = evaluate(runs, ("degree",), (1,), plan=EvaluationPlan(folds=2, inner_folds=5, trees=2, resamples=10))
    assert found.predictions["predicted"].notna().all()


def judged(runs_seed: int, plan: EvaluationPlan, **predicted: np.ndarray) -> evaluation.Evaluation:
    """The scores of given predictions, by feature set."""
    runs = table(30, seed=runs_seed, per_group=2)
    frames = [
        pd.DataFrame({"run": runs.features.index, "predicted": values}).assign(features=name, epochs=1, repeat=0)
        for name, values in predicted.items()
    ]
    return score_predictions(pd.concat(frames, ignore_index=True), runs, plan)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_both_ends_of_an_interval_leave_half_of_what_is_outside(level: float) -> None:
    runs, random = table(30, per_group=2), np.random.default_rng(0)
    truth = runs.final_accuracy.to_numpy()
    predicted = truth + random.normal(0, 0.1, 30)
    plan = EvaluationPlan(resamples=400, level=level, threshold=0.5)
    found = judged(0, plan, curve=predicted).scores.set_index("score")
    drawn = scores(truth, predicted, resamples(list(runs.groups), 400, 0), 0.5)
    for name, values in drawn.items():
        rest = np.sort(values[1:][np.isfinite(values[1:])])
        assert found.loc[name, "value"] == pytest.approx(values[0])
        below = (rest < found.loc[name, "low"]).mean()
        above = (rest > found.loc[name, "high"]).mean()
        if name in {"r2", "rmse"}:  # the others take few values, and many are equal
            assert below == pytest.approx((1 - level) / 2, abs=2 / len(rest))
            assert above == pytest.approx((1 - level) / 2, abs=2 / len(rest))
        assert found.loc[name, "low"] == pytest.approx(np.quantile(rest, (1 - level) / 2))
        assert found.loc[name, "high"] == pytest.approx(np.quantile(rest, (1 + level) / 2))


def test_differences_are_of_the_same_resamples_and_against_the_reference() -> None:
    truth = table(30, per_group=2).final_accuracy.to_numpy()
    noise = np.random.default_rng(0).normal(0, 0.2, 30)
    plan = EvaluationPlan(resamples=100, reference="curve")
    found = judged(0, plan, curve=truth + noise, degree=truth + noise, graph=truth)
    assert set(found.differences["features"]) == {"degree", "graph"}
    same = found.differences[found.differences["features"] == "degree"]
    assert (same[["value", "low", "high"]] == 0).all(axis=None)
    better = found.differences[found.differences["features"] == "graph"].set_index("score")
    score = found.scores.set_index(["features", "score"])["value"]
    for name in ("r2", "rmse", "tau"):
        assert better.loc[name, "value"] == pytest.approx(score["graph", name] - score["curve", name])
    assert better.loc["r2", "low"] > 0 > better.loc["rmse", "high"]


def test_the_threshold_is_the_median_or_what_is_asked_for() -> None:
    truth = table(30, per_group=2).final_accuracy
    assert judged(0, EvaluationPlan(resamples=5), curve=truth.to_numpy()).threshold == truth.median()
    asked = judged(0, EvaluationPlan(resamples=5, threshold=0.3), curve=np.full(30, 0.3))
    assert asked.threshold == 0.3
    share = asked.scores.set_index("score").loc["accuracy", "value"]
    assert share == pytest.approx((truth >= 0.3).mean())  # a prediction on the threshold counts as good


def test_repeats_are_averaged() -> None:
    runs = table(30, per_group=2)
    truth = runs.final_accuracy.to_numpy()
    frames = [
        pd.DataFrame({"run": runs.features.index, "predicted": truth + shift}).assign(
            features="curve", epochs=1, repeat=repeat
        )
        for repeat, shift in enumerate((0.1, -0.3))
    ]
    found = score_predictions(pd.concat(frames, ignore_index=True), runs, EvaluationPlan(resamples=5))
    assert found.scores.set_index("score").loc["rmse", "value"] == pytest.approx(0.2)


def test_every_repeat_cuts_anew_and_every_fit_is_told() -> None:
    told: list[tuple[int, int, str]] = []
    plan = EvaluationPlan(folds=3, inner_folds=2, repeats=2, trees=2, resamples=5)
    found = evaluate(
        table(30), ("curve",), (1,), plan=plan, progress=lambda done, total, words: told.append((done, total, words))
    )
    assert told == [(number, 6, "curve, epoch 1") for number in range(1, 7)]
    folds = found.predictions.pivot(index="run", columns="repeat", values="fold")
    assert folds.notna().all(axis=None)
    assert (folds[0] != folds[1]).any()


def test_processes_change_nothing() -> None:
    plan = EvaluationPlan(folds=2, inner_folds=2, trees=2, resamples=5)
    alone, together = (
        evaluate(table(20), ("curve",), (1,), plan=replace(plan, workers=workers)).predictions for workers in (1, 2)
    )
    pd.testing.assert_frame_equal(alone, together)


def test_what_a_table_has_the_columns_of() -> None:
    assert available(table(8), 1) == [
        *("degree", "graph", "snapshot", "measures", "last-accuracy", "curve", "initial", "graph+curve")
    ]


def test_too_few_runs_and_missing_columns_are_refused() -> None:
    with pytest.raises(PredictionError, match="5 groups for 10 folds"):
        evaluate(table(5), ("degree",), (1,))
    with pytest.raises(PredictionError, match="the features 'hyperparameters' after 1 epochs"):
        evaluate(table(20), ("hyperparameters",), (1,), plan=LIGHT)
