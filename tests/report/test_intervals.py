"""Estimates with their intervals against the numbers that they are drawn from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from axonometry.report.intervals import intervals, series_keys

SCRIPT = "<script>alert(1)</script>"


def estimates() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": ["fc1", "fc1", SCRIPT, SCRIPT],
            "series": ["weights", "strength"] * 2,
            "value": [0.5, 0.9, np.nan, 0.1],
            "low": [0.4, 0.8, np.nan, np.nan],
            "high": [0.7, 0.95, np.nan, np.nan],
        }
    )


def test_dots_and_bars_are_the_estimates() -> None:
    panel = intervals(estimates(), x="area under the curve", reference=0.5, limits=(0.0, 1.0), title="T")
    weights, strength = panel.figure.data
    np.testing.assert_allclose(weights.x, [0.5, np.nan], rtol=1e-6)
    np.testing.assert_allclose(strength.error_x.array, [0.05, np.nan], rtol=1e-6)
    np.testing.assert_allclose(strength.error_x.arrayminus, [0.1, np.nan], rtol=1e-6)
    assert weights.y[0] < strength.y[0] < weights.y[1]
    assert panel.figure.layout.shapes[0].x0 == 0.5
    assert panel.title == "T"
    assert panel.figure.layout.xaxis.range == (0.0, 1.0)


def test_names_come_from_top_to_bottom_and_are_text() -> None:
    figure = intervals(estimates(), x="ρ", reference=0.0).figure
    top, bottom = figure.layout.yaxis.range[::-1]
    assert top < 0 < 1 < bottom
    assert list(figure.layout.yaxis.ticktext) == ["fc1", "&lt;script&gt;alert(1)&lt;/script&gt;"]
    assert "<script>" not in repr(figure.to_plotly_json())


def test_a_panel_grows_with_its_names_and_its_legend_has_its_series() -> None:
    small = intervals(estimates(), x="ρ", reference=0.0)
    many = pd.concat([estimates().assign(name=f"layer{i}") for i in range(20)])
    assert intervals(many, x="ρ", reference=0.0).height > small.height
    assert [key.name for key in series_keys(["weights", "strength"])] == ["weights", "strength"]
    assert {trace.legendgroup for trace in small.figure.data} == {"weights", "strength"}
