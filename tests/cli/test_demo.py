"""The demo, with fewer networks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from axonometry import report
from axonometry.cli import demo

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page


BLANK = report.Page("", "", (report.Tab("", ()),))


def test_its_networks_differ_in_training_only() -> None:
    networks = demo.networks()
    assert len({network.identity for network in networks}) == len(networks)
    assert Counter(network.optimiser for network in networks) == {"sgd": 48, "adam": 48}
    assert {(network.initialiser, network.scale, network.size) for network in networks} == {
        ("random-normal", 0.05, "small")
    }


@pytest.mark.usefixtures("in_this_process")
def test_from_nothing_to_a_page(run, browser: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SEEDS", range(3))
    words = ["demo", "--folder", tmp_path / "runs", "--report", tmp_path / "page.html"]
    found = run(*words, "--json").json
    assert found["networks"] == 6 == sum(row["networks"] for row in found["bins"])
    assert found["predicted"] == []  # too few to judge predictions on
    assert set(found["spearman"]) == {"input", "fc1", "fc2", "fc3", "fc4"}
    assert all(-1 <= rho <= 1 for rho in found["spearman"].values())
    complaints: list[str] = []
    browser.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    browser.on("pageerror", lambda error: complaints.append(str(error)))
    browser.goto((tmp_path / "page.html").as_uri())
    assert "6 networks" in browser.inner_text("h1")
    assert complaints == []

    monkeypatch.setattr("axonometry.populations.workers._pool", None)  # nothing is trained twice
    monkeypatch.setattr("axonometry.report.population.population_page", lambda *_, **__: BLANK)
    again = run(*words)
    assert again.code == 0
    assert "Spearman correlation of fluctuation with accuracy over 6 networks" in again.out
    assert again.err == f"Wrote {tmp_path / 'page.html'}: open it in a browser.\n"
