"""Shared by all figures: axes, bands, error bars, thinning, and escaping of names in labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from axonometry.report import palette

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import ArrayLike, NDArray


def blank(x: str, y: str) -> go.Figure:
    """A figure with named axes; the name of y is above its axis, where it is horizontal and takes no width."""
    import plotly.graph_objects as go

    layout = {
        "template": palette.template(),
        "xaxis": {"title": {"text": escape(x)}},
        "margin": {"l": 8, "r": 12, "t": 30 if y else 12, "b": 8},
        "annotations": [
            {
                "text": escape(y),
                "xref": "paper",
                "yref": "paper",
                "x": 0,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
                "yshift": 6,
                "showarrow": False,
                "font": {"size": 13, "color": palette.TOKENS["muted"][0]},
            }
        ]
        if y
        else [],
    }
    return go.Figure(layout=layout)


def add_band(figure: go.Figure, x: object, ends: tuple[object, object], *, colour: str, name: str = "") -> None:
    """Fill the area between the lower and the upper ends of intervals.

    Args:
        figure: The figure to add to.
        x: Where the intervals are, ascending.
        ends: The lower ends and the upper ends.
        colour: Of the area, with its opacity.
        name: The trace's name and legend group; a trace without them where empty.
    """
    places, low, high = (np.asarray(values) for values in (x, *ends))
    # One closed line: along the lower ends to the right, and back along the upper ends.
    figure.add_scatter(
        x=np.concatenate([places, places[::-1]]),
        y=as_float32(np.concatenate([low, high[::-1]])),
        fill="toself",
        fillcolor=colour,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        **({"name": escape(name), "legendgroup": name} if name else {}),
    )


def error_bars(value: ArrayLike, low: ArrayLike, high: ArrayLike, **style: object) -> dict[str, object]:
    """Plotly's ``error_x`` or ``error_y`` for intervals around values.

    >>> bars = error_bars([0.5], [0.25], [1.0], color="black")
    >>> bars["arrayminus"].tolist(), bars["array"].tolist(), bars["color"]
    ([0.25], [0.5], 'black')
    """
    middle, bottom, top = (np.asarray(ends, dtype="float64") for ends in (value, low, high))
    return {
        "type": "data",
        "symmetric": False,
        "array": as_float32(top - middle),
        "arrayminus": as_float32(middle - bottom),
        **style,
    }


def evenly(length: int, most: int) -> NDArray[np.intp]:
    """Indices of at most ``most`` of ``length`` rows, evenly spaced, with the first and the last.

    >>> evenly(3, 5).tolist(), evenly(9, 3).tolist()
    ([0, 1, 2], [0, 4, 8])
    """
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(int)) if length else np.arange(0)


def escape(text: str) -> str:
    """Escape a name for Plotly's labels, which interpret some HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def wrapped(name: str) -> str:
    """A long name on two lines, broken at the sign nearest to its middle.

    >>> wrapped("fc1"), wrapped("variance-scaling-normal-fan-in")
    ('fc1', 'variance-scaling-<br>normal-fan-in')
    """
    places = [i + 1 for i, letter in enumerate(name) if letter in "-_. "]
    if len(name) <= 16 or not places:
        return name
    place = min(places, key=lambda i: abs(i - len(name) / 2))
    return f"{name[:place]}<br>{name[place:]}"


def hover_title(title: str) -> str:
    """A title without its unit, for a hover text."""
    return escape(re.split(r" \(|,", title, maxsplit=1)[0])


def as_float32(values: object) -> NDArray[np.float32]:
    """Numbers as float32: precise enough for a screen, half the size in the page."""
    return np.asarray(values, dtype="float32")
