"""Repeated folds: the correction by hand, R2 over folds, and how often the interval holds the truth."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t, ttest_1samp
from sklearn.metrics import roc_auc_score

from axonometry.predict import EvaluationPlan, evaluate
from axonometry.predict.evaluation import score_predictions
from axonometry.predict.repeated import corrected_interval, repeated_tables, scores_by_fold

from .synthetic import table


def predictions(repeats: int = 3, folds: int = 2, n: int = 8, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    truth = np.linspace(0, 1, n)
    parts = [
        pd.DataFrame({"run": [f"r{i}" for i in range(n)], "truth": truth, "predicted": random.uniform(size=n)}).assign(
            features=features, epochs=1, repeat=repeat, fold=random.permutation(np.arange(n) % folds)
        )
        for features in ("curve", "graph")
        for repeat in range(repeats)
    ]
    return pd.concat(parts, ignore_index=True)


def test_the_correction_by_hand() -> None:
    values = np.random.default_rng(0).normal(size=20)
    mean, low, high = corrected_interval(values, folds=5, level=0.9)
    reach = t.ppf(0.95, 19) * sqrt((1 / 20 + 1 / 4) * values.var(ddof=1))
    assert (mean, low, high) == pytest.approx((values.mean(), values.mean() - reach, values.mean() + reach))


def test_without_overlap_it_would_be_the_t_test() -> None:
    values = np.random.default_rng(0).normal(size=20)
    _, low, high = corrected_interval(values, folds=10**12)
    assert (low, high) == pytest.approx(tuple(ttest_1samp(values, 0).confidence_interval()))


def test_what_is_not_finite_is_left_out() -> None:
    assert corrected_interval(np.array([1.0, 2.0, np.nan]), 5) == corrected_interval(np.array([1.0, 2.0]), 5)
    assert np.isnan(corrected_interval(np.array([1.0]), 5)[1])
    assert np.isnan(corrected_interval(np.array([np.nan]), 5)[0])


def test_r2_over_even_folds_is_that_of_all_runs_together() -> None:
    part = predictions(repeats=1)[lambda f: f["features"] == "curve"]
    whole = (
        1 - np.square(part["truth"] - part["predicted"]).sum() / np.square(part["truth"] - part["truth"].mean()).sum()
    )
    each = scores_by_fold(part, 0.5)
    assert each["r2"].mean() == pytest.approx(whole)
    for (_, fold), row in each.iterrows():
        inside = part[part["fold"] == fold]
        assert row["auc"] == pytest.approx(roc_auc_score(inside["truth"] >= 0.5, inside["predicted"]))


def test_differences_are_taken_fold_by_fold() -> None:
    frame = predictions()
    frame.loc[frame["features"] == "graph", "fold"] = frame.loc[frame["features"] == "curve", "fold"].to_numpy()
    found, differences = repeated_tables(frame, 0.5, "curve")
    assert set(differences["features"]) == {"graph"}
    a, b = (scores_by_fold(frame[frame["features"] == name], 0.5)["r2"] for name in ("graph", "curve"))
    row = differences[differences["score"] == "r2"].iloc[0]
    assert row["value"] == pytest.approx((a - b).mean())
    assert row["low"] == pytest.approx(corrected_interval((a - b).to_numpy(), 2)[1])
    assert not (found["high"] - found["low"] <= 0).any()
    assert found[found["score"] == "auc"]["high"].max() <= 1


def test_perfect_predictions_have_an_interval() -> None:
    frame = predictions().assign(predicted=lambda f: f["truth"])
    found, _ = repeated_tables(frame, 0.5, "curve")
    perfect = found[found["score"].isin(["auc", "accuracy", "r2", "tau"])]
    assert (perfect["value"] == 1).all()
    assert (perfect["low"] < 0.75).all()
    assert (perfect["high"] == 1).all()


def test_evaluations_of_repeats_refit() -> None:
    plan = EvaluationPlan(folds=3, repeats=3, inner_folds=2, trees=3, resamples=50)
    runs = table(30)
    found = evaluate(runs, ("curve", "degree"), (1,), plan=plan)
    tables = repeated_tables(found.predictions, found.threshold, "curve", 0.95)
    pd.testing.assert_frame_equal(found.scores, tables[0])
    pd.testing.assert_frame_equal(found.differences, tables[1])
    assert set(found.coverage["third"]) == {"low", "middle", "high"}
    assert found.coverage["covered"].between(0, 1).all()
    one = found.predictions[found.predictions["repeat"] == 0]
    boot = score_predictions(one, runs, plan).scores
    assert (boot["high"] > boot["low"]).all()
