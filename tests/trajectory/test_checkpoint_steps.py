"""Folders of checkpoints as runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import CheckpointError, ConfigurationError, RunError
from axonometry.report.analysis import run_page
from axonometry.trajectory import Recorder, remeasure
from tests.trajectory.conftest import Small


@pytest.fixture
def both(tmp_path: Path, small: Small, example: Tensor) -> tuple[Path, Path]:
    """One training, recorded and saved by hand as checkpoints under a wrapper's names."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    with Recorder(tmp_path / "run", small, example) as recorder:
        for step in (0, 20, 100):
            with torch.no_grad():
                small.head.weight += step
            recorder.record(step)
            state = {f"module.{name}": tensor for name, tensor in small.state_dict().items()}
            torch.save({"state_dict": state, "optimizer": {"lr": 0.1}}, folder / f"model_{step}.pt")
    return tmp_path / "run", folder


def test_checkpoints_are_the_run_that_a_recorder_would_have_written(
    both: tuple[Path, Path], small: Small, example: Tensor
) -> None:
    recorded, found = ax.load(both[0], small, example), ax.load_checkpoints(both[1], small, example)
    assert (found.steps, found.state, found.groups) == (recorded.steps, "finished", recorded.groups)
    expected, frame = recorded.metrics, found.metrics
    assert frame.columns.tolist() == expected.columns.tolist()
    assert frame[["step", "group", "metric", "statistic"]].equals(expected[["step", "group", "metric", "statistic"]])
    np.testing.assert_allclose(frame["value"], expected["value"])
    for step in found.steps:
        strength = ax.node_strength(found.graph(step))
        for group, values in ax.node_strength(recorded.graph(step)).items():
            torch.testing.assert_close(strength[group], values)


def test_what_is_for_runs_is_for_them_too(both: tuple[Path, Path], small: Small, example: Tensor) -> None:
    run, recorded = ax.load_checkpoints(both[1], small, example), ax.load(both[0])
    measures = ("layer_fluctuation", "node_strength")
    expected = ax.temporal_summary(recorded, measures, epochs=2)
    for name, value in ax.temporal_summary(run, measures, epochs=2).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6)
    assert "20" in run_page(run, network=run.graph(0)).html()
    assert run.reloaded() is run
    assert len(run.scalars()) == 3
    with pytest.raises(RunError, match=r"a run's own table, and .* Name all of them when it is opened"):
        remeasure(run, "weighted_degree")


def test_without_the_network_each_tensor_is_a_group(both: tuple[Path, Path], small: Small) -> None:
    run = ax.load_checkpoints(both[1])
    rows = run.metrics.query("group == 'module.head.weight' and statistic == 'mean'")
    start = float(small.head.weight.detach().mean()) - 120
    np.testing.assert_allclose(rows["value"], [start, start + 20, start + 120], atol=1e-3)
    with pytest.raises(RunError, match="was loaded without its module, which a graph needs"):
        run.graph(0)


def test_steps_are_told_apart_by_their_names(tmp_path: Path) -> None:
    layer = nn.Linear(2, 1)
    for name in ("checkpoint-500", "checkpoint-1000"):
        (tmp_path / name).mkdir()
        save_file(layer.state_dict(), tmp_path / name / "model.safetensors")
        torch.save({"state": {}}, tmp_path / name / "optimizer.pt")
    run = ax.load_checkpoints(tmp_path, layer, torch.zeros(1, 2))
    assert run.steps == (500, 1000)
    with pytest.raises(RunError, match=r"no weights at step 3; got|no weights at step 3"):
        run.snapshots[3]
    (tmp_path / "step-500").mkdir()
    save_file(layer.state_dict(), tmp_path / "step-500" / "model.safetensors")
    with pytest.raises(RunError, match="each checkpoint of a run is another step; got checkpoint-500 and step-500"):
        ax.load_checkpoints(tmp_path)


def test_names_without_steps_count(tmp_path: Path) -> None:
    for name in ("a", "b"):
        torch.save(nn.Linear(2, 1).state_dict(), tmp_path / f"{name}.pt")
    assert ax.load_checkpoints(tmp_path).steps == (0, 1)


def test_a_corrupt_step_is_told_when_it_is_read(both: tuple[Path, Path], small: Small, example: Tensor) -> None:
    file = both[1] / "model_100.pt"
    file.write_bytes(file.read_bytes()[:-200])
    run = ax.load_checkpoints(both[1], small, example)
    assert run.snapshots[20]["module.head.weight"].shape == small.head.weight.shape
    with pytest.raises(CheckpointError, match=r"corrupt file: .*model_100\.pt"):
        _ = run.metrics


def test_what_cannot_be_opened(tmp_path: Path, both: tuple[Path, Path], small: Small, example: Tensor) -> None:
    graph = ax.capture(small, example)
    with pytest.raises(ConfigurationError, match="pass either a module or a graph; got both"):
        ax.load_checkpoints(both[1], small, example, graph=graph)
    with pytest.raises(ConfigurationError, match="pass either example inputs or a graph; got neither"):
        ax.load_checkpoints(both[1], small)
    with pytest.raises(CheckpointError, match="a sequence is two checkpoints or more"):
        ax.load_checkpoints(both[1] / "model_0.pt")
    assert ax.load_checkpoints(both[1], graph=graph).graph(20).groups == graph.groups
