"""The forest in arrays against scikit-learn's, and a tree drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor

from axonometry.errors import PredictionError
from axonometry.predict.forest import Forest


def by_hand() -> Forest:
    """``x0 <= 3`` gives 0.2, else ``x1 <= 1`` gives 0.6, else 0.8; a second tree says 0.4 whatever comes."""
    ints = [
        np.array(values, np.int32) for values in ([0, 5], [1, 1, 3, 3, 4, 5], [2, 1, 4, 3, 4, 5], [0, 0, 1, 0, 0, 0])
    ]
    threshold, value = np.array([3.0, 0, 1.0, 0, 0, 0]), np.array([0.5, 0.2, 0.7, 0.6, 0.8, 0.4])[:, None]
    return Forest(*ints, threshold, value, 2)


def test_a_tree_by_hand() -> None:
    rows = np.array([[3.0, 9.0], [3.1, 1.0], [4.0, 1.1]])
    np.testing.assert_allclose(by_hand().predict(rows)[:, 0], [0.3, 0.5, 0.6])  # means with 0.4


def test_rows_are_compared_in_float32_as_scikit_learn_compares() -> None:
    near = np.array([[3 + 1e-9, 0.0], [3 + 2**-20, 0.0]])  # the first is 3 in float32, the second is not
    np.testing.assert_allclose(by_hand().predict(near)[:, 0], [0.3, 0.5])


@pytest.mark.parametrize("targets", [1, 3])
def test_predictions_are_scikit_learns_to_the_last_digit(targets: int) -> None:
    random = np.random.default_rng(0)
    x, y, new = random.normal(size=(60, 7)), random.normal(size=(60, targets)), random.normal(size=(30, 7))
    theirs = ExtraTreesRegressor(9, random_state=3).fit(x, y if targets > 1 else y[:, 0])
    ours = Forest.from_scikit_learn(theirs)
    ours.check(7)
    np.testing.assert_allclose(ours.predict(new), theirs.predict(new).reshape(30, targets), rtol=0, atol=1e-15)


@pytest.mark.parametrize(("columns", "tried"), [(1, 1), (7, 1), (30, 6), (1000, 100)])
def test_a_fifth_of_the_columns_is_tried_and_a_leaf_holds_two_rows(columns: int, tried: int) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(12, columns)), random.normal(size=(12, 1))
    ours = Forest.fit(x, y, trees=3, seed=5)
    theirs = ExtraTreesRegressor(3, max_features=tried, min_samples_leaf=2, random_state=5).fit(x, y[:, 0])
    np.testing.assert_allclose(ours.predict(x)[:, 0], theirs.predict(x), rtol=0, atol=1e-15)
    assert len(ours.roots) == 3
    assert all(tree.tree_.n_node_samples.min() >= 2 for tree in theirs.estimators_)


def test_constant_targets_are_one_leaf() -> None:
    forest = Forest.fit(np.arange(8.0)[:, None], np.full((8, 1), 0.7), trees=2, seed=0)
    assert forest.depth == 0
    np.testing.assert_allclose(forest.predict(np.array([[99.0]])), [[0.7]])


@pytest.mark.parametrize(
    "change",
    [
        {"left": np.array([1, 1, 3, 3, 6, 5], np.int32)},
        {"right": np.array([2, 0, 4, 3, 4, 5], np.int32)},
        {"right": np.array([2, 1, 4, 3, 4], np.int32)},
        {"column": np.array([2, 0, 1, 0, 0, 0], np.int32)},
        {"column": np.array([-1, 0, 1, 0, 0, 0], np.int32)},
        {"roots": np.array([0, 6], np.int32)},
        {"roots": np.array([-1], np.int32)},
        {"roots": np.array([], np.int32)},
        {"threshold": np.zeros(5)},
        {"depth": 6},
        {"depth": -1},
    ],
)
def test_a_number_that_leads_outside_is_found(change: dict[str, object]) -> None:
    forged = by_hand()
    forged.check(2)
    for name, value in change.items():
        object.__setattr__(forged, name, value)  # as a file gives it: shapes are checked at construction in tests alone
    with pytest.raises(PredictionError, match="nodes do not"):
        forged.check(2)
