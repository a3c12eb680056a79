"""What an estimator may be given, and the targets of its tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import axonometry as ax
from axonometry.errors import PredictionError
from axonometry.predict import AccuracyPredictor
from axonometry.predict.inputs import (
    check_choices,
    check_groups,
    class_indicators,
    class_thresholds,
    has_groups,
    is_named,
    probabilities,
    require_enough,
    runs_of,
    training_data,
)
from tests.predict.synthetic import record, table

CHOICES = AccuracyPredictor().get_params()


@pytest.mark.parametrize(
    ("choice", "value", "words"),
    [
        ("features", "colour", "named sets; got 'colour'"),
        ("task", "ranking", "regression or classification; got 'ranking'"),
        ("epochs", 0, "`epochs` is a whole number from 1; got 0"),
        ("epochs", 1.5, "`epochs` is a whole number from 1; got 1.5"),
        ("folds", 1, "`folds` is a whole number from 2; got 1"),
        ("trees", 0, "`trees` is a whole number from 1; got 0"),
    ],
)
def test_choices_that_do_not_exist_are_refused(choice: str, value: object, words: str) -> None:
    check_choices({**CHOICES, "epochs": np.int64(1), "folds": 2, "trees": 1})
    with pytest.raises(PredictionError, match=words):
        check_choices({**CHOICES, choice: value})


def test_runs_are_told_from_tables(tmp_path: Path) -> None:
    folder = record(tmp_path / "run", seed=0)
    run = ax.load(folder)
    assert runs_of(folder) == [folder]
    assert runs_of(str(folder)) == [str(folder)]
    assert runs_of((folder, run)) == [folder, run]
    assert runs_of({"a": run}) == [run]
    for other in ([], [[1.0, 2.0]], np.zeros((2, 2)), table(4).features, [folder, 3]):
        assert runs_of(other) == []


def test_tables_of_ours_have_names_and_maybe_groups() -> None:
    assert is_named(pd.DataFrame({"accuracy@1": [1.0]}))
    assert not is_named(pd.DataFrame({"accuracy": [1.0]}))
    assert not is_named(np.zeros((1, 1)))
    assert has_groups(pd.DataFrame({"channel_degree.conv1.mean@1": [1.0]}))
    assert not has_groups(pd.DataFrame({"channel_degree.(first).mean@1": [1.0]}))
    assert not has_groups(np.zeros((1, 1)))


def test_what_is_learned_from_a_table_of_runs() -> None:
    runs = table(6, per_group=2)
    features, y, groups, per_group = training_data(runs, None, None, CHOICES)
    assert features is runs.features
    assert y is runs.final_accuracy
    assert groups is runs.groups
    assert per_group
    _, y, groups, _ = training_data(runs, [1.0] * 6, range(6), CHOICES)
    assert list(y) == [1.0] * 6
    assert list(groups) == list(range(6))
    with pytest.raises(PredictionError, match="requires y to be passed"):
        training_data(runs.features, None, None, CHOICES)


def test_every_run_is_a_group_unless_groups_are_given() -> None:
    assert check_groups(None, 4, 2) == [0, 1, 2, 3]
    assert check_groups("aabbccdd", 8, 2) == list("aabbccdd")
    with pytest.raises(PredictionError, match="every run has a group; got 3 groups of 4 runs"):
        check_groups("abc", 4, 2)
    with pytest.raises(PredictionError, match=r"4 samples of 3 configurations.*Train 1 more"):
        check_groups("aabc", 4, 2)


def test_two_configurations_a_fold_are_enough() -> None:
    require_enough(6, 6, 3)
    with pytest.raises(PredictionError, match=r"needs 6 runs.*got 1 sample of 1 configuration\. Train 5 more"):
        require_enough(1, 1, 3)


def test_classes_of_equal_size() -> None:
    y = np.arange(1.0, 13.0)
    assert class_thresholds(2, y) == pytest.approx([6.5])
    thirds = class_thresholds(3, y)
    assert np.bincount(np.digitize(y, thirds)).tolist() == [4, 4, 4]
    np.testing.assert_array_equal(class_thresholds((0.4, 0.6), y), [0.4, 0.6])


@pytest.mark.parametrize("classes", [1, (), (0.6, 0.4), (0.5, 0.5)])
def test_fewer_than_two_classes_or_none_that_ascend_are_refused(classes) -> None:
    with pytest.raises(PredictionError, match="begin at accuracies that increase"):
        class_thresholds(classes, np.arange(4.0))


def test_an_accuracy_on_a_threshold_is_of_the_class_above() -> None:
    found = class_indicators(np.array([0.3, 0.4, 0.5, 0.6, 0.9]), np.array([0.4, 0.6]))
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]])


def test_scores_become_probabilities() -> None:
    found = probabilities(np.array([[0.5, 0.5, 0.0], [1.4, -0.2, 0.0], [-1.0, -1.0, -1.0]]))
    np.testing.assert_allclose(found, [[0.5, 0.5, 0], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], atol=2e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found > 0).all()
