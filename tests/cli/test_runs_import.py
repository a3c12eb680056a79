"""Trainings that another tool logged become runs; what cannot be read is named, and the rest goes on."""

from __future__ import annotations

from pathlib import Path

import axonometry as ax


def table(path: Path, name: str = "val_acc") -> Path:
    path.write_text(f"step,loss,val_loss,{name}\n0,3,2.5,0.1\n1,2,2.25,0.5\n")
    return path


def test_tables_become_runs(run, tmp_path: Path) -> None:
    paths = [table(tmp_path / "a.csv"), table(tmp_path / "b.csv")]
    outcome = run("runs", "import", *paths, "--folder", tmp_path / "runs", "--json")
    assert outcome.code == 0
    assert [(row["run"], row["steps"], row["accuracy"], row["state"]) for row in outcome.json["runs"]] == [
        ("a", 2, 0.5, "finished"),
        ("b", 2, 0.5, "finished"),
    ]
    assert ax.load(tmp_path / "runs/b").scalars().iloc[1].to_dict() == {
        "train_loss": 2.0,
        "loss": 2.25,
        "accuracy": 0.5,
    }


def test_names_are_told(run, tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "top1")
    refused = run("runs", "import", path, "--folder", tmp_path / "runs")
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "scalar `accuracy`" in refused.err
    assert run("runs", "import", path, "--folder", tmp_path / "runs", "--name", "top1").code == 2
    outcome = run("runs", "import", path, "--folder", tmp_path / "runs", "--name", "top1=accuracy")
    assert outcome.code == 0
    assert "1 run in" in outcome.out


def test_what_cannot_be_read_is_named(run, tmp_path: Path) -> None:
    good, bad = table(tmp_path / "a.csv"), tmp_path / "b.csv"
    bad.write_text("nothing")
    outcome = run("runs", "import", good, bad, tmp_path / "none.csv", "--folder", tmp_path / "runs")
    assert outcome.code == 3
    assert [line.startswith("Left out: ") for line in outcome.err.splitlines()[-2:]] == [True, True]
    assert "a" in outcome.out
    again = run("runs", "import", good, "--folder", tmp_path / "runs")
    assert again.code == 2
    assert "is not empty" in again.err


def test_exports_that_are_called_alike_have_their_folders_names_too(run, tmp_path: Path) -> None:
    for version in ("version_0", "version_1"):
        (tmp_path / version).mkdir()
        table(tmp_path / version / "metrics.csv")
    paths = sorted(tmp_path.glob("version_*/metrics.csv"))
    outcome = run("runs", "import", *paths, "--folder", tmp_path / "runs", "--json")
    assert outcome.code == 0
    assert [row["run"] for row in outcome.json["runs"]] == ["version_0-metrics", "version_1-metrics"]
