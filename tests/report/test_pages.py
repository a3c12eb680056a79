"""The pages of populations, runs and checkpoints, from real runs; in a browser too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from axonometry.checkpoints import weight_table
from axonometry.errors import AxonometryError
from axonometry.metrics import CATALOGUE, MetricSpec
from axonometry.populations import Population
from axonometry.program import capture
from axonometry.report import Facts, Figure, Page, Table, definitions, graph
from axonometry.report.analysis import run_page, weights_tab
from axonometry.report.population import association, population_page, story
from axonometry.report.study import study
from axonometry.trajectory import Recorder, Trajectory, load


def names(page: Page) -> list[str]:
    return [tab.name for tab in page.tabs]


def panels(page: Page) -> list[Any]:
    return [panel for tab in page.tabs for block in tab.blocks if isinstance(block, Figure) for panel in block.panels]


def table(page: Page, title: str) -> Table:
    (found,) = [b for tab in page.tabs for b in tab.blocks if isinstance(b, Table) and b.title == title]
    return found


@pytest.fixture(scope="module")
def page(population: Population) -> Page:
    return population_page(population, command="axonometry demo")


def test_a_population_s_page_tells_all(page: Page, population: Population) -> None:
    assert names(page) == ["Overview", "Over time", "By accuracy", "Divergence", "Graph", "Networks", "Definitions"]
    assert page.title == "6 networks trained on digits"
    assert "They differ in seed, learning rate and epochs." in page.subtitle
    assert page.facts["torch"] == torch.__version__
    assert len(table(page, "Networks").rows) == len(population)
    assert len(table(page, "Neuron groups").rows) == 5
    assert len(table(page, "Coverage").rows) == 8


def test_every_figure_says_what_to_see_and_every_measure_how_it_is_computed(page: Page) -> None:
    blocks = [block for tab in page.tabs for block in tab.blocks if isinstance(block, Figure)]
    assert all(block.caption for block in blocks)
    measured = [block for block in blocks if any(word in block.title.lower() for word in ("fluct", "strength", "link"))]
    assert len(measured) >= 8
    assert all("Source:" in block.definition for block in measured)


def test_the_correlation_beside_the_story_is_spearman_s(population: Population) -> None:
    from scipy.stats import spearmanr

    found = study(population)
    last = found.tracked_last("layer_fluctuation").query("group == 'fc2'").set_index("network")["value"]
    expected = spearmanr(last.loc[found.networks.index], found.networks["accuracy"]).statistic
    rho, n = association(found, "layer_fluctuation", "fc2")
    assert rho == pytest.approx(expected)
    assert n == 6
    assert f"ρ = {expected:+.2f} over 6 networks" in [panel.remark for panel in story(found).panels]


def test_the_overview_has_the_numbers_of_all_networks(page: Page, population: Population) -> None:
    accuracy = population.frame["accuracy"]
    facts = page.tabs[0].blocks[0]
    assert isinstance(facts, Facts)
    low, high = np.quantile(accuracy, [0.1, 0.9])
    assert facts.items["median final accuracy"] == f"{np.median(accuracy):.1%}"
    assert facts.items["10%–90% range of final accuracy"] == f"{100 * low:.0f}–{100 * high:.0f}%"


def test_the_table_of_layers_has_medians_of_the_lowest_and_the_highest_bin(page: Page, population: Population) -> None:
    from scipy.stats import spearmanr

    found = study(population)
    last = {name: run.metrics[run.metrics["step"] == run.steps[-1]] for name, run in population.runs.items()}
    accuracy = [population.frame["accuracy"][name] for name in last]
    for layer, _, _, strength_rho, *medians, n in table(page, "By layer, at the last step").rows:
        wanted = f"metric == 'layer_fluctuation' and group == {layer!r}"
        fluctuation = pd.Series({name: rows.query(wanted)["value"].item() for name, rows in last.items()})
        for name, median in zip((found.bins[0], found.bins[-1]), medians, strict=True):
            inside = found.networks.index[found.networks["bin"] == name]
            assert median == pytest.approx(fluctuation[inside].median()), (layer, name)
        wanted = f"metric == 'node_strength' and statistic == 'mean' and group == {layer!r}"
        strength = [rows.query(wanted)["value"].item() for rows in last.values()]
        assert strength_rho == pytest.approx(spearmanr(strength, accuracy).statistic, abs=0.006)
        assert n == len(population)


def test_a_page_of_one_network_has_no_correlation(population: Population) -> None:
    name = next(iter(population.runs))
    page = population_page(Population(population.folder, {name: population.runs[name]}), title="One")
    assert page.title == "One"
    assert "Divergence" not in names(page)
    assert [panel.remark for panel in page.tabs[0].blocks[1].panels] == ["n = 1"] * 5  # type: ignore[union-attr]
    assert "All have the same configuration." in page.subtitle


def test_the_page_weighs_little_apart_from_plotly(page: Page, tmp_path: Path) -> None:
    from plotly.offline import get_plotlyjs

    assert page.write(tmp_path / "page.html").stat().st_size - len(get_plotlyjs().encode()) < 500_000


def test_unfinished_and_unscored_networks_are_counted(population: Population) -> None:
    facts = population_page(replace(population, unfinished=("a", "b"))).facts
    assert facts["not shown"] == "2 unfinished"


@pytest.fixture
def run(tmp_path: Path) -> Trajectory:
    """A run of a user's own network with a nasty layer name, without any configuration."""
    torch.manual_seed(0)
    module = torch.nn.Sequential()
    module.add_module("<script>harmed=1</script>", torch.nn.Linear(3, 4))
    module.add_module("act", torch.nn.ReLU())
    module.add_module("out", torch.nn.Linear(4, 2))
    with Recorder(tmp_path / "run", module, torch.zeros(1, 3)) as recorder:
        for step in range(4):
            recorder.record(step, accuracy=step / 4, loss=float("nan") if step else 1.0)
            with torch.no_grad():
                module[0].weight.mul_(1.5)
    return load(tmp_path / "run", module, torch.zeros(1, 3))


