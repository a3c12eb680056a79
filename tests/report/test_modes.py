"""The page of neuron modes: it shows what was measured, with few layers and many, one step and several."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.metrics.modes import modes_over_time
from axonometry.program import NeuralGraph
from axonometry.report import Figure, Page, Table
from axonometry.report.modes import MOST_DENSITIES, MOST_LINES, modes_page

SAMPLES, LABELS = torch.linspace(-1, 1, 200).reshape(40, 5).sin(), torch.arange(40) % 3


def network(depth: int, scale: float = 1.0) -> NeuralGraph:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in pairwise((5, *[6] * depth, 3)):
        layers += [nn.Linear(before, after), nn.ReLU()]
        layers[-2].weight.data.mul_(scale)
    return ax.capture(nn.Sequential(*layers[:-1]), torch.zeros(1, 5))


def page(depth: int, *scales: float, labels: bool = True) -> tuple[Page, pd.DataFrame]:
    graphs = {10 * i: partial(network, depth, scale) for i, scale in enumerate(scales)}
    table = modes_over_time(graphs, SAMPLES, LABELS if labels else None)
    densities = ax.rank_distribution(network(depth, scales[-1]), SAMPLES, LABELS, bins=10).densities()
    return modes_page(table, densities if labels else None, facts={"samples": 40}, command="none"), table


def figures(page: Page, tab: str) -> dict[str, Figure]:
    blocks = next(found.blocks for found in page.tabs if found.name == tab)
    return {block.title: block for block in blocks if isinstance(block, Figure)}


def test_the_phase_picture_shows_the_gradients() -> None:
    found, table = page(3, 0.5, 1.0, 2.0)
    phases = figures(found, "Phases")
    over_time = phases["Gradient of the rank distribution over training"]
    assert [key.name for key in over_time.legend] == ["0", "2", "4"]
    rows = table[(table["metric"] == "rank_gradient") & (table["statistic"] == "mean")]
    for trace in over_time.panels[0].figure.data:
        expected = rows.loc[rows["group"] == trace.name, "value"]
        np.testing.assert_allclose(trace.y, expected, rtol=1e-6)
        assert list(trace.x) == [0, 10, 20]
    (dots,) = phases["By layer"].panels[0].figure.data
    np.testing.assert_allclose(dots.y, rows.loc[rows["step"] == 20, "value"], rtol=1e-6)
    cells = phases["By class"].panels[0].figure.data[0]
    assert cells.z.shape == (3, 3)
    assert list(cells.y) == ["class 0", "class 1", "class 2"]


def test_modes_and_what_is_left_behind_a_layer() -> None:
    found, table = page(2, 1.0, 2.0)
    shares = figures(found, "Modes")["Modes by layer"].panels
    assert [panel.title for panel in shares] == [
        "order preserved",
        "preserved with ties",
        "order not preserved",
        "dead",
    ]
    kept = table[(table["step"] == 10) & (table["statistic"] == "strict")]["value"]
    np.testing.assert_allclose(shares[0].figure.data[0].y, kept, rtol=1e-6)
    behind = figures(found, "Linear truncation")["Linear truncation by layer"].panels
    errors = table[(table["step"] == 10) & (table["statistic"] == "error")]["value"]
    np.testing.assert_allclose(behind[1].figure.data[0].y, errors, atol=1e-6)
    (shown,) = [b for tab in found.tabs if tab.name == "Modes" for b in tab.blocks if isinstance(b, Table)]
    assert shown.columns[:3] == ("layer", "rate", "strict")


def test_one_step_has_no_lines_over_time_and_no_labels_no_ranks() -> None:
    found, _ = page(2, 1.0)
    assert not any("over training" in title for tab in found.tabs for title in figures(found, tab.name))
    found, _ = page(2, 1.0, 2.0, labels=False)
    assert [tab.name for tab in found.tabs] == ["Modes", "Definitions"]


def test_many_layers_are_a_heatmap_and_some_densities() -> None:
    found, _ = page(MOST_LINES + 2, 1.0, 1.1)
    panel = figures(found, "Phases")["Gradient of the rank distribution over training"].panels[0]
    assert panel.figure.data[0].type == "heatmap"
    ranks = figures(found, "Rank distributions")["Rank distributions"]
    assert len(ranks.panels) == MOST_DENSITIES
    assert f"{MOST_DENSITIES} of {MOST_LINES + 2} layers" in ranks.caption


def test_a_network_that_diverged_can_be_shown() -> None:
    table = modes_over_time({0: partial(network, 2), 1: partial(network, 2, float("nan"))}, SAMPLES, LABELS)
    assert "NaN" not in modes_page(table).html().split("<script")[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(scheme: str, browser: Any, tmp_path: Path) -> None:
    complaints: list[str] = []
    browser.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    browser.on("pageerror", lambda error: complaints.append(str(error)))
    browser.set_default_timeout(90_000)
    browser.emulate_media(color_scheme=scheme)
    found, _ = page(3, 0.5, 1.0)
    path = found.write(tmp_path / "modes.html")
    browser.goto(path.as_uri())
    for tab in found.tabs:
        browser.get_by_role("tab", name=tab.name, exact=True).click()
        for plot in browser.locator("section:not([hidden]) .plot").all():
            plot.scroll_into_view_if_needed()
            plot.locator(".main-svg").first.wait_for()
        assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert complaints == []
