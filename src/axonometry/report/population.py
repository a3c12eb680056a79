"""The page of a population: learning curves, and graph measures by accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from axonometry.report import definitions, figures, graph, sections
from axonometry.report.axes import evenly
from axonometry.report.page import Block, Facts, Figure, Page, Panel, Tab, Table
from axonometry.report.study import Study, study

if TYPE_CHECKING:
    from axonometry.populations import Population

MOST_ROWS = 300
"""Networks in the table of networks."""


def population_page(
    population: Population, *, edges: Sequence[float] | None = None, title: str = "", command: str = ""
) -> Page:
    """The page of a population of one architecture.

    Args:
        population: Finished runs.
        edges: Edges of the accuracy bins; round ones by default.
        title: Heading; by default the number of networks and the data set.
        command: The command that writes the page.

    Raises:
        AxonometryError: There is no run with a final accuracy, or the runs are of several architectures.
        RunError: A run is corrupt.
        MissingExtraError: plotly is not installed.
    """
    found = study(population, edges=edges)
    tabs = [Tab("Overview", _overview(found)), Tab("Over time", sections.measures_over_time(found))]
    tabs.append(Tab("By accuracy", sections.by_accuracy(found)))
    if found.divergences:
        tabs.append(Tab("Divergence", sections.divergence_figures(found)))
    tabs += [graph.network_tab(found.example), Tab("Networks", _networks(found))]
    tabs.append(definitions.tab(sections.defined(found)))
    dataset = found.common.get("dataset")
    return Page(
        title or f"{len(found.networks)} networks" + (f" trained on {dataset}" if dataset else ""),
        _subtitle(found),
        tuple(tabs),
        _facts(found),
        command,
    )


def story(found: Study) -> Figure:
    """Layer fluctuation against accuracy, one dot a network, with the networks' paths in training."""
    panels = []
    choice, kinds = found.kinds
    shapes = " ".join(f"{figures.SYMBOLS[symbol]} {kind}" for kind, symbol in figures.symbols(kinds).items())
    for group in found.groups:
        values = found.with_accuracy("layer_fluctuation", group)
        rho, n = association(found, "layer_fluctuation", group)
        figure = figures.against_accuracy(
            values,
            y=definitions.axis("layer_fluctuation"),
            log=figures.spans_decades(values["value"]),
            step=found.step_name,
            kinds=kinds,
        )
        remark = f"ρ = {rho:+.2f} over {n} networks" if n > 2 else f"n = {n}"
        panels.append(Panel(figure, group, f"{remark} · {choice}: {shapes}" if kinds else remark))
    caption = (
        f"Each dot is a network after its last {found.step_name}; the line is its path in training. Colour shows final "
        "accuracy. Choose a layer above; press play for an animation over training. ρ is Spearman's rank correlation "
        "of "
        "fluctuation with accuracy over the networks." + _warning(found)
    )
    return Figure(
        "Layer fluctuation against accuracy",
        tuple(panels),
        caption,
        definitions.definition("layer_fluctuation"),
        arrangement="switch",
        chosen=min(1, len(panels) - 1),
    )


def _warning(found: Study) -> str:
    """The choices that may explain both accuracy and fluctuation."""
    trained = [name.replace("_", " ") for name in found.differing if name != "seed"]
    if not trained:
        return ""
    return f" The networks also differ in {join_words(trained)}, which may explain both."


