"""What all figures share: axes, thinning, numbers as they travel, names that Plotly must not read as HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from axonometry.report import palette

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import NDArray


def blank(x: str, y: str) -> go.Figure:
    """A figure with named axes: y's name stands above its axis, where it costs no width and no turning of heads."""
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


def evenly(length: int, most: int) -> NDArray[np.intp]:
    """Indices of at most ``most`` of ``length`` rows, evenly spaced, the first and the last among them.

    >>> evenly(3, 5).tolist(), evenly(9, 3).tolist()
    ([0, 1, 2], [0, 4, 8])
    """
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(int)) if length else np.arange(0)


def escape(text: str) -> str:
    """A user's name inside Plotly's labels, which read some HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def folded(name: str) -> str:
    """A long name on two lines, broken at the sign nearest to its middle.

    >>> folded("fc1"), folded("variance-scaling-normal-fan-in")
    ('fc1', 'variance-scaling-<br>normal-fan-in')
    """
    places = [i + 1 for i, letter in enumerate(name) if letter in "-_. "]
    if len(name) <= 16 or not places:
        return name
    place = min(places, key=lambda i: abs(i - len(name) / 2))
    return f"{name[:place]}<br>{name[place:]}"


def plain(title: str) -> str:
    """A title without its unit, for a hover text."""
    return escape(re.split(r" \(|,", title, maxsplit=1)[0])


def small(values: object) -> NDArray[np.float32]:
    """Numbers as float32: more than a screen can show, half of what a page would weigh."""
    return np.asarray(values, dtype="float32")
