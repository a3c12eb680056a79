"""Transfer, learning curves and importances, with predictions that are known in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from axonometry.errors import PredictionError
from axonometry.predict import EvaluationPlan, RunTable, analysis, importances, learning_curve, transfer
from axonometry.predict.ensemble import StackedEnsemble
from axonometry.predict.evaluation import FitTask
from axonometry.predict.folds import fold_numbers
from tests.predict.synthetic import table

LIGHT = EvaluationPlan(folds=4, inner_folds=3, trees=6, resamples=200)
QUICK = EvaluationPlan(folds=2, inner_folds=2, trees=2, resamples=20)


def test_transfer_learning_curve_and_importances() -> None:
    moved = transfer(table(60), table(60, seed=1), ("degree",), (1,), plan=LIGHT).scores.set_index("score")
    assert moved.loc["r2", "value"] > 0.85
    curve = learning_curve(table(60), (8, 40), ("degree",), plan=LIGHT).set_index(["size", "score"])["value"]
    assert curve[40, "r2"] > curve[8, "r2"]
    lost = importances(table(60), "degree+curve", plan=LIGHT)
    assert list(lost["family"]) == ["channel_degree", "accuracy"]
    assert lost["loss"].iloc[0] > 0.5


def known(n: int = 40) -> RunTable:
    """The accuracy is the first column; the second is another measure."""
    random = np.random.default_rng(0)
    names = pd.Index([f"run{number}" for number in range(n)], name="run")
    truth = pd.Series(random.uniform(0.2, 0.9, n), index=names)
    columns = {"channel_degree.mean@1": truth, "link_weights.mean@1": random.normal(size=n)}
    return RunTable(pd.DataFrame(columns, index=names), truth, pd.Series(names, index=names))


def reads_the_first_column(self: StackedEnsemble, views: Sequence[np.ndarray]) -> np.ndarray:
    return views[0][:, :1]


def test_importances_of_a_perfect_prediction_in_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StackedEnsemble, "predict", reads_the_first_column)
    runs, plan = known(), replace(QUICK, folds=2)
    lost = importances(runs, "graph", plan=plan, shuffles=400).set_index("family")
    truth = runs.final_accuracy.to_numpy()
    fold_of = fold_numbers(list(runs.groups), 2, plan.seed)
    # A random order puts any row of the fold in a row's place: the squared error's mean is twice the fold's variance.
    inside = sum(2 * np.square(part - part.mean()).sum() for part in (truth[fold_of == f] for f in (0, 1)))
    expected = inside / np.square(truth - truth.mean()).sum()
    error = lost.loc["channel_degree", "std"] / np.sqrt(400)
    assert lost.loc["channel_degree", "loss"] == pytest.approx(expected, abs=5 * error)
    assert lost.loc["link_weights", "loss"] == 0
    assert lost.loc["link_weights", "std"] == 0
    assert list(lost.index) == ["channel_degree", "link_weights"]


def test_importances_are_losses_against_the_prediction_without_a_shuffle(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong_by_a_constant(self: StackedEnsemble, views: Sequence[np.ndarray]) -> np.ndarray:
        return views[0][:, :1] * 0 + 0.5

    monkeypatch.setattr(StackedEnsemble, "predict", wrong_by_a_constant)
    lost = importances(known(), "graph", plan=QUICK)
    # The prediction is poor, but no shuffle makes it any worse.
    assert (lost["loss"] == 0).all()


def test_a_measure_that_does_not_vary_loses_nothing_of_a_real_prediction() -> None:
    runs = known()
    constant = replace(runs, features=runs.features.assign(**{"link_weights.mean@1": 3.0}))
    lost = importances(constant, "graph", plan=QUICK).set_index("family")
    assert lost.loc["link_weights", "loss"] == 0
    assert lost.loc["channel_degree", "loss"] > 0.5


def test_families_are_counted_by_their_columns_and_may_be_chosen() -> None:
    runs = table(20)
    lost = importances(runs, "degree+curve", plan=QUICK, shuffles=1).set_index("family")["columns"]
    # channel_degree: log_mean and std after 0 and 1 epochs, and log_mean's change.
    assert lost.to_dict() == {"channel_degree": 5, "accuracy": 2}
    by_epoch = importances(runs, "curve", plan=QUICK, shuffles=1, by=lambda column: f"epoch {column.epoch}")
    assert set(by_epoch["family"]) == {"epoch 0", "epoch 1"}


def test_transfer_uses_the_columns_that_both_tables_have() -> None:
    train, test = table(20), table(12, seed=1)
    more = replace(train, features=train.features.assign(**{"channel_degree.conv1.mean@1": 1.0}))
    alone = transfer(train, test, ("degree",), (1,), plan=QUICK)
    with_more = transfer(more, test, ("degree",), (1,), plan=QUICK)
    pd.testing.assert_frame_equal(alone.predictions, with_more.predictions)
    assert list(alone.predictions["run"]) == list(test.features.index)
    np.testing.assert_array_equal(alone.predictions["truth"], test.final_accuracy)
    with pytest.raises(PredictionError, match="the features 'curve'"):
        transfer(train, replace(test, features=test.features.filter(like="degree")), ("curve",), (1,), plan=QUICK)


def test_the_threshold_of_a_transfer_is_the_median_of_what_is_predicted() -> None:
    train, test = table(20), table(12, seed=1)
    assert transfer(train, test, ("degree",), (1,), plan=QUICK).threshold == test.final_accuracy.median()
    assert transfer(train, test, ("degree",), (1,), plan=replace(QUICK, threshold=0.7)).threshold == 0.7


def test_a_learning_curve_learns_from_so_many_configurations_outside_the_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, tasks = table(36, per_group=3), []
    forecast = FitTask.forecast

    def spy(self: FitTask) -> np.ndarray:
        tasks.append(self)
        return forecast(self)

    monkeypatch.setattr(FitTask, "forecast", spy)
    told: list[tuple[int, int, str]] = []
    found = learning_curve(
        runs, (4, 6), ("degree",), plan=QUICK, progress=lambda done, total, words: told.append((done, total, words))
    )
    assert [len(set(task.groups)) for task in tasks] == [4, 4, 6, 6]
    for number, task in enumerate(tasks):
        assert len(task.groups) == 3 * len(set(task.groups))  # all runs of a configuration
        outside = fold_numbers(list(runs.groups), 2, QUICK.seed) != number % 2
        assert set(task.groups) <= set(runs.groups[outside])
        assert len(task.test[0]) == (~outside).sum()
    assert found["size"].unique().tolist() == [4, 6]
    assert told == [
        (1, 4, "4 runs, degree"),
        (2, 4, "4 runs, degree"),
        (3, 4, "6 runs, degree"),
        (4, 4, "6 runs, degree"),
    ]


@pytest.mark.parametrize("size", [3, 11])
def test_a_size_that_is_not_there_is_refused(size: int) -> None:
    with pytest.raises(PredictionError, match=f"from 4; got {size} of 10"):
        learning_curve(table(20), (size,), ("degree",), plan=QUICK)
    assert analysis.learning_curve(table(20), (10,), ("degree",), plan=QUICK)["value"].notna().all()
