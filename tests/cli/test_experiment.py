"""A paper's experiment from the command line, with fewer networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from axonometry import papers
from axonometry.cli.experiment import PAPER
from axonometry.experiments import Experiment
from axonometry.papers import PAPERS, load_paper
from axonometry.papers.ictai2021.scales import SCALES, ensemble
from axonometry.populations import draw

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """15 networks on digits instead of 580 on MNIST: five that do not learn, ten that do."""
    networks = draw(range(15), {"max_steps": (1, 300)}, initialiser="random-normal", scale=0.05)
    trials = ensemble("few", networks, ["max_steps"])
    scale = replace(SCALES["small"], trials=lambda _: trials, titles={"few": "a few networks"})
    found = replace(load_paper("ictai2021"), scales={"small": scale})
    monkeypatch.setattr(papers, "load_paper", lambda name: found)


@pytest.mark.usefixtures("few")
def test_ictai2021(run, browser: Page, tmp_path: Path) -> None:
    words = ["paper", "ictai2021", "--folder", tmp_path / "runs"]
    found = run(*words, "--json").json
    assert (found["trained"], found["networks"]) == (15, 15)
    tables = {section["name"]: section["tables"][0] for section in found["sections"] if section["tables"]}
    fluctuation, separation = tables["fluctuation"], tables["separation"]
    assert fluctuation["rows"][-1][0] == "mean of layers"
    assert all(rho["low"] <= rho["value"] <= rho["high"] for _, rho, *_ in fluctuation["rows"])
    assert {row[0] for row in separation["rows"]} == {"node strength", "link weights"}

    page, table = tmp_path / "page.html", tmp_path / "table.md"
    again = run(*words, "--report", page, "--table", table)
    assert again.code == 0
    rho = fluctuation["rows"][-1][1]
    assert f"ρ = {rho['value']:.2f} [" in again.out
    assert again.err.startswith("0 networks trained")
    assert again.err.endswith(f"Wrote {table}\nWrote {page}\n")
    assert "rises with accuracy: a few networks (fluctuation)" in table.read_text(encoding="utf-8")
    complaints: list[str] = []
    browser.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    browser.on("pageerror", lambda error: complaints.append(str(error)))
    browser.goto(page.as_uri())
    tabs = ["Summary", "Fluctuation", "Reliability", "Separation", "Densities", "One network", "Definitions"]
    assert browser.locator("[role=tab]").all_inner_texts() == tabs
    for tab in browser.locator("[role=tab]").all():
        tab.click()
    assert complaints == []


def test_ictai2021_without_the_data_says_where_it_belongs(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AXONOMETRY_DATA", raising=False)
    outcome = run("paper", "ictai2021", "--folder", tmp_path / "runs")
    assert outcome.code == 2
    assert "AXONOMETRY_DATA" in outcome.err


@pytest.mark.parametrize("name", PAPERS)
def test_every_paper_is_an_experiment_with_a_tiny_scale(name: str) -> None:
    found = load_paper(name)
    assert isinstance(found, Experiment)
    assert found.name == name
    assert list(found.scales) == ["tiny", "small", "medium", "full"]
    assert {trial.configuration.dataset for trial in found.scales["tiny"].trials(1)} <= {"digits", "modular-addition"}
    assert all(scale.about for scale in found.scales.values())
    assert name in PAPER


def test_each_command_says_what_its_argument_is(run) -> None:
    paper, own = (run(name, "--help").out for name in ("paper", "experiment"))
    assert "ictai2021, cikm2022, ijcai2024, lin2025" in paper
    assert "FILE.py:NAME" in own
    assert "A variable of a file" not in paper
    assert "--json             " in paper  # a flag takes no value


@pytest.mark.parametrize(
    "words",
    [
        *(["demo", "--report"], ["paper", "ictai2021", "--report"], ["paper", "ictai2021", "--table"]),
        *(["experiment", "FILE.py:NAME", "--report"], ["basins", "RUN", "--report"], ["modes", "RUN", "--report"]),
        *(
            ["analyze", "RUN", "--report"],
            ["predict", "evaluate", "RUN", "--report"],
            ["predict", "fit", "RUN", "--out"],
        ),
        ["predict", "apply", "FILE", "RUN", "--report"],
    ],
    ids=" ".join,
)
def test_an_output_that_cannot_be_written_is_refused_at_the_start(run, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "file").touch()
    found = run(*words, tmp_path / "file" / "page.html")
    assert (found.code, found.out) == (2, "")
    assert found.err == f"Error: not a folder: {tmp_path / 'file'}. Choose another path.\n"
