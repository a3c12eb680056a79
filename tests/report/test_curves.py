"""Lines with intervals, as a figure and as a drawing."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from axonometry.report.curves import _round_numbers, colours, curves, curves_svg

SVG = "{http://www.w3.org/2000/svg}"


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": ["b", "b", "b", "a <i>"],
            "x": [100.0, 1.0, 10.0, 10.0],
            "value": [3.0, 1.0, 2.0, 0.5],
            "low": [2.5, 0.5, 1.5, math.nan],
            "high": [3.5, 1.5, 50.0, math.nan],
        }
    )


def test_lines_are_sorted_and_named_with_a_band_each() -> None:
    figure = curves(frame(), x="update", y="gradient", log=True)
    band, line, nothing, dot = figure.data
    assert list(line.x) == [1, 10, 100]
    assert np.allclose(line.y, [1, 2, 3])
    assert list(band.x) == [1, 10, 100, 100, 10, 1]
    assert np.allclose(band.y, [0.5, 1.5, 2.5, 3.5, 50, 1.5])
    assert len(nothing.x) == 0
    assert dot.name == "a &lt;i&gt;"
    assert dot.legendgroup == "a <i>"
    assert figure.layout.xaxis.type == "log"
    low, high = figure.layout.yaxis.range
    assert low < 0.5
    assert 3 < high < 6  # the band's 50 leaves the panel
    assert list(figure.layout.xaxis.ticktext) == ["1", "10", "100"]


def test_an_interval_as_wide_as_all_lines_stays_inside() -> None:
    low, high = curves(frame().assign(low=-1.9, high=5.4), x="x", y="y").layout.yaxis.range
    assert low < -1.9  # the lines go from 0.5 to 3
    assert high > 5.4


def test_few_places_are_labelled_themselves_and_many_by_round_numbers() -> None:
    places = [1.0, 2.0, 4.0, 8.0]
    few = pd.DataFrame({"name": "a", "x": places, "value": 1.0, "low": 0.5, "high": 1.5})
    assert list(curves(few, x="layers", y="y", log=True).layout.xaxis.tickvals) == places
    many = pd.DataFrame({"name": "a", "x": np.geomspace(1, 3000, 20), "value": 1.0, "low": 0.5, "high": 1.5})
    assert list(curves(many, x="update", y="y", log=True).layout.xaxis.ticktext) == ["1", "10", "100", "1,000"]
    close = few.assign(x=[1.0, 1.01, 500.0, 1000.0])  # labels of 1 and 1.01 would lie on each other
    assert list(curves(close, x="x", y="y", log=True).layout.xaxis.ticktext) == ["1", "10", "100", "1,000"]
    root = ET.fromstring(curves_svg(few, x="layers", y="y", log=True))
    assert {"1", "2", "4", "8"} <= {text.text for text in root.iter(f"{SVG}text")}


def test_the_drawing_holds_the_same_points() -> None:
    root = ET.fromstring(curves_svg(frame(), x="update", y="gradient <1>", log=True))
    dots = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in root.iter(f"{SVG}circle")]
    assert len(dots) == 4
    (x1, y1), (x10, y2), (x100, y3), (lone, lowest) = dots
    assert x10 - x1 == pytest.approx(x100 - x10, abs=0.2)  # evenly spaced in the logarithm
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2)
    assert (lone, lowest) == (x10, pytest.approx(y1 + (y1 - y2) / 2, abs=0.2))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"gradient <1>", "update", "a <i>", "b", "1", "10", "100"} <= set(texts)
    assert len(list(root.iter(f"{SVG}polygon"))) == 1


def test_a_linear_axis_and_a_single_point() -> None:
    one = frame().iloc[:1]
    root = ET.fromstring(curves_svg(one, x="x", y="y"))
    assert len(list(root.iter(f"{SVG}circle"))) == 1
    straight = frame().assign(x=[1.0, 2.0, 3.0, 2.0])
    places = sorted(
        {float(c.attrib["cx"]) for c in ET.fromstring(curves_svg(straight, x="x", y="y")).iter(f"{SVG}circle")}
    )
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)


def test_a_frame_without_numbers_is_drawn_empty() -> None:
    nothing = frame().assign(value=math.nan, low=math.nan, high=math.nan)
    assert not list(ET.fromstring(curves_svg(nothing, x="x", y="y")).iter(f"{SVG}circle"))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_round_numbers_lie_inside(low: float, width: float) -> None:
    found = _round_numbers(low, low + width)
    assert 2 <= len(found) <= 8
    assert all(low - 1e-6 * width <= number <= low + width + 1e-6 * width for number in found)
    steps = np.diff(found)
    assert np.allclose(steps, steps[0], rtol=1e-3)


def test_colours_are_as_many_as_lines() -> None:
    assert len(set(colours(8))) == 8
