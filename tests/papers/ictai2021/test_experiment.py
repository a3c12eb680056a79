"""Paper 1's experiment on the digits, with fewer networks; its scales; its pages."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from axonometry.experiments import Experiment, Results, markdown, plain, results_page, run
from axonometry.papers import load_paper
from axonometry.papers.ictai2021 import ensembles
from axonometry.papers.ictai2021.ensembles import Ensemble
from axonometry.papers.ictai2021.scales import SCALES, ensemble
from axonometry.populations import draw
from axonometry.report import Figure
from axonometry.statistics import association

NETWORKS = draw(
    range(9), {"max_steps": (1, 30, 90)}, initialiser="random-normal", scale=0.05, epochs=3, record_every=90
)
TINY = replace(
    SCALES["tiny"],
    trials=lambda _: ensemble("few", NETWORKS, ["max_steps"]),
    titles={"few": "a few networks"},
)


@pytest.fixture(scope="module", autouse=True)
def _few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensembles, "RELABELLINGS", 2)
        patch.setattr(association, "DRAWS", 200)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiment")


def experiment() -> Experiment:
    return replace(load_paper("ictai2021"), scales={"tiny": TINY})


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    with ThreadPoolExecutor(1) as executor:
        return run(experiment(), "tiny", folder=folder, executor=executor)


@pytest.fixture(scope="module")
def few(results: Results) -> Ensemble:
    (found,) = ensembles.ensembles(results.measurements)
    return found


def test_networks_are_trained_and_compared(results: Results, few: Ensemble, folder: Path) -> None:
    assert results.trained == len(few.networks) == 9
    assert sorted(path.name for path in (folder / "few").iterdir()) == sorted(few.networks.index)
    assert few.networks["accuracy"].is_monotonic_increasing
    assert f"run `{few.networks.index[-1]}`" in results.section("one-network").setup
    assert few.fluctuation["layer"].tolist() == ["input", "fc1", "fc2", "fc3", "fc4", "mean of layers"]
    assert len(few.separation) == 2 * (4 + 5)


def test_a_second_call_trains_nothing_and_finds_the_same(results: Results, folder: Path) -> None:
    seen: list[str] = []
    with ThreadPoolExecutor(1) as executor:
        again = run(
            experiment(),
            "tiny",
            folder=folder,
            executor=executor,
            progress=lambda done, total, words: seen.append(f"{done}/{total} {words}"),
        )
    assert again.trained == 0
    assert repr(plain(again)["sections"]) == repr(plain(results)["sections"])
    assert any(line.startswith("9/9 training a few networks") for line in seen)


def test_the_tables_are_the_ensembles(results: Results, few: Ensemble) -> None:
    (table,) = results.section("fluctuation").tables
    assert [row[1] for row in table.rows] == list(few.fluctuation["rho"])
    assert [row[4] for row in table.rows] == list(few.fluctuation["highest"])
    (table,) = results.section("separation").tables
    assert [row[3] for row in table.rows] == list(few.separation["auc"])
    assert [row[4] for row in table.rows] == list(few.separation["p_adjusted"])
    (table,) = results.section("densities").tables
    assert [row[2] for row in table.rows] == list(few.contrast["divergence"])


def test_claims_are_made_of_the_numbers(results: Results, few: Ensemble) -> None:
    rises, alike = results.section("fluctuation").claims
    assert rises.evidence == (few.fluctuation["rho"].iloc[-1],)
    assert alike.evidence == (few.fluctuation["alike"].iloc[-1],)
    assert "among networks trained alike: a few networks" in alike.words


def test_the_page_says_what_was_run_and_found(results: Results) -> None:
    text = markdown(results, command="axonometry paper ictai2021 --data DIR")
    for words in (
        "Written by `axonometry paper ictai2021 --data DIR` (scale: tiny)",
        "Layer fluctuation rises with accuracy: a few networks (fluctuation). **",
        "Node strength tells the high from the low third in",
        "9 networks; in each accuracy bin",
        "| node strength | fc4 | std |",
        "## How do the layers of one network differ?",
    ):
        assert words in text
    assert "nan" not in text
    assert all(len(line) < 2000 for line in text.splitlines())
    assert len([line for line in text.splitlines() if line.startswith("|")]) > 40


def test_the_small_scale() -> None:
    trials = SCALES["small"].trials(400)
    conditions: dict[str, list[Any]] = {}
    for trial in trials:
        conditions.setdefault(trial.condition, []).append(trial.configuration)
        assert trial.population == trial.condition
    assert {name: len(some) for name, some in conditions.items()} == {
        "fc-small-0.05": 400,
        "fc-small-0.5": 120,
        "cnn-small-0.05": 60,
    }
    assert len({trial.configuration.identity for trial in trials}) == 580
    assert len({trial.configuration.seed for trial in trials}) == 580
    for some in conditions.values():
        assert {c.initialiser for c in some} == {"random-normal"}
        assert len({(c.family, c.size, c.scale, c.dataset) for c in some}) == 1
        assert all(c.max_steps <= c.epochs * 938 for c in some)
    assert {c.optimiser for c in conditions["fc-small-0.05"]} == {"sgd", "adam"}
    assert trials[0].stratum == "optimiser: sgd, number of updates: 1407"


def test_the_full_scale_is_the_papers() -> None:
    trials = SCALES["full"].trials(40)
    conditions = {trial.condition for trial in trials}
    assert len(conditions) == 2 * 2 * 3 * 3
    assert len(trials) == 40 * len(conditions)
    assert conditions == set(SCALES["full"].titles)
    first = [trial.configuration for trial in trials[:40]]
    assert len({c.initialiser for c in first}) == 9
    assert {trial.configuration.scale for trial in trials} == {0.05, 0.5, 5.0}
    assert {c.batch_size for c in first} == {64}


def test_the_html_page_draws_its_estimates(results: Results, few: Ensemble) -> None:
    page = results_page(results, command="axonometry paper ictai2021")
    assert [tab.name for tab in page.tabs] == [
        *("Summary", "Fluctuation", "Reliability", "Separation", "Densities", "One network", "Definitions")
    ]
    figures = {block.title: block for tab in page.tabs for block in tab.blocks if isinstance(block, Figure)}
    everywhere, alike = figures["Fluctuation: a few networks"].panels[0].figure.data
    np.testing.assert_allclose(everywhere.x, [one.value for one in few.fluctuation["rho"]], rtol=1e-6)
    np.testing.assert_allclose(alike.x, [one.value for one in few.fluctuation["alike"]], rtol=1e-6)
    (panel,) = figures["High against low third: a few networks"].panels
    np.testing.assert_allclose(panel.figure.data[0].x, [one.value for one in few.separation["auc"]], rtol=1e-6)
    assert panel.figure.layout.yaxis.ticktext[0].replace("<br>", "") == "link weights, fc1, mean"


def test_the_html_page_in_a_browser(results: Results, browser: Any, tmp_path: Path) -> None:
    wrong: list[str] = []
    browser.on("console", lambda message: wrong.append(message.text))
    browser.on("pageerror", lambda error: wrong.append(str(error)))
    browser.set_viewport_size({"width": 375, "height": 812})
    browser.goto(results_page(results).write(tmp_path / "page.html").as_uri())
    for tab in browser.get_by_role("tab").all():
        tab.click()
        for plot in browser.locator("section:not([hidden]) .panel:not([hidden]) .plot").all():
            plot.scroll_into_view_if_needed()
            plot.locator(".main-svg").first.wait_for()
        assert browser.evaluate("document.documentElement.scrollWidth") <= 375
    assert wrong == []
