"""Measures of samples in recorded runs: what run.json notes, and that training does not notice."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import axonometry as ax
from axonometry.errors import ConfigurationError, RunError, SamplesError
from axonometry.trajectory import choices, remeasure

MEASURES = ("link_weights", "neuron_strength", "neuron_activation")
EXAMPLE = torch.zeros(1, 4)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Dropout(0.5), nn.Linear(3, 2))


def record(folder: Path, samples: Any, *, measures: tuple[str, ...] = MEASURES, **more: Any) -> list[Tensor]:
    """A run of three steps; what was drawn between them."""
    model = network()
    torch.manual_seed(1)
    drawn = []
    with ax.Recorder(folder, model, EXAMPLE, measures=measures, samples=samples, **more) as recorder:
        for step in range(3):
            recorder.record(step)
            drawn.append(torch.rand(2))
            with torch.no_grad():
                model[0].weight += 0.1
        assert model.training
    return drawn


def tidy(folder: Path) -> pd.DataFrame:
    keys = ["step", "group", "metric", "statistic"]
    return ax.load(folder).metrics.sort_values(keys).reset_index(drop=True)


def test_measures_of_samples_are_recorded_at_every_step(tmp_path: Path) -> None:
    samples, model = torch.rand(20, 4), network()
    record(tmp_path / "run", samples)
    table = tidy(tmp_path / "run").set_index(["metric", "step", "group", "statistic"])["value"]
    graph = ax.capture(model, EXAMPLE)
    first = ax.neuron_activation(graph, samples)
    assert table["neuron_activation", 0, "0", "mean"] == pytest.approx(first.pooled["0"].mean)
    assert table["neuron_activation", 0, "0", "saturated"] == first.saturated["0"]
    with torch.no_grad():
        model[0].weight += 0.2
    last = ax.neuron_strength(graph, samples)
    assert table["neuron_strength", 2, "3", "std"] == pytest.approx(last.pooled["3"].std)


def test_run_json_notes_the_samples(tmp_path: Path) -> None:
    samples = torch.rand(20, 4)
    loader = DataLoader(TensorDataset(samples, torch.zeros(20)), batch_size=7)
    for name, given in (("tensor", samples), ("loader", loader), ("list", list(samples.split(3)))):
        record(tmp_path / name, given)
    noted = [json.loads((tmp_path / name / "run.json").read_text())["samples"] for name in ("tensor", "loader", "list")]
    assert noted[0] == noted[1] == noted[2]
    assert noted[0]["count"] == 20
    assert len(noted[0]["sha256"]) == 64
    assert ax.load(tmp_path / "tensor").description.samples == noted[0]
    record(tmp_path / "other", samples + 1)
    assert ax.load(tmp_path / "other").description.samples["sha256"] != noted[0]["sha256"]
    record(tmp_path / "without", None, measures=("link_weights",))
    assert ax.load(tmp_path / "without").description.samples is None


def test_training_draws_the_same_numbers(tmp_path: Path) -> None:
    loader = DataLoader(TensorDataset(torch.rand(20, 4)), batch_size=7, shuffle=True)
    with_samples, without = record(tmp_path / "a", loader), record(tmp_path / "b", None, measures=("link_weights",))
    assert all(torch.equal(a, b) for a, b in zip(with_samples, without, strict=True))


def test_a_training_that_diverges_is_recorded_to_its_end(tmp_path: Path) -> None:
    model = network()
    with ax.Recorder(tmp_path / "run", model, EXAMPLE, measures=MEASURES, samples=torch.rand(5, 4)) as recorder:
        recorder.record(0)
        with torch.no_grad():
            model[0].weight.fill_(math.nan)
        recorder.record(1)
    table = tidy(tmp_path / "run")
    live = table[table["metric"] != "link_weights"]
    assert live[live["step"] == 0]["value"].notna().all()
    assert live[live["step"] == 1]["value"].isna().all()
    assert (live["step"] == 0).sum() >= (live["step"] == 1).sum() > 0


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (None, ConfigurationError, "neuron_activation needs samples to run the network on. Pass samples="),
        (iter([torch.rand(2, 4)]), ConfigurationError, "read again at every step; got an iterator"),
        (torch.rand(2, 5), SamplesError, r"\(n, 4\); got \(2, 5\)"),
        (torch.rand(0, 4), SamplesError, "there are no samples. Pass at least one sample"),
    ],
)
def test_samples_are_looked_at_before_anything_is_written(
    tmp_path: Path, samples: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        record(tmp_path / "run", samples)
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_its_samples(tmp_path: Path) -> None:
    samples = torch.rand(6, 4)
    record(tmp_path / "run", samples)
    with pytest.raises(RunError, match="was recorded differently: samples"):
        ax.Recorder(tmp_path / "run", network(), EXAMPLE, measures=MEASURES, samples=samples * 2, resume=True)
    with ax.Recorder(tmp_path / "run", network(), EXAMPLE, measures=MEASURES, samples=samples, resume=True) as recorder:
        recorder.record(3)
    assert ax.load(tmp_path / "run").steps == (0, 1, 2, 3)


def test_measured_again_as_if_recorded(tmp_path: Path) -> None:
    samples, graph = torch.rand(9, 4), ax.capture(network(), EXAMPLE)
    record(tmp_path / "early", samples)
    record(tmp_path / "late", None, measures=("link_weights",))
    with pytest.raises(ConfigurationError, match="Pass samples="):
        remeasure(ax.load(tmp_path / "late"), "neuron_strength", graph)
    remeasure(ax.load(tmp_path / "late"), "neuron_strength", graph, samples=samples)
    with pytest.raises(RunError, match="of the same samples"):
        remeasure(ax.load(tmp_path / "late"), "neuron_activation", graph, samples=samples[:5])
    run = remeasure(ax.load(tmp_path / "late"), "neuron_activation", graph, samples=samples)
    pd.testing.assert_frame_equal(tidy(tmp_path / "late"), tidy(tmp_path / "early"))
    assert run.description.samples == ax.load(tmp_path / "early").description.samples
    assert not ax.trajectory.verify(run.folder)


def test_a_value_shared_by_all_samples_counts_once() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor, shift: Tensor) -> Tensor:
            return self.head(x + shift.sum(0))

    x, shift = torch.rand(600, 4), torch.rand(3, 4)
    graph = ax.capture(Shifted(), x[:1], shift)
    noted = choices.sample_set(graph, (), (x, shift))
    assert noted is not None
    assert noted["count"] == 600
    assert noted == choices.sample_set(graph, (), [(x[:10], shift), (x[10:], shift)])
    assert noted != choices.sample_set(graph, (), (x, shift + 1))
