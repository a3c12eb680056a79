"""The page of neuron modes: phases, modes and rank distributions by layer, linear truncation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from axonometry.metrics import CATALOGUE
from axonometry.metrics.modes.over_time import METRICS
from axonometry.report import definitions, distributions, figures, palette
from axonometry.report.axes import evenly
from axonometry.report.frames import widened
from axonometry.report.page import Block, Facts, Figure, Key, Page, Panel, Tab, Table

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

MOST_LINES = 12
"""Layers that are drawn as lines; more are drawn as a heatmap over layers and steps."""
MOST_DENSITIES = 12
"""Layers whose rank distributions are drawn; of more, this many, evenly spaced."""
MODES = (
    ("strict", "order preserved"),
    ("weak", "preserved with ties"),
    ("non_preserving", "order not preserved"),
    ("dead", "dead"),
)


def modes_page(
    table: pd.DataFrame,
    densities: pd.DataFrame | None = None,
    *,
    facts: Mapping[str, object] | None = None,
    title: str = "Neuron modes",
    command: str = "",
) -> Page:
    """The page of a network's modes at one step or several.

    Args:
        table: As ``metrics.modes.modes_over_time`` gives it.
        densities: Rank distributions at the last step, as ``RankDistribution.densities`` returns them; None where the
            outputs are not classes.
        facts: Data set and number of samples.
        title: Heading.
        command: The command that writes the page.

    Raises:
        MissingExtraError: plotly is not installed, when it is written.
    """
    steps = sorted(set(table["step"]))
    last = table[table["step"] == steps[-1]]
    tabs = [Tab("Phases", _phases(table, last))] if (table["metric"] == "rank_gradient").any() else []
    tabs.append(Tab("Modes", _modes(table, last)))
    if densities is not None:
        tabs.append(Tab("Rank distributions", _ranks(densities)))
    if (table["metric"] == "linear_truncation").any():
        tabs.append(Tab("Linear truncation", _tails(table, last)))
    defined = (Facts({}, CATALOGUE[name].title, definitions.definition(name)) for name in METRICS)
    tabs.append(Tab("Definitions", tuple(defined)))
    at = f"from step {steps[0]} to step {steps[-1]}" if len(steps) > 1 else f"at step {steps[0]}"
    return Page(title, f"How neurons order samples, {at}.", tuple(tabs), facts or {}, command)


def _phases(table: pd.DataFrame, last: pd.DataFrame) -> tuple[Block, ...]:
    """Gradient of the rank distribution over layers and steps; of every class at the last step."""
    caption = (
        "How strongly each layer's neurons move the samples of a class to one end of their order of all samples: 0 "
        "for no preference, 6 at most. Mean over neurons and classes."
    )
    blocks = _over_time(table, "rank_gradient", "mean", "Gradient of the rank distribution", caption)
    rows = last[last["metric"] == "rank_gradient"]
    mean = _named(rows[rows["statistic"] == "mean"])
    panel = Panel(_profile(mean, "gradient"))
    blocks.append(Figure("By layer", (panel,), "At the last step.", arrangement="wide"))
    classes = rows[rows["statistic"].str.startswith("class_")]
    wide = widened(classes, index="statistic", columns="group")
    wide.index = [str(name).replace("_", " ") for name in wide.index]
    panel = Panel(distributions.heatmap(wide, value="gradient"), height=6 + 1.4 * len(wide))
    blocks.append(Figure("By class", (panel,), "Mean over the neurons, at the last step.", arrangement="wide"))
    return tuple(blocks)


def _modes(table: pd.DataFrame, last: pd.DataFrame) -> tuple[Block, ...]:
    """Mean rates over time, shares of the modes by layer."""
    caption = "Share of sample pairs whose order a neuron preserves; mean over the neurons that are not dead."
    blocks = _over_time(table, "neuron_modes", "rate", "Order-preserving rate", caption)
    rows = last[last["metric"] == "neuron_modes"]
    panels = tuple(
        Panel(_profile(_named(rows[rows["statistic"] == name]), "share of the neurons"), words) for name, words in MODES
    )
    caption = (
        "At the last step, one dot a layer. The share of dead neurons (equal for all samples) is of all neurons; the "
        "other shares are of the neurons that are not dead."
    )
    blocks.append(Figure("Modes by layer", panels, caption))
    wide = widened(rows, index="group", columns="statistic").rename(columns=lambda name: str(name).replace("_", " "))
    blocks.append(Table.of(wide.reset_index(names="layer"), title="At the last step"))
    return tuple(blocks)


def _ranks(densities: pd.DataFrame) -> tuple[Block, ...]:
    """A density of each class, layer by layer."""
    groups, classes = (list(dict.fromkeys(densities[name])) for name in ("group", "class"))
    names = [f"class {k}" for k in classes]
    shown = [groups[i] for i in evenly(len(groups), MOST_DENSITIES)]
    curves = densities.rename(columns={"u": "x"}).assign(name=[f"class {k}" for k in densities["class"]])
    panels = tuple(
        Panel(
            distributions.density_figure(
                curves[(curves["group"] == group) & curves["density"].notna()], names, x="rank (0 to 1)", scale="depth"
            ),
            group,
        )
        for group in shown
    )
    keys = tuple(Key(name, colour) for name, colour in zip(names, palette.steps("depth", len(names)), strict=True))
    some = f"{len(shown)} of {len(groups)} layers. " if len(shown) < len(groups) else ""
    caption = (
        f"{some}Density of the ranks of a class among all samples, over all neurons of a layer, at the last step: "
        "uniform at 1 for neurons that do not depend on the class, steep where they separate it."
    )
    return (Figure("Rank distributions", panels, caption, legend=keys),)


def _tails(table: pd.DataFrame, last: pd.DataFrame) -> tuple[Block, ...]:
    """Accuracy and error of the network that is linear behind each layer."""
    caption = (
        "Accuracy of the network with all layers behind the given one made linear; at the last layer it is the "
        "network's own accuracy."
    )
    blocks = _over_time(table, "linear_truncation", "accuracy", "Accuracy of the linear truncation", caption)
    rows = last[last["metric"] == "linear_truncation"]
    panels = tuple(
        Panel(_profile(_named(rows[rows["statistic"] == name]), words))
        for name, words in (("accuracy", "accuracy on test data"), ("error", "relative error of the outputs"))
    )
    caption = (
        "At the last step, one dot a layer. The relative error is 0 where all that follows the layer is linear, and 1 "
        "where the truncated outputs are as far from the real ones as the norm of the real ones."
    )
    blocks.append(Figure("Linear truncation by layer", panels, caption, arrangement="wide"))
    return tuple(blocks)


def _over_time(table: pd.DataFrame, metric: str, statistic: str, title: str, caption: str) -> list[Block]:
    """One statistic of all layers over the steps: lines of few layers, a heatmap of many; none for one step."""
    rows = table[(table["metric"] == metric) & (table["statistic"] == statistic)]
    names = list(dict.fromkeys(rows["group"]))
    if rows["step"].nunique() < 2:
        return []
    words = title[0].lower() + title[1:]
    if len(names) <= MOST_LINES:
        panel = Panel(figures.lines(rows.rename(columns={"group": "name"}), y=words))
        colours = palette.steps("depth", len(names))
        keys = tuple(Key(name, colour) for name, colour in zip(names, colours, strict=True))
        return [Figure(f"{title} over training", (panel,), f"{caption} {_COLOURS}", legend=keys, arrangement="wide")]
    wide = widened(rows, index="group", columns="step")
    panel = Panel(distributions.heatmap(wide, value=words, x="step"), height=6 + 0.9 * len(names))
    return [Figure(f"{title} over training", (panel,), caption, arrangement="wide")]


def _profile(values: pd.DataFrame, y: str) -> go.Figure:
    """One dot a layer; axes begin at 0, those of shares end at 1, so that small differences look small."""
    figure = figures.profile(values, y=y)
    if y.startswith(("share", "accuracy")):
        figure.update_yaxes(range=[-0.02, 1.05])
    else:
        figure.update_yaxes(rangemode="tozero")
    return figure


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.rename(columns={"group": "name"})[["name", "value"]].dropna()


_COLOURS = "Colour: light green for the first layer, blue for the last."
