"""Lines with intervals: as a Plotly figure for pages, and as SVG for documents without scripts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from axonometry.report import palette
from axonometry.report.axes import add_band, as_float32, blank, escape
from axonometry.report.svg import element

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from markupsafe import Markup

MOST_CURVES = 8
"""Lines that readers can distinguish."""
FEW_PLACES = 10
"""Places on the horizontal axis that are labelled themselves."""
_DASHES = ("solid", "dash", "dot")
_SVG_DASHES = ("", "7 4", "2 4")
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _LINE = 720, 300, 56, 30, 44, 20


def colours(count: int) -> list[str]:
    """The lines' colours, in their order.

    >>> colours(2)
    ['#ef9d32', '#27117a']
    """
    return palette.steps("accuracy", count)


def curves(values: pd.DataFrame, *, x: str, y: str, log: bool = False) -> go.Figure:
    """One line a name with a band over its intervals.

    Args:
        values: Columns name, x, value, low, high; low and high are NaN where there is no interval.
        x: Name and unit of the horizontal axis.
        y: Name and unit of the vertical axis.
        log: Whether the horizontal axis is logarithmic.

    Returns:
        The figure; its vertical axis shows all lines, bands that are far wider exceed it. Traces are named after their
        lines.
    """
    figure = blank(x, y)
    for number, (name, part, colour) in enumerate(_parts(values)):
        known = part.dropna(subset=["low", "high"])
        add_band(figure, known["x"], (known["low"], known["high"]), colour=palette.faint(colour, 0.13), name=name)
        figure.add_scatter(
            x=part["x"],
            y=as_float32(part["value"]),
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": _DASHES[number % 3]},
            marker={"size": 6},
            name=escape(name),
            legendgroup=name,
            customdata=np.stack([part["low"], part["high"]], axis=1),
            hovertemplate=f"<b>{escape(name)}</b>, {escape(x)} %{{x}}<br>%{{y:.4g}} "
            "(%{customdata[0]:.4g} to %{customdata[1]:.4g})<extra></extra>",
        )
    low, high = _limits(values)
    figure.update_yaxes(range=[low, high])
    if log:
        figure.update_xaxes(type="log")
    places = _tick_places(values["x"].to_numpy(dtype=float), log=log)
    figure.update_xaxes(tickvals=places, ticktext=[f"{place:,g}" for place in places])
    return figure


def curves_svg(values: pd.DataFrame, *, x: str, y: str, log: bool = False) -> Markup:
    """The same as SVG on a light background, with its legend below; every name in it escaped."""
    frame = _Frame.of(values, log=log)
    parts = list(_parts(values))
    height = _HEIGHT + _LINE * math.ceil(len(parts) / 2)
    ground, ink, muted, line = (palette.TOKENS[name][0] for name in ("surface", "ink", "muted", "line"))
    size = {"width": _WIDTH - _LEFT - 12, "height": _HEIGHT - _TOP - _BOTTOM}
    out = [
        element("rect", width=_WIDTH, height=height, fill=ground),
        element("clipPath", element("rect", x=_LEFT, y=_TOP, **size), id="in"),
        element("text", y, x=8, y=18, fill=ink),
        element("text", x, x=_WIDTH - 12, y=_HEIGHT - 8, text_anchor="end"),
    ]
    for at, label in frame.rungs():
        out.append(element("path", d=f"M{_LEFT} {at:.1f}H{_WIDTH - 12}", stroke=line))
        out.append(element("text", label, x=_LEFT - 8, y=f"{at + 4:.1f}", text_anchor="end"))
    for at, label in frame.ticks():
        out.append(element("text", label, x=f"{at:.1f}", y=_HEIGHT - _BOTTOM + 18, text_anchor="middle"))
    for number, (name, part, colour) in enumerate(parts):
        dash = _SVG_DASHES[number % 3]
        left, top = _LEFT + (number % 2) * (_WIDTH - _LEFT) // 2, _HEIGHT + 8 + _LINE * (number // 2)
        out.append(frame.drawn(part, colour, dash))
        stroke = {"stroke": colour, "stroke_width": 2, "stroke_dasharray": dash}
        out.append(element("path", d=f"M{left} {top - 4}h26", **stroke))
        out.append(element("text", name, x=left + 32, y=top, fill=ink))
    return element(
        "svg",
        *(part for drawn in out for part in ("\n", drawn)),
        "\n",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {height}",
        width=_WIDTH,
        height=height,
        font_family="system-ui, sans-serif",
        font_size=12,
        fill=muted,
    )


class _Frame:
    """Maps values to positions in the drawing."""

    def __init__(self, places: np.ndarray, limits: tuple[float, float], *, log: bool) -> None:
        self.log, self.limits = log, limits
        known = places[places > 0] if log else places
        ends = (float(known.min()), float(known.max())) if len(known) else (1.0, 2.0)
        self.ends = ends if ends[0] < ends[1] else (ends[0] / 2, ends[0] * 2 + 1)
        self.places = _tick_places(places, log=log)

    @classmethod
    def of(cls, values: pd.DataFrame, *, log: bool) -> _Frame:
        return cls(values["x"].to_numpy(dtype=float), _limits(values), log=log)

    def across(self, x: float) -> float:
        low, high, x = (math.log(v) if self.log else v for v in (*self.ends, max(x, self.ends[0])))
        return _LEFT + 10 + (x - low) / (high - low) * (_WIDTH - _LEFT - 32)

    def up(self, y: float) -> float:
        low, high = self.limits
        return _HEIGHT - _BOTTOM - (y - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    def rungs(self) -> list[tuple[float, str]]:
        """Places and labels of the vertical axis."""
        low, high = self.limits
        return [(self.up(v), f"{v:.6g}".replace("-", "−")) for v in _round_numbers(low, high)]

    def ticks(self) -> list[tuple[float, str]]:
        """Places and labels of the horizontal axis."""
        return [(self.across(v), f"{v:,g}") for v in self.places]

    def drawn(self, part: pd.DataFrame, colour: str, dash: str) -> Markup:
        """A band, a line and its dots."""
        known = part.dropna(subset=["low", "high"])
        edge = [*zip(known["x"], known["high"], strict=True), *list(zip(known["x"], known["low"], strict=True))[::-1]]
        dots = [(self.across(a), self.up(b)) for a, b in zip(part["x"], part["value"], strict=True) if b == b]
        way = " ".join(f"{a:.1f},{b:.1f}" for a, b in dots)
        band = " ".join(f"{self.across(a):.1f},{self.up(b):.1f}" for a, b in edge)
        return element(
            "g",
            *([element("polygon", points=band, fill=colour, fill_opacity="0.13")] if band else []),
            element("polyline", points=way, fill="none", stroke=colour, stroke_width=2, stroke_dasharray=dash),
            *(element("circle", cx=f"{a:.1f}", cy=f"{b:.1f}", r="2.6", fill=colour) for a, b in dots),
            clip_path="url(#in)",
        )


def _parts(values: pd.DataFrame) -> list[tuple[str, pd.DataFrame, str]]:
    """Each line's name, rows and colour."""
    names = list(dict.fromkeys(values["name"]))
    return [
        (str(name), values[values["name"] == name].sort_values("x"), colour)
        for name, colour in zip(names, colours(len(names)), strict=True)
    ]


