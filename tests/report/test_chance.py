"""Every divergence on a page stands beside what chance gives; every number of several conventions names its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.metrics import divergence_null, layer_fluctuation, link_weights, node_strength
from axonometry.report import Figure, Table, definitions, run_page
from axonometry.report.chance import beside_chance, chance_table
from axonometry.report.page import Page
from axonometry.report.samples import divergences


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of one network, whose first two layers have weights of one distribution, and the last has larger ones."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 30))
    with torch.no_grad():
        model[4].weight.mul_(9)
    folder = tmp_path_factory.mktemp("run")
    with ax.Recorder(folder / "one", model, torch.zeros(1, 30)) as recorder:
        recorder.record(0)
    return run_page(ax.load(folder / "one"), network=ax.capture(model, torch.zeros(1, 30)))


def test_divergences_of_one_network_stand_beside_relabelled_halves(page: Page) -> None:
    (tab,) = (tab for tab in page.tabs if tab.name == "Divergence")
    tables = {block.title: block for block in tab.blocks if isinstance(block, Table)}
    assert set(tables) == {"Node strength: divergence beside chance", "Link weights: divergence beside chance"}
    table = tables["Link weights: divergence beside chance"]
    assert table.columns == ("of", "and", "divergence (nats)", "relabelled halves, mean", "97.5 %")
    rows = {(first, second): values for first, second, *values in table.rows}
    assert set(rows) == {("0", "2"), ("0", "4"), ("2", "4")}
    assert all(mean <= high < 0.1 for _, mean, high in rows.values())
    value, _, high = rows["0", "4"]
    assert value > 10 * high
    assert rows["0", "2"][0] <= 2 * rows["0", "2"][2]


def test_the_farthest_pairs_of_many_are_kept() -> None:
    random = np.random.default_rng(0)
    of = {str(n): random.normal(size=60).astype(np.float32) * 2.0**n for n in range(6)}
    found = {("link_weights", "fc1"): of, ("node_strength", "fc1"): {"a": of["0"], "flat": np.zeros(5, np.float32)}}
    matrices = divergences(found)
    rows = beside_chance(found, matrices, most=4)
    values = np.sort(matrices["link_weights", "fc1"].to_numpy()[np.triu_indices(6, 1)])[::-1][:4]
    assert [row[4] for row in rows] == pytest.approx(values.tolist())
    (table,) = chance_table(rows, "link_weights")
    assert table.columns[0] == "layer"
    assert {row[0] for row in table.rows} == {"fc1"}
    assert chance_table(rows, "node_strength") == ()


def test_halves_of_few_different_values_are_never_constant() -> None:
    """Two of three relabellings of 0, 1 and 0, 1 would leave a half without two different values."""
    null = divergence_null(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert null.n == 20
    rare = np.r_[np.zeros(400), 1.0]
    assert np.isfinite(divergence_null(rare, np.array([0.0, 1.0]), draws=3).value)


def test_the_first_lines_say_that_the_default_is_not_paper_1s() -> None:
    import inspect

    for function in (layer_fluctuation, node_strength):
        module = inspect.getmodule(function)
        assert module is not None
        assert '"ictai2021"' in "\n".join((module.__doc__ or "").splitlines()[:5])
    assert "ictai2021" in (layer_fluctuation.__doc__ or "").splitlines()[0]


@pytest.mark.parametrize("metric", ["link_weights", "node_strength", "layer_fluctuation"])
def test_pages_name_the_convention(page: Page, metric: str) -> None:
    words = definitions.convention(metric)
    assert words.startswith("convention links: ")
    assert "paper 1 (ictai2021)" in words
    assert f"C{words[1:]}" in definitions.definition(metric)
    (tab,) = (tab for tab in page.tabs if tab.name == "Definitions")
    assert [block.items["convention"] for block in tab.blocks if block.items["name in tables"] == metric] == [words]
    captions = [block.caption for tab in page.tabs for block in tab.blocks if isinstance(block, Figure | Table)]
    assert any(words in caption for caption in captions)


def test_what_has_conventions_is_named_and_nothing_else() -> None:
    import inspect

    several = {
        name for name, spec in ax.CATALOGUE.items() if "convention" in inspect.signature(spec.function).parameters
    }
    of_training = {name for name in several if name.startswith(("gradient.", "update.", "second_moment."))}
    assert several - of_training == {name for name in ax.CATALOGUE if definitions.convention(name)}
    for function in (layer_fluctuation, node_strength, link_weights):
        assert inspect.signature(function).parameters["convention"].default == "links"


def test_the_terminal_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from axonometry.cli import main

    with ax.Recorder(tmp_path / "run", nn.Linear(3, 2), torch.zeros(1, 3)) as recorder:
        recorder.record(0)
    assert main(["analyze", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    for title, metric in (
        ("Layer fluctuation", "layer_fluctuation"),
        ("Node strength, mean of each layer", "node_strength"),
    ):
        assert f"{title} ({definitions.convention(metric)})" in out
    assert definitions.convention("link_weights") in out
    assert main(["analyze", str(tmp_path / "run"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    names = ("link_weights", "node_strength", "layer_fluctuation")
    assert found["conventions"] == {name: definitions.convention(name) for name in names}
