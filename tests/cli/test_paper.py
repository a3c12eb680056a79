"""A paper's experiment from the command line, with fewer networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from axonometry.papers import ictai2021
from axonometry.populations import draw

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """15 networks on digits instead of 720 on MNIST: five that do not learn, ten that do."""
    networks = draw(range(15), {"max_steps": (1, 300)}, initialiser="random-normal", scale=0.05)
    plan = ictai2021.Plan("few", "a few networks", networks, ("max_steps",))
    monkeypatch.setattr(ictai2021, "SCALES", {"small": lambda: (plan,)})


@pytest.mark.usefixtures("few")
def test_ictai2021(run, browser: Page, tmp_path: Path) -> None:
    words = ["paper", "ictai2021", "--folder", tmp_path / "runs"]
    found = run(*words, "--json").json
    (ensemble,) = found["ensembles"]
    assert (found["trained"], ensemble["networks"]) == (15, 15)
    assert [row["layer"] for row in ensemble["fluctuation"]][-1] == "mean of layers"
    assert all(row["rho_low"] <= row["rho"] <= row["rho_high"] for row in ensemble["fluctuation"])
    assert {row["metric"] for row in ensemble["separation"]} == {"link_weights", "node_strength"}

    page, table = tmp_path / "page.html", tmp_path / "table.md"
    again = run(*words, "--report", page, "--table", table)
    assert again.code == 0
    first = ensemble["fluctuation"][0]
    assert f"{first['rho']:.2f} [{first['rho_low']:.2f}, {first['rho_high']:.2f}]" in again.out
    assert again.err.startswith(f"Wrote {table}\nWrote {page}\n0 networks trained")
    assert "a few networks** (n = 15)" in table.read_text(encoding="utf-8")
    complaints: list[str] = []
    browser.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    browser.on("pageerror", lambda error: complaints.append(str(error)))
    browser.goto(page.as_uri())
    assert browser.locator("[role=tab]").all_inner_texts() == ["few", "One network", "Definitions"]
    for tab in browser.locator("[role=tab]").all():
        tab.click()
    assert complaints == []


def test_ictai2021_without_the_data_says_where_it_belongs(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AXONOMETRY_DATA", raising=False)
    outcome = run("paper", "ictai2021", "--folder", tmp_path / "runs")
    assert outcome.code == 2
    assert "AXONOMETRY_DATA" in outcome.err
