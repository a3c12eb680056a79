"""One run under a follower's eyes: begun, written, killed, continued, ended, measured again, deleted, trained anew."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from axonometry.trajectory.tables import compact, extend
from axonometry.watch import followed
from axonometry.watch.followed import FollowedRun
from axonometry.watch.series import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ACCURACY = SeriesKey("accuracy", "")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables that are opened."""
    opened: list[str] = []

    def noting(name: str) -> None:
        real = getattr(followed, name)

        def note(path: Path, *rest: object) -> object:
            opened.append(path.name)
            return real(path, *rest)

        monkeypatch.setattr(followed, name, note)

    for name in ("read_file", "read_pieces", "read_table", "read_description"):
        noting(name)
    return opened


def test_only_what_is_new_is_read(tmp_path: Path, writer: Callable, read: list[str]) -> None:
    recording = writer(tmp_path / "a").write(0, 1)
    run = FollowedRun(tmp_path / "a", "a")
    assert not run.look()
    assert read == ["a", "a"], "what it is, and its steps at once"
    read.clear()
    recording.write(2)
    run.look()
    run.look()
    assert read == ["2.parquet"]
    assert (run.series.steps, run.state, run.generation) == ([0, 1, 2], "running", 0)
    assert [*run.series.values[SeriesKey("node_strength.mean", "2")]] == [0.0, -0.1, -0.2]
    assert [*run.series.values[SeriesKey("dead", "0")]] == [0.25] * 3


def test_of_the_first_look_only_the_last_values_are_fresh(tmp_path: Path, writer: Callable) -> None:
    recording = writer(tmp_path / "a").write(0, 1, 2)
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    assert {value.step for value in run.fresh} == {2}
    run.fresh = []
    recording.write(3, 4)
    run.look()
    assert [value.step for value in run.fresh if value.key == ACCURACY] == [3, 4]


def test_many_steps_are_read_in_turns(tmp_path: Path, writer: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "AT_ONCE", 20)
    writer(tmp_path / "a").write(*range(followed.AT_ONCE + 1))
    run = FollowedRun(tmp_path / "a", "a")
    assert run.look()
    assert run.series.steps == []
    assert (run.caught_up, run.last_step, run.n_steps) == (False, followed.AT_ONCE, followed.AT_ONCE + 1)
    assert run.series.last[ACCURACY].step == followed.AT_ONCE, "the newest step is seen before the way there was read"
    assert run.look()
    assert not run.look()
    assert (run.caught_up, run.last_step, run.n_steps) == (True, followed.AT_ONCE, followed.AT_ONCE + 1)
    assert run.series.last[ACCURACY].step == followed.AT_ONCE
    assert run.series.steps == [*range(followed.AT_ONCE + 1)]


def test_a_run_that_ends_keeps_its_curve(tmp_path: Path, writer: Callable, read: list[str]) -> None:
    recording = writer(tmp_path / "a").write(*range(6))
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    series, run.fresh = run.series, []
    recording.finish()
    run.look()
    assert (run.state, run.generation, run.fresh) == ("finished", 0, [])
    assert run.series.continues(series)
    read.clear()
    run.look()
    assert read == []


@pytest.mark.parametrize(
    ("steps", "stopped", "state"), [(6, False, "finished"), (6, True, "stopped"), (4, False, "stopped")]
)
def test_a_run_is_stopped_where_less_than_the_plan_was_recorded(
    tmp_path: Path, writer: Callable, steps: int, stopped: bool, state: str
) -> None:
    writer(tmp_path / "a").write(*range(steps)).finish(stopped=stopped)
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    assert (run.state, run.series.steps, run.caught_up) == (state, [*range(steps)], True)


def test_a_killed_writer_leaves_an_interrupted_run_that_can_be_continued(
    tmp_path: Path, writer: Callable, holder: Callable
) -> None:
    recording = writer(tmp_path / "a").write(0, 1)
    recording.release()
    process = holder(tmp_path / "a")
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    assert run.state == "running"
    process.kill()
    process.wait()
    run.look()
    assert (run.state, run.series.steps) == ("interrupted", [0, 1])
    recording = writer(tmp_path / "a").write(2)
    run.look()
    assert (run.state, run.series.steps, run.generation) == ("running", [0, 1, 2], 0)


def test_a_finished_run_that_is_resumed_runs_again(tmp_path: Path, writer: Callable) -> None:
    writer(tmp_path / "a").write(*range(6)).finish()
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    recording = writer(tmp_path / "a").write(6)
    run.look()
    run.look()
    assert (run.state, run.series.steps, run.generation) == ("running", [*range(7)], 0)
    recording.finish()
    run.look()
    assert (run.state, run.series.steps, run.generation) == ("finished", [*range(7)], 0)


