"""Frames in, Plotly figures out.

The frames are tidy: one row a value, with the columns that each function names. Ten networks and ten thousand are drawn
alike: points and lines are thinned evenly over accuracy, what is summarised is summarised from all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonometry.report import palette
from axonometry.report.axes import blank, escape, evenly, folded, plain, small

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import plotly.graph_objects as go

MOST_POINTS = 800
"""Networks drawn as points."""
MOST_LINES = 120
"""Networks drawn as lines."""
DECADES = 30.0
"""How much more the greatest value must be than most of the least ones for an axis to be logarithmic."""
SYMBOLS = {"circle": "●", "diamond": "◆", "square": "■"}
"""Shapes of dots, and how they are written."""
MOST_NAMES = 12
"""Layers that are named on an axis."""
MOST_STEPS = 40
"""Steps that a line or a band keeps, and that the player stops at."""


def against_accuracy(
    values: pd.DataFrame,
    *,
    y: str,
    log: bool = False,
    step: str = "step",
    kinds: Mapping[object, str] | None = None,
) -> go.Figure:
    """One dot a network at its last step, the way it took behind it, and a frame for every step.

    Args:
        values: Columns network, step, accuracy, value; rows with a NaN are left out.
        y: Name and unit of the value.
        log: Whether the value's axis is logarithmic.
        step: What a step is.
        kinds: A kind of each network, at most as many as there are :data:`SYMBOLS`; shown by the shape of its dot.

    Returns:
        The figure; its frames are named after the steps.
    """
    values = values.dropna(subset=["accuracy", "value"]).sort_values(["network", "step"])
    last = values.groupby("network").tail(1).sort_values("accuracy")
    figure = blank("accuracy on test data", y)
    figure.update_xaxes(tickformat=".0%")
    if log:
        figure.update_yaxes(type="log", exponentformat="power")
    if values.empty:
        return figure
    low, high = last["accuracy"].min(), last["accuracy"].max()
    dots = last.iloc[evenly(len(last), MOST_POINTS)]
    for share, part in _fifths(dots.iloc[evenly(len(dots), MOST_LINES)], low, high):
        figure.add_scatter(
            **_ways(values[values["network"].isin(part["network"])]),
            mode="lines",
            line={"color": palette.shade("accuracy", share, alpha=0.45), "width": 1},
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=small(dots["accuracy"]),
        y=small(dots["value"]),
        mode="markers",
        marker={
            "size": 11 if len(dots) <= 200 else 7,
            "color": small(dots["accuracy"]),
            "colorscale": palette.colorscale("accuracy"),
            "cmin": low,
            "cmax": high if high > low else low + 1e-6,
            "line": {"width": 1, "color": palette.TOKENS["surface"][0]},
            **({"symbol": [symbols(kinds)[kinds[name]] for name in dots["network"]]} if kinds else {}),
        },
        text=[escape(f"{name} ({kinds[name]})" if kinds else str(name)) for name in dots["network"]],
        hovertemplate="<b>%{text}</b><br>accuracy %{x:.2%}<br>" + plain(y) + " %{y:.4g}<extra></extra>",
    )
    drawn = values[values["network"].isin(dots["network"])]
    figure.frames = _frames(drawn, list(dots["network"]), trace=len(figure.data) - 1, step=step)
    if figure.frames:  # the player moves the dots, it must not move the axes
        figure.update_xaxes(range=_padded(values["accuracy"]))
        figure.update_yaxes(range=_padded(np.log10(values["value"].clip(lower=1e-12)) if log else values["value"]))
    return figure


def over_time(values: pd.DataFrame, *, y: str, percent: bool = False, step: str = "step") -> go.Figure:
    """The median network of each accuracy bin over the steps, in a band that holds the middle half of its networks.

    Args:
        values: Columns bin (ordered categorical), network, step, value, and where some have ended, ``ended``.
        y: Name and unit of the value.
        percent: Whether the value is a share.
        step: What a step is.

    Returns:
        The figure; traces are named after their bins.
    """
    figure = blank(step, y)
    figure.update_layout(hovermode="x unified", hoverlabel={"font": {"size": 12}})
    if percent:
        figure.update_yaxes(tickformat=".0%")
    names = list(values["bin"].cat.categories)
    for name, colour in zip(names, palette.steps("accuracy", len(names)), strict=True):
        part = values[values["bin"] == name].dropna(subset=["value"])
        if part.empty:
            continue
        bands = part.groupby("step")["value"].quantile([0.25, 0.5, 0.75]).unstack()
        training = part[~part["ended"]] if "ended" in part else part
        bands["n"] = training.groupby("step")["network"].nunique().reindex(bands.index, fill_value=0)
        bands = bands.iloc[evenly(len(bands), MOST_STEPS)]
        if part["network"].nunique() > 1:
            figure.add_scatter(
                x=_there_and_back(bands.index),
                y=small(np.concatenate([bands[0.25], bands[0.75][::-1]])),
                fill="toself",
                fillcolor=palette.faint(colour, 0.14),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                name=escape(str(name)),
                legendgroup=str(name),
            )
        figure.add_scatter(
            x=bands.index,
            y=small(bands[0.5]),
            mode="lines+markers" if len(bands) < 15 else "lines",
            line={"color": colour, "width": 2},
            marker={"size": 6},
            name=escape(str(name)),
            legendgroup=str(name),
            customdata=bands["n"],
            hovertemplate=("%{y:.2%}" if percent else "%{y:.4g}") + " (%{customdata} in training)",
        )
    return figure


def lines(values: pd.DataFrame, *, y: str, percent: bool = False, step: str = "step") -> go.Figure:
    """One line a name over the steps, coloured by depth.

    Args:
        values: Columns name, step, value; names in the order of depth.
        y: Name and unit of the value.
        percent: Whether the value is a share.
        step: What a step is.

    Returns:
        The figure; traces are named after their lines.
    """
    figure = blank(step, y)
    figure.update_layout(hovermode="x unified", hoverlabel={"font": {"size": 12}})
    if percent:
        figure.update_yaxes(tickformat=".0%")
    names = list(dict.fromkeys(values["name"]))
    for i, (name, colour) in enumerate(zip(names, palette.steps("depth", len(names)), strict=True)):
        part = values[values["name"] == name].sort_values("step")
        part = part.iloc[evenly(len(part), 5 * MOST_STEPS)]
        figure.add_scatter(
            x=part["step"],
            y=small(part["value"]),
            mode="lines+markers" if len(part) < 15 else "lines",
            line={"color": colour, "width": 2, "dash": ("solid", "dash", "dot")[i % 3] if len(names) > 6 else "solid"},
            marker={"size": 6},
            name=escape(str(name)),
            legendgroup=str(name),
            hovertemplate="%{y:.2%}" if percent else "%{y:.4g}",
        )
    return figure


def profile(values: pd.DataFrame, *, y: str, log: bool = False) -> go.Figure:
    """One number for each layer, from the first to the last.

    Args:
        values: Columns name and value; names in the order of depth.
        y: Name and unit of the value.
        log: Whether the value's axis is logarithmic.
    """
    figure = blank("layer, from the first to the last", y)
    figure.add_scatter(
        x=np.arange(1, len(values) + 1),
        y=small(values["value"]),
        mode="markers",
        marker={"color": palette.steps("depth", len(values)), "size": 8 if len(values) <= 60 else 5},
        text=[escape(str(name)) for name in values["name"]],
        hovertemplate=f"<b>%{{text}}</b><br>{plain(y)} %{{y:.4g}}<extra></extra>",
    )
    figure.update_yaxes(type="log" if log else "linear")
    if len(values) <= MOST_NAMES:
        names = [folded(escape(str(name))) for name in values["name"]]
        figure.update_xaxes(tickvals=list(range(1, len(values) + 1)), ticktext=names, title={"text": ""})
    return figure


def symbols(kinds: Mapping[object, str]) -> dict[str, str]:
    """The shape of each kind's dots.

    >>> symbols({"a": "sgd", "b": "adam"})
    {'adam': 'circle', 'sgd': 'diamond'}
    """
    return dict(zip(sorted(set(kinds.values())), SYMBOLS, strict=False))


def spans_decades(values: pd.Series) -> bool:
    """Whether positive values differ so much that only a logarithmic axis shows them all."""
    known = values.dropna()
    return bool(len(known) and known.min() > 0 and known.max() > DECADES * known.quantile(0.1))


def _there_and_back(steps: pd.Index) -> np.ndarray:
    return np.concatenate([steps, steps[::-1]])


def _padded(values: pd.Series) -> list[float]:
    low, high = float(values.min()), float(values.max())
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return [low - pad, high + pad]


def _fifths(networks: pd.DataFrame, low: float, high: float) -> list[tuple[float, pd.DataFrame]]:
    """The networks in five groups of similar accuracy, each with its middle's place on the scale."""
    place = ((networks["accuracy"] - low) / ((high - low) or 1.0) * 5).clip(upper=4).astype(int)
    return [((i + 0.5) / 5, networks[place == i]) for i in sorted(set(place))]


def _ways(values: pd.DataFrame) -> dict[str, np.ndarray]:
    """Many networks' lines as one, with a gap after each."""
    xs, ys = [], []
    for _, network in values.groupby("network", sort=False):
        part = network.iloc[evenly(len(network), MOST_STEPS)]
        xs += [small(part["accuracy"]), small([np.nan])]
        ys += [small(part["value"]), small([np.nan])]
    return {"x": np.concatenate(xs), "y": np.concatenate(ys)}


def _frames(values: pd.DataFrame, order: Sequence[object], *, trace: int, step: str) -> list[go.Frame]:
    """The dots at each step: a network stands where it last was."""
    import plotly.graph_objects as go

    wide = {
        column: values.pivot_table(index="step", columns="network", values=column)[list(order)].ffill().bfill()
        for column in ("accuracy", "value")
    }
    steps = wide["value"].index
    if len(steps) < 2:
        return []
    return [
        go.Frame(
            name=f"{step} {at:g}",
            traces=[trace],
            data=[go.Scatter(x=small(wide["accuracy"].loc[at]), y=small(wide["value"].loc[at]))],
        )
        for at in steps[evenly(len(steps), MOST_STEPS // 2)]
    ]
