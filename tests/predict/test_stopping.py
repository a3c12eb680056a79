"""Stopping: both sides of the threshold, and nothing before the first whole epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.predict import StopBelow
from tests.predict.synthetic import record


@dataclass
class Stub:
    """Predicts one interval for every run."""

    low: float
    high: float
    asked: list[tuple[str, float]] = field(default_factory=list)

    def predict_interval(self, runs: list[ax.Trajectory], level: float = 0.5) -> pd.DataFrame:
        self.asked.append((runs[0].folder.name, level))
        return pd.DataFrame({"prediction": [(self.low + self.high) / 2], "low": [self.low], "high": [self.high]})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("runs") / "run", seed=0, epochs=1)


@pytest.mark.parametrize(
    ("low", "high", "stop"),
    [
        (0.2, 0.79, True),  # all of the interval lies below the threshold
        (0.2, 0.8, False),  # it reaches the threshold
        (0.2, 0.81, False),  # most of it lies below
        (0.81, 0.9, False),  # all of it lies above
        (0.7, float("nan"), False),
    ],
)
def test_a_run_is_stopped_where_all_of_its_interval_lies_below(run: Path, low: float, high: float, stop: bool) -> None:
    assert StopBelow(Stub(low, high), 0.8)(run) is stop


@pytest.mark.parametrize("level", [0.5, 0.99])
def test_the_level_is_passed_on(run: Path, level: float) -> None:
    stub = Stub(0.1, 0.2)
    assert StopBelow(stub, 0.8, level)(ax.load(run))
    assert stub.asked == [("run", level)]


def test_nothing_is_asked_before_the_first_whole_epoch(tmp_path: Path) -> None:
    stub = Stub(0.1, 0.2)
    stop = StopBelow(stub, 0.8)
    network, example = nn.Linear(2, 1), torch.zeros(1, 2)
    with ax.Recorder(tmp_path / "begun", network, example, measures=()) as recorder:
        assert not stop(recorder)
        recorder.record(0, accuracy=0.1)
        assert not stop(recorder)
        assert stub.asked == []
        recorder.record(1, accuracy=0.2)
        assert stop(recorder)
    assert stub.asked == [("begun", 0.9)]
