"""How values are distributed: densities, dots over accuracy bins, matrices. Frames in, Plotly figures out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonometry.report import palette
from axonometry.report.axes import blank, escape, evenly, plain, small

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

MOST_POINTS = 800
"""Networks drawn as points."""


def densities(curves: pd.DataFrame, *, x: str) -> go.Figure:
    """One density curve for each accuracy bin.

    Args:
        curves: Columns bin (ordered categorical), x (an even grid), density.
        x: Name and unit of the value.

    Returns:
        The figure; traces are named after their bins.
    """
    figure = blank(x, "density")
    figure.update_yaxes(rangemode="tozero")
    names = list(curves["bin"].cat.categories)
    for name, colour in zip(names, palette.steps("accuracy", len(names)), strict=True):
        part = curves[curves["bin"] == name].sort_values("x")
        if part.empty:
            continue
        grid = part["x"].to_numpy()
        figure.add_scatter(
            x0=float(grid[0]),
            dx=float((grid[-1] - grid[0]) / max(len(grid) - 1, 1)),
            y=small(part["density"]),
            mode="lines",
            line={"color": colour, "width": 2},
            name=escape(str(name)),
            legendgroup=str(name),
            hovertemplate=f"<b>{escape(str(name))}</b><br>{plain(x)} %{{x:.4g}}<br>density %{{y:.3g}}<extra></extra>",
        )
    return figure


def by_bin(values: pd.DataFrame, *, y: str, log: bool = False) -> go.Figure:
    """One dot a network over its accuracy bin, with the bin's quartiles.

    Args:
        values: Columns bin (ordered categorical), network, value.
        y: Name and unit of the value.
        log: Whether the value's axis is logarithmic.

    Returns:
        The figure; traces are named after their bins.
    """
    figure = blank("accuracy bin", y)
    figure.update_yaxes(type="log" if log else "linear")
    names = list(values["bin"].cat.categories)
    for name, colour in zip(names, palette.steps("accuracy", len(names)), strict=True):
        part = values[values["bin"] == name].dropna(subset=["value"])
        part = part.sort_values("value").iloc[evenly(len(part), MOST_POINTS // max(len(names), 1))]
        figure.add_box(
            y=small(part["value"]),
            x=[escape(str(name))] * len(part),
            name=escape(str(name)),
            legendgroup=str(name),
            boxpoints="all",
            pointpos=0,
            jitter=0.6,
            marker={"color": colour, "size": 5, "opacity": 0.75},
            line={"color": palette.TOKENS["muted"][0], "width": 1.2},
            fillcolor="rgba(0,0,0,0)",
            whiskerwidth=0,
            text=[escape(str(network)) for network in part["network"]],
            hoveron="points",
            hovertemplate="<b>%{text}</b><br>" + plain(y) + " %{y:.4g}<extra></extra>",
        )
    figure.update_xaxes(categoryorder="array", categoryarray=[escape(str(name)) for name in names], type="category")
    return figure


def heatmap(matrix: pd.DataFrame, *, value: str, x: str = "", y: str = "", high: float | None = None) -> go.Figure:
    """A matrix as coloured cells with their numbers in them.

    Args:
        matrix: Index and columns name the cells.
        value: What a cell holds.
        x: Name of the columns.
        y: Name of the rows.
        high: Value of the darkest colour; the greatest finite entry by default.

    Returns:
        The figure, first row on top.
    """
    numbers = matrix.to_numpy(dtype="float64")
    finite = numbers[np.isfinite(numbers)]
    few = max(matrix.shape) <= 8
    figure = blank(x, y)
    rows, columns = ([escape(str(name)) for name in names] for names in (matrix.index, matrix.columns))
    top = high or (float(finite.max()) if finite.size and finite.max() > 0 else 1.0)
    figure.add_heatmap(
        z=small(np.where(np.isfinite(numbers), numbers, np.nan)),
        x=columns,
        y=rows,
        zmin=0,
        zmax=top,
        colorscale=palette.colorscale("heat"),
        xgap=2 if few else 0,
        ygap=2 if few else 0,
        hoverongaps=False,
        hovertemplate=f"%{{y}}<br>%{{x}}<br>{plain(value)} %{{z:.4g}}<extra></extra>",
        colorbar={"thickness": 10, "outlinewidth": 0, "title": {"text": escape(value), "side": "right"}},
        showscale=not few,
    )
    if few:
        figure.add_scatter(
            x=columns * len(rows),
            y=[row for row in rows for _ in columns],
            text=["" if np.isnan(z) else f"{z:.2g}" for z in numbers.ravel()],
            mode="text",
            # Ink on the pale half of the scale, paper on the deep half: right in the dark too, where both turn over.
            textfont={"color": [palette.TOKENS["surface" if z > 0.5 * top else "ink"][0] for z in numbers.ravel()]},
            hoverinfo="skip",
        )
    figure.update_xaxes(type="category", showline=False, ticks="")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, ticks="")
    return figure