def join_words(words: list[str]) -> str:
    """Words as a list in a sentence.

    >>> join_words(["a", "b", "c"]), join_words(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def association(found: Study, metric: str, group: str, statistic: str = "value") -> tuple[float, int]:
    """Spearman's rank correlation of a measure with accuracy over networks at their last step, and their number.

    NaN where one of the two is constant.
    """
    last = found.with_accuracy(metric, group, statistic).dropna().groupby("network").tail(1)
    ranks = last[["value", "accuracy"]].rank()
    varies = len(ranks) > 1 and bool((ranks.nunique() > 1).all())
    rho = ranks["value"].corr(ranks["accuracy"]) if varies else float("nan")
    return float(rho), len(ranks)


def _overview(found: Study) -> tuple[Block, ...]:
    accuracy = found.networks["accuracy"]
    low, high = accuracy.quantile([0.1, 0.9])
    highlights = {
        "networks": len(accuracy),
        "median final accuracy": f"{accuracy.median():.1%}",
        "10%–90% range of final accuracy": f"{100 * low:.0f}–{100 * high:.0f}%",
        **{name: value for name, value in graph.totals(found.example).items() if name in {"neurons", "links"}},
    }
    return Facts(highlights, prominent=True), story(found), _ranks(found), sections.accuracy_over_time(found)


def _ranks(found: Study) -> Table:
    """Rank correlation of each layer's measures with accuracy."""
    rows = []
    medians = found.tracked_last("layer_fluctuation").groupby(["group", "bin"], observed=True)["value"].median()
    for group in found.example.groups:
        rho, n = association(found, "layer_fluctuation", group.name)
        strength, _ = association(found, "node_strength", group.name, "mean")
        lowest, highest = (medians.get((group.name, name)) for name in (found.bins[0], found.bins[-1]))
        rows.append((group.name, group.n_neurons, round(rho, 2), round(strength, 2), lowest, highest, n))
    columns = (
        "layer",
        "neurons",
        "ρ of fluctuation",
        "ρ of mean strength",
        f"median fluctuation at {found.bins[0]}",
        f"median fluctuation at {found.bins[-1]}",
        "networks",
    )
    caption = (
        "ρ is Spearman's rank correlation with final accuracy over the networks: 1 for an increasing, −1 for a "
        "decreasing and 0 for no monotonic relation."
    )
    return Table(columns, tuple(rows), "By layer, at the last step", caption)


def _networks(found: Study) -> tuple[Block, ...]:
    table = found.networks
    scalars = [name for name in table if name not in (*found.configured, "bin")]
    columns = [*found.differing, *scalars]
    shown = table.iloc[evenly(len(table), MOST_ROWS)].iloc[::-1][columns].reset_index()
    blocks: list[Block] = [Facts(found.common | found.software, "Common configuration")]
    blocks += sections.by_choice(found)
    count = f"{len(shown)} of {len(table)} over all accuracies" if len(shown) < len(table) else f"All {len(table)}"
    caption = f"{count}, the most accurate first. Click a column head to sort."
    return (*blocks, Table.of(shown, title="Networks", caption=caption))


def _subtitle(found: Study) -> str:
    kind = " ".join(str(found.common[name]) for name in ("size", "family") if found.common.get(name) is not None)
    differing = [name.replace("_", " ") for name in found.differing]
    words = f"{kind or 'one architecture'} networks, measured as graphs during training"
    differences = f"They differ in {join_words(differing)}." if differing else "All have the same configuration."
    return f"{words[0].upper()}{words[1:]}. {differences}"


def _facts(found: Study) -> dict[str, object]:
    facts: dict[str, object] = {
        name: found.common[name] for name in ("dataset", "family", "size") if found.common.get(name)
    }
    steps = found.metrics["step"]
    facts[f"{found.step_name}s recorded"] = f"{steps.min()}–{steps.max()}"
    away = {"unfinished": found.unfinished, "stopped early": found.stopped}
    if any(away.values()):
        facts["not shown"] = ", ".join(f"{count} {words}" for words, count in away.items() if count)
    if found.left_out:
        facts["left out"] = f"{found.left_out} without an accuracy"
    written = max(path.stat().st_mtime for path in found.example.folder.iterdir())
    facts["trained"] = f"{datetime.fromtimestamp(written):%Y-%m-%d}"
    return facts | {name: found.software[name] for name in ("axonometry", "torch") if name in found.software}