def test_a_run_s_page_shows_its_layers_over_time(run: Trajectory) -> None:
    page = run_page(run, network=run.graph(0))
    assert names(page) == ["Overview", "Over time", "Layers", "Distributions", "Divergence", "Graph", "Definitions"]
    assert page.title == "Run run"
    assert len(table(page, "Link weights at step 3").rows) == 2
    divergence = next(tab for tab in page.tabs if tab.name == "Divergence").blocks[0]
    assert isinstance(divergence, Figure)
    matrix = divergence.panels[0].figure.data[0]
    assert np.asarray(matrix.z).shape == (3, 3)
    densities = next(tab for tab in page.tabs if tab.name == "Distributions").blocks[0]
    assert isinstance(densities, Figure)
    steps = {trace.legendgroup for panel in densities.panels for trace in panel.figure.data}
    assert steps == {"step 0", "step 2", "step 3"}


def test_without_a_network_there_are_no_densities(run: Trajectory) -> None:
    assert names(run_page(run)) == ["Overview", "Over time", "Layers", "Graph", "Definitions"]


def test_many_layers_are_a_heatmap(tmp_path: Path) -> None:
    module = torch.nn.Sequential(*[torch.nn.Linear(3, 3) for _ in range(14)])
    with Recorder(tmp_path / "deep", module, torch.zeros(1, 3), keep_weights=False) as recorder:
        recorder.record(0)
        recorder.record(1)
    page = run_page(load(tmp_path / "deep"), network=capture(module, torch.zeros(1, 3)))
    assert "Distributions" not in names(page)
    assert {panel.figure.data[0].type for panel in panels(page)} == {"heatmap"}


def test_a_run_without_a_step_is_refused(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 2)
    Recorder(tmp_path / "empty", module, torch.zeros(1, 2)).close()
    with pytest.raises(AxonometryError, match="no complete step in "):
        run_page(load(tmp_path / "empty"))


def test_a_checkpoint_s_tab_draws_matrices_and_lists_everything() -> None:
    state = {
        "conv.weight": torch.randn(4, 3, 3, 3),
        "norm.weight": torch.ones(4),
        "fc.weight": torch.full((2, 4), torch.nan),
        "steps": torch.tensor(3),
    }
    tab = weights_tab(weight_table(state), name="model.pt")
    facts, figure, listed = tab.blocks
    assert isinstance(facts, Facts)
    assert isinstance(figure, Figure)
    assert isinstance(listed, Table)
    assert facts.items["NaN or infinite"] == 8
    assert list(figure.panels[0].figure.data[0].text) == ["conv.weight"]
    assert len(listed.rows) == 4


