"""Series of a run: step by step, and of a whole table, are the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from axonometry.errors import RunError
from axonometry.trajectory.tables import compact, read_pieces, read_table, steps_in, write_piece
from axonometry.watch.series import RunSeries, SeriesKey, series_of, step_numbers

if TYPE_CHECKING:
    from pathlib import Path

NEURONS = {"conv1": 8, "fc": 2}


def written(folder: Path, steps: range) -> None:
    for step in steps:
        rows = [("conv1", "node_strength", "mean", step / 3), ("conv1", "neuron_activation", "dead", 2.0)]
        rows += [("fc", "node_strength", "mean", math.nan), ("fc", "neuron_activation", "dead", 2.0)]
        scalars = {"loss": 1 / (step + 1)} | ({"accuracy": 0.5 + step} if step % 2 else {})
        write_piece(folder, step, pd.DataFrame(rows, columns=["group", "metric", "statistic", "value"]), scalars)


def step_by_step(folder: Path) -> RunSeries:
    found = RunSeries()
    for step in steps_in(folder):
        found.add(step, step_numbers(read_table(folder, [step]), NEURONS))
    return found


def test_a_whole_table_gives_what_its_steps_give(tmp_path: Path) -> None:
    written(tmp_path, range(5))
    one_by_one = step_by_step(tmp_path)
    compact(tmp_path)
    whole = series_of(read_table(tmp_path, range(5)), tuple(range(5)), NEURONS)
    assert whole.continues(one_by_one)
    assert one_by_one.continues(whole)
    assert whole.last.keys() == one_by_one.last.keys()
    assert {k: v.step for k, v in whole.last.items()} == {k: v.step for k, v in one_by_one.last.items()}
    assert whole.last[SeriesKey("accuracy", "")] == (SeriesKey("accuracy", ""), 3, 3.5)
    assert [*whole.values[SeriesKey("dead", "conv1")]] == [0.25] * 5, "dead neurons are a share of their layer"
    assert [*whole.values[SeriesKey("dead", "fc")]] == [1.0] * 5
    assert math.isnan(whole.values[SeriesKey("accuracy", "")][4])


def test_what_continues_has_only_further_steps(tmp_path: Path) -> None:
    written(tmp_path, range(3))
    earlier = step_by_step(tmp_path)
    written(tmp_path, range(3, 5))
    later = step_by_step(tmp_path)
    assert later.continues(earlier)
    assert not earlier.continues(later)
    assert later.continues(RunSeries())
    later.values[SeriesKey("loss", "")][1] = 7.0
    assert not later.continues(earlier)
    later = step_by_step(tmp_path)
    later.values[SeriesKey("new", "")] = later.values[SeriesKey("loss", "")]
    assert not later.continues(earlier), "a new measure has values at earlier steps"


def test_a_table_of_steps_without_rows(tmp_path: Path) -> None:
    write_piece(tmp_path, 4, None, {})
    found = series_of(read_table(tmp_path, [4]), (4,), {})
    assert (found.steps, found.values, found.last) == ([4], {}, {})


def test_pieces_at_once_and_in_parts_are_what_they_are_one_by_one(tmp_path: Path) -> None:
    written(tmp_path, range(5))
    one_by_one = step_by_step(tmp_path)
    parts = RunSeries()
    for steps in ((0,), (1, 2), (3, 4)):
        parts.extend(series_of(read_pieces(tmp_path, steps), steps, NEURONS))
    assert parts.continues(one_by_one)
    assert one_by_one.continues(parts)
    assert {k: v.step for k, v in parts.last.items()} == {k: v.step for k, v in one_by_one.last.items()}


def test_a_piece_under_another_name_is_refused(tmp_path: Path) -> None:
    written(tmp_path, range(2))
    (tmp_path / "metrics/1.parquet").rename(tmp_path / "metrics/7.parquet")
    with pytest.raises(RunError, match=r"7\.parquet: rows of other steps than it names"):
        read_pieces(tmp_path, (0, 7))
    assert len(read_pieces(tmp_path, ())) == 0
    with pytest.raises(FileNotFoundError, match=r"5\.parquet"):
        read_pieces(tmp_path, (5,))
