"""A square matrix of signed values between names, such as rank correlations: as SVG, and as a Plotly figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from axonometry.report import palette
from axonometry.report.axes import as_float32, blank, escape, hover_title
from axonometry.report.svg import element

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from markupsafe import Markup

CELL, LETTER, WIDE = 11, 5.6, 150
"""Side of a cell; width of a letter of a name; width of the scale, in pixels."""


def matrix_svg(names: Sequence[str], values: Float[np.ndarray, "n n"], *, value: str) -> str:
    """The matrix as an SVG drawing: names at the left, the scale below.

    Args:
        names: Of rows and columns.
        values: From -1 to 1; a value that is not finite is an empty cell.
        value: What they are.

    >>> matrix_svg(["a", "b"], np.eye(2), value="rank correlation").count("<path")
    2
    """
    left, side = round(10 + LETTER * max(map(len, names), default=0)), CELL * len(names)
    ink, ground = (palette.TOKENS[role][0] for role in ("ink", "surface"))
    cells = [
        element("path", d="".join(strokes), stroke=colour, stroke_width=CELL)
        for colour, strokes in _strokes(values, left).items()
    ]
    words = [
        element("text", name, x=left - 5, y=CELL * i + CELL - 2, text_anchor="end") for i, name in enumerate(names)
    ]
    width, height = left + max(side, WIDE + LETTER * len(value) + 60) + 10, side + 40
    font = {"font_family": "system-ui, sans-serif", "font_size": 10, "fill": ink}
    inside = element("g", *words, *_scale(left, side + 14, value), **font)
    box = {"viewBox": f"0 0 {width:.0f} {height}", "width": f"{width:.0f}", "height": height}
    whole = element("rect", width=f"{width:.0f}", height=height, fill=ground)
    return str(element("svg", whole, *cells, inside, xmlns="http://www.w3.org/2000/svg", role="img", **box))


def matrix_figure(names: Sequence[str], values: Float[np.ndarray, "n n"], *, value: str) -> go.Figure:
    """The same as a Plotly figure, the first row on top.

    Args:
        names: Of rows and columns.
        values: From -1 to 1.
        value: What they are.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    figure = blank("", "")
    labels = [escape(name) for name in names]
    figure.add_heatmap(
        z=as_float32(np.where(np.isfinite(values), values, np.nan)),
        x=labels,
        y=labels,
        zmin=-1,
        zmax=1,
        colorscale=[(i / (len(palette.DIVERGING) - 1), colour) for i, colour in enumerate(palette.DIVERGING)],
        hoverongaps=False,
        hovertemplate=f"%{{y}}<br>%{{x}}<br>{hover_title(value)} %{{z:.2f}}<extra></extra>",
        colorbar={"thickness": 8, "outlinewidth": 0, "tickfont": {"size": 10}},
    )
    axis = {"type": "category", "showgrid": False, "showline": False, "ticks": "", "tickfont": {"size": 9}}
    figure.update_xaxes(showticklabels=len(names) <= 30, **axis)
    figure.update_yaxes(autorange="reversed", dtick=1, **axis)
    return figure


def _strokes(values: Float[np.ndarray, "n n"], left: int) -> dict[str, list[str]]:
    """The cells by colour, equal neighbours of a row as one stroke: a tenth of the letters of a rectangle each."""
    strokes: dict[str, list[str]] = {}
    for i, row in enumerate(values):
        colours = [_colour(float(one)) if np.isfinite(one) else "" for one in row]
        for colour, run in groupby(range(len(row)), key=lambda j: colours[j]):
            cells = list(run)
            if colour:
                stroke = f"M{left + CELL * cells[0]} {CELL * i + CELL / 2:g}h{CELL * len(cells)}"
                strokes.setdefault(colour, []).append(stroke)
    return strokes


def _colour(value: float) -> str:
    place = (min(max(value, -1.0), 1.0) + 1) / 2
    return palette.DIVERGING[round(place * (len(palette.DIVERGING) - 1))]


def _scale(left: int, top: int, value: str) -> Iterator[Markup]:
    steps = 21
    for step in range(steps):
        share = step / (steps - 1)
        at = left + WIDE * step / steps
        yield element(
            "rect", x=f"{at:.1f}", y=top, width=f"{WIDE / steps + 0.3:.1f}", height=8, fill=_colour(2 * share - 1)
        )
    for label, share in (("−1", 0.0), ("0", 0.5), ("1", 1.0)):
        yield element("text", label, x=f"{left + WIDE * share:.1f}", y=top + 19, text_anchor="middle")
    yield element("text", value, x=left + WIDE + 12, y=top + 8)
