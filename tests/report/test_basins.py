"""The page of attraction basins, from small runs of the digits; in a browser too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from axonometry.errors import AxonometryError, ConfigurationError, RunError, WeightsError
from axonometry.populations import RunConfiguration, train
from axonometry.report import Facts, Figure, Page, Prose, Table
from axonometry.report.basins import amplitude, basins_page
from axonometry.report.basins_figures import accuracy_curves, answers, samples
from axonometry.report.basins_study import Choices, Planes, StepBasins, basins_of_run, planes_of
from axonometry.trajectory import Trajectory, load

FEW = Choices(samples=60, steps=3, draws=3)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    folder = tmp_path_factory.mktemp("basins") / "learned"
    train(RunConfiguration(epochs=3, learning_rate=0.003), folder)
    return load(folder)


@pytest.fixture(scope="module")
def steps(run: Trajectory) -> list[StepBasins]:
    return list(basins_of_run(run, FEW))


@pytest.fixture(scope="module")
def planes(run: Trajectory) -> Planes:
    return planes_of(run, FEW)


def blocks(page: Page, kind: type[Any]) -> list[Any]:
    return [block for tab in page.tabs for block in tab.blocks if isinstance(block, kind)]


def test_a_run_is_rebuilt_and_measured_at_its_steps(run: Trajectory, steps: list[StepBasins]) -> None:
    assert [one.step for one in steps] == [run.steps[0], run.steps[2], run.steps[3]]
    accuracy = run.scalars()["accuracy"]
    assert steps[-1].weights.network.clean == pytest.approx(accuracy.iloc[-1], abs=0.1)
    assert len(steps[0].weights.samples) == 60
    first, last = steps[0], steps[-1]
    assert first.samples is not None
    assert first.samples.network.state == "wrong"
    assert last.samples is not None
    assert last.samples.network.amplitude > 0.1
    assert last.weights.network.amplitude > 0.1
    assert last.sharpness.value > first.sharpness.value
    assert last.scaled.parameters < last.sharpness.parameters


def test_planes_go_through_right_samples_of_three_classes_and_three_steps(run: Trajectory, planes: Planes) -> None:
    assert planes.classes == (0, 1, 2)
    assert planes.steps == (run.steps[0], run.steps[2], run.steps[3])
    assert planes.samples is not None
    place = [np.abs(axis - value).argmin() for axis, value in ((planes.samples.y, 0.0), (planes.samples.x, 0.0))]
    assert int(planes.samples.predicted[tuple(place)]) == 0
    assert planes.weights is not None
    assert planes.weights.accuracy.max() > 0.5


def test_the_page_has_all_of_it(run: Trajectory, steps: list[StepBasins], planes: Planes) -> None:
    page = basins_page(steps, {"learned": planes}, command="axonometry basins learned")
    names = ["Overview", "Curves", "Classes and samples", "Planes", "Over training", "Definitions"]
    assert [tab.name for tab in page.tabs] == names
    assert page.title == "Attraction basins of learned"
    assert "60 test samples falls to 50%" in page.subtitle
    assert blocks(page, Table)[0].title == "Networks"
    facts = blocks(page, Facts)[0].items
    assert facts["Noise on the samples: amplitude"] == f"{steps[-1].samples.network.amplitude:.3g}"  # type: ignore[union-attr]
    assert all(figure.caption or figure.definition for figure in blocks(page, Figure))
    definitions = " ".join(block.text for block in blocks(page, Prose))
    assert "W^l + s σ(W^l) ξ" in definitions
    assert ":math:" not in definitions + " ".join(f.definition for f in blocks(page, Figure))


def test_two_runs_have_their_own_tabs_and_remarks_are_said(steps: list[StepBasins]) -> None:
    remarked = replace(steps[-1].weights, remarks=("with 2 classes a guess is right",))
    other = [replace(one, run="other", samples=None, weights=remarked) for one in steps[-1:]]
    page = basins_page([*steps, *other])
    assert page.title == "Attraction basins of 2 runs"
    names = [tab.name for tab in page.tabs]
    assert {"learned: Curves", "learned: Over training", "other: Curves"} <= set(names)
    assert "other: Over training" not in names
    assert len(next(tab for tab in page.tabs if tab.name == "other: Curves").blocks) == 1
    (care,) = [block for block in page.tabs[0].blocks if isinstance(block, Prose)]
    assert care.text == "other, noise on the weights: with 2 classes a guess is right."
    row = page.tabs[0].blocks[0]
    assert isinstance(row, Table)
    assert row.rows[-1][3:6] == (None, None, None)


def test_figures_show_what_was_measured(steps: list[StepBasins]) -> None:
    basin = steps[-1].weights
    drawn = accuracy_curves(basin)
    network = next(trace for trace in drawn.data if trace.name == "network")
    mine = basin.curves[(basin.curves["group"] == "network") & (basin.curves["amplitude"] > 0)]
    assert network.y == pytest.approx(mine["accuracy"].to_numpy(), abs=1e-6)
    assert len([trace for trace in drawn.data if trace.name and trace.name.startswith("class")]) == len(basin.classes)
    counted = samples(basin).data[0].y
    crossed = basin.samples.loc[basin.samples["state"] == "crossed", "amplitude"]
    assert sum(counted) == len(crossed)
    heights, edges = np.histogram(np.log10(crossed), bins=8)
    bars = samples(basin).data[0]
    assert list(bars.y) == list(heights)
    np.testing.assert_allclose(np.log10(bars.x), (edges[1:] + edges[:-1]) / 2, rtol=1e-4, atol=1e-6)
    nothing = samples(replace(basin, samples=basin.samples.assign(state="wrong")))
    assert len(nothing.data) == 0


def test_each_class_on_a_plane_has_one_colour() -> None:
    grid = np.arange(3.0)
    figure = answers(grid, grid, np.array([[4, 4, 7], [4, 9, 7], [9, 9, 9]]), np.zeros((3, 2)), ["a", "<b>", "c"])
    (heat, rings) = figure.data
    assert heat.z.tolist() == [[0, 0, 1], [0, 2, 1], [2, 2, 2]]
    assert heat.colorbar.ticktext == ("4", "7", "9")
    assert len({colour for _, colour in heat.colorscale}) == 3
    assert rings.text == ("a", "&lt;b&gt;", "c")


def test_amplitudes_in_words() -> None:
    assert amplitude(0.0) == "0"
    assert amplitude(float("inf")) == "none"


def test_runs_that_have_no_basins(run: Trajectory, tmp_path: Path) -> None:
    description = run.description
    autoencoder = RunConfiguration(family="autoencoder", objective="bce").to_dict()
    for configuration, error, match in (
        (None, RunError, "has to be named: a run holds no code"),
        ({"lr": 0.1}, RunError, "has to be named: a run holds no code"),
        (autoencoder, ConfigurationError, "basins need a classifier"),
    ):
        other = replace(run, description=replace(description, configuration=configuration))
        with pytest.raises(error, match=match):
            next(basins_of_run(other, FEW))
    with pytest.raises(AxonometryError, match="no complete step in "):
        next(basins_of_run(replace(run, steps=()), FEW))


def test_a_run_that_diverged(tmp_path: Path) -> None:
    train(RunConfiguration(epochs=1, learning_rate=1e30, optimiser="sgd"), tmp_path / "diverged")
    with pytest.raises(WeightsError, match=r"the weights of diverged at step \d+ are not finite"):
        list(basins_of_run(load(tmp_path / "diverged"), Choices(samples=20, draws=2)))


def test_the_page_draws_in_a_browser(steps: list[StepBasins], planes: Planes, browser: Any, tmp_path: Path) -> None:
    complaints: list[str] = []
    browser.set_default_timeout(90_000)  # a busy machine is no failure
    browser.on("pageerror", lambda error: complaints.append(str(error)))
    browser.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    path = basins_page(steps, {"learned": planes}).write(tmp_path / "page.html")
    browser.goto(path.as_uri())
    for tab in browser.get_by_role("tab").all():
        tab.click()
        for plot in browser.locator("section:not([hidden]) .panel:not([hidden]) .plot").all():
            plot.scroll_into_view_if_needed()
            plot.locator(".main-svg").first.wait_for()
        assert browser.evaluate("document.documentElement.scrollWidth") <= 1280
    assert complaints == []


@pytest.mark.parametrize("family", ["recurrent", "attention"])
def test_tokens_have_a_weight_basin_only(family: str, tmp_path: Path) -> None:
    train(RunConfiguration(dataset="text", family=family, train_fraction=0.01, max_steps=2), tmp_path / "read")
    run = load(tmp_path / "read")
    (one,) = basins_of_run(run, Choices(samples=20, draws=2))
    assert one.samples is None
    assert one.basins == (one.weights,)
    found = planes_of(run, Choices(samples=20))
    assert found.samples is None
    page = basins_page([one], {"read": found})
    assert len(next(tab for tab in page.tabs if tab.name == "Curves").blocks) == 1
