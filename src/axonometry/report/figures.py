"""Frames in, Plotly figures out.

The frames are tidy: one row a value, with the columns that each function names. Ten networks and ten thousand are drawn
alike: points and lines are thinned evenly over accuracy, what is summarised is summarised from all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonometry.report import palette
from axonometry.report.axes import add_band, as_float32, blank, escape, evenly, hover_title, wrapped
from axonometry.report.score import ACCURACY, Score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import plotly.graph_objects as go

MOST_POINTS = 800
"""Networks drawn as points."""
MOST_LINES = 120
"""Networks drawn as lines."""
DECADES = 30.0
"""An axis is logarithmic where the maximum is more than this many times the 10% quantile."""
SYMBOLS = {"circle": "●", "diamond": "◆", "square": "■"}
"""Shapes of dots, and their characters."""
MOST_NAMES = 12
"""Layers whose names fit on an axis."""
MOST_STEPS = 40
"""Steps that a line or a band keeps, and that the player stops at."""


def against_accuracy(
    values: pd.DataFrame,
    *,
    y: str,
    log: bool = False,
    step: str = "step",
    kinds: Mapping[object, str] | None = None,
    score: Score = ACCURACY,
) -> go.Figure:
    """One dot a network at its last step, its path behind it, and an animation frame for each step.

    Args:
        values: Columns network, step, accuracy, value; rows with a NaN are left out.
        y: Name and unit of the value.
        log: Whether the value's axis is logarithmic.
        step: Name of a step, such as epoch.
        kinds: A kind of each network, at most as many as :data:`SYMBOLS`; shown as the shape of its dot.
        score: What is in the column accuracy.

    Returns:
        The figure; its frames are named after the steps.
    """
    values = values.dropna(subset=["accuracy", "value"]).sort_values(["network", "step"])
    last = values.groupby("network").tail(1).sort_values("accuracy")
    figure = blank(score.axis, y)
    figure.update_xaxes(tickformat=score.tickformat)
    if log:
        figure.update_yaxes(type="log", exponentformat="power")
    if values.empty:
        return figure
    low, high = last["accuracy"].min(), last["accuracy"].max()
    dots = last.iloc[evenly(len(last), MOST_POINTS)]
    for share, part in _fifths(dots.iloc[evenly(len(dots), MOST_LINES)], low, high):
        figure.add_scatter(
            **_paths(values[values["network"].isin(part["network"])]),
            mode="lines",
            line={"color": palette.shade("accuracy", share, alpha=0.45), "width": 1},
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=as_float32(dots["accuracy"]),
        y=as_float32(dots["value"]),
        mode="markers",
        marker={
            "size": 11 if len(dots) <= 200 else 7,
            "color": as_float32(dots["accuracy"]),
            "colorscale": palette.colorscale("accuracy"),
            "cmin": low,
            "cmax": high if high > low else low + 1e-6,
            "line": {"width": 1, "color": palette.TOKENS["surface"][0]},
            **({"symbol": [symbols(kinds)[kinds[name]] for name in dots["network"]]} if kinds else {}),
        },
        text=[escape(f"{name} ({kinds[name]})" if kinds else str(name)) for name in dots["network"]],
        hovertemplate=f"<b>%{{text}}</b><br>{hover_title(score.words)} {score.hover('x')}<br>"
        + hover_title(y)
        + " %{y:.4g}<extra></extra>",
    )
    drawn = values[values["network"].isin(dots["network"])]
    figure.frames = _frames(drawn, list(dots["network"]), trace=len(figure.data) - 1, step=step)
    if figure.frames:  # the player moves the dots; the axes stay
        figure.update_xaxes(range=_padded(values["accuracy"]))
        figure.update_yaxes(range=_padded(np.log10(values["value"].clip(lower=1e-12)) if log else values["value"]))
    return figure


def over_time(values: pd.DataFrame, *, y: str, percent: bool = False, step: str = "step") -> go.Figure:
    """The median network of each accuracy bin over the steps, in a band of the interquartile range.

    Args:
        values: Columns bin (ordered categorical), network, step, value, and where some have ended, ``ended``.
        y: Name and unit of the value.
        percent: Whether the value is a share.
        step: Name of a step, such as epoch.

    Returns:
        The figure; traces are named after their bins.
    """
    figure = _over_steps(step, y, percent=percent)
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
            ends = bands[0.25], bands[0.75]
            add_band(figure, bands.index, ends, colour=palette.faint(colour, 0.14), name=str(name))
        figure.add_scatter(
            x=bands.index,
            y=as_float32(bands[0.5]),
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

    >>> import pandas as pd
    >>> rows = pd.DataFrame({"name": ["fc1", "fc1", "fc2"], "step": [1, 0, 0], "value": [0.5, 0.25, 1.0]})
    >>> [(trace.name, trace.x.tolist(), trace.y.tolist()) for trace in lines(rows, y="strength").data]
    [('fc1', [0, 1], [0.25, 0.5]), ('fc2', [0], [1.0])]

    Args:
        values: Columns name, step, value; names in the order of depth.
        y: Name and unit of the value.
        percent: Whether the value is a share.
        step: Name of a step, such as epoch.

    Returns:
        The figure; traces are named after their lines.
    """
    figure = _over_steps(step, y, percent=percent)
    names = list(dict.fromkeys(values["name"]))
    for i, (name, colour) in enumerate(zip(names, palette.steps("depth", len(names)), strict=True)):
        part = values[values["name"] == name].sort_values("step")
        part = part.iloc[evenly(len(part), 5 * MOST_STEPS)]
        figure.add_scatter(
            x=part["step"],
            y=as_float32(part["value"]),
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

    >>> import pandas as pd
    >>> figure = profile(pd.DataFrame({"name": ["fc1", "fc2"], "value": [0.5, 0.25]}), y="strength")
    >>> figure.data[0].x.tolist(), figure.data[0].y.tolist(), figure.layout.xaxis.ticktext
    ([1, 2], [0.5, 0.25], ('fc1', 'fc2'))

    Args:
        values: Columns name and value; names in the order of depth.
        y: Name and unit of the value.
        log: Whether the value's axis is logarithmic.
    """
    figure = blank("layer, from the first to the last", y)
    figure.add_scatter(
        x=np.arange(1, len(values) + 1),
        y=as_float32(values["value"]),
        mode="markers",
        marker={"color": palette.steps("depth", len(values)), "size": 8 if len(values) <= 60 else 5},
        text=[escape(str(name)) for name in values["name"]],
        hovertemplate=f"<b>%{{text}}</b><br>{hover_title(y)} %{{y:.4g}}<extra></extra>",
    )
    figure.update_yaxes(type="log" if log else "linear")
    if len(values) <= MOST_NAMES:
        names = [wrapped(escape(str(name))) for name in values["name"]]
        figure.update_xaxes(tickvals=list(range(1, len(values) + 1)), ticktext=names, title={"text": ""})
    return figure


def symbols(kinds: Mapping[object, str]) -> dict[str, str]:
    """The shape of each kind's dots.

    >>> symbols({"a": "sgd", "b": "adam"})
    {'adam': 'circle', 'sgd': 'diamond'}
    """
    return dict(zip(sorted(set(kinds.values())), SYMBOLS, strict=False))


def spans_decades(values: pd.Series) -> bool:
    """Whether positive values span so much that only a logarithmic axis shows them all.

    >>> import pandas as pd
    >>> spans_decades(pd.Series([1.0, 2.0, 100.0])), spans_decades(pd.Series([1.0, 2.0, 10.0]))
    (True, False)
    """
    known = values.dropna()
    return bool(len(known) and known.min() > 0 and known.max() > DECADES * known.quantile(0.1))


def _over_steps(step: str, y: str, *, percent: bool) -> go.Figure:
    """A figure over steps, whose hover text compares all lines at one step."""
    figure = blank(step, y)
    figure.update_layout(hovermode="x unified", hoverlabel={"font": {"size": 12}})
    if percent:
        figure.update_yaxes(tickformat=".0%")
    return figure


def _padded(values: pd.Series) -> list[float]:
    low, high = float(values.min()), float(values.max())
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return [low - pad, high + pad]


def _fifths(networks: pd.DataFrame, low: float, high: float) -> list[tuple[float, pd.DataFrame]]:
    """The networks in five groups of similar accuracy, each with the position of its middle on the scale."""
    place = ((networks["accuracy"] - low) / ((high - low) or 1.0) * 5).clip(upper=4).astype(int)
    return [((i + 0.5) / 5, networks[place == i]) for i in sorted(set(place))]


def _paths(values: pd.DataFrame) -> dict[str, np.ndarray]:
    """The paths of many networks as one trace, with a gap after each."""
    xs, ys = [], []
    for _, network in values.groupby("network", sort=False):
        part = network.iloc[evenly(len(network), MOST_STEPS)]
        xs += [as_float32(part["accuracy"]), as_float32([np.nan])]
        ys += [as_float32(part["value"]), as_float32([np.nan])]
    return {"x": np.concatenate(xs), "y": np.concatenate(ys)}


def _frames(values: pd.DataFrame, order: Sequence[object], *, trace: int, step: str) -> list[go.Frame]:
    """The dots at each step; a network without a value keeps its last position."""
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
            data=[go.Scatter(x=as_float32(wide["accuracy"].loc[at]), y=as_float32(wide["value"].loc[at]))],
        )
        for at in steps[evenly(len(steps), MOST_STEPS // 2)]
    ]
