"""Modes and rank gradients recorded while a network trains, and added afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import axonometry as ax
from axonometry.trajectory.remeasure import remeasure

NAMES = ["neuron_modes", "rank_gradient", "linear_truncation"]
SAMPLES, LABELS = torch.linspace(-1, 1, 150).reshape(30, 5).sin(), torch.arange(30) % 3


def test_recorded_and_measured_again(tmp_path: Path) -> None:
    network, example = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)), torch.zeros(1, 5)
    loader = DataLoader(TensorDataset(SAMPLES, LABELS), batch_size=7)
    optimiser = torch.optim.SGD(network.parameters(), 0.5)
    with (
        ax.Recorder(tmp_path / "with", network, example, measures=NAMES, samples=loader) as first,
        ax.Recorder(tmp_path / "without", network, example, measures=["node_strength"]) as second,
    ):
        for step in range(3):
            first.record(step)
            second.record(step)
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(SAMPLES), LABELS).backward()
            optimiser.step()
    recorded = ax.load(tmp_path / "with", network, example)
    table = recorded.metrics.set_index(["step", "metric", "group", "statistic"])["value"]
    graph = recorded.graph(1)
    assert table[1, "neuron_modes", "0", "rate"] == pytest.approx(
        ax.neuron_modes(graph, SAMPLES)["0"].summary()["rate"]
    )
    assert table[1, "rank_gradient", "0", "mean"] == pytest.approx(
        ax.rank_distribution(graph, SAMPLES, LABELS)["0"].mean
    )
    again = remeasure(ax.load(tmp_path / "without", network, example), NAMES, samples=loader).metrics
    again = again.set_index(["step", "metric", "group", "statistic"])["value"]
    assert again[NAMES[0] == again.index.get_level_values("metric")].notna().all()
    for index, value in table.items():
        assert again[index] == pytest.approx(value, rel=1e-6), index
