"""``axonometry basins``: tables, JSON, page, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from axonometry.populations import RunConfiguration, train

if TYPE_CHECKING:
    from pathlib import Path

QUICK = ["--samples", "40", "--draws", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("basins")
    train(RunConfiguration(epochs=2, learning_rate=0.003), folder / "learned")
    return folder


def test_the_table(run, folder: Path) -> None:
    outcome = run("basins", folder, *QUICK)
    assert (outcome.code, outcome.err) == (0, "")
    assert "Noise amplitude at which accuracy falls to the threshold" in outcome.out
    (row,) = [line.split() for line in outcome.out.splitlines() if line.strip().startswith("learned")]
    assert len(row) == 10
    assert "By class, step 2" in outcome.out


def test_json_has_everything(run, folder: Path) -> None:
    rows = run("basins", folder / "learned", *QUICK, "--steps", "3", "--threshold", "0.4", "--json").json
    assert [row["step"] for row in rows] == [0, 1, 2]
    last = rows[-1]
    assert last["run"] == "learned"
    assert last["weights"]["threshold"] == 0.4
    assert len(last["samples"]["samples"]) == 40
    assert last["samples"]["network"]["reason"] == "accuracy falls to the threshold"
    assert last["samples"]["curves"][0]["amplitude"] == 0
    assert last["sharpness"]["value"] > 0
    again = run("basins", folder / "learned", *QUICK, "--steps", "3", "--threshold", "0.4", "--json").json
    assert again == rows


def test_remarks_are_notes_and_none_is_written_where_there_is_no_amplitude(run, folder: Path) -> None:
    outcome = run("basins", folder, *QUICK, "--threshold", "0.02")
    assert outcome.code == 0
    assert "learned: with 10 classes a guess is right 10% of the time" in outcome.err
    assert "none" in outcome.out


def test_a_page(run, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    page = tmp_path / "page.html"
    outcome = run("basins", folder, *QUICK, "--report", page)
    assert outcome.err == f"Wrote {page}\n"
    text = page.read_text(encoding="utf-8")
    assert "Plane through three samples" in text
    assert "Plane through three training steps" in text
    assert f"axonometry basins {folder} --samples 40" in text


def test_a_network_of_ones_own(run, tmp_path: Path) -> None:
    (tmp_path / "basins_own.py").write_text(
        "from torch import nn\ndef network():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    place, page = f"{tmp_path}/basins_own.py:network", tmp_path / "page.html"
    (found,) = run("basins", place, "--dataset", "digits", *QUICK, "--json").json
    assert (found["run"], found["step"]) == (place, 0)
    assert found["weights"]["network"]["n"] == 40
    outcome = run("basins", place, "--dataset", "digits", *QUICK, "--report", page)
    assert outcome.err == f"Wrote {page}\n"
    outcome = run("basins", place, *QUICK)
    assert (outcome.code, "--dataset" in outcome.err) == (2, True)


def test_what_is_refused(run, runs: Path, folder: Path) -> None:
    for words, line in (
        ([runs], "Error: "),
        ([folder / "learned", folder / "learned"], "two networks have the same name: learned"),
        ([folder / "nothing"], "no such folder: "),
        ([folder, "--threshold", "1"], "`threshold` is an accuracy above 0 and below 1"),
    ):
        outcome = run("basins", *words, *QUICK)
        assert outcome.code == 2
        assert line in outcome.err
        assert outcome.err.count("\n") == 1