def test_a_captured_graph_has_its_tab_too() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    captured = capture(module, torch.zeros(1, 1, 4, 4))
    tab = graph.network_tab(captured)
    facts = tab.blocks[0]
    assert isinstance(facts, Facts)
    assert facts.items["links"] == captured.n_links
    assert facts.items["neurons"] == captured.n_neurons


def test_definitions_are_the_measures_own_words_and_facts() -> None:
    tab = definitions.tab(CATALOGUE)
    words = " ".join(str(block) for block in tab.blocks)
    for spec in CATALOGUE.values():
        assert all(fact in words for fact in (spec.title, spec.units, spec.range, spec.invariances, spec.source))
    assert "``" not in words
    assert ":func:" not in words
    assert "standard deviation" in definitions.definition("layer_fluctuation")
    assert definitions.definition("accuracy") == ""


def test_a_measure_of_one_s_own_is_defined_by_its_docstring(monkeypatch: pytest.MonkeyPatch) -> None:
    def largest(graph: object) -> float:
        """The largest strength.

        Args:
            graph: A graph.
        """
        return 0.0

    spec = MetricSpec("largest", "Largest", largest, lambda shared: [], "weight", "all reals", "none", "this test")
    monkeypatch.setitem(CATALOGUE, "largest", spec)
    assert definitions.definition("largest").startswith("The largest strength.\n\nUnit: weight.")
    assert definitions.axis("largest") == "largest (weight)"
    assert definitions.axis("link_weights", "kurtosis") == "kurtosis of link weights"
    assert definitions.axis("accuracy") == "accuracy"


def everything(browser: Any, page: Page, path: Path) -> list[str]:
    """Open every tab of a page, draw all figures; what went wrong."""
    wrong: list[str] = []
    browser.set_default_timeout(90_000)  # a busy machine is no failure
    browser.on("console", lambda message: wrong.append(message.text))
    browser.on("pageerror", lambda error: wrong.append(str(error)))
    browser.on("request", lambda request: wrong.append(request.url) if request.url.startswith("http") else None)
    browser.goto(page.write(path).as_uri())
    for tab in browser.get_by_role("tab").all():
        tab.click()
        for plot in browser.locator("section:not([hidden]) .panel:not([hidden]) .plot").all():
            plot.scroll_into_view_if_needed()
            plot.locator(".main-svg").first.wait_for()
            if not plot.locator(".point, .js-line, .hm image, .box").count():
                wrong.append(f"nothing drawn in {plot.get_attribute('aria-label')}")
        width = browser.viewport_size["width"]
        if browser.evaluate("document.documentElement.scrollWidth") > width:
            wrong.append(f"{tab.inner_text()} is too wide at {width}")
    return wrong


@pytest.mark.parametrize("width", [1280, 375])
def test_a_population_s_page_in_a_browser(browser: Any, page: Page, tmp_path: Path, width: int) -> None:
    browser.set_viewport_size({"width": width, "height": 900})
    assert everything(browser, page, tmp_path / "page.html") == []


def test_a_run_s_page_in_a_browser(browser: Any, run: Trajectory, tmp_path: Path) -> None:
    browser.set_viewport_size({"width": 375, "height": 900})
    assert everything(browser, run_page(run, network=run.graph(0)), tmp_path / "page.html") == []
    assert browser.evaluate("window.harmed === undefined")


def test_a_page_of_one_network_with_nan_in_a_browser(browser: Any, population: Population, tmp_path: Path) -> None:
    name = next(iter(population.runs))
    run = population.runs[name]
    broken = replace(run)
    frame = run.metrics.copy()
    frame.loc[frame["metric"] == "layer_fluctuation", "value"] = np.nan
    broken.__dict__["metrics"] = pd.DataFrame(frame)
    page = population_page(Population(population.folder, {name: broken}))
    wrong = everything(browser, page, tmp_path / "page.html")
    assert wrong == []
    assert browser.get_by_text("Nothing to draw: no finite values.").count() >= 5
