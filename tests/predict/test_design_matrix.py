"""New runs in the columns of a fit: which are needed, and which model predicts which row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from axonometry.errors import PredictionError
from axonometry.predict.design_matrix import DesignMatrix, epoch_by_epoch, require_columns
from axonometry.predict.ensemble import StackedEnsemble
from axonometry.predict.horizon_model import HorizonModel
from tests.predict.synthetic import record

COLUMNS = ["accuracy@1", "accuracy@2", "configuration.optimiser=sgd"]
NOTHING = StackedEnsemble((), np.zeros(0, int), np.zeros((0, 1)), np.zeros((0, 1)))


def models() -> Mapping[int, HorizonModel]:
    """After one epoch the first column and the text are looked at, after two all three."""
    return {1: HorizonModel((np.array([0, 2]),), NOTHING), 2: HorizonModel((np.array([0, 1]), np.array([2])), NOTHING)}


def table(**columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame({name.replace("_at_", "@"): values for name, values in columns.items()}, index=["a", "b"])


def test_rows_are_put_in_the_order_of_the_fit() -> None:
    given = table(accuracy_at_2=[0.3, 0.4], epochs=[1.0, 7.0], other=[9.0, 9.0], accuracy_at_1=[0.1, 0.2])
    found = DesignMatrix.from_table(given, COLUMNS, models())
    # A text that no run's configuration has is 0; more epochs than were fitted count as the most.
    np.testing.assert_array_equal(found.values, [[0.1, 0.3, 0.0], [0.2, 0.4, 0.0]])
    assert found.known.tolist() == [1, 2]
    assert list(found.names) == ["a", "b"]


def test_a_table_that_does_not_say_knows_the_most() -> None:
    found = DesignMatrix.from_table(table(accuracy_at_1=[0.1, 0.2], accuracy_at_2=[0.1, 0.2]), COLUMNS, models())
    assert found.known.tolist() == [2, 2]


def test_each_row_is_predicted_by_the_model_of_its_epochs() -> None:
    found = DesignMatrix(np.arange(9.0).reshape(3, 3), np.array([2, 1, 2]), pd.RangeIndex(3))
    fitted = models()
    number = {id(model): epochs for epochs, model in fitted.items()}
    result = found.predict_rows(
        fitted, lambda model, rows: np.stack([rows[:, 0], rows[:, 1] * 0 + number[id(model)]], 1)
    )
    np.testing.assert_array_equal(result, [[0, 2], [3, 1], [6, 2]])


def test_a_run_without_an_epoch_is_refused() -> None:
    found = DesignMatrix(np.zeros((2, 3)), np.array([1, 0]), pd.RangeIndex(2))
    with pytest.raises(PredictionError, match="a prediction needs a whole epoch"):
        found.predict_rows(models(), lambda model, rows: rows)


def test_columns_are_needed_only_where_a_row_is_predicted_from_them() -> None:
    early = table(accuracy_at_1=[0.1, 0.2], epochs=[1.0, 1.0])
    assert np.isnan(DesignMatrix.from_table(early, COLUMNS, models()).values[:, 1]).all()
    with pytest.raises(PredictionError, match=r"runs without accuracy@2\."):
        DesignMatrix.from_table(early.assign(epochs=[1.0, 2.0]), COLUMNS, models())


@pytest.mark.parametrize(
    ("missing", "words"),
    [(1, "without m0@1. "), (3, "without m0@1, m1@1, m2@1. "), (5, "without m0@1, m1@1, m2@1 and 2 more. ")],
)
def test_three_missing_columns_are_named_and_the_rest_counted(missing: int, words: str) -> None:
    columns = [f"m{number}@1" for number in range(missing)]
    model = HorizonModel((np.arange(missing),), NOTHING)
    with pytest.raises(PredictionError, match=words):
        require_columns(pd.DataFrame({"other@1": [1.0]}), columns, [model])
    require_columns(pd.DataFrame(columns=columns), columns, [model])


def test_a_run_after_each_of_its_epochs(tmp_path) -> None:
    run = record(tmp_path / "run", seed=2, epochs=3)
    found = epoch_by_epoch(run, 2, per_group=True, features="curve")
    assert found["epochs"].tolist() == [1.0, 2.0]
    assert len(epoch_by_epoch(run, 5, per_group=True, features="curve")) == 3
    with pytest.raises(PredictionError, match="needs a whole epoch"):
        epoch_by_epoch(record(tmp_path / "begun", seed=1, epochs=0), 2, per_group=True, features="curve")
