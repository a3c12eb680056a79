"""Opening a recorded run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import RunError
from axonometry.program import NeuralGraph, capture
from axonometry.trajectory import Recorder, Trajectory, load
from tests.trajectory.conftest import Small


@pytest.fixture
def folder(tmp_path: Path, small: Small, example: Tensor) -> Path:
    """A run of three steps with different weights; the second without an accuracy."""
    with Recorder(tmp_path / "run", small, example, configuration={"lr": 0.1}) as recording:
        for step, scalars in (
            (-5, {"loss": 3.0, "accuracy": 0.1}),
            (0, {"loss": 2.0}),
            (100, {"loss": 1.0, "accuracy": 0.3}),
        ):
            nn.init.constant_(small.head.weight, float(step))
            recording.record(step, **scalars)
    return tmp_path / "run"


def test_what_a_run_says_of_itself(folder: Path, graph: NeuralGraph) -> None:
    run = load(str(folder))
    assert run.steps == (-5, 0, 100)
    assert (run.groups, run.synapses, run.wires, run.coverage) == (
        graph.groups,
        graph.synapses,
        graph.wires,
        graph.coverage,
    )
    assert run.configuration == {"lr": 0.1}
    assert run.complete
    assert repr(run) == f"Trajectory({folder}, 3 steps, -5 to 100, finished)"


def test_the_public_names_are_these() -> None:
    assert ax.load is load
    assert ax.Recorder is Recorder
    assert ax.Trajectory is Trajectory


def test_metrics_are_tidy(folder: Path) -> None:
    frame = load(folder).metrics
    assert frame.columns.tolist() == ["step", "group", "metric", "statistic", "value"]
    assert frame["step"].is_monotonic_increasing
    assert frame["value"].dtype == np.float64
    assert not frame.duplicated(["step", "group", "metric", "statistic"]).any()
    head = frame.query("group == 'head' and metric == 'link_weights' and statistic == 'mean'")
    assert head["value"].tolist() == [-5.0, 0.0, 100.0]


def test_scalars_are_wide_with_a_row_for_every_step(folder: Path) -> None:
    wide = load(folder).scalars()
    assert wide.columns.tolist() == ["loss", "accuracy"], "in the order they came"
    assert wide.index.tolist() == [-5, 0, 100]
    assert wide.index.name == "step"
    assert wide["loss"].tolist() == [3.0, 2.0, 1.0]
    assert np.isnan(wide.loc[0, "accuracy"])


def test_a_run_without_scalars_or_steps(tmp_path: Path, small: Small, example: Tensor) -> None:
    with Recorder(tmp_path / "run", small, example, measures=()) as recording:
        empty = load(tmp_path / "run")
        recording.record(3)
    assert empty.steps == ()
    assert empty.metrics.empty
    assert empty.scalars().shape == (0, 0)
    assert repr(empty) == f"Trajectory({tmp_path / 'run'}, no step, interrupted)"
    run = load(tmp_path / "run")
    assert run.scalars().shape == (1, 0)
    assert run.metrics.empty


def test_snapshots_are_a_mapping_read_when_asked_for(folder: Path, small: Small) -> None:
    snapshots = load(folder).snapshots
    assert list(snapshots) == [-5, 0, 100]
    assert len(snapshots) == 3
    assert 0 in snapshots
    assert 7 not in snapshots
    assert list(snapshots[0]) == list(small.state_dict())
    assert snapshots[100]["head.weight"].unique().tolist() == [100.0]
    with pytest.raises(RunError, match=r"no weights at step 7\. The steps are: -5, 0, 100"):
        snapshots[7]
    (folder / "snapshots" / "0.safetensors").write_bytes(b"")
    assert snapshots[-5] is not None, "only what is asked for is read"
    with pytest.raises(RunError, match=r"corrupt file: .*0\.safetensors: "):
        snapshots[0]


def test_a_tied_weight_has_both_its_names(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 3, bias=False))
    model[2].weight = model[0].weight
    with Recorder(tmp_path / "run", model, torch.zeros(1, 3)) as recording:
        recording.record(0)
        before = model[0].weight.detach().clone()
        nn.init.zeros_(model[0].weight)
        recording.restore()
    assert torch.equal(model[0].weight, before)
    assert model[0].weight is model[2].weight
    snapshot = load(tmp_path / "run").snapshots[0]
    assert torch.equal(snapshot["0.weight"], snapshot["2.weight"])
    assert load(tmp_path / "run", model, torch.zeros(1, 3)).graph(0).n_links == 18


def test_the_graph_at_a_step(folder: Path, example: Tensor) -> None:
    torch.manual_seed(77)
    run = load(folder, Small(), example)  # a module with other weights: only its code counts
    for step in (100, -5):
        weight = run.graph(step).kernel("head").weight
        assert weight.unique().tolist() == [float(step)]
    graph, expected = run.graph(0), capture(Small(), example).at(run.snapshots[0])
    found, other = graph @ graph.ones(), expected @ expected.ones()
    assert all(torch.equal(found[name], other[name]) for name in found)
    with pytest.raises(RunError, match=r"no weights at step 1\. "):
        run.graph(1)


def test_the_graph_needs_the_module_and_the_right_one(folder: Path, example: Tensor) -> None:
    with pytest.raises(RunError, match=r"was loaded without its module, which a graph needs\. Load it with: "):
        load(folder).graph(0)
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 5))
    with pytest.raises(RunError, match=r"the module is not the one recorded in .*recorded groups are: input, conv1"):
        load(folder, other, example).graph(0)


def test_a_run_under_way_is_read_as_it_was_when_opened(tmp_path: Path, small: Small, example: Tensor) -> None:
    with Recorder(tmp_path / "run", small, example, measures=()) as recording:
        recording.record(0, loss=2.0)
        run = load(tmp_path / "run")
        recording.record(1, loss=1.0)
    assert run.steps == (0,)
    assert run.scalars()["loss"].tolist() == [2.0], "also when the recorder was closed in between"
    assert load(tmp_path / "run").steps == (0, 1)


def test_reading_writes_nothing(folder: Path, example: Tensor) -> None:
    def state() -> dict[Path, tuple[int, bytes]]:
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}

    before = state()
    run = load(folder, Small(), example)
    run.metrics, run.scalars(), run.graph(0), dict(run.snapshots)
    assert state() == before


def test_a_run_holds_no_code(folder: Path) -> None:
    """The promise of load: safe to open whoever wrote it. Only these kinds of files are read."""
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds == {".json", ".parquet", ".safetensors"}
