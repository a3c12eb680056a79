"""Pages, and `analyze` of a run: numbers beside the first step's and those of shuffled weights."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.cli import main
from axonometry.metrics import weight_spreads
from axonometry.report import Table, run_page
from axonometry.report.references import fluctuation_rows, weight_rows
from axonometry.trajectory.network import graph_of_network


class Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which the first layer's outputs come to differ."""
    torch.manual_seed(0)
    folder, model = tmp_path_factory.mktemp("runs") / "one", Net()
    with ax.Recorder(folder, model, torch.zeros(1, 20)) as recorder:
        for step in range(3):
            recorder.record(step, accuracy=0.1 * step)
            with torch.no_grad():
                model[0].weight += torch.linspace(-1, 1, 16)[:, None]
    return folder


def tables(page: object) -> dict[str, Table]:
    return {block.title: block for tab in page.tabs for block in tab.blocks if isinstance(block, Table)}  # type: ignore[attr-defined]


def test_weights_stand_beside_the_first_step_and_shuffled_ones(folder: Path) -> None:
    run = ax.load(folder)
    first, second = weight_rows(run)
    assert (first["synapse"], second["synapse"]) == ("0", "2")
    assert first["rows_z"] > 5
    assert abs(second["rows_z"]) < 3
    then = weight_spreads(run.snapshots[0]["0.weight"])
    assert first["rows_before"] == then["rows_spread"]
    table = tables(run_page(run))["Sums of weights beside their references"]
    assert table.columns[1:5] == ("rows: spread", "rows: at step 0", "rows: shuffled", "rows: z")
    assert table.rows[0][4] == first["rows_z"]


def test_fluctuation_stands_beside_the_first_step_and_with_the_network_beside_shuffled_weights(folder: Path) -> None:
    run = ax.load(folder)
    alone = tables(run_page(run))["Layer fluctuation beside its references"]
    assert alone.columns == ("layer", "fluctuation", "at step 0")
    graph = ax.capture(Net(), torch.zeros(1, 20))
    rows = {row["layer"]: row for row in fluctuation_rows(run, graph)}
    assert rows["0"]["before"] == pytest.approx(ax.layer_fluctuation(graph.at(run.snapshots[0]))["0"])
    assert rows["0"]["fluctuation"] == pytest.approx({row[0]: row[1] for row in alone.rows}["0"], rel=1e-5)
    assert rows["0"]["z"] > 5
    whole = tables(run_page(run, network=graph))["Layer fluctuation beside its references"]
    assert whole.columns == ("layer", "fluctuation", "at step 0", "weights shuffled", "z")


def test_moments_at_the_last_step_stand_beside_those_at_the_first(folder: Path) -> None:
    run = ax.load(folder)
    table = tables(run_page(run))["Link weights at step 2"]
    then = dict(zip((row[0] for row in table.rows), (row[table.columns.index("std at step 0")] for row in table.rows)))
    assert then["0"] == pytest.approx(float(run.snapshots[0]["0.weight"].std(correction=0)), rel=1e-5)


def with_example() -> tuple[nn.Module, torch.Tensor]:
    """As checkpoints take it."""
    return Net(), torch.zeros(1, 20)


def test_a_function_that_gives_an_example_beside_the_network_serves_runs_too(folder: Path) -> None:
    found, plain = (graph_of_network(ax.load(folder), f"{Path(__file__)}:{name}") for name in ("with_example", "Net"))
    assert (found.groups, found.synapses) == (plain.groups, plain.synapses)


def test_analyze_shows_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = f"{Path(__file__)}:Net"
    assert main(["analyze", str(folder), "--network", place, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    by_layer = {row["layer"]: row for row in found["references"]["fluctuation"]}
    assert by_layer["0"]["z"] > 5
    assert found["references"]["weights"][0]["rows_z"] > 5
    assert main(["analyze", str(folder), "--network", place]) == 0
    shown = capsys.readouterr().out
    assert "shuffled" in shown
    assert "before (first step)" in shown


def test_a_run_without_weights_has_the_first_step_alone(tmp_path: Path) -> None:
    model = Net()
    with ax.Recorder(tmp_path / "bare", model, torch.zeros(1, 20), keep_weights=False) as recorder:
        recorder.record(0)
        recorder.record(1)
    run = ax.load(tmp_path / "bare")
    assert weight_rows(run) == []
    assert [row["shuffled"] for row in fluctuation_rows(run, ax.capture(model, torch.zeros(1, 20)))] == [None] * 3
