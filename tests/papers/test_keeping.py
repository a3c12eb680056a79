"""Tables that are kept: found again from the same inputs, computed anew from any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from axonometry.papers.keeping import kept
from axonometry.predict import RunTable

TABLE = RunTable(
    pd.DataFrame({"accuracy@1": [0.1, 0.2]}, index=["a", "b"]),
    pd.Series([0.5, 0.6], index=["a", "b"]),
    pd.Series(["x", "y"], index=["a", "b"]),
)


def test_computed_once(tmp_path: Path) -> None:
    calls = []

    def compute() -> pd.DataFrame:
        calls.append(1)
        return pd.DataFrame({"value": [1.5, float("nan")]})

    tables = [kept(tmp_path / "new", (TABLE, "sets", 3), compute) for _ in range(2)]
    pd.testing.assert_frame_equal(*tables)
    assert len(calls) == 1


@pytest.mark.parametrize(
    "inputs",
    [
        (TABLE, "sets", 4),
        (TABLE, "other", 3),
        (replace(TABLE, features=TABLE.features + 1e-12), "sets", 3),
        (replace(TABLE, features=TABLE.features.set_axis(["a", "c"])), "sets", 3),
        (replace(TABLE, final_accuracy=TABLE.final_accuracy + 0.1), "sets", 3),
        (replace(TABLE, groups=pd.Series(["x", "x"], index=["a", "b"])), "sets", 3),
    ],
)
def test_any_other_input_is_computed_anew(tmp_path: Path, inputs: tuple[object, ...]) -> None:
    kept(tmp_path, (TABLE, "sets", 3), lambda: pd.DataFrame({"value": [1]}))
    assert kept(tmp_path, inputs, lambda: pd.DataFrame({"value": [2]}))["value"].tolist() == [2]


def test_nothing_half_written(tmp_path: Path) -> None:
    def fails() -> pd.DataFrame:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, ("a",), fails)
    assert not list(tmp_path.iterdir())