def _limits(values: pd.DataFrame) -> tuple[float, float]:
    """Limits of the vertical axis: all lines, and of the bands at most the lines' range on either side."""
    known = values["value"].dropna()
    if known.empty:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    room = high - low or abs(high) / 2 or 0.5
    bottom, top = (values[name].dropna() for name in ("low", "high"))
    pad = 0.1 * room
    return max(low - room, min([low, *bottom])) - pad, min(high + room, max([high, *top])) + pad


def _tick_places(places: np.ndarray, *, log: bool) -> list[float]:
    """Where the horizontal axis is labelled: at the places themselves if they are few, else at round numbers.

    >>> _tick_places(np.array([1.0, 2, 4, 8, 8]), log=True), _tick_places(np.geomspace(5, 3000, 20), log=True)
    ([1.0, 2.0, 4.0, 8.0], [10.0, 100.0, 1000.0])
    """
    known = np.unique(places[places > 0] if log else places)
    apart = np.diff(np.log(known) if log else known)
    if 0 < len(known) <= FEW_PLACES and (not len(apart) or apart.min() > apart.sum() / 20):
        return [float(place) for place in known]
    low, high = (float(known[0]), float(known[-1])) if len(known) else (1.0, 2.0)
    if not log:
        return _round_numbers(low, high)
    few = math.log10(high / low) < 2
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [digit * 10.0**power for power in powers for digit in ((1, 2, 5) if few else (1,))]
    return [mark for mark in marks if low <= mark <= high]


def _round_numbers(low: float, high: float) -> list[float]:
    """Three to seven round numbers between two."""
    step = 10 ** math.floor(math.log10((high - low) / 3))
    # Of 0.3 over 3 the logarithm is rounded up to that of 0.1, which then fits less than three times, by rounding.
    step *= next((factor for factor in (5, 2, 1) if (high - low) / (step * factor) >= 3), 1)
    return [round(float(n * step), 12) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
