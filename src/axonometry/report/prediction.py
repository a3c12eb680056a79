"""The page of an evaluation: scores over epochs, prediction against truth, feature importance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonometry.report import palette
from axonometry.report.axes import as_float32, blank, error_bars, escape, evenly, hover_title
from axonometry.report.intervals import intervals
from axonometry.report.page import Block, Facts, Figure, Key, Page, Panel, Tab, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import plotly.graph_objects as go

    from axonometry.predict import Evaluation

MAIN = {
    "graph": palette.TOKENS["accent"][0],
    "curve": palette.TOKENS["ink"][0],
    "graph+curve": palette.shade("accuracy", 0.3),
}
"""The main feature sets and their colours."""
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x", "star", "pentagon", "hexagon")
TITLES = {
    "r2": "Final accuracy, R²",
    "auc": "Above or below the threshold, AUC",
    "accuracy": "Above or below the threshold, accuracy",
    "rmse": "Final accuracy, root mean squared error",
    "tau": "Order of the runs, Kendall's τ",
}
HOW = (
    "Every run is predicted from runs of other configurations (grouped folds), all feature sets in the same folds. "
    "Bars are 95% confidence intervals: of one repeat from bootstrap samples of configurations, of several corrected "
    "for the training runs that folds share. R² is 0 for predicting the mean and 1 "
    "without error; AUC is 0.5 for guessing."
)
COVERAGE = (
    "Runs by their prediction, a third each: the share whose final accuracy lies inside its 90% interval, with an "
    "exact 95% interval of that share, and the mean width. An interval that is right on average may be far too wide "
    "for dead runs and too narrow for good ones."
)
MOST_RUNS = 1000


def evaluation_page(evaluation: Evaluation, *, title: str = "", command: str = "", facts: Mapping[str, object]) -> Page:
    """The page of an evaluation of predictions.

    Args:
        evaluation: Of :func:`axonometry.predict.evaluate`.
        title: Heading.
        command: The command that writes the page.
        facts: At the foot of the page.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    tabs = (Tab("Scores", evaluation_blocks(evaluation)), Tab("Runs", predicted_blocks(evaluation)))
    runs = evaluation.predictions["run"].nunique()
    subtitle = f"Final accuracy of {runs:,} networks, predicted from their first epochs, with baselines."
    return Page(title or "Evaluation of predicted final accuracy", subtitle, tabs, facts, command)


def evaluation_blocks(evaluation: Evaluation) -> tuple[Block, ...]:
    """Scores over epochs, differences to the learning curve, and the table of all scores."""
    found, names = evaluation.scores, list(dict.fromkeys(evaluation.scores["features"]))
    runs = evaluation.predictions.drop_duplicates("run")
    good = float((runs["truth"] >= evaluation.threshold).mean())
    facts: dict[str, object] = {"runs": len(runs)}
    for name in (name for name in MAIN if name in names):
        best = found[(found["features"] == name) & (found["score"] == "r2")].sort_values("epochs").iloc[0]
        facts[f"R² of {name} after {_epochs(int(best['epochs']))}"] = f"{best['value']:.2f}"
    panels = tuple(Panel(scores_over_epochs(found, score), TITLES[score]) for score in ("r2", "auc"))
    threshold = f"The threshold is a final accuracy of {evaluation.threshold:.1%}; {good:.0%} of the runs reach it."
    legend = tuple(Key(name, colour) for name, colour in feature_set_colours(names).items())
    blocks: list[Block] = [
        Facts(facts, prominent=True),
        Figure("Scores by number of known epochs", panels, f"{HOW} {threshold}", legend=legend, arrangement="wide"),
    ]
    if len(evaluation.differences):
        blocks.append(_differences(evaluation))
    if len(covered := evaluation.coverage):
        blocks.append(Table.of(covered, title="Coverage of 90% intervals by predicted third", caption=COVERAGE))
    blocks.append(Table.of(found, title="All scores", caption=HOW))
    return tuple(blocks)


def scores_over_epochs(found: pd.DataFrame, score: str) -> go.Figure:
    """A line a feature set over the number of known epochs, with its intervals.

    Args:
        found: Columns features, epochs, score, value, low, high.
        score: Which score.

    Returns:
        The figure; traces are named after the feature sets.
    """
    rows = found[found["score"] == score]
    names = list(dict.fromkeys(rows["features"]))
    figure = blank("epochs known", "")
    for place, (name, colour) in enumerate(feature_set_colours(names).items()):
        part = rows[rows["features"] == name].sort_values("epochs")
        value, low, high = (part[column].to_numpy(dtype=float) for column in ("value", "low", "high"))
        main = name in MAIN
        figure.add_scatter(
            x=part["epochs"] + 0.03 * (place - (len(names) - 1) / 2),
            y=as_float32(value),
            error_y=error_bars(value, low, high, width=0, color=colour),
            mode="lines+markers",
            line={"color": colour, "width": 3 if main else 1.2, "dash": "solid" if main else "dot"},
            marker={"size": 9 if main else 7, "symbol": SYMBOLS[place % len(SYMBOLS)], "color": colour},
            customdata=np.stack([low, high], axis=1),
            name=escape(name),
            legendgroup=name,
            hovertemplate=f"<b>{escape(name)}</b><br>{hover_title(TITLES[score])} %{{y:.3f}} "
            "(%{customdata[0]:.3f} to %{customdata[1]:.3f})<extra></extra>",
        )
    figure.update_xaxes(tickvals=sorted(rows["epochs"].unique()))
    if score in {"r2", "auc", "accuracy", "tau"} and len(rows):
        least = max(float(np.nanmin(rows["low"])), -0.25 if score in {"r2", "tau"} else 0.4)
        figure.update_yaxes(range=[least - 0.03, 1.01])
    return figure


