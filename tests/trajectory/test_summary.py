"""The temporal summary against numbers made by hand, and the movement of weights against their definition."""

from __future__ import annotations

from math import log10
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from axonometry.errors import RunError
from axonometry.trajectory import Recorder, load
from axonometry.trajectory.movement import weight_values
from axonometry.trajectory.summary import SummaryKey, snapshot_steps, temporal_summary


def frame(*, epochs: int = 3, scalar: bool = True) -> pd.DataFrame:
    """The mean is 10 times the epoch for the network, plus 1 and 2 for the groups; a step is 100 updates."""
    rows = []
    for epoch in range(epochs + 1):
        for group, shift in (("", 0.0), ("conv1", 1.0), ("fc", 2.0)):
            rows += [(100 * epoch, group, "channel_degree", "mean", 10.0 * epoch + shift)]
            rows += [(100 * epoch, group, "channel_degree", "count", 5.0)]
        rows += [(100 * epoch, group, "node_strength", "mean", value * epoch) for group, value in (("a", 1), ("b", 3))]
        rows += [(100 * epoch, "", "epoch", "value", float(epoch))] if scalar else []
    return pd.DataFrame(rows, columns=["step", "group", "metric", "statistic", "value"])


def test_names_and_numbers() -> None:
    summary = temporal_summary(frame(), ("channel_degree",), epochs=2, per_group=True)
    assert summary["channel_degree.mean@2"] == 20
    assert summary["channel_degree.conv1.mean@2"] == 21
    assert summary["channel_degree.fc.mean@2-0"] == 20
    assert len(summary) == 3 * 3 + 3 * 2
    network = temporal_summary(frame(), ("channel_degree",), epochs=1, changes=False)
    assert network.to_dict() == {"channel_degree.mean@0": 0, "channel_degree.mean@1": 10}


def test_a_measure_without_a_row_of_the_network_is_averaged() -> None:
    assert temporal_summary(frame(), ("node_strength",), epochs=1)["node_strength.mean@1"] == 2


def test_epochs_are_the_scalar_or_the_records() -> None:
    assert snapshot_steps(frame()) == snapshot_steps(frame(scalar=False)) == {0: 0, 1: 100, 2: 200, 3: 300}
    halves = frame().assign(value=lambda f: f["value"].where(f["metric"] != "epoch", f["value"] / 2))
    assert snapshot_steps(halves) == {0: 0, 1: 200}


def test_later_values_do_not_matter_and_what_is_not_finite_is_nan() -> None:
    changed = frame()
    changed.loc[changed["step"] == 300, "value"] = np.inf
    changed.loc[(changed["step"] == 300) & (changed["metric"] == "epoch"), "value"] = 3.0
    pd.testing.assert_series_equal(
        temporal_summary(frame(), ("channel_degree",), epochs=2),
        temporal_summary(changed, ("channel_degree",), epochs=2),
    )
    assert np.isnan(temporal_summary(changed, ("channel_degree",), epochs=3)["channel_degree.mean@3-0"])


def test_missing_epochs_and_measures_are_named() -> None:
    with pytest.raises(RunError, match=r"5 epochs needs a snapshot.*after 0, 1, 2, 3 epochs"):
        temporal_summary(frame(), ("channel_degree",), epochs=5)
    with pytest.raises(RunError, match="without channel_centrality"):
        temporal_summary(frame(), epochs=2)


def test_movement_by_its_definition(tmp_path: Path) -> None:
    network = nn.Linear(3, 2, bias=False)
    weights = [torch.randn(2, 3) for _ in range(3)]
    with Recorder(tmp_path, network, torch.zeros(1, 3)) as recorder:
        for step, weight in enumerate(weights):
            network.weight.data.copy_(weight)
            recorder.record(step)
    values = weight_values(load(tmp_path), 2)
    first, before, now = (weight.double().numpy() for weight in weights)
    norm, top = np.linalg.norm, lambda matrix: np.linalg.norm(matrix, 2)
    expected = {
        "distance": log10(norm(now - first) / norm(first)),
        "step": log10(norm(now - before) / norm(before)),
        "growth": log10(norm(now) / norm(first)),
        "turn": ((now - before) * (before - first)).sum() / norm(now - before) / norm(before - first),
        "rank": norm(now - first) ** 2 / top(now - first) ** 2,
        "top": log10(top(now) / top(first)),
    }
    for group in ("weight", ""):
        found = {name: values[SummaryKey("movement", group, name, 2)] for name in expected}
        assert found == pytest.approx(expected, rel=1e-5)
    assert values[SummaryKey("parameter", "weight", "p25", 2)] == pytest.approx(np.percentile(now, 25))
    assert values[SummaryKey("parameter", "weight", "variance", 2)] == pytest.approx(now.var())
