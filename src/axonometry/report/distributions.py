"""Figures of distributions: densities, dots over accuracy bins, matrices. Frames in, Plotly figures out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from axonometry.cell_text import number
from axonometry.report import definitions, palette
from axonometry.report.axes import as_float32, blank, escape, evenly, hover_title, wrapped
from axonometry.report.figures import spans_decades
from axonometry.report.page import Key, Panel
from axonometry.report.score import ACCURACY, Score

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import pandas as pd
    import plotly.graph_objects as go

MOST_POINTS = 800
"""Networks drawn as points."""
MOST_CHOICES = 12
"""Choices that are drawn side by side."""
LONGEST = 48
"""Letters that fit below a small figure."""


def density_figure(
    curves: pd.DataFrame, names: Sequence[str], *, x: str, scale: palette.Scale = "accuracy"
) -> go.Figure:
    """One density curve for each name: an accuracy bin, or a layer.

    Args:
        curves: Columns name, x (an even grid for each name), density.
        names: All names, in the order of the scale; those without a curve are left out.
        x: Name and unit of the value.
        scale: The colour scale.

    Returns:
        The figure; traces are named after their curves.
    """
    figure = blank(x, "density")
    figure.update_yaxes(rangemode="tozero")
    for name, colour in zip(names, palette.steps(scale, len(names)), strict=True):
        part = curves[curves["name"] == name].sort_values("x")
        if part.empty:
            continue
        grid = part["x"].to_numpy()
        figure.add_scatter(
            x0=float(grid[0]),
            dx=float((grid[-1] - grid[0]) / max(len(grid) - 1, 1)),
            y=as_float32(part["density"]),
            mode="lines",
            line={"color": colour, "width": 2},
            name=escape(str(name)),
            legendgroup=str(name),
            hovertemplate=f"<b>{escape(str(name))}</b><br>{hover_title(x)} %{{x:.4g}}<br>"
            "density %{y:.3g}<extra></extra>",
        )
    return figure


def density_panels(
    curves: pd.DataFrame, names: Sequence[str], metric: str, scale: palette.Scale = "accuracy"
) -> tuple[Panel, ...]:
    """The density curves of one measure, a panel a layer; none where nothing was measured.

    Args:
        curves: Of :func:`axonometry.report.samples.density_curves`.
        names: As for :func:`densities`.
        metric: The measure.
        scale: The colour scale.
    """
    layers = curves[curves["metric"] == metric].groupby("group", sort=False)
    axis = definitions.axis(metric)
    return tuple(Panel(density_figure(part, names, x=axis, scale=scale), str(layer)) for layer, part in layers)


def divergence_panels(matrices: Mapping[tuple[str, str], pd.DataFrame], metric: str) -> tuple[Panel, ...]:
    """How far apart the densities of one measure are, a panel a layer.

    Args:
        matrices: Of :func:`axonometry.report.samples.divergences`.
        metric: The measure.
    """
    mine = {layer: matrix for (of, layer), matrix in matrices.items() if of == metric}
    return tuple(Panel(heatmap(matrix, value="Jeffreys divergence (nats)"), layer) for layer, matrix in mine.items())


def keys(
    names: Sequence[str],
    scale: palette.Scale = "accuracy",
    drawn: Collection[str] | None = None,
    counts: Mapping[str, int] | None = None,
) -> tuple[Key, ...]:
    """The legend of density curves, from the scale's first to its last colour.

    Args:
        names: Of all curves, in the order of the scale.
        scale: That of the figures.
        drawn: The names that there is a curve of; all where None.
        counts: What n is said to be, by name.
    """
    return tuple(
        Key(name, colour, f"n = {counts[name]}" if counts is not None else "")
        for name, colour in zip(names, palette.steps(scale, len(names)), strict=True)
        if drawn is None or name in drawn
    )


def by_bin(values: pd.DataFrame, *, y: str, log: bool = False, score: Score = ACCURACY) -> go.Figure:
    """One dot a network over its accuracy bin, with the bin's quartiles.

    Args:
        values: Columns bin (ordered categorical), network, value.
        y: Name and unit of the value.
        log: Whether the value's axis is logarithmic.
        score: What the bins are of.

    Returns:
        The figure; traces are named after their bins.
    """
    figure = blank(f"{score.words} bin", y)
    figure.update_yaxes(type="log" if log else "linear")
    names = list(values["bin"].cat.categories)
    for name, colour in zip(names, palette.steps("accuracy", len(names)), strict=True):
        part = values[values["bin"] == name].dropna(subset=["value"])
        part = part.sort_values("value").iloc[evenly(len(part), MOST_POINTS // max(len(names), 1))]
        if part.empty:
            continue
        _Dots(str(name), part["value"], part["network"], colour, hover_title(y) + " %{y:.4g}").add_to(figure)
    figure.update_xaxes(categoryorder="array", categoryarray=[escape(str(name)) for name in names], type="category")
    return figure


def by_value(networks: pd.DataFrame, name: str, score: Score = ACCURACY) -> go.Figure:
    """Accuracy, one dot a network, over the values of a choice in which the networks differ.

    More than :data:`MOST_CHOICES` numbers are an axis; fewer, and names, are drawn side by side.

    Args:
        networks: A row a network; the score's column and ``name``.
        name: The choice.
        score: What is drawn.

    Returns:
        The figure; values of ``name`` ascend from left to right.
    """
    if numerous(networks[name]):
        return _by_number(networks, name, score)
    order = sorted(networks[name].unique(), key=lambda value: (isinstance(value, str), value))
    lying = long(networks[name])
    axis = f"final {score.axis}"
    figure = blank(axis, "") if lying else blank("", axis)
    for value in order:
        part = networks[networks[name] == value].sort_values(score.name)
        part = part.iloc[evenly(len(part), MOST_POINTS // len(order))]
        words = f"{hover_title(score.words)} {score.hover('x' if lying else 'y')}"
        colour = palette.TOKENS["accent"][0]
        _Dots(number(value), part[score.name], part.index, colour, words, lying).add_to(figure)
    figure.update_layout({"xaxis" if lying else "yaxis": {"tickformat": score.tickformat, "showgrid": True}})
    names = {"type": "category", "showgrid": False, "autorange": "reversed" if lying else True}
    figure.update_layout({"yaxis" if lying else "xaxis": names})
    return figure


def numerous(choices: pd.Series) -> bool:
    """Whether choices are numbers, and too many to draw side by side.

    >>> import pandas as pd
    >>> numerous(pd.Series(["sgd", "adam"])), numerous(pd.Series(range(100)))
    (False, True)
    """
    import pandas as pd

    return choices.nunique() > MOST_CHOICES and pd.api.types.is_numeric_dtype(choices)


def _by_number(networks: pd.DataFrame, name: str, score: Score) -> go.Figure:
    part = networks.sort_values(score.name)
    part = part.iloc[evenly(len(part), MOST_POINTS)]
    figure = blank(name.replace("_", " "), f"final {score.axis}")
    figure.add_scatter(
        x=part[name],
        y=as_float32(part[score.name]),
        mode="markers",
        marker={"color": palette.TOKENS["accent"][0], "size": 5, "opacity": 0.6},
        text=[escape(str(network)) for network in part.index],
        hovertemplate=f"<b>%{{text}}</b><br>%{{x}}<br>{hover_title(score.words)} {score.hover('y')}<extra></extra>",
    )
    figure.update_yaxes(tickformat=score.tickformat)
    if spans_decades(networks[name]):
        figure.update_xaxes(type="log", dtick=1)
    return figure


def long(choices: pd.Series) -> bool:
    """Whether the names of choices are too long to draw side by side.

    >>> import pandas as pd
    >>> long(pd.Series(["sgd", "adam"]))
    False
    """
    widths = [len(number(value)) for value in choices.unique()]
    return not numerous(choices) and max(widths) * len(widths) > LONGEST


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
        z=as_float32(np.where(np.isfinite(numbers), numbers, np.nan)),
        x=columns,
        y=rows,
        zmin=0,
        zmax=top,
        colorscale=palette.colorscale("heat"),
        xgap=2 if few else 0,
        ygap=2 if few else 0,
        hoverongaps=False,
        hovertemplate=f"%{{y}}<br>%{{x}}<br>{hover_title(value)} %{{z:.4g}}<extra></extra>",
        colorbar={"thickness": 8, "outlinewidth": 0, "tickfont": {"size": 10}},
        showscale=not few,
    )
    if few:
        figure.add_scatter(
            x=columns * len(rows),
            y=[row for row in rows for _ in columns],
            text=["" if np.isnan(z) else f"{z:.2g}" for z in numbers.ravel()],
            mode="text",
            # Dark text on the pale half of the scale, light text on the deep half; both are swapped in the dark theme.
            textfont={"color": [palette.TOKENS["surface" if z > 0.5 * top else "ink"][0] for z in numbers.ravel()]},
            hoverinfo="skip",
        )
    names = {"type": "category", "showgrid": False, "ticks": "", "tickfont": {"size": 12 if few else 10}}
    figure.update_xaxes(showline=False, **names)
    figure.update_yaxes(autorange="reversed", **names)
    return figure


@dataclass(frozen=True)
class _Dots:
    """Networks in a row over the value that they share.

    Attributes:
        name: The shared value.
        values: A value a network.
        networks: Their names.
        colour: Of the dots.
        words: The hover text below a network's name.
        lying: Whether the row is horizontal, beside its name, rather than vertical above it.
    """

    name: str
    values: pd.Series
    networks: Iterable[object]
    colour: str
    words: str
    lying: bool = False

    def add_to(self, figure: go.Figure) -> None:
        """Add the dots and a box with their quartiles."""
        label = [wrapped(escape(self.name)) if self.lying else escape(self.name)] * len(self.values)
        place = {"x": as_float32(self.values), "y": label} if self.lying else {"x": label, "y": as_float32(self.values)}
        figure.add_box(
            **place,
            orientation="h" if self.lying else "v",
            name=escape(self.name),
            legendgroup=self.name,
            boxpoints="all",
            pointpos=0,
            jitter=0.6,
            whiskerwidth=0,
            marker={"color": self.colour, "size": 5, "opacity": 0.75},
            line={"color": palette.TOKENS["muted"][0], "width": 1.2},
            fillcolor="rgba(0,0,0,0)",
            text=[escape(str(network)) for network in self.networks],
            hoveron="points",
            hovertemplate=f"<b>%{{text}}</b><br>{self.words}<extra></extra>",
        )
