"""Measuring a recorded run again gives what measuring it while it trained would have given."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ConfigurationError, RunError
from axonometry.trajectory import remeasure, remeasure as again, store, tables

EXAMPLE = torch.zeros(1, 4)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def record(folder: Path, *, measures: tuple[str, ...], **choices: object) -> ax.Trajectory:
    model = network()
    with ax.Recorder(folder, model, EXAMPLE, measures=measures, **choices) as recorder:
        for step in range(3):
            recorder.record(step, accuracy=step / 3)
            with torch.no_grad():
                model[0].weight += 0.1
    return ax.load(folder, model, EXAMPLE)


def tidy(run: ax.Trajectory) -> pd.DataFrame:
    keys = ["step", "group", "metric", "statistic"]
    return run.metrics.sort_values(keys).reset_index(drop=True)


def test_equal_to_measuring_from_the_start(tmp_path: Path) -> None:
    late = remeasure(record(tmp_path / "late", measures=("link_weights",)), ("node_strength", "disparity"))
    early = record(tmp_path / "early", measures=("link_weights", "node_strength", "disparity"))
    pd.testing.assert_frame_equal(tidy(late), tidy(early))
    assert late.description.measures == early.description.measures
    assert late.scalars().equals(early.scalars())
    assert not ax.trajectory.verify(late.folder)


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    run = record(tmp_path / "run", measures=("node_strength",))
    before = (run.folder / tables.COMPACTED).stat().st_mtime_ns
    assert remeasure(run, "node_strength").metrics.equals(run.metrics)
    assert (run.folder / tables.COMPACTED).stat().st_mtime_ns == before


def test_a_kill_between_table_and_description_leaves_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record(tmp_path / "run", measures=("link_weights",))
    with monkeypatch.context() as patch:
        patch.setattr(store, "write_description", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt("now")))
        with pytest.raises(KeyboardInterrupt, match=r"^now$"):
            remeasure(run, "node_strength")
    whole = again(ax.load(run.folder, network(), EXAMPLE), "node_strength")
    early = record(tmp_path / "early", measures=("link_weights", "node_strength"))
    pd.testing.assert_frame_equal(tidy(whole), tidy(early))


def test_chosen_layers_stay_chosen(tmp_path: Path) -> None:
    run = record(tmp_path / "run", measures=("link_weights",), layers=("0",))
    groups = remeasure(run, "node_strength").metrics.query("metric == 'node_strength'")["group"]
    assert set(groups) == {"0"}


def test_what_cannot_be_measured_again(tmp_path: Path) -> None:
    run = record(tmp_path / "bare", measures=("link_weights",), keep_weights=False)
    with pytest.raises(RunError, match=r"bare kept no weights to measure\."):
        remeasure(run, "node_strength")
    with pytest.raises(ConfigurationError, match="unknown measure: beauty"):
        remeasure(run, "beauty")
    whole = record(tmp_path / "whole", measures=("link_weights",))
    other = ax.capture(nn.Linear(4, 2), EXAMPLE)
    with pytest.raises(RunError, match="the graph is not of the network recorded in "):
        remeasure(whole, "node_strength", other)
    with ax.Recorder(tmp_path / "open", network(), EXAMPLE) as recorder:
        recorder.record(0)
        with pytest.raises(RunError, match="one recorder"):
            remeasure(ax.load(tmp_path / "open"), "node_strength")
