"""Figures of attraction basins: curves, intervals of classes, histograms of samples, planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonometry.report import palette
from axonometry.report.axes import add_band, as_float32, blank, error_bars, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import plotly.graph_objects as go

    from axonometry.metrics import Basin

AMPLITUDE = {
    "samples": "amplitude of the noise (unit of the samples)",
    "weights": "amplitude of the noise (standard deviations of a layer's weights)",
}
"""The axis of each space."""


def accuracy_curves(basin: Basin) -> go.Figure:
    """Accuracy over amplitude: the network's with its interval, each class's, and the threshold."""
    figure = blank(AMPLITUDE[basin.space], "accuracy")
    figure.update_xaxes(type="log", exponentformat="power")
    figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.05])
    accent = palette.TOKENS["accent"][0]
    groups = {str(name): _above_zero(part) for name, part in basin.curves.groupby("group", sort=False)}
    network = groups.pop("network")
    for (name, part), colour in zip(groups.items(), palette.steps("depth", len(groups)), strict=True):
        _line(figure, part, f"class {name}", palette.faint(colour, 0.7), 1.0)
    add_band(figure, network["amplitude"], (network["low"], network["high"]), colour=palette.faint(accent, 0.18))
    _line(figure, network, "network", accent, 2.5)
    figure.add_hline(y=basin.search.threshold, line={"color": palette.TOKENS["muted"][0], "width": 1, "dash": "dot"})
    return figure


def classes(basin: Basin) -> go.Figure:
    """The amplitude of each class with its interval over draws; classes without an amplitude are left out."""
    import pandas as pd

    figure = blank("class", AMPLITUDE[basin.space])
    frame = basin.frame()
    frame = pd.DataFrame(frame[(frame["group"] != "network") & np.isfinite(frame["amplitude"])])
    high = frame["high"].where(np.isfinite(frame["high"]), frame["amplitude"])
    figure.add_scatter(
        x=frame["group"],
        y=as_float32(frame["amplitude"]),
        error_y=error_bars(frame["amplitude"], frame["low"], high, color=palette.TOKENS["muted"][0], thickness=1.2),
        mode="markers",
        marker={"color": palette.TOKENS["accent"][0], "size": 9},
        hovertemplate="<b>class %{x}</b><br>amplitude %{y:.3g}<extra></extra>",
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(rangemode="tozero")
    return figure


def samples(basin: Basin) -> go.Figure:
    """Histogram of the samples' amplitudes; misclassified and censored samples are left out."""
    figure = blank(AMPLITUDE[basin.space], "samples")
    found = basin.samples.loc[basin.samples["state"] == "crossed", "amplitude"].to_numpy()
    if len(found):
        heights, edges = np.histogram(np.log10(found), bins=min(40, max(8, len(found) // 12)))
        figure.add_bar(
            x=as_float32(10 ** ((edges[1:] + edges[:-1]) / 2)),
            y=heights,
            width=as_float32(10 ** edges[1:] - 10 ** edges[:-1]),
            marker={"color": palette.faint(palette.TOKENS["accent"][0], 0.75)},
            hovertemplate="%{y} samples near %{x:.3g}<extra></extra>",
        )
        figure.update_xaxes(type="log", exponentformat="power")
    return figure


def answers(
    x: np.ndarray, y: np.ndarray, predicted: np.ndarray, corners: np.ndarray, names: Sequence[str]
) -> go.Figure:
    """The predicted class at each point of a plane, as colours."""
    figure = blank("distance", "orthogonal distance")
    known = np.unique(predicted)
    places = np.searchsorted(known, predicted)
    colours = palette.steps("depth", len(known))
    edges = np.linspace(0, 1, len(known) + 1)
    figure.add_heatmap(
        x=as_float32(x),
        y=as_float32(y),
        z=as_float32(places),
        zmin=-0.5,
        zmax=len(known) - 0.5,
        colorscale=list(
            zip(edges.repeat(2)[1:-1].tolist(), [colour for colour in colours for _ in range(2)], strict=True)
        ),
        colorbar={
            "thickness": 8,
            "outlinewidth": 0,
            "tickvals": list(range(len(known))),
            "ticktext": [str(label) for label in known],
        },
        customdata=predicted,
        hovertemplate="class %{customdata}<extra></extra>",
    )
    return _with_corners(figure, corners, names)


def heights(
    x: np.ndarray, y: np.ndarray, values: np.ndarray, corners: np.ndarray, names: Sequence[str], *, value: str
) -> go.Figure:
    """A value at each point of a plane."""
    figure = blank("distance", "orthogonal distance")
    figure.add_heatmap(
        x=as_float32(x),
        y=as_float32(y),
        z=as_float32(values),
        colorscale=palette.colorscale("heat"),
        colorbar={"thickness": 8, "outlinewidth": 0},
        hovertemplate=f"{escape(value)} %{{z:.3g}}<extra></extra>",
    )
    return _with_corners(figure, corners, names)


def over_training(values: pd.DataFrame, *, y: str) -> go.Figure:
    """A number of a run over its steps, with intervals.

    Args:
        values: Columns step, value, low, high.
        y: Name and unit of the value.
    """
    figure = blank("step", y)
    figure.add_scatter(
        x=values["step"],
        y=as_float32(values["value"]),
        error_y=error_bars(
            values["value"], values["low"], values["high"], color=palette.TOKENS["muted"][0], thickness=1.2
        ),
        mode="lines+markers",
        line={"color": palette.TOKENS["accent"][0], "width": 2},
        hovertemplate="step %{x}: %{y:.4g}<extra></extra>",
    )
    figure.update_yaxes(rangemode="tozero")
    return figure


def _above_zero(curve: pd.DataFrame) -> pd.DataFrame:
    return curve[curve["amplitude"] > 0]


def _line(figure: go.Figure, curve: pd.DataFrame, name: str, colour: str, width: float) -> None:
    figure.add_scatter(
        x=as_float32(curve["amplitude"]),
        y=as_float32(curve["accuracy"]),
        mode="lines",
        line={"color": colour, "width": width},
        name=escape(name),
        legendgroup=name,
        hovertemplate=f"{escape(name)}: %{{y:.1%}} at %{{x:.3g}}<extra></extra>",
    )


def _with_corners(figure: go.Figure, corners: np.ndarray, names: Sequence[str]) -> go.Figure:
    ink, surface = palette.TOKENS["ink"][0], palette.TOKENS["surface"][0]
    figure.add_scatter(
        x=as_float32(corners[:, 0]),
        y=as_float32(corners[:, 1]),
        mode="markers",
        marker={"color": surface, "size": 11, "line": {"color": ink, "width": 2}},
        text=[escape(name) for name in names],
        hovertemplate="<b>%{text}</b><extra></extra>",
    )
    figure.update_yaxes(scaleanchor="x", scaleratio=1, showgrid=False)
    return figure
