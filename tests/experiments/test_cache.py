"""Tables that are cached: found again from the same inputs and code, computed anew from any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from axonometry.experiments.cache import cached, source_of, table_key
from axonometry.importing import module_of_file
from axonometry.populations import Population
from axonometry.predict import RunTable
from axonometry.trajectory import Trajectory
from axonometry.trajectory.store import Description

TABLE = RunTable(
    pd.DataFrame({"accuracy@1": [0.1, 0.2]}, index=["a", "b"]),
    pd.Series([0.5, 0.6], index=["a", "b"]),
    pd.Series(["x", "y"], index=["a", "b"]),
)


class Counter:
    """How often a table was computed."""

    calls = 0


def compute(*inputs: object) -> pd.DataFrame:
    Counter.calls += 1
    return pd.DataFrame({"value": [1.5, float("nan")]})


@pytest.fixture(autouse=True)
def _from_zero() -> None:
    Counter.calls = 0


def test_computed_once(tmp_path: Path) -> None:
    tables = [cached(tmp_path / "new", compute, TABLE, "sets", 3) for _ in range(2)]
    pd.testing.assert_frame_equal(*tables)
    assert Counter.calls == 1


@pytest.mark.parametrize(
    "inputs",
    [
        (TABLE, "sets", 4),
        (TABLE, "other", 3),
        (replace(TABLE, features=TABLE.features + 1e-12), "sets", 3),
        (replace(TABLE, features=TABLE.features.set_axis(["a", "c"])), "sets", 3),
        (replace(TABLE, features=TABLE.features.set_axis(["accuracy@2"], axis=1)), "sets", 3),
        (replace(TABLE, final_accuracy=TABLE.final_accuracy + 0.1), "sets", 3),
        (replace(TABLE, groups=pd.Series(["x", "x"], index=["a", "b"])), "sets", 3),
        (TABLE, ("sets", 3)),
    ],
)
def test_any_other_input_is_computed_anew(tmp_path: Path, inputs: tuple[object, ...]) -> None:
    cached(tmp_path, compute, TABLE, "sets", 3)
    cached(tmp_path, compute, *inputs)
    assert Counter.calls == 2


def test_arrays_count_by_their_numbers_and_their_shape() -> None:
    values = np.arange(4.0)
    same, other = table_key(compute, values.copy()), table_key(compute, values + 1e-15)
    assert table_key(compute, values) == same != other
    assert table_key(compute, values.reshape(2, 2)) != same
    assert table_key(compute, np.array(["a", "b"], dtype=object)) != table_key(compute, np.array(["a", "c"]))


def test_words_count_by_themselves_and_not_by_where_they_are() -> None:
    first, again, other = (np.array(["".join([one, "b"]), "c"], dtype=object) for one in "aad")
    assert table_key(compute, first) == table_key(compute, again) != table_key(compute, other)


def test_a_table_is_named_by_its_function(tmp_path: Path) -> None:
    cached(tmp_path, compute, 1)
    assert [path.name for path in tmp_path.iterdir()] == [f"compute-{table_key(compute, 1, None)}.parquet"]


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    cached(tmp_path / "new" / "newer", compute, 1)
    assert len(list((tmp_path / "new" / "newer").iterdir())) == 1


def test_what_changes_nothing_is_no_part_of_the_key(tmp_path: Path) -> None:
    cached(tmp_path, compute, 1, unkeyed=(print,))
    cached(tmp_path, compute, 1, unkeyed=(repr,))
    assert Counter.calls == 1
    cached(tmp_path, compute, 1, also="the scale's options")
    assert Counter.calls == 2


def test_another_version_of_the_package_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = table_key(compute, 1)
    monkeypatch.setattr("axonometry.experiments.cache.__version__", "0.0.0")
    assert table_key(compute, 1) != before


@dataclass(frozen=True)
class Width:
    n: int


@dataclass(frozen=True)
class Depth:
    n: int


def test_values_of_another_kind_or_name_are_others() -> None:
    alike = [Width(3), Depth(3), Width(4), {"n": 3}, {"m": 3}, np.zeros(2), np.zeros(2, dtype=np.int64)]
    assert len({table_key(compute, one) for one in alike}) == len(alike)
    assert table_key(compute, Width(3)) == table_key(compute, Width(3))


def population(name: str = "a", steps: tuple[int, ...] = (0, 1), measures: tuple[str, ...] = ("degree",)) -> Population:
    description = Description((), (), (), (), measures, None, keep_weights=True, configuration=None)
    return Population(Path("runs"), {name: Trajectory(Path("runs", name), steps, description)})


def test_populations_count_by_their_runs_steps_and_measures() -> None:
    first = table_key(compute, population())
    assert first == table_key(compute, replace(population(), folder=Path("elsewhere")))
    others = population("b"), population(steps=(0, 2)), population(measures=("degree", "modes"))
    assert len({first, *(table_key(compute, one) for one in others)}) == 4


def test_nothing_half_written(tmp_path: Path) -> None:
    def fails(_: object) -> pd.DataFrame:
        raise KeyboardInterrupt("now")

    with pytest.raises(KeyboardInterrupt, match=r"^now$"):
        cached(tmp_path, fails, "a")
    assert not list(tmp_path.glob("*.parquet"))


CODE = """
import types
from functools import cached_property
import pandas as pd
FACTOR = 2
rates = types.ModuleType("rates")
rates.SLOW = 5
class Scaled:
    @staticmethod
    def of(x): return FACTOR * x
    @property
    def half(self): return 1 / PARTS
    @cached_property
    def third(self): return rates.SLOW / THIRD
THIRD = 3
PARTS = 2
def helper(x): return Scaled.of(x)
def unused(x): return x
def table(x): return pd.DataFrame({"value": [helper(one) for one in x]})
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], ModuleType]:
    def write(code: str) -> ModuleType:
        path = tmp_path / f"{abs(hash(code))}" / "mine.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")
        return module_of_file(path)

    return write


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 2", "FACTOR = 3"),
        ("FACTOR * x", "FACTOR + x"),
        ("Scaled.of(x)", "x"),
        ("[hel", "[-hel"),
        ("PARTS = 2", "PARTS = 4"),
        ("THIRD = 3", "THIRD = 4"),
        ("rates.SLOW = 5", "rates.SLOW = 6"),
    ],
)
def test_a_change_of_the_code_counts_however_deep(written: Callable[[str], ModuleType], old: str, new: str) -> None:
    first, second = table_key(written(CODE).table), table_key(written(CODE.replace(old, new)).table)
    assert first == table_key(written(CODE).table) != second


def test_a_function_among_the_inputs_counts_by_its_code(written: Callable[[str], ModuleType]) -> None:
    changed = CODE.replace("FACTOR * x", "FACTOR + x")
    assert table_key(compute, written(CODE).helper) == table_key(compute, written(CODE).helper)
    assert table_key(compute, written(CODE).helper) != table_key(compute, written(changed).helper)


def test_a_change_beside_the_code_does_not_count(written: Callable[[str], ModuleType]) -> None:
    changed = CODE.replace("def unused(x): return x", "def unused(x): return 2 * x")
    assert table_key(written(CODE).table) == table_key(written(changed).table)
    assert "def helper" in source_of(written(CODE).table)
    assert "DataFrame:" not in source_of(written(CODE).table)  # other packages count by the version
