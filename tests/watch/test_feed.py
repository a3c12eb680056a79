"""What a browser is told: all at first, then what is new, and no more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from axonometry.watch import AlertRule, FolderFollower, feed as module
from axonometry.watch.feed import Feed, Selection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def told(feed: Feed) -> dict[str, Any]:
    """The events by name, the points in a list."""
    found: dict[str, Any] = {}
    for name, text in feed.events(60.0):
        content = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
        assert name == "points" or name not in found
        found[name] = [*found.get(name, []), content] if name == "points" else content
    return found


def test_all_is_told_at_first_and_then_what_is_new(tmp_path: Path, writer: Callable) -> None:
    recording = writer(tmp_path / "a").write(0, 1)
    follower = FolderFollower(tmp_path, rules=[AlertRule.parse("accuracy > 0.7")])
    follower.look()
    feed = Feed(follower, Selection())
    first = told(feed)
    assert first["about"]["folder"] == str(tmp_path)
    assert first["about"]["rules"] == ["accuracy > 0.7"]
    assert [(row["number"], row["run"], row["step"]) for row in first["runs"]] == [(0, "a", 1)]
    assert first["series"] == {
        "layers": {"node_strength.mean": ["0", "2"], "dead": ["0"], "accuracy": [""]},
        "shown": ["accuracy", "node_strength.mean", "dead"],
    }
    assert first["points"] == [
        {
            "run": 0, "reset": True, "stride": 1, "steps": [0, 1],
            "lines": [
                ["node_strength.mean", "0", [0, 0.1]],
                ["node_strength.mean", "2", [0, -0.1]],
                ["dead", "0", [0.25, 0.25]],
                ["accuracy", "", [0.5, 0.66667]],
            ],
        }
    ]  # fmt: skip
    assert first["alerts"] == []
    assert told(feed) == {}
    recording.write(2)
    follower.look()
    then = told(feed)
    assert sorted(then) == ["alerts", "points", "runs"]
    assert [alert["step"] for alert in then["alerts"]] == [2]
    (points,) = then["points"]
    assert (points["reset"], points["steps"], points["lines"][3]) == (False, [2], ["accuracy", "", [0.75]])
    assert told(feed) == {}


def test_only_what_was_chosen_is_told(tmp_path: Path, writer: Callable) -> None:
    for name in ("a", "b", "c"):
        writer(tmp_path / name).write(0, loss=1.0)
    follower = FolderFollower(tmp_path)
    follower.look()
    found = told(Feed(follower, Selection.of("0,2", ["loss", "nope"])))
    assert len(found["runs"]) == 3, "the table has all runs"
    assert [(points["run"], points["lines"]) for points in found["points"]] == [
        (0, [["loss", "", [1]]]),
        (2, [["loss", "", [1]]]),
    ]
    assert found["series"]["shown"] == ["loss"]
    assert told(Feed(follower, Selection.of("99999", [""])))["series"]["shown"] == []


def test_layers_of_many_runs_are_told_when_they_are_asked_for(
    tmp_path: Path, writer: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        writer(tmp_path / name).write(0)
    follower = FolderFollower(tmp_path)
    follower.look()
    monkeypatch.setattr(module, "FEW_RUNS", 1)
    assert told(Feed(follower, Selection()))["series"]["shown"] == ["accuracy"]
    assert told(Feed(follower, Selection.of("1", [])))["series"]["shown"] == ["accuracy", "node_strength.mean", "dead"]


def test_a_series_that_comes_later_brings_its_past(tmp_path: Path, writer: Callable) -> None:
    recording = writer(tmp_path / "a").write(0)
    follower = FolderFollower(tmp_path)
    follower.look()
    feed = Feed(follower, Selection())
    told(feed)
    recording.write(1, loss=2.0)
    follower.look()
    found = told(feed)
    assert found["series"]["shown"] == ["accuracy", "loss", "node_strength.mean", "dead"]
    (points,) = found["points"]
    assert (points["reset"], points["steps"]) == (True, [0, 1])
    assert ["loss", "", [None, 2]] in points["lines"]


def test_long_lines_are_thinned_and_end_at_the_newest_point(
    tmp_path: Path, writer: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = writer(tmp_path / "a").write(*range(12))
    follower = FolderFollower(tmp_path)
    follower.look()
    monkeypatch.setattr(module, "PER_LINE", 4)
    feed = Feed(follower, Selection.of(None, ["accuracy"]))
    (points,) = told(feed)["points"]
    assert (points["stride"], points["steps"]) == (3, [0, 3, 6, 9, 11])
    recording.write(12, 13)
    follower.look()
    (points,) = told(feed)["points"]
    assert points["steps"] == [12, 13], "what is new is told in full"


def test_many_lines_share_the_points(tmp_path: Path, writer: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        writer(tmp_path / name).write(*range(60))
    follower = FolderFollower(tmp_path)
    while follower.look():
        pass
    monkeypatch.setattr(module, "POINTS", 240)
    found = told(Feed(follower, Selection.of(None, ["accuracy"])))
    assert [points["stride"] for points in found["points"]] == [1, 1]
    found = told(Feed(follower, Selection.of(None, ["accuracy", "node_strength.mean"])))
    assert [points["stride"] for points in found["points"]] == [2, 2]


def test_a_run_that_begins_anew_is_told_anew(tmp_path: Path, writer: Callable) -> None:
    recording = writer(tmp_path / "a").write(0, 1)
    follower = FolderFollower(tmp_path)
    follower.look()
    feed = Feed(follower, Selection())
    told(feed)
    recording.write(1, accuracy=0.25)
    while follower.look():
        pass
    (points,) = told(feed)["points"]
    assert (points["reset"], points["steps"], points["lines"][3][2]) == (True, [0, 1], [0.5, 0.25])


def test_numbers_that_are_not_finite_are_text_in_rows_and_gaps_in_lines(tmp_path: Path, writer: Callable) -> None:
    writer(tmp_path / "a").write(0, accuracy=float("nan"), loss=float("inf"))
    follower = FolderFollower(tmp_path, rules=[AlertRule.parse("loss > 1"), AlertRule.parse("accuracy == nan")])
    follower.look()
    found = told(Feed(follower, Selection.of(None, ["accuracy", "loss"])))
    assert found["runs"][0]["score"] == "nan"
    assert found["points"][0]["lines"] == [["accuracy", "", [None]], ["loss", "", [None]]]
    assert sorted(alert["value"] for alert in found["alerts"]) == ["inf", "nan"]


def test_a_feed_stops_in_time_and_goes_on(tmp_path: Path, writer: Callable) -> None:
    for name in ("a", "b"):
        writer(tmp_path / name).write(0)
    follower = FolderFollower(tmp_path)
    follower.look()
    feed = Feed(follower, Selection())
    assert [name for name, _ in feed.events(0.0)].count("points") == 1
    assert [name for name, _ in feed.events(0.0)] == ["points"]
    assert feed.events(0.0) == []


@pytest.mark.parametrize("runs", ["", "a", "-1", "0-999999999", f"0-{10**30}", "1;2", "3-x"])
def test_what_is_no_list_of_runs_is_refused(runs: str) -> None:
    with pytest.raises(ValueError, match=r"invalid literal|too many"):
        Selection.of(runs, [])
