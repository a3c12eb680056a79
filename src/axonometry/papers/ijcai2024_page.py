"""The findings of the experiment on La Malfa et al. 2022 and 2024 as an HTML page, a tab a kind of difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import TYPE_CHECKING

from axonometry.papers.ijcai2024_apart import HIGH, LOW, SETS
from axonometry.papers.ijcai2024_features import BASELINE, CONTROL, MEASURES
from axonometry.papers.ijcai2024_table import KINDS, in_short, told_before, verdict
from axonometry.report import definitions, distributions, palette
from axonometry.report.intervals import intervals, keys
from axonometry.report.page import Block, Facts, Figure, Key, Page, Panel, Prose, Tab, Table

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.papers.ijcai2024 import Results
    from axonometry.papers.ijcai2024_plans import Question

WHEN = {"after": "after training", "before": "before training"}
DRAWN = (*MEASURES, CONTROL)
"""Whose densities are drawn."""
TITLES = {
    CONTROL: "scaled strength (none)",
    "neuron_strength": "neuron strength (local field)",
    "neuron_activation": "neuron activation",
}
"""Axes of what the catalogue does not name."""
MOST_QUESTIONS = 6
"""Questions side by side."""
CENTRE = 0.01
"""Share of its peak below which a density counts as low."""


def results_page(results: Results, *, command: str = "axonometry paper ijcai2024") -> Page:
    """The page of the whole experiment.

    Args:
        results: Of :func:`axonometry.papers.ijcai2024.run`.
        command: What repeats it.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    networks = int(results.cells["n"].sum())
    kinds = [kind for kind in KINDS if any(question.kind == kind for question in results.questions)]
    tabs = [Tab("In short", _short(results))]
    tabs += [Tab(KINDS[kind].capitalize(), _kind(results, kind)) for kind in kinds]
    return Page(
        "Do these measures tell networks apart?",
        f"The experiment of La Malfa et al. 2022 and 2024 on {networks:,} networks, before and after training.",
        (*tabs, definitions.tab(MEASURES)),
        {"scale": results.scale, "networks": networks} | ({"text, SHA-256": results.text} if results.text else {}),
        command,
    )


def _short(results: Results) -> tuple[Block, ...]:
    facts = {"networks": int(results.cells["n"].sum()), "cells": len(results.cells)}
    words = "\n\n".join(line.replace("**", "").replace("*", "") for line in in_short(results))
    panels = [Panel(distributions.heatmap(one, value="AUC", high=1.0), title) for title, one in _matrices(results)]
    caption = (
        "Area under the ROC curve, one class against the rest, mean over classes: 0.5 says nothing, 1 all. What is "
        "high before training already is how networks are built, not what they have learned."
    )
    columns = ["name", "title", "n", "parameters", "performance", "least", "lower", "median", "upper", "most"]
    return (
        Facts(facts, prominent=True),
        Prose(words, "In short"),
        Figure("What is told apart by what", tuple(panels), caption, arrangement="wide"),
        Table.of(results.cells[columns], title="What was trained", caption="Performance: least, quartiles and most."),
    )


def _matrices(results: Results) -> Iterator[tuple[str, pd.DataFrame]]:
    """AUC by measure and question, few questions at a time, so that the numbers have room in their cells."""
    order = [question.name for question in results.questions]
    size = ceil(len(order) / ceil(len(order) / MOST_QUESTIONS))
    for start in range(0, len(order), size):
        for when, title in WHEN.items():
            rows = results.scores[results.scores["when"] == when]
            shown = rows.pivot(index="measure", columns="question", values="value")
            shown = shown.loc[list(SETS), order[start : start + size]]
            yield title, shown.rename(index=lambda name: str(name).replace("_", " "))


def _kind(results: Results, kind: str) -> tuple[Block, ...]:
    blocks: list[Block] = [
        Prose(f"Networks that differ in {KINDS[kind]}: {verdict(results, kind)}; {told_before(results, kind)}.")
    ]
    for question in (one for one in results.questions if one.kind == kind):
        blocks += [_areas(results, question), *_densities(results, question), _table(results, question)]
    return tuple(blocks)


def _areas(results: Results, question: Question) -> Figure:
    rows = results.scores[results.scores["question"] == question.name]
    named = rows.assign(name=rows["measure"].str.replace("_", " "), series=rows["when"].map(WHEN))
    named = named.sort_values("when", kind="stable")  # after, then before
    panel = intervals(named, x="AUC, one class against the rest", reference=0.5, limits=(-0.03, 1.03))
    caption = (
        f"How well networks that were not learned from are told apart, n = {rows['n'].iloc[0]}, with 95% bootstrap "
        f"intervals. Dotted: nothing is told apart. {CONTROL.replace('_', ' ').capitalize()} is a control that "
        f"sizes of layers do not change by themselves; {BASELINE} are statistics of all parameters, without a graph. "
        f"Confounded: {question.confounded}"
    )
    legend = keys(list(WHEN.values()))
    return Figure(question.title, (panel,), caption, legend=legend, arrangement="wide")


def _densities(results: Results, question: Question) -> list[Block]:
    """The densities that the paper plots: of each measure's values, over the networks of each cell."""
    labels = dict(zip(question.cells, question.labels, strict=True))
    if len(labels) == 1:
        labels = {LOW: LOW, HIGH: HIGH}
    colours = palette.steps("accuracy", len(labels))
    legend = tuple(Key(label, colour) for label, colour in zip(labels.values(), colours, strict=True))
    blocks: list[Block] = []
    for when, words in WHEN.items():
        mine = results.densities[(results.densities["when"] == when) & results.densities["label"].isin(labels)]
        panels = tuple(_density(mine, measure, labels) for measure in DRAWN if (mine["measure"] == measure).any())
        caption = (
            f"The values of each measure in all hidden layers, {words}, pooled over the networks of each cell. Tails "
            "are cut where most curves are low."
        )
        blocks.append(Figure(f"Densities {words}: {question.name}", panels, caption, legend=legend))
    return blocks


def _density(rows: pd.DataFrame, measure: str, labels: Mapping[str, str]) -> Panel:
    curves = rows[rows["measure"] == measure].assign(name=rows["label"].map(labels))
    figure = distributions.densities(curves, list(labels.values()), x=TITLES.get(measure) or definitions.axis(measure))
    figure.update_xaxes(range=_centre(curves))
    return Panel(figure, measure.replace("_", " "))


def _centre(curves: pd.DataFrame) -> list[float]:
    """Where the curves are not low; one that is far wider than the others is cut, or the others would be lines."""
    peaks = curves.groupby("name")["density"].transform("max")
    ends = curves[curves["density"] > CENTRE * peaks].groupby("name")["x"].agg(["min", "max"])
    width = float((ends["max"] - ends["min"]).median())
    low = max(float(ends["min"].min()), float(ends["min"].median()) - width)
    return [low, min(float(ends["max"].max()), float(ends["max"].median()) + width)]


def _table(results: Results, question: Question) -> Table:
    rows = results.differences[results.differences["question"] == question.name].drop(columns="question")
    caption = "AUC after training minus another one, on the same resamples: that of the same measure before training, "
    caption += f"or that of the {BASELINE} after training."
    return Table.of(rows, title=f"Differences: {question.name}", caption=caption)
