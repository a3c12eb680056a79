"""The model of one number of known epochs: its columns, its prediction and its interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from axonometry.errors import PredictionError
from axonometry.predict.ensemble import fit_ensemble
from axonometry.predict.folds import cv_plus
from axonometry.predict.horizon_model import HorizonModel, view_indices
from axonometry.predict.spread import relative_cv_plus

VALUES = np.random.default_rng(0).normal(size=(30, 4))


@pytest.fixture(scope="module")
def model() -> HorizonModel:
    views = (np.array([2]), np.array([0, 2]))
    ensemble = fit_ensemble([VALUES[:, view] for view in views], VALUES[:, [2]] * 2, np.arange(30) % 3, trees=3)
    return HorizonModel(views, ensemble)


def test_a_view_is_its_columns(model: HorizonModel) -> None:
    first, second = model.look(VALUES)
    np.testing.assert_array_equal(first, VALUES[:, [2]])
    np.testing.assert_array_equal(second, VALUES[:, [0, 2]])
    assert model.n_columns == 2


def test_columns_outside_the_views_change_nothing(model: HorizonModel) -> None:
    changed = VALUES.copy()
    changed[:, [1, 3]] = np.nan
    np.testing.assert_array_equal(model.predict(changed), model.predict(VALUES))


def test_an_interval_is_the_prediction_and_its_two_ends(model: HorizonModel) -> None:
    found = model.interval(VALUES[:5], 0.8)
    np.testing.assert_array_equal(found[:, :1], model.predict(VALUES[:5]))
    by_fold = model.ensemble.by_fold(model.look(VALUES[:5]))
    np.testing.assert_array_equal(found[:, 1:], relative_cv_plus(model.ensemble, by_fold, 0.8))
    older = replace(model, relative=False).interval(VALUES[:5], 0.8)
    np.testing.assert_array_equal(older[:, 1:], cv_plus(model.ensemble, by_fold, 0.8))
    assert (found[:, 1] < found[:, 2]).all()


def test_the_places_of_the_columns_after_each_epoch() -> None:
    columns = ["accuracy@2", "channel_degree.std@1", "accuracy@1"]
    found = view_indices(columns, "curve+degree", 2, named=True)
    assert {epochs: [view.tolist() for view in views] for epochs, views in found.items()} == {
        1: [[2], [1], [1, 2]],
        2: [[0, 2], [1], [0, 1, 2]],
    }
    with pytest.raises(PredictionError, match="the features 'graph'"):
        view_indices(["accuracy@1"], "graph", 1, named=True)


def test_any_other_table_is_one_view_of_all_columns() -> None:
    ((epochs, (view,)),) = view_indices([0, 1, 2], "degree", 5, named=False).items()
    assert epochs == 5
    assert view.tolist() == [0, 1, 2]
