"""Phases on pages: a jump of the weights is where it was made, z and rank stand beside values, short runs have none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from axonometry.populations import load_population
from axonometry.report.page import Figure, Prose, Table
from axonometry.report.phases import null_blocks, phases_blocks
from axonometry.report.population import population_page
from axonometry.trajectory import Recorder, Trajectory, load

pytest.importorskip("ruptures")
JUMP, STEPS = 14, 24


def recorded(folder: Path, *, steps: int = STEPS, null: int | None = None) -> Trajectory:
    """Weights that wander about one level, and about three times that from the jump on."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    start = [p.detach().clone() for p in model.parameters()]
    with Recorder(
        folder, model, torch.zeros(1, 6), measures=("link_weights", "layer_fluctuation"), null=null
    ) as recorder:
        for step in range(steps):
            with torch.no_grad():
                for p, begin in zip(model.parameters(), start, strict=True):
                    p.copy_(begin * (3 if step >= JUMP else 1) + 0.01 * torch.randn(p.shape))
            recorder.record(step, accuracy=0.5 + 0.01 * float(torch.rand(())))
    return load(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    recorded(place / "long", null=3)
    return place


def test_a_jump_of_the_weights_is_found_where_it_was_made(folder: Path) -> None:
    table, figure = phases_blocks([load(folder / "long")])
    assert isinstance(table, Table)
    assert table.rows == (("long", str(JUMP), "none"),)
    assert isinstance(figure, Figure)
    (panel,) = figure.panels
    assert [shape["x0"] for shape in panel.figure.layout.shapes] == [JUMP]


def test_z_and_rank_stand_beside_the_values(folder: Path, tmp_path: Path) -> None:
    run = load(folder / "long")
    (table,) = null_blocks(run)
    assert table.columns[3:] == ("value", "z", "rank")
    assert "3 draws of the null model 'shuffle'" in table.caption
    row = next(row for row in table.rows if row[:3] == ("layer fluctuation", "0", "value"))
    last = run.metrics[run.metrics["step"] == STEPS - 1].set_index(["metric", "group", "statistic"])["value"]
    found = [float(last["layer_fluctuation", "0", statistic]) for statistic in ("value", "value_z", "value_rank")]
    assert list(row[3:]) == pytest.approx(found)
    assert null_blocks(recorded(tmp_path / "plain", steps=2)) == ()


def test_short_runs_have_no_phases(tmp_path: Path) -> None:
    assert phases_blocks([recorded(tmp_path / "short", steps=5)]) == ()
    assert phases_blocks([]) == ()


def test_what_was_not_looked_at_is_said(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [load(folder / "long"), recorded(tmp_path / "short", steps=5)]
    table, _ = phases_blocks(runs)
    assert isinstance(table, Table)
    assert "Of 2 runs 1: those of 12 steps or more" in table.caption
    monkeypatch.setitem(sys.modules, "ruptures", None)
    (words,) = phases_blocks(runs)
    assert isinstance(words, Prose)
    assert "were not looked for: missing package: ruptures" in words.text


def test_the_page_of_a_population_has_them(folder: Path) -> None:
    page = population_page(load_population(folder))
    titles = [block.title for tab in page.tabs if tab.name == "Phases" for block in tab.blocks]
    assert titles == ["Change points", "Layer fluctuation and change points", "Against chance"]
    assert "Change points" in page.html()
