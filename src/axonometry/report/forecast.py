"""The page of predicted final accuracies: each run's prediction with its interval, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonometry.report import palette
from axonometry.report.axes import add_band, as_float32, blank, evenly
from axonometry.report.intervals import intervals
from axonometry.report.page import Block, Facts, Figure, Key, Page, Panel, Tab, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import plotly.graph_objects as go

    from axonometry.predict import AccuracyPredictor
    from axonometry.trajectory import Trajectory

MOST_TABS = 20
"""Runs that have a tab each; of more, only the table is shown."""
MOST_DRAWN = 40
"""Intervals that are drawn; of more runs, this many, evenly spaced over the predictions."""

PREDICTED, SO_FAR = "predicted final accuracy", "accuracy so far"


def forecast_page(
    predictor: AccuracyPredictor,
    runs: Sequence[Trajectory],
    predictions: pd.DataFrame,
    *,
    level: float = 0.9,
    command: str = "",
) -> Page:
    """The page of predicted final accuracies: all runs, and a tab a run.

    Args:
        predictor: Fitted, of regression.
        runs: The runs.
        predictions: Of ``predictor.predict_interval``, in the runs' order: prediction, low, high, by name; what
            other columns it has are in the table too.
        level: Confidence level of the intervals.
        command: The command that writes the page.

    Raises:
        PredictionError: A run has no complete epoch.
        RunError: A run is corrupt.
        MissingExtraError: plotly is not installed.
    """
    names = [str(name) for name in predictions.index]
    now = [recorded.iloc[-1] if len(recorded := accuracies(run)) else float("nan") for run in runs]
    predictions = predictions.assign(**{"accuracy now": now})
    tabs = [Tab("All runs", overview_blocks(predictions, level=level))] if len(runs) > 1 else []
    if len(runs) <= MOST_TABS:
        tabs += [Tab(name, run_blocks(predictor, run, level=level)) for name, run in zip(names, runs, strict=True)]
    title = "Predicted final accuracy" if len(runs) > 1 else f"Predicted final accuracy of {names[0]}"
    learned = len(predictor.models_[min(predictor.models_)].ensemble.targets)
    facts = {"features": predictor.features, "fitted to": f"{learned:,} runs", "level": f"{level:.0%}"}
    return Page(title, "Predictions from the epochs recorded so far.", tuple(tabs), facts, command)


def overview_blocks(predictions: pd.DataFrame, *, level: float) -> tuple[Block, ...]:
    """All runs, the highest prediction first: intervals and table.

    Args:
        predictions: As for :func:`forecast_page`.
        level: Confidence level of the intervals.
    """
    rows = predictions.sort_values("prediction", ascending=False).rename_axis("run").reset_index()
    facts = {
        "runs": len(rows),
        "highest prediction": f"{rows['prediction'].iloc[0]:.1%}",
        "median prediction": f"{rows['prediction'].median():.1%}",
    }
    drawn = rows.iloc[evenly(len(rows), MOST_DRAWN)]
    columns = {"run": "name", "prediction": "value"}
    estimates = drawn.rename(columns=columns).assign(series=PREDICTED)
    panel = intervals(estimates, x=PREDICTED, reference=float(rows["prediction"].median()))
    panel.figure.update_xaxes(tickformat=".0%")
    some = f"{len(drawn)} of {len(rows)} runs, evenly spaced over the predictions. " if len(drawn) < len(rows) else ""
    caption = f"{some}Bars are {level:.0%} prediction intervals; the dotted line is the median prediction."
    return (
        Facts(facts, prominent=True),
        Figure("Predicted final accuracy", (panel,), caption, arrangement="wide"),
        Table.of(rows, title="All runs"),
    )


def run_blocks(predictor: AccuracyPredictor, run: Trajectory, *, level: float = 0.9) -> tuple[Block, ...]:
    """The predictions for one run, epoch by epoch, with intervals.

    Args:
        predictor: Fitted, of regression.
        run: The run.
        level: Confidence level of the intervals.

    Raises:
        PredictionError: The run has no complete epoch.
        RunError: The run is corrupt.
    """
    history, recorded = predictor.history(run, level), accuracies(run)
    last = history.iloc[-1]
    facts = {
        "epochs known": int(history.index[-1]),
        PREDICTED: f"{last['prediction']:.1%}",
        f"{level:.0%} interval": f"{last['low']:.1%} to {last['high']:.1%}",
    }
    if len(recorded):
        facts["final accuracy" if run.state == "finished" else "accuracy now"] = f"{recorded.iloc[-1]:.1%}"
    caption = (
        f"Final accuracy predicted after each epoch from the epochs up to it. The band is the {level:.0%} prediction "
        "interval; it holds for runs whose configurations are drawn like those that the predictor was fitted to."
    )
    colours = {PREDICTED: palette.TOKENS["accent"][0], SO_FAR: palette.TOKENS["ink"][0]}
    legend = tuple(Key(name, colour) for name, colour in colours.items() if name == PREDICTED or len(recorded))
    panel = Panel(history_figure(history, recorded))
    table = Table.of(history.reset_index(), title="Epoch by epoch")
    return (
        Facts(facts, prominent=True),
        Figure("Predicted final accuracy", (panel,), caption, legend=legend, arrangement="wide"),
        table,
    )


def accuracies(run: Trajectory) -> pd.Series:
    """The accuracies that a run recorded, by epoch; by step where it recorded no epochs.

    Raises:
        RunError: The run is corrupt.
    """
    import pandas as pd

    scalars = run.scalars()
    if "accuracy" not in scalars:
        return pd.Series(dtype="float64")
    scalars = scalars.dropna(subset=["accuracy"])
    return scalars.set_index("epoch")["accuracy"] if "epoch" in scalars else scalars["accuracy"]


def history_figure(history: pd.DataFrame, recorded: pd.Series) -> go.Figure:
    """Predicted final accuracy with its interval, and the accuracy so far, over the epochs.

    Args:
        history: Of ``AccuracyPredictor.history``: prediction, low, high, by epoch.
        recorded: Accuracies by epoch.
    """
    figure = blank("epoch", "accuracy on test data")
    accent, ink = palette.TOKENS["accent"][0], palette.TOKENS["ink"][0]
    epochs = history.index.to_numpy(dtype=float)
    low, high = history["low"], history["high"]
    if len(epochs) > 1:
        add_band(figure, epochs, (low, high), colour=palette.faint(accent, 0.14), name=PREDICTED)
    else:
        ends = {"x": np.repeat(epochs, 2), "y": as_float32([*low, *high]), "mode": "lines", "hoverinfo": "skip"}
        figure.add_scatter(**ends, line={"width": 2, "color": accent}, legendgroup=PREDICTED)
    lines = ((epochs, history["prediction"], accent, PREDICTED), (recorded.index, recorded, ink, SO_FAR))
    for x, y, colour, name in lines:
        if len(y):
            figure.add_scatter(
                x=x,
                y=as_float32(y),
                mode="lines+markers",
                line={"color": colour, "width": 2.5, "dash": "solid" if name == PREDICTED else "dot"},
                marker={"size": 8, "color": colour},
                name=name,
                legendgroup=name,
                hovertemplate=f"{name} %{{y:.1%}}, epoch %{{x:g}}<extra></extra>",
            )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure
