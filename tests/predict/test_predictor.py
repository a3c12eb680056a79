"""The estimator: runs and tables, intervals, classes, runs under way, too few runs."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import axonometry as ax
from axonometry.errors import PredictionError
from axonometry.predict import AccuracyPredictor, read_runs
from tests.predict.synthetic import record, table

LIGHT = {"epochs": 2, "trees": 8}


UNDER_TEST_ONLY = {"check_do_not_raise_errors_in_init_or_set_params": "types are checked at every call under test"}


@parametrize_with_checks([AccuracyPredictor(trees=3)], expected_failed_checks=lambda _: UNDER_TEST_ONLY)
def test_scikit_learns_own_checks(estimator, check) -> None:
    check(estimator)


def test_a_planted_relation_is_found_and_the_curve_does_not_see_it() -> None:
    train, test = table(80), table(80, seed=1)
    scores = {
        name: AccuracyPredictor(name, **LIGHT).fit(train).score(test.features, test.final_accuracy)
        for name in ("degree", "curve", "degree+curve")
    }
    # Noise of 0.02 on a uniform law of width 0.6 leaves 1 - 0.02^2 / (0.6^2 / 12 + 0.02^2) = 0.987 to be predicted.
    assert 0.9 < scores["degree"] < 0.987
    assert scores["curve"] < 0.5
    assert scores["degree+curve"] > scores["degree"] - 0.03


def test_nothing_recorded_later_changes_a_prediction() -> None:
    train, test = table(40), table(20, seed=1)
    predictor = AccuracyPredictor("degree+curve", **LIGHT).fit(train)
    early = test.features.assign(epochs=1.0)
    later = [name for name in early if "@2" in name]
    changed = early.assign(**dict.fromkeys(later, 1e6))
    np.testing.assert_array_equal(predictor.predict(early), predictor.predict(changed))
    np.testing.assert_array_equal(predictor.predict(early), predictor.predict(early.drop(columns=later)))
    assert not np.array_equal(predictor.predict(early), predictor.predict(test.features))


def test_intervals_cover_at_their_level() -> None:
    covered = []
    for seed in range(6):
        train, test = table(60, seed=seed, noise=0.1), table(100, seed=100 + seed, noise=0.1)
        interval = AccuracyPredictor("degree", **LIGHT).fit(train).predict_interval(test.features, 0.8)
        covered.append(((interval["low"] <= test.final_accuracy) & (test.final_accuracy <= interval["high"])).mean())
    # 600 new runs; the level itself varies by about 0.05 a training set of 60.
    assert 0.73 < np.mean(covered) < 0.92


def test_the_folds_of_a_fit_never_split_a_group() -> None:
    train = table(60, per_group=3)
    ours = AccuracyPredictor("degree", **LIGHT).fit(train)
    theirs = AccuracyPredictor("degree", **LIGHT).fit(train.features, train.final_accuracy, groups=train.groups)
    for predictor in (ours, theirs):
        for model in predictor.models_.values():
            pairs = set(zip(train.groups, model.ensemble.fold_of, strict=True))
            assert len(pairs) == train.groups.nunique()
            assert set(model.ensemble.fold_of) == set(range(5))


def test_intervals_of_accuracies_stay_between_0_and_1_and_others_do_not() -> None:
    train = table(40, noise=0.3)
    accuracies = train.final_accuracy.clip(0, 1)
    inside = AccuracyPredictor("degree", **LIGHT).fit(train.features, accuracies).predict_interval(train, 0.95)
    assert inside["low"].min() == 0
    assert inside["high"].max() == 1
    shifted = AccuracyPredictor("degree", **LIGHT).fit(train.features, accuracies + 1).predict_interval(train, 0.95)
    assert shifted["low"].min() < 1
    assert shifted["high"].max() > 2


def test_classes_are_the_median_or_what_is_asked_for() -> None:
    train, test = table(80), table(80, seed=1)
    median = AccuracyPredictor("degree", task="classification", **LIGHT).fit(train)
    assert median.thresholds_ == pytest.approx([train.final_accuracy.median()])
    assert median.score(test.features, test.final_accuracy) > 0.9
    three = AccuracyPredictor("degree", task="classification", classes=(0.4, 0.6), **LIGHT).fit(train)
    chances = three.predict_proba(test.features)
    assert chances.shape == (80, 3)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert set(three.predict(test.features)) == {0, 1, 2}
    assert not hasattr(three, "predict_interval")
    with pytest.raises(PredictionError, match="increase"):
        AccuracyPredictor("degree", task="classification", classes=(0.6, 0.4), **LIGHT).fit(train)


def test_too_few_runs_says_how_many_are_needed() -> None:
    with pytest.raises(PredictionError, match=r"needs 10 runs of different configurations.*9 samples.*Train 1 more"):
        AccuracyPredictor("degree", **LIGHT).fit(table(9))
    # Thirty seeds of three configurations are three configurations.
    with pytest.raises(PredictionError, match="30 samples of 3 configurations"):
        AccuracyPredictor("degree", **LIGHT).fit(table(30, per_group=10))
    fitted = AccuracyPredictor("degree", **LIGHT).fit(table(12))
    with pytest.raises(PredictionError, match=r"an interval of level 0.95 needs 19 runs; got 12"):
        fitted.predict_interval(table(2).features, 0.95)


def test_unknown_and_missing_features_are_named() -> None:
    with pytest.raises(PredictionError, match=r"'nothing'.*There are: degree"):
        AccuracyPredictor("nothing", **LIGHT).fit(table())
    with pytest.raises(PredictionError, match="'weights' after 1 epochs"):
        AccuracyPredictor("weights", **LIGHT).fit(table())
    predictor = AccuracyPredictor("degree", **LIGHT).fit(table())
    with pytest.raises(PredictionError, match="runs without channel_degree"):
        predictor.predict(table().features.filter(like="accuracy"))


def test_clones_and_pipelines() -> None:
    predictor = AccuracyPredictor("curve", epochs=3, trees=4)
    assert clone(predictor).get_params() == predictor.get_params()
    assert set(predictor.get_params()) == set(inspect.signature(AccuracyPredictor).parameters)
    values = np.random.default_rng(0).normal(size=(40, 3))
    pipeline = make_pipeline(StandardScaler(), AccuracyPredictor(trees=8)).fit(values, values[:, 0])
    assert pipeline.score(values, values[:, 0]) > 0.8


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("runs")
    return [record(place / f"{seed:02}", seed=seed) for seed in range(14)]


@pytest.fixture(scope="module")
def fitted(folders: list[Path]) -> AccuracyPredictor:
    return AccuracyPredictor("graph+curve", folds=3, **LIGHT).fit(folders)


def test_run_folders_and_runs_are_the_same(fitted: AccuracyPredictor, folders: list[Path]) -> None:
    runs = [ax.load(folder) for folder in folders]
    by_hand = AccuracyPredictor("graph+curve", folds=3, **LIGHT).fit(
        runs, [run.scalars()["accuracy"][2] for run in runs]
    )
    np.testing.assert_array_equal(fitted.predict(folders), by_hand.predict(runs))


def test_a_run_cut_off_is_predicted_from_its_last_whole_step(
    fitted: AccuracyPredictor, folders: list[Path], tmp_path: Path
) -> None:
    cut = record(tmp_path / "cut", seed=3, end=False)
    (cut / "metrics" / "2.parquet").unlink()  # killed between the snapshot and the table of step 2
    row = fitted.predict_interval([cut])
    history = fitted.history(folders[3])
    assert list(history.index) == [1, 2]
    np.testing.assert_allclose(row.to_numpy()[0], history.to_numpy()[0])
    (cut / "metrics" / "1.parquet").unlink()
    with pytest.raises(PredictionError, match="needs a whole epoch"):
        fitted.predict([cut])
    assert not fitted.stop_below(1.1)(cut)


@pytest.mark.parametrize("per_group", [True, False])
def test_a_predictor_fitted_to_a_table_reads_runs_alike(folders: list[Path], per_group: bool) -> None:
    runs = read_runs(folders, epochs=2, per_group=per_group)
    predictor = AccuracyPredictor("graph+curve", folds=3, **LIGHT).fit(runs)
    np.testing.assert_array_equal(predictor.predict(folders), predictor.predict(runs))


def test_stop_below_the_upper_end(fitted: AccuracyPredictor, folders: list[Path]) -> None:
    upper = fitted.predict_interval([folders[0]])["high"].iloc[0]
    assert fitted.stop_below(upper + 1e-9)(folders[0])
    assert not fitted.stop_below(upper)(ax.load(folders[0]))