def feature_set_colours(names: Sequence[str]) -> dict[str, str]:
    """The colour of each feature set: the main ones have fixed colours, the others go from green to blue."""
    others = [name for name in names if name not in MAIN]
    return {name: MAIN[name] for name in names if name in MAIN} | dict(
        zip(others, palette.steps("depth", len(others)), strict=True)
    )


def predicted_blocks(evaluation: Evaluation, features: Sequence[str] = tuple(MAIN)) -> tuple[Block, ...]:
    """Prediction against truth by feature set, for the smallest and the largest number of known epochs."""
    predictions, blocks = evaluation.predictions, []
    epochs = sorted(predictions["epochs"].unique().tolist())
    for known in dict.fromkeys((epochs[0], epochs[-1])):
        part = predictions[(predictions["epochs"] == known) & (predictions["repeat"] == 0)]
        shown = [name for name in features if name in set(part["features"])] or list(part["features"].unique()[:3])
        panels = tuple(
            Panel(predicted_against_truth(part[part["features"] == name], evaluation.threshold), name) for name in shown
        )
        words = f"after {_epochs(known)}"
        caption = "Each dot is a run, predicted from runs of other configurations. The line is a perfect prediction."
        blocks.append(Figure(f"Prediction and truth, {words}", panels, caption))
    return tuple(blocks)


def predicted_against_truth(predictions: pd.DataFrame, threshold: float) -> go.Figure:
    """Predicted against true final accuracy, one dot a run.

    Args:
        predictions: Columns run, truth, predicted.
        threshold: Final accuracy that separates the two classes; a dotted line.
    """
    rows = predictions.sort_values("truth")
    rows = rows.iloc[evenly(len(rows), MOST_RUNS)]
    figure = blank("final accuracy", "predicted")
    low = float(min(rows["truth"].min(), rows["predicted"].min()))
    high = float(max(rows["truth"].max(), rows["predicted"].max()))
    line = {"color": palette.TOKENS["muted"][0], "width": 1}
    figure.add_scatter(x=[low, high], y=[low, high], mode="lines", line=line, hoverinfo="skip", showlegend=False)
    figure.add_vline(x=threshold, line={**line, "dash": "dot"})
    figure.add_scatter(
        x=as_float32(rows["truth"]),
        y=as_float32(rows["predicted"]),
        mode="markers",
        marker={"size": 6, "color": palette.TOKENS["accent"][0], "opacity": 0.5},
        text=[escape(str(name)) for name in rows["run"]],
        hovertemplate="<b>%{text}</b><br>true %{x:.1%}<br>predicted %{y:.1%}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(tickformat=".0%")
    return figure


def importance_figure(importances: pd.DataFrame) -> Figure:
    """Permutation importance of families of features.

    Args:
        importances: Of ``axonometry.predict.importances``: family, columns, loss, std.
    """
    rows = importances.sort_values("loss", ascending=False)
    loss, std = rows["loss"], rows["std"]
    estimates = rows.assign(name=rows["family"], series="loss of R²", value=loss, low=loss - std, high=loss + std)
    panel = intervals(estimates, x="loss of R² when shuffled", reference=0.0)
    caption = (
        "Decrease of R² when the features of one family are shuffled among the predicted runs (bars: standard "
        "deviation over shuffles). Redundant families replace each other, and then none has a large decrease."
    )
    return Figure("Permutation importance", (panel,), caption, arrangement="wide")


def _differences(evaluation: Evaluation) -> Figure:
    """Differences of R² to the learning curve, on the same runs."""
    rows = evaluation.differences[evaluation.differences["score"] == "r2"]
    scores = evaluation.scores
    ends = np.concatenate([rows["low"], rows["high"], [0.0]])
    low, high = (float(end) for end in (np.nanmin(ends), np.nanmax(ends)))
    limits, panels = (low - 0.03 * (high - low), high + 0.03 * (high - low)), []
    for epochs, part in rows.groupby("epochs"):
        estimates = part.rename(columns={"features": "name"}).assign(series="")
        compared = set(scores.loc[scores["epochs"] == epochs, "features"]) - set(part["features"])
        reference = sorted(compared)[0]  # before training it is another one
        title = f"after {_epochs(int(str(epochs)))}"
        x = f"difference of R² to {reference}"
        panels.append(intervals(estimates, x=x, reference=0.0, limits=limits, title=title))
    caption = "R² minus that of what the axis names, on the same bootstrap samples: above 0 is better."
    return Figure("Differences of R²", tuple(panels), caption)


def _epochs(n: int) -> str:
    return f"{n} epoch{'s' * (n != 1)}"
