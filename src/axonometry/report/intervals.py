"""Figures of estimates with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonometry.report import palette
from axonometry.report.axes import as_float32, blank, error_bars, escape, hover_title, wrapped
from axonometry.report.page import Key, Panel

if TYPE_CHECKING:
    import pandas as pd

_COLOURS = ("accent", "muted", "ink")
_SYMBOLS = ("circle", "diamond-open", "square")
_REM = 1.35
"""Height of one interval."""


def intervals(
    estimates: pd.DataFrame, *, x: str, reference: float, limits: tuple[float, float] | None = None, title: str = ""
) -> Panel:
    """A dot for each estimate, with a bar over its interval.

    Args:
        estimates: Columns name, series, value, low, high; names from top to bottom, at most three series. A bar is left
            out where its ends are NaN, and a dot where its value is.
        x: Name and unit of the estimate.
        reference: The value of no effect, such as a correlation of 0; a dotted line.
        limits: Range of the axis; all intervals by default.
        title: The panel's heading.

    Returns:
        A panel that is as high as it needs to be; traces are named after their series, :func:`keys` are its legend.
    """
    names, series = list(dict.fromkeys(estimates["name"])), list(dict.fromkeys(estimates["series"]))
    figure = blank(x, "")
    figure.add_vline(x=reference, line={"color": palette.TOKENS["muted"][0], "width": 1, "dash": "dot"})
    offsets = (np.arange(len(series)) - (len(series) - 1) / 2) * 0.5 / max(len(series) - 1, 1)
    for which, offset, key, symbol in zip(series, offsets, series_keys(series), _SYMBOLS, strict=False):
        part = estimates[estimates["series"] == which]
        value, low, high = (part[column].to_numpy(dtype=float) for column in ("value", "low", "high"))
        figure.add_scatter(
            x=as_float32(value),
            y=[names.index(name) + offset for name in part["name"]],
            mode="markers",
            marker={"color": key.colour, "size": 9, "symbol": symbol},
            error_x=error_bars(value, low, high, color=key.colour, width=0),
            text=[escape(str(name)) for name in part["name"]],
            customdata=np.stack([low, high], axis=1),
            name=escape(str(which)),
            legendgroup=str(which),
            hovertemplate=f"<b>%{{text}}</b>, {escape(str(which))}<br>{hover_title(x)} %{{x:.2f}} "
            "(%{customdata[0]:.2f} to %{customdata[1]:.2f})<extra></extra>",
        )
    figure.update_xaxes(showgrid=True, range=limits)
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[wrapped(escape(str(name))) for name in names],
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
        ticks="",
    )
    return Panel(figure, title, height=max(10.0, 4 + _REM * len(names) * len(series)))


def series_keys(series: list[str]) -> tuple[Key, ...]:
    """The legend of up to three series."""
    return tuple(Key(name, palette.TOKENS[colour][0]) for name, colour in zip(series, _COLOURS, strict=False))
