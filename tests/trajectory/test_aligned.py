"""Averages over seeds, neuron by neuron: permuted copies of a run average to the run itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import RunError
from axonometry.program import NeuralGraph
from axonometry.trajectory import Trajectory, aligned_series
from tests.trajectory.conftest import Small

STEPS = 3


def recorded(folder: Path, states: list[dict[str, Tensor]], example: Tensor) -> Trajectory:
    module = Small()
    with ax.Recorder(folder, module, example) as recorder:
        for step, state in enumerate(states):
            module.load_state_dict(state)
            recorder.record(step)
    return ax.load(folder, module, example)


def trained(seed: int) -> list[dict[str, Tensor]]:
    """States as of a training: each a little further from the first."""
    torch.manual_seed(seed)
    start, end = Small().state_dict(), Small().state_dict()
    return [
        {name: t + 0.2 * i * end[name] if t.is_floating_point() else t for name, t in start.items()}
        for i in range(STEPS)
    ]


def test_permuted_copies_average_to_the_original(tmp_path: Path, graph: NeuralGraph, example: Tensor) -> None:
    original, found = trained(0), ax.permutations(graph)
    runs = [recorded(tmp_path / "0", original, example)]
    for seed in (1, 2):
        exchange = found.random(seed)
        copies = [ax.permute(state, graph, exchange) for state in original]
        runs.append(recorded(tmp_path / str(seed), copies, example))
    series = aligned_series(runs, ax.node_strength)
    assert series.steps == (0, 1, 2)
    assert [folder.name for folder in series.folders] == ["0", "1", "2"]
    mean, spread = series.mean(), series.spread()
    for step, state in enumerate(original):
        expected = ax.node_strength(graph.at(state))
        for name in expected:
            assert series.values[name].shape == (3, STEPS, *expected[name].shape)
            torch.testing.assert_close(mean[name][step], expected[name])
            assert float(spread[name][step].max()) < 1e-4
    unmoved = torch.stack([ax.node_strength(run.graph(2))["hidden"] for run in runs]).std(0)
    assert float(unmoved.max()) > 0.1, "the copies differ as they were recorded"


def test_mean_and_spread_are_over_runs(tmp_path: Path, example: Tensor) -> None:
    runs = [recorded(tmp_path / str(seed), trained(seed), example) for seed in (0, 5)]
    series = aligned_series(runs, ax.node_strength)
    values = series.values["head"]
    torch.testing.assert_close(series.mean()["head"], (values[0] + values[1]) / 2)
    torch.testing.assert_close(series.spread()["head"], (values[0] - values[1]).abs() / 2**0.5)
    torch.testing.assert_close(values[0, 2], ax.node_strength(runs[0].graph(2))["head"])
    assert aligned_series(runs[:1], ax.node_strength).spread()["head"].isnan().all()


def test_runs_that_cannot_be_averaged_are_refused(tmp_path: Path, example: Tensor) -> None:
    run = recorded(tmp_path / "0", trained(0), example)
    with pytest.raises(RunError, match="an average over seeds is of one run or more; got none"):
        aligned_series([], ax.node_strength)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with ax.Recorder(tmp_path / "other", net, example) as recorder:
        recorder.record(0)
    with pytest.raises(RunError, match=r"of one architecture; got .*other, whose network is not that of"):
        aligned_series([run, ax.load(tmp_path / "other", net, example)], ax.node_strength)
    with ax.Recorder(tmp_path / "light", Small(), example, keep_weights=False) as recorder:
        recorder.record(0)
    with pytest.raises(RunError, match="of which all have weights; got 0 with 3, light with 0"):
        aligned_series([run, ax.load(tmp_path / "light", Small(), example)], ax.node_strength)
