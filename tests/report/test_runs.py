"""The page of runs of an own loop: any configuration, any score, several architectures."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

import axonometry as ax
from axonometry.errors import AxonometryError
from axonometry.metrics import node_strength
from axonometry.populations import load_population
from axonometry.report.runs import NO_GRAPH, runs_page
from axonometry.report.study import scored, study

NETS = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self, width, depth=1):
        layers = [nn.Linear(4, width), nn.ReLU()]
        super().__init__(*layers, nn.Linear(width, 3))
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight runs in folders of folders: two widths, own scalars, one killed, one stopped, one without a score."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "nets.py").write_text(NETS)
    for number in range(8):
        width = 5 if number % 4 else 7
        configuration = {"width": width, "optimizer": {"name": "sgd", "lr": 0.1 * (number + 1)}, "tags": ["a"]}
        model = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 3))
        recorder = ax.Recorder(folder / f"grid/{number}", model, torch.zeros(1, 4), configuration=configuration)
        with suppress(KeyboardInterrupt), recorder:
            for step in range(3):
                with torch.no_grad():
                    model[0].weight.mul_(1.1)
                numbers = {} if number == 7 else {"val_loss": 20.0 / (number + 1 + step), "accuracy": 0.1 * number}
                recorder.record(step, **numbers)
                if number == 5 and step == 1:
                    raise KeyboardInterrupt
            if number == 6:
                recorder.close(stopped=True)
    return folder


def test_unknown_keys_are_columns_and_scalars_are_the_last_ones(own: Path) -> None:
    frame = load_population(own).frame
    assert list(frame.columns) == ["width", "optimizer.name", "optimizer.lr", "tags", "val_loss", "accuracy"]
    assert frame.loc["grid/2", "optimizer.lr"] == pytest.approx(0.3)
    assert frame.loc["grid/2", "val_loss"] == pytest.approx(20 / 5)
    assert np.isnan(frame.loc["grid/7", "val_loss"])


def test_what_is_left_out_is_named_with_why(own: Path) -> None:
    known, absent = scored(load_population(own), "val_loss")
    assert list(known.index) == [f"grid/{number}" for number in range(5)]
    assert dict(absent) == {"grid/5": "not finished", "grid/6": "stopped early", "grid/7": "no val_loss"}


def test_any_scalar_makes_the_bins(own: Path) -> None:
    population = load_population(own)
    five = [name for name, run in population.runs.items() if run.configuration["width"] == 5]
    from dataclasses import replace

    found = study(replace(population, runs={name: population.runs[name] for name in five}), score="val_loss")
    assert found.networks["val_loss"].is_monotonic_increasing
    assert not found.score.share
    assert all("%" not in name for name in found.bins)
    way = found.with_accuracy("layer_fluctuation", "2").query("network == 'grid/1'")
    np.testing.assert_allclose(way["accuracy"], [20 / 2, 20 / 3, 20 / 4])


def test_without_their_code_weights_are_read_and_strengths_are_not(own: Path) -> None:
    population = load_population(own)
    assert not population.has_graph("grid/1")
    with pytest.raises(AxonometryError, match=r"the network of .*grid/1 has to be named.* --network FILE\.py:NAME"):
        population.graph("grid/1")
    named = load_population(own, network=f"{own}/nets.py:Net")
    graph = named.graph("grid/1")
    weights = named.runs["grid/1"].snapshots[2]
    expected = weights["2.weight"].sum(1)
    torch.testing.assert_close(node_strength(graph)["2"], expected)


def test_several_architectures_fall_into_parts(own: Path) -> None:
    page = runs_page(load_population(own), score="val_loss")
    assert [tab.name for tab in page.tabs] == ["Overview", "width 5", "width 7", "Definitions"]
    assert "left out" in page.html().lower()
    assert any(getattr(block, "text", None) == NO_GRAPH for block in page.tabs[1].blocks)
    named = runs_page(load_population(own, network=f"{own}/nets.py:Net"), score="val_loss")
    titles = [getattr(block, "title", "") for block in named.tabs[1].blocks]
    assert "Node strength by val loss" in titles
    assert not any(getattr(block, "text", None) == NO_GRAPH for block in named.tabs[1].blocks)


def test_a_score_that_no_run_has_says_which_there_are(own: Path) -> None:
    with pytest.raises(AxonometryError, match=r"no finished run with an val_los in .* Did you mean val_loss\?"):
        runs_page(load_population(own), score="val_los")


def test_runs_of_other_measures_and_of_none_have_pages(tmp_path: Path) -> None:
    for number in range(4):
        model = torch.nn.Linear(4, 3)
        measures = ("spectral_norm",)
        with ax.Recorder(tmp_path / f"{number}", model, torch.zeros(1, 4), measures=measures) as recorder:
            recorder.record(0, accuracy=0.2 * number)
    page = runs_page(load_population(tmp_path))
    assert page.tabs[0].name == "Overview"
    for number in range(3):
        model = torch.nn.Linear(4, 3)
        bare = {"measures": (), "keep_weights": False}
        with ax.Recorder(tmp_path / f"bare/{number}", model, torch.zeros(1, 4), **bare) as recorder:
            recorder.record(0, accuracy=0.2 * number)
    assert "3 networks" in runs_page(load_population(tmp_path / "bare")).html()