def test_a_deleted_run_is_said_to_be_and_keeps_its_curve(tmp_path: Path, writer: Callable) -> None:
    writer(tmp_path / "a").write(0, 1)
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    shutil.rmtree(tmp_path / "a")
    run.look()
    assert (run.state, run.series.steps) == ("deleted", [0, 1])


def test_a_run_that_is_being_deleted_file_by_file_keeps_its_curve(tmp_path: Path, writer: Callable) -> None:
    writer(tmp_path / "a").write(0, 1, 2)
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    (tmp_path / "a/metrics/1.parquet").unlink()
    run.look()
    assert run.series.steps == [0, 1, 2]
    shutil.rmtree(tmp_path / "a")
    run.look()
    assert (run.state, run.series.steps) == ("deleted", [0, 1, 2])


def test_steps_that_stay_away_are_gone(tmp_path: Path, writer: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    writer(tmp_path / "a").write(0, 1, 2)
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    (tmp_path / "a/metrics/1.parquet").unlink()
    run.look()
    monkeypatch.setattr(followed, "_GONE", 0.0)
    assert run.look()
    assert not run.look()
    assert (run.series.steps, run.generation) == ([0, 2], 1)


@pytest.mark.parametrize("seen", [True, False])
def test_a_run_that_is_trained_anew_in_the_same_place_begins_anew(tmp_path: Path, writer: Callable, seen: bool) -> None:
    first = writer(tmp_path / "a").write(0, 1, loss=3.0)
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    first.release()
    shutil.rmtree(tmp_path / "a")
    if seen:
        run.look()
    writer(tmp_path / "a").write(0, 1, loss=5.0)
    while run.look():
        pass
    assert (run.state, run.generation, run.series.steps) == ("running", 1, [0, 1])
    assert [*run.series.values[SeriesKey("loss", "")]] == [5.0, 5.0]


def test_measures_that_are_added_to_a_finished_run_are_seen(tmp_path: Path, writer: Callable) -> None:
    writer(tmp_path / "a").write(*range(6)).finish()
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    added = pd.DataFrame({"step": range(6), "group": "0", "metric": "disparity", "statistic": "mean", "value": 0.5})
    extend(tmp_path / "a", added)
    run.look()
    assert (run.generation, run.state) == (1, "finished")
    assert [*run.series.values[SeriesKey("disparity.mean", "0")]] == [0.5] * 6


def test_a_corrupt_run_says_so_is_not_read_again_and_recovers(
    tmp_path: Path, writer: Callable, read: list[str]
) -> None:
    writer(tmp_path / "a").write(0, 1)
    piece = tmp_path / "a/metrics/1.parquet"
    right = piece.read_bytes()
    piece.write_bytes(right[:-9] + b"\0" * 9)
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    assert run.state == "corrupt"
    assert "1.parquet" in (run.problem or "")
    read.clear()
    run.look()
    assert read == []
    piece.with_suffix(".new").write_bytes(right)
    os.replace(piece.with_suffix(".new"), piece)
    run.look()
    assert (run.state, run.problem, run.series.steps) == ("running", None, [0, 1])


def test_a_run_of_a_newer_format_says_so(tmp_path: Path, writer: Callable) -> None:
    description = writer(tmp_path / "a").folder / "run.json"
    description.write_text(description.read_text().replace('"format": 1', '"format": 99'))
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    assert run.state == "corrupt"
    assert "format 99" in (run.problem or "")


def test_a_file_that_goes_while_it_is_read_is_looked_for_in_the_table(
    tmp_path: Path, writer: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = writer(tmp_path / "a").write(0)
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    recording.write(1)
    real = followed.read_file

    def late(path: Path) -> object:
        compact(recording.folder)
        return real(path)

    monkeypatch.setattr(followed, "read_file", late)
    while run.look():
        pass
    assert (run.state, run.series.steps, run.generation) == ("running", [0, 1], 0)


def test_a_run_at_rest_is_not_listed(tmp_path: Path, writer: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "_SETTLED", 0.0)
    recording = writer(tmp_path / "a").write(0, 1)
    run = FollowedRun(tmp_path / "a", "a")
    run.look()
    monkeypatch.setattr(followed.FollowedRun, "_list", lambda _: pytest.fail("nothing has changed"))
    run.look()
    monkeypatch.undo()
    recording.write(2)
    run.look()
    assert run.series.steps == [0, 1, 2]
