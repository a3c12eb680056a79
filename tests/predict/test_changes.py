"""Changes since the start, by relative depth: by hand, whatever the depth, and from a recorded run."""

from __future__ import annotations

from math import log10
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.predict.changes import DEPTHS, QUANTITIES, change_values
from axonometry.predict.feature_sets import columns_for
from axonometry.predict.features import run_features
from axonometry.trajectory.summary import SummaryKey


def kernels(values: list[float], quantity: str, epoch: int = 1) -> dict[SummaryKey, float]:
    ranks = {SummaryKey("movement", f"fc{n}.weight", "rank", epoch): 10.0 for n in range(len(values))}
    return ranks | {SummaryKey("movement", f"fc{n}.weight", quantity, epoch): v for n, v in enumerate(values)}


def test_readings_along_the_depth_by_hand() -> None:
    found = change_values(kernels([0.1, 0.4, 0.4, 0.7], "growth"), 1)
    names = ("average", "least", "greatest", "slope", "depth0", "depth25", "depth50", "depth75", "depth100")
    # At depth 1/4 a layer lies at 1/3: 0.1 + 0.75 * 0.3. The slope: sum of (x - 1/2) y over that of its squares, 5/9.
    expected = (0.4, 0.1, 0.7, (0.5 * 0.6) / (5 / 9), 0.1, 0.325, 0.4, 0.475, 0.7)
    assert [found[f"changes.growth.{name}@1"] for name in names] == pytest.approx(expected)
    assert len(found) == len(QUANTITIES) * (4 + len(DEPTHS)) == 63


def test_a_network_twice_as_deep_with_the_same_profile_reads_the_same() -> None:
    short = change_values(kernels([0.0, 0.5, 1.0], "distance"), 1)
    deep = change_values(kernels([0.0, 0.25, 0.5, 0.75, 1.0], "distance"), 1)
    for name in ("average", "least", "greatest", "slope", "depth0", "depth25", "depth50", "depth75", "depth100"):
        assert short[f"changes.distance.{name}@1"] == pytest.approx(deep[f"changes.distance.{name}@1"])


def test_one_layer_and_none() -> None:
    one = change_values(kernels([0.3], "step"), 1)
    assert one["changes.step.slope@1"] == 0
    assert one["changes.step.depth75@1"] == 0.3
    assert np.isnan(list(change_values({}, 1).values())).all()


def test_what_is_of_the_graph_is_relative_to_the_start() -> None:
    levels = {("node_strength", "std"): (2.0, 20.0), ("channel_degree", "mean"): (4.0, 1.0)}
    values = {
        SummaryKey(measure, group, statistic, epoch): of[epoch] * scale
        for (measure, statistic), of in levels.items()
        for group, scale in (("a", 1.0), ("b", 7.0), ("", 100.0))
        for epoch in (0, 1)
    }
    found = change_values(values, 1)
    assert found["changes.fluctuation.average@1"] == pytest.approx(1.0)
    assert found["changes.degree.slope@1"] == pytest.approx(0.0)
    assert found["changes.degree.depth50@1"] == pytest.approx(log10(1 / 4))


def test_biases_and_what_is_not_finite_are_left_out() -> None:
    values = kernels([0.2, float("nan")], "growth") | {SummaryKey("movement", "fc0.bias", "growth", 1): 9.0}
    assert change_values(values, 1)["changes.growth.greatest@1"] == 0.2
    assert change_values(values | {SummaryKey("movement", "", "rank", 1): 1e9}, 1)["changes.rank.greatest@1"] == 1.0


def test_of_a_recorded_run(tmp_path: Path) -> None:
    """Weights times ten: growth, top, fluctuation and degree are 1 in every layer, and 9/10 of that is distance."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, 3, bias=False))
    measures = ("channel_degree", "node_strength")
    with ax.Recorder(tmp_path / "run", network, torch.zeros(1, 4), measures=measures) as recorder:
        recorder.record(0, accuracy=0.1)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(10)
        recorder.record(1, accuracy=0.2)
    run = ax.load(tmp_path / "run")
    row = run_features(run, 1, per_group=True, features="changes")
    assert {name.split(".")[0] for name in row} == {"epochs", "changes"}
    for quantity, value in (("growth", 1.0), ("top", 1.0), ("distance", log10(9)), ("fluctuation", 1.0)):
        assert row[f"changes.{quantity}.depth50@1"] == pytest.approx(value, abs=1e-5)
    assert row["changes.degree.average@1"] > 0.5
    assert columns_for(row, "changes", 1) == [[name for name in row if name != "epochs"]]
    whole = run_features(run, 1, per_group=False, features="changes")
    assert whole == row
