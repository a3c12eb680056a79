"""The whole experiment at a tiny scale on the embedded digits; its plans; its page."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from axonometry.errors import ConfigurationError
from axonometry.experiments import association
from axonometry.papers import ensembles, ictai2021
from axonometry.papers.ictai2021 import Plan, Results, carry_out, full, small
from axonometry.papers.ictai2021_page import results_page
from axonometry.papers.ictai2021_table import write_results
from axonometry.populations import draw
from axonometry.report import Figure


def tiny() -> Plan:
    configurations = draw(
        range(9), {"max_steps": (1, 30, 90)}, initialiser="random-normal", scale=0.05, epochs=3, record_every=90
    )
    return Plan("tiny", "tiny networks", configurations, ("max_steps",))


@pytest.fixture(scope="module", autouse=True)
def _few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensembles, "RELABELLINGS", 2)
        patch.setattr(association, "DRAWS", 200)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiment")


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    with ThreadPoolExecutor(1) as executor:
        return carry_out([tiny()], scale="small", folder=folder, executor=executor)


def test_networks_are_trained_and_compared(results: Results, folder: Path) -> None:
    (found,) = results.ensembles
    assert results.trained == len(found.networks) == 9
    assert sorted(path.name for path in (folder / "tiny").iterdir()) == sorted(found.networks.index)
    assert results.individual.network == found.networks.index[-1]
    assert results.individual.accuracy == found.networks["accuracy"].max()
    assert found.fluctuation["layer"].tolist() == ["input", "fc1", "fc2", "fc3", "fc4", "mean of layers"]
    assert len(found.separation) == 2 * (4 + 5)


def test_a_second_call_trains_nothing_and_finds_the_same(results: Results, folder: Path) -> None:
    seen: list[str] = []
    with ThreadPoolExecutor(1) as executor:
        again = carry_out(
            [tiny()],
            scale="small",
            folder=folder,
            executor=executor,
            progress=lambda done, total, words: seen.append(f"{done}/{total} {words}"),
        )
    assert again.trained == 0
    assert again.ensembles[0].separation.equals(results.ensembles[0].separation)
    assert again.ensembles[0].fluctuation.equals(results.ensembles[0].fluctuation)
    assert again.ensembles[0].contrast.equals(results.ensembles[0].contrast)
    assert any(line.startswith("9/9 training tiny networks") for line in seen)
    assert any(line.endswith("measuring tiny networks") for line in seen)


def test_the_page_says_what_was_run_and_found(results: Results, tmp_path: Path) -> None:
    page = tmp_path / "results" / "page.md"
    write_results(results, page, command="axonometry paper ictai2021 --data DIR")
    text = page.read_text(encoding="utf-8")
    for words in (
        "Written by `axonometry paper ictai2021 --data DIR` (scale: small)",
        "**tiny networks** (n = 9). Layer fluctuation rises with accuracy in",
        "Node strength tells the high from the low third in",
        "trained alike means the same number of updates",
        "### Layer fluctuation and accuracy",
        "| node strength | fc4 | std |",
        "## One network, layer by layer",
    ):
        assert words in text
    assert "nan" not in text
    assert all(len(line) < 2000 for line in text.splitlines())
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 40


def test_plans_of_the_small_scale() -> None:
    plans = small()
    assert [len(plan.configurations) for plan in plans] == [400, 120, 60]
    identities = {c.identity for plan in plans for c in plan.configurations}
    assert len(identities) == 580
    seeds = [c.seed for plan in plans for c in plan.configurations]
    assert len(set(seeds)) == 580
    for plan in plans:
        assert {c.initialiser for c in plan.configurations} == {"random-normal"}
        assert len({(c.family, c.size, c.scale, c.dataset) for c in plan.configurations}) == 1
        assert all(c.max_steps <= c.epochs * 938 for c in plan.configurations)
    assert {c.optimiser for c in plans[0].configurations} == {"sgd", "adam"}


def test_plans_of_the_full_scale_are_the_papers() -> None:
    plans = full(range(10_000, 10_040))
    assert len({plan.name for plan in plans}) == len(plans) == 2 * 2 * 3 * 3
    assert {len(plan.configurations) for plan in plans} == {40}
    first = plans[0].configurations
    assert len({c.initialiser for c in first}) == 9
    assert {c.scale for plan in plans for c in plan.configurations[:1]} == {0.05, 0.5, 5.0}
    assert {c.batch_size for c in first} == {64}


def test_unknown_scales_and_empty_experiments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"its scales; got 'tiny'\. Choose from: small, full"):
        ictai2021.run(scale="tiny", folder=tmp_path)
    with pytest.raises(ConfigurationError, match="an experiment has an ensemble; got none"):
        carry_out([], scale="small", folder=tmp_path)


def test_the_html_page_draws_its_estimates(results: Results) -> None:
    page = results_page(results, command="axonometry paper ictai2021")
    assert [tab.name for tab in page.tabs] == ["tiny", "One network", "Definitions"]
    figures = {block.title: block for block in page.tabs[0].blocks if isinstance(block, Figure)}
    everywhere, alike = figures["Fluctuation and accuracy, layer by layer"].panels[0].figure.data
    fluctuation = results.ensembles[0].fluctuation
    np.testing.assert_allclose(everywhere.x, fluctuation["rho"], rtol=1e-6)
    np.testing.assert_allclose(alike.x, fluctuation["alike"], rtol=1e-6)
    for panel in figures["Does node strength tell accurate networks apart where link weights do not?"].panels:
        assert list(panel.figure.layout.yaxis.ticktext) == ["input", "fc1", "fc2", "fc3", "fc4"]
        drawn = {trace.name: len(trace.x) for trace in panel.figure.data}
        assert drawn == {"node strength": 5, "link weights": 4}


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
