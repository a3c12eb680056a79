"""All runs of a folder: found as they begin, judged by rules, predicted."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING

import pytest

from axonometry.errors import RunError
from axonometry.watch import AlertRule, FolderFollower, follower as module
from axonometry.watch.forecasts import Forecast, Forecaster
from axonometry.watch.rows import row_of, run_rows, state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Foreseeing(Forecaster):
    """Predicts from the number of steps; final from three on."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def forecast(self, folder: Path) -> Forecast | str:
        self.asked.append(folder.name)
        known = len(list((folder / "metrics").glob("*.parquet")))
        if known < 2:
            return "no whole epoch yet"
        return Forecast(0.4 + known / 10, 0.3, 0.9, known - 1, known > 2)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are walked through at every look."""
    monkeypatch.setattr(module, "_WALK", 0.0)
    monkeypatch.setattr(module, "_WALK_SHARE", 0)


def followed(
    folder: Path, *rules: str, forecaster: Forecaster | None = None, score: str | None = None
) -> FolderFollower:
    return FolderFollower(folder, rules=map(AlertRule.parse, rules), forecaster=forecaster, score=score)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no such folder: .*nope"):
        FolderFollower(tmp_path / "nope")


@pytest.mark.usefixtures("at_once")
def test_runs_are_found_as_they_begin(tmp_path: Path, writer: Callable) -> None:
    follower = followed(tmp_path)
    follower.look()
    assert follower.runs == []
    writer(tmp_path / "b").write(0)
    writer(tmp_path / "deep/a").write(0, 1)
    follower.look()
    assert [(row.run, row.state, row.step) for row in run_rows(follower)] == [
        ("b", "running", 0),
        ("deep/a", "running", 1),
    ]
    shutil.rmtree(tmp_path)
    follower.look()
    assert {row.state for row in run_rows(follower)} == {"deleted"}


def test_a_run_itself_can_be_followed(tmp_path: Path, writer: Callable) -> None:
    writer(tmp_path / "a").write(0)
    follower = followed(tmp_path / "a")
    follower.read_all()
    assert [row.run for row in run_rows(follower)] == ["a"]


def test_a_folder_of_too_many_folders_is_refused_at_first_and_said_later(
    tmp_path: Path, writer: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer(tmp_path / "a").write(0)
    monkeypatch.setattr("axonometry.trajectory.folders.MOST_FOLDERS", 0)
    with pytest.raises(RunError, match="folders that are none"):
        followed(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(module, "_WALK", 0.0)
    monkeypatch.setattr(module, "_WALK_SHARE", 0)
    follower = followed(tmp_path)
    monkeypatch.setattr("axonometry.trajectory.folders.MOST_FOLDERS", 0)
    follower.look()
    assert "folders that are none" in (follower.problem or "")
    assert run_rows(follower)[0].state == "running"


def test_alerts_of_a_history_are_about_its_end(tmp_path: Path, writer: Callable) -> None:
    recording = writer(tmp_path / "a").write(0, 1, 2, 3)  # accuracies of 0.5, 0.67, 0.75, 0.8
    follower = followed(
        tmp_path, "accuracy < 0.7", "accuracy > 0.78", "node_strength < -0.2", "dead >= 0.25", "nope > 1"
    )
    follower.look()
    fired = [str(alert) for alert in follower.alerts.active]
    assert fired == [
        "node_strength < -0.2: a, layer 2: -0.3 at step 3",
        "dead >= 0.25: a, layer 0: 0.25 at step 3",
        "accuracy > 0.78: a: 0.8 at step 3",
    ]
    assert [str(rule) for rule in follower.unmet()] == ["nope > 1"]
    recording.write(4, accuracy=0.1).write(5, accuracy=math.nan, nope=2.0)
    follower.look()
    assert [str(alert) for alert in follower.alerts.fired[3:]] == [
        "accuracy < 0.7: a: 0.1 at step 4",
        "nope > 1: a: 2 at step 5",
    ]
    assert follower.unmet() == []
    shutil.rmtree(tmp_path / "a")
    follower.look()
    assert follower.alerts.active == []


def test_the_score_is_accuracy_or_the_first_scalar(tmp_path: Path, writer: Callable) -> None:
    writer(tmp_path / "a").write(0, zeta=1.0, loss=2.0)
    follower = followed(tmp_path)
    assert follower.score == "accuracy"
    follower.read_all()
    assert (follower.score, run_rows(follower)[0].score) == ("accuracy", 0.5)
    other = followed(tmp_path, score="loss")
    other.read_all()
    assert run_rows(other)[0].score == 2.0
    del follower.runs[0].series.last[next(key for key in follower.runs[0].series.last if key.name == "accuracy")]
    assert follower.score == "loss"


def test_predictions_are_made_until_they_are_final(tmp_path: Path, writer: Callable) -> None:
    recording, predictor = writer(tmp_path / "a").write(0), Foreseeing()
    follower = followed(tmp_path, "predicted < 0.65", forecaster=predictor)
    follower.read_all()
    follower.read_all()
    row = run_rows(follower)[0]
    assert (predictor.asked, row.predicted, row.problem) == (["a"], None, "no whole epoch yet")
    recording.write(1)
    follower.read_all()
    row = run_rows(follower)[0]
    assert (row.predicted, row.low, row.high, row.epochs) == (0.6000000000000001, 0.3, 0.9, 1)
    assert row.predicted_text == "0.6 (0.3 to 0.9)"
    assert [str(alert) for alert in follower.alerts.active] == ["predicted < 0.65: a: 0.6 at step 1"]
    recording.write(2)
    follower.read_all()
    recording.write(3, 4)
    follower.read_all()
    assert (predictor.asked, follower.alerts.active) == (["a"] * 3, [])


def test_without_a_predictor_nothing_is_predicted(tmp_path: Path, writer: Callable) -> None:
    writer(tmp_path / "a").write(0)
    follower = followed(tmp_path, "predicted < 0.6")
    follower.read_all()
    assert (follower.predicts, follower.forecasts, follower.forecast(follower.runs[0])) == (False, {}, "no predictor")
    assert len(follower.unmet()) == 1


def test_the_state_is_whole(tmp_path: Path, writer: Callable) -> None:
    writer(tmp_path / "a").write(0, 1)
    follower = followed(tmp_path, "accuracy > 0.6", "nope > 1")
    follower.read_all()
    state = state_of(follower)
    assert state["runs"] == [
        {
            "run": "a", "state": "running", "step": 1, "steps": 2, "planned_steps": 6, "score": 1 - 1 / 3,
            "predicted": None, "low": None, "high": None, "epochs": None, "problem": None,
        }
    ]  # fmt: skip
    assert [alert["rule"] for alert in state["alerts"]] == ["accuracy > 0.6"]
    assert (state["unmet"], state["score"], state["folder"]) == (["nope > 1"], "accuracy", tmp_path)
    assert row_of(follower, follower.runs[0], "accuracy").step_text == "1 (2 of 6)"


def test_a_look_ends_in_time_and_the_next_goes_on(tmp_path: Path, writer: Callable) -> None:
    for name in "abc":
        writer(tmp_path / name).write(0)
    follower = followed(tmp_path)
    looks = 0
    while follower.look(seconds=0.0):
        looks += 1
        assert looks < 100
        if all(run.caught_up for run in follower.runs):
            break
        follower.look(seconds=0.001)
    assert looks >= 1
