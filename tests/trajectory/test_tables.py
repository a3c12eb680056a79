"""The measures on disk."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from axonometry.errors import RunError
from axonometry.trajectory import tables
from axonometry.trajectory.tables import COMPACTED, PIECES, compact, read_table, steps_in, table_files, write_piece


def rows(folder: Path, steps: Any = None) -> list[tuple[Any, ...]]:
    """What is read, as tuples in order."""
    table = read_table(folder, steps_in(folder) if steps is None else steps)
    return [tuple(row.values()) for row in table.to_pylist()]


def measures(value: float) -> pd.DataFrame:
    """Two rows as a measure gives them."""
    return pd.DataFrame(
        [("conv1", "node_strength", "mean", value), ("", "other", "value", -value)],
        columns=["group", "metric", "statistic", "value"],
    )


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three steps: one with both, one without a row, one with scalars."""
    write_piece(tmp_path, -1, measures(0.5), {"loss": 2.0})
    write_piece(tmp_path, 5, None, {})
    write_piece(tmp_path, 10, None, {"loss": 1.0, "größe": math.inf})
    return tmp_path


EXPECTED = [
    (-1, "conv1", "node_strength", "mean", 0.5),
    (-1, "", "other", "value", -0.5),
    (-1, "", "loss", "value", 2.0),
    (10, "", "loss", "value", 1.0),
    (10, "", "größe", "value", math.inf),
]


def test_steps_are_in_numerical_order_and_may_have_no_row(three: Path) -> None:
    assert steps_in(three) == (-1, 5, 10)
    assert rows(three) == EXPECTED
    assert rows(three, [10]) == EXPECTED[3:]
    assert rows(three, [5]) == []


def test_compaction_changes_nothing_but_the_files(three: Path) -> None:
    compact(three)
    assert [path.name for path in three.iterdir()] == [COMPACTED]
    assert steps_in(three) == (-1, 5, 10)
    assert rows(three) == EXPECTED
    assert rows(three, [10]) == EXPECTED[3:]
    compact(three)
    assert rows(three) == EXPECTED


def test_steps_after_a_compaction_are_added_to_it(three: Path) -> None:
    compact(three)
    write_piece(three, 11, measures(4.0), {})
    more = [*EXPECTED, (11, "conv1", "node_strength", "mean", 4.0), (11, "", "other", "value", -4.0)]
    assert steps_in(three) == (-1, 5, 10, 11)
    assert rows(three) == more
    compact(three)
    assert rows(three) == more
    assert table_files(three) == (three / COMPACTED,)


def test_a_compaction_killed_before_the_pieces_went_counts_no_row_twice(
    three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {path: path.read_bytes() for path in (three / PIECES).iterdir()}
    compact(three)
    (three / PIECES).mkdir()
    for path, content in kept.items():
        path.write_bytes(content)
    assert steps_in(three) == (-1, 5, 10)
    assert rows(three) == EXPECTED


@pytest.mark.parametrize("function", ["steps_in", "rows"])
def test_a_reader_beside_a_closing_recorder_misses_nothing(
    three: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """The compaction falls between a reader's look at the pieces and its reading of them."""
    look = tables._pieces

    def look_then_close(folder: Path) -> dict[int, Path]:
        monkeypatch.setattr(tables, "_pieces", look)
        found = look(folder)
        compact(folder)
        return found

    monkeypatch.setattr(tables, "_pieces", look_then_close)
    if function == "steps_in":
        assert steps_in(three) == (-1, 5, 10)
    else:
        assert rows(three, (-1, 5, 10)) == EXPECTED


def test_nan_stays_nan(tmp_path: Path) -> None:
    write_piece(tmp_path, 0, measures(math.nan), {"loss": math.nan})
    table = read_table(tmp_path, [0])
    assert table["value"].null_count == 0
    assert all(math.isnan(value) for value in table["value"].to_pylist())


def test_no_steps_is_an_empty_table_with_columns(tmp_path: Path) -> None:
    assert steps_in(tmp_path) == ()
    assert read_table(tmp_path, ()).column_names == ["step", "group", "metric", "statistic", "value"]
    compact(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_not_ours_are_no_steps(three: Path) -> None:
    for name in ("x.parquet", "007.parquet", "5.parquet.partial", "1.5.parquet", "٣.parquet", "+4.parquet"):
        (three / PIECES / name).write_text("not ours")
    assert steps_in(three) == (-1, 5, 10)
    compact(three)
    assert rows(three) == EXPECTED
    assert len(list((three / PIECES).iterdir())) == 6, "what is not ours is not deleted"


def test_a_missing_step_is_named(three: Path) -> None:
    (three / PIECES / "5.parquet").unlink()
    with pytest.raises(RunError, match=r"corrupt file: .*5\.parquet: no such file"):
        read_table(three, (-1, 5, 10))


@pytest.mark.parametrize("compacted", [False, True])
def test_a_table_cut_short_or_with_one_bit_turned_is_refused_or_reads_the_same(tmp_path: Path, compacted: bool) -> None:
    write_piece(tmp_path, 3, None, {"a": 0.5, "b": 2.0})
    path = tmp_path / PIECES / "3.parquet"
    if compacted:
        compact(tmp_path)
        path = tmp_path / COMPACTED
    whole = path.read_bytes()
    expected = rows(tmp_path)
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(RunError, match=f"^corrupt file: {path}: "):
            rows(tmp_path)
    for index in range(0, len(whole), 3):
        turned = bytearray(whole)
        turned[index] ^= 1 << (index % 8)
        path.write_bytes(turned)
        with suppress(RunError):
            assert rows(tmp_path) == expected, index
    path.write_bytes(whole)
    assert rows(tmp_path) == expected


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa

    (tmp_path / PIECES).mkdir()
    tables._write(tmp_path / PIECES / "3.parquet", pa.table({"step": [3]}), [3], compression="none")
    with pytest.raises(RunError, match=r"corrupt file: .*3\.parquet: the columns step"):
        read_table(tmp_path, [3])
