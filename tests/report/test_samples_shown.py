"""Measures of samples on pages and in tables: there where they were recorded, nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from axonometry.populations import Population, load_population
from axonometry.report import population_page, run_page
from axonometry.trajectory import Recorder, Trajectory, load
from tests.report.test_pages import everything, table

LIVE = ("neuron_strength", "neuron_activation")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.fixture
def run(tmp_path: Path) -> Trajectory:
    """A run with measures of samples, that diverges at its end."""
    model = network()
    measures = ("layer_fluctuation", "node_strength", "link_weights", *LIVE)
    with Recorder(tmp_path / "run", model, torch.zeros(1, 3), measures=measures, samples=torch.rand(40, 3)) as recorder:
        for step in range(5):
            recorder.record(step, accuracy=step / 5)
            with torch.no_grad():
                model[0].weight.mul_(3)
    return load(tmp_path / "run", model, torch.zeros(1, 3))


def titles(page: Any, tab: str) -> list[str]:
    return [block.title for found in page.tabs if found.name == tab for block in found.blocks]


def test_a_run_s_page_shows_measures_of_samples(run: Trajectory) -> None:
    page = run_page(run, network=run.graph(0))
    assert titles(page, "Over time")[3:] == [
        "Neuron strength over time",
        "Spread of the neuron strength over time",
        "Neuron activation over time",
        "Zeros among the activations over time",
        "Dead neurons over time",
        "Saturated neurons over time",
    ]
    activation = table(page, "Neuron activation at step 4")
    assert [name for name in ("sparsity", "dead", "saturated") if name in activation.columns]
    assert len(activation.rows) == 4
    assert {"Neuron strength", "Neuron activation"} <= set(titles(page, "Definitions"))


def test_a_page_without_them_says_nothing_of_them(tmp_path: Path) -> None:
    model = network()
    with Recorder(tmp_path / "run", model, torch.zeros(1, 3)) as recorder:
        recorder.record(0)
    page = run_page(load(tmp_path / "run"))
    shown = [title for tab in page.tabs for title in titles(page, tab.name)]
    assert not [title for title in shown if title.startswith(("Neuron strength", "Neuron activation", "Zeros"))]


def test_a_network_that_diverged_has_a_page(tmp_path: Path) -> None:
    model = network()
    with Recorder(tmp_path / "run", model, torch.zeros(1, 3), measures=LIVE, samples=torch.rand(4, 3)) as recorder:
        recorder.record(0)
        with torch.no_grad():
            model[0].weight.fill_(torch.nan)
        recorder.record(1)
    assert len(table(run_page(load(tmp_path / "run")), "Neuron strength at step 1").rows) == 4


def test_a_run_s_page_in_a_browser(browser: Any, run: Trajectory, tmp_path: Path) -> None:
    browser.set_viewport_size({"width": 375, "height": 900})
    assert everything(browser, run_page(run, network=run.graph(0)), tmp_path / "page.html") == []


def test_a_population_s_page_shows_them_too(browser: Any, population: Population, tmp_path: Path) -> None:
    folder = tmp_path / "population"
    shutil.copytree(next(iter(population.runs.values())).folder.parent, folder)
    measured = load_population(folder).measured(LIVE, n_samples=30)
    assert {run.description.samples["count"] for run in measured.runs.values()} == {30}
    page = population_page(measured)
    assert "Neuron strength over time" in titles(page, "Over time")
    assert "Zeros among the activations over time" in titles(page, "Over time")
    assert "Neuron activation" in titles(page, "Definitions")
    assert "Neuron strength over time" not in titles(population_page(population), "Over time")
    assert everything(browser, page, tmp_path / "page.html") == []
