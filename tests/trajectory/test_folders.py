"""Finding and opening the runs of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import RunError
from axonometry.trajectory import folders
from axonometry.trajectory.folders import run_folders

EXAMPLE = torch.zeros(1, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three runs, two of them in subfolders, one of which was not finished; a file and an empty folder beside them."""
    model = nn.Linear(3, 2)
    graph = ax.capture(model, EXAMPLE)
    for name in ("b", "deep/er/c", "a"):
        with ax.Recorder(tmp_path / name, model, graph=graph, measures="link_weights") as recorder:
            recorder.record(0, accuracy=0.5)
    recorder = ax.Recorder(tmp_path / "open", model, graph=graph, measures="link_weights")
    recorder.record(0)
    recorder.__exit__(KeyboardInterrupt, None, None)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_all_runs_below_a_folder_are_opened_in_alphabetical_order(folder: Path) -> None:
    runs = ax.load_runs(folder)
    assert [str(run.folder.relative_to(folder)) for run in runs] == ["a", "b", "deep/er/c", "open"]
    assert [run.state for run in runs] == ["finished", "finished", "finished", "interrupted"]
    assert ax.load_runs(str(folder / "deep"))[0].scalars()["accuracy"].tolist() == [0.5]


def test_a_run_is_a_folder_of_one_run(folder: Path) -> None:
    assert run_folders(folder / "a") == [folder / "a"]
    (folder / "a" / "inside").mkdir()
    (folder / "a" / "inside" / "run.json").touch()
    assert run_folders(folder / "a") == [folder / "a"], "a run holds no runs"


def test_what_is_missing_is_said(folder: Path) -> None:
    with pytest.raises(RunError, match=r"^no such folder: .*absent\. Check the path\.$"):
        ax.load_runs(folder / "absent")
    with pytest.raises(RunError, match=r"^no such folder: .*notes\.txt\. Check the path\.$"):
        ax.load_runs(folder / "notes.txt")
    with pytest.raises(RunError, match=r"^no runs in .*empty\. Train some with: axonometry runs train\.$"):
        ax.load_runs(folder / "empty")
    (folder / "b" / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"^corrupt file: .*b.run\.json: "):
        ax.load_runs(folder)


def test_a_run_is_running_while_its_recorder_is_open(tmp_path: Path) -> None:
    with ax.Recorder(tmp_path / "run", nn.Linear(3, 2), EXAMPLE) as recorder:
        recorder.record(0)
        run = ax.load(tmp_path / "run")
        assert run.state == "running"
        assert repr(run) == f"Trajectory({tmp_path / 'run'}, 1 steps, 0 to 0, running)"
    assert run.state == "interrupted", "as it was described when it was loaded"
    assert run.reloaded().state == "finished"


def test_a_walk_through_folders_without_runs_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MOST_FOLDERS", 5)
    for number in range(4):
        (tmp_path / str(number)).mkdir()
    assert folders.runs_in(tmp_path) == []
    (tmp_path / "3" / "inner").mkdir()
    with pytest.raises(RunError, match="at most 5 folders that are none; got more in"):
        folders.runs_in(tmp_path)
