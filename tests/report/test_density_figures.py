"""Densities by measure: what each figure holds, and where its axes end."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from axonometry.metrics import divergence_null
from axonometry.report.density_figures import figures_by_measure
from axonometry.report.samples import Samples, centre


def normal(width: float) -> np.ndarray:
    return (width * np.random.default_rng(0).normal(size=500)).astype(np.float32)


def test_a_figure_a_measure_and_one_of_how_far_apart_its_samples_are() -> None:
    values: Samples = {
        ("node_strength", "fc1"): {"low": normal(1), "high": normal(2)},
        ("node_strength", "fc2"): {"low": normal(1), "high": normal(3)},
        ("mine", ""): {"low": normal(1), "high": np.ones(9, dtype=np.float32)},
        ("alone", ""): {"low": normal(1)},
    }
    figures = list(figures_by_measure(values, ["low", "high"], title=" by accuracy", caption="Pooled."))
    assert [figure.title for figure in figures] == [
        "Node strength by accuracy",
        "How far apart: node strength by accuracy",
        "Mine by accuracy",
        "How far apart: mine by accuracy",
        "Alone by accuracy",
    ]
    strength, apart, mine, *_ = figures
    assert [panel.title for panel in strength.panels] == [panel.title for panel in apart.panels] == ["fc1", "fc2"]
    assert [key.name for key in strength.legend] == ["low", "high"]
    assert [key.name for key in mine.legend] == ["low"]  # what is constant has no density
    assert strength.caption.startswith("Pooled.")
    null = divergence_null(normal(1), normal(2), draws=10).high
    assert f"Relabelled halves of a pair stay below (97.5 %) fc1: {null:.2g}; fc2: " in apart.caption
    assert "Relabelled" not in figures[3].caption  # of a constant sample there is no divergence
    assert strength.definition != mine.definition == ""
    ends = strength.panels[1].figure.layout.xaxis.range
    assert 6 < ends[1] < 12  # a hundredth of the wider peak lies at three of its widths


def test_one_wide_density_does_not_make_lines_of_the_others() -> None:
    def curve(name: str, width: float) -> pd.DataFrame:
        x = np.linspace(-5 * width, 5 * width, 400)
        return pd.DataFrame({"name": name, "x": x, "density": np.exp(-((x / width) ** 2) / 2) / width})

    alike = pd.concat([curve("a", 1.0), curve("b", 2.0)])
    low, high = centre(alike)
    assert -low == pytest.approx(2 * 3.03, rel=0.02)  # where exp(-x^2/2) is a hundredth
    assert high == pytest.approx(-low)
    low, high = centre(pd.concat([alike, curve("c", 100.0)]))
    assert -low == pytest.approx(2 * 3.03 * 3, rel=0.02)
    assert high == pytest.approx(-low)
