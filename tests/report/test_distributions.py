"""Densities, dots and matrices against the numbers that they are drawn from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from axonometry.report import distributions, palette

NAMES = ["low", "middle", "high"]
SCRIPT = "<b onclick=alert(1)>x</b>"


def curves(names: list[str]) -> pd.DataFrame:
    grid = np.linspace(-1, 2, 31)
    return pd.concat([pd.DataFrame({"name": name, "x": grid + i, "density": grid**2}) for i, name in enumerate(names)])


def test_a_density_keeps_its_own_grid_and_its_colour_when_others_are_missing() -> None:
    figure = distributions.density_figure(curves(["low", "high"]), NAMES, x="weight")
    low, high = figure.data
    assert (low.x0, high.x0) == (-1.0, 0.0)
    assert low.dx == pytest.approx(0.1)
    assert [trace.line.color for trace in figure.data] == [
        palette.shade("accuracy", 0.0),
        palette.shade("accuracy", 1.0),
    ]
    assert len(distributions.density_figure(curves(["low"]).iloc[:0], NAMES, x="weight").data) == 0


def test_dots_are_the_values_of_each_bin_without_nan() -> None:
    frame = pd.DataFrame(
        {
            "network": list("abcde"),
            "bin": pd.Categorical(["low", "low", "high", "high", "high"], categories=NAMES, ordered=True),
            "value": [1.0, 2.0, 3.0, np.nan, 5.0],
        }
    )
    figure = distributions.by_bin(frame, y="fluctuation", log=True)
    assert {trace.name: list(trace.y) for trace in figure.data} == {"low": [1, 2], "high": [3, 5]}
    assert list(figure.layout.xaxis.categoryarray) == NAMES
    assert figure.layout.yaxis.type == "log"


def test_choices_are_in_order_and_lie_down_where_their_names_are_long() -> None:
    accuracy = [0.1, 0.5, 0.9, 0.4]
    rates = pd.DataFrame({"accuracy": accuracy, "rate": [0.1, 0.01, 0.001, 0.01]}, index=list("abcd"))
    figure = distributions.by_value(rates, "rate")
    assert [trace.name for trace in figure.data] == ["0.001", "0.01", "0.1"]
    assert {trace.orientation for trace in figure.data} == {"v"}
    long = [f"variance-scaling-normal-fan-{i}" for i in range(4)]
    named = pd.DataFrame({"accuracy": accuracy, "initialiser": long}, index=list("abcd"))
    figure = distributions.by_value(named, "initialiser")
    assert {trace.orientation for trace in figure.data} == {"h"}
    assert figure.data[0].y[0] == "variance-scaling-<br>normal-fan-0"
    assert figure.layout.yaxis.autorange == "reversed"


def test_a_choice_of_several_kinds_can_be_drawn() -> None:
    frame = pd.DataFrame({"accuracy": [0.1, 0.2, 0.3], "every": ["epoch", 10, 2]}, index=list("abc"))
    assert [trace.name for trace in distributions.by_value(frame, "every").data] == ["2", "10", "epoch"]


def test_many_numbers_are_an_axis() -> None:
    frame = pd.DataFrame({"accuracy": np.linspace(0, 1, 20), "max_steps": np.geomspace(1, 1000, 20)})
    (dots,) = distributions.by_value(frame, "max_steps").data
    np.testing.assert_allclose(dots.x, frame["max_steps"])
    assert distributions.by_value(frame, "max_steps").layout.xaxis.type == "log"
    assert not distributions.long(frame["max_steps"])


def test_a_small_matrix_has_its_numbers_in_readable_colours() -> None:
    matrix = pd.DataFrame([[0.0, 4.0], [4.0, np.nan]], index=["a", SCRIPT], columns=["a", SCRIPT])
    figure = distributions.heatmap(matrix, value="divergence (nats)")
    cells, numbers = figure.data
    assert cells.zmax == 4.0
    assert np.isnan(cells.z[1, 1])
    assert list(numbers.text) == ["0", "4", "4", ""]
    ink, paper = palette.TOKENS["ink"][0], palette.TOKENS["surface"][0]
    assert list(numbers.textfont.color) == [ink, paper, paper, ink]
    assert "<b onclick" not in repr(figure.to_plotly_json())


def test_each_number_stands_in_its_cell() -> None:
    matrix = pd.DataFrame([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], index=["a", "b"], columns=["x", "y", "z"])
    cells, numbers = distributions.heatmap(matrix, value="divergence (nats)").data
    for row, column, text in zip(numbers.y, numbers.x, numbers.text, strict=True):
        assert float(text) == matrix.loc[row, column]
    assert np.asarray(cells.z).tolist() == matrix.to_numpy().tolist()
    assert (list(cells.y), list(cells.x)) == (["a", "b"], ["x", "y", "z"])


def test_a_large_matrix_has_a_scale_instead_of_numbers() -> None:
    matrix = pd.DataFrame(np.arange(400.0).reshape(20, 20))
    figure = distributions.heatmap(matrix, value="divergence (nats)")
    (cells,) = figure.data
    assert cells.showscale
    assert "divergence %{z" in cells.hovertemplate


@pytest.mark.parametrize("fill", [np.nan, 0.0, np.inf])
def test_a_matrix_without_a_finite_difference_is_drawn_all_the_same(fill: float) -> None:
    figure = distributions.heatmap(pd.DataFrame(np.full((2, 2), fill)), value="divergence")
    assert figure.data[0].zmax == 1.0


def test_a_thousand_networks_of_a_bin_are_thinned_to_their_quantiles() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=20_000)
    frame = pd.DataFrame({"network": np.arange(20_000).astype(str), "value": values})
    frame["bin"] = pd.Categorical(["low"] * 20_000, categories=["low"], ordered=True)
    (box,) = distributions.by_bin(frame, y="fluctuation").data
    assert len(box.y) == distributions.MOST_POINTS
    np.testing.assert_allclose(np.quantile(box.y, [0.25, 0.5, 0.75]), np.quantile(values, [0.25, 0.5, 0.75]), atol=0.01)
