"""The page of a population: learning curves, and graph measures by accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from axonometry.report import definitions, figures, graph, sections
from axonometry.report.axes import evenly
from axonometry.report.page import Block, Facts, Figure, Page, Panel, Tab, Table
from axonometry.report.phases import null_blocks, phases_blocks
from axonometry.report.references import references_blocks
from axonometry.report.study import Study, study

if TYPE_CHECKING:
    from axonometry.populations import Population

MOST_ROWS = 300
"""Networks in the table of networks."""


def population_page(
    population: Population,
    *,
    edges: Sequence[float] | None = None,
    title: str = "",
    command: str = "",
    score: str = "accuracy",
) -> Page:
    """The page of a population of one architecture.

    Args:
        population: Finished runs, trained here or recorded in an own loop.
        edges: Edges of the accuracy bins; round ones by default.
        title: Heading; by default the number of networks and the data set.
        command: The command that writes the page.
        score: The scalar in the place of accuracy.

    Raises:
        AxonometryError: There is no run with a final accuracy, or the runs are of several architectures.
        RunError: A run is corrupt.
        MissingExtraError: plotly is not installed.
    """
    found = study(population, edges=edges, score=score)
    tabs = [Tab("Overview", overview(found))]
    times, bins = sections.measures_over_time(found), sections.by_accuracy(found)
    tabs += [Tab("Over time", times)] if times else []
    tabs += [Tab(f"By {found.score.words}", bins)] if bins else []
    if found.divergences:
        tabs.append(Tab("Divergence", sections.divergence_figures(found)))
    names = [name for name in found.networks.index if name in population.runs]
    phases = (*phases_blocks([population.runs[name] for name in names]), *null_blocks(found.example))
    tabs += [Tab("Phases", phases)] if phases else []
    tabs += [median_network(found, population), Tab("Networks", (*networks_blocks(found), *absent_table(found.absent)))]
    tabs.append(definitions.tab(sections.defined(found)))
    dataset = found.common.get("dataset")
    return Page(
        title or f"{len(found.networks)} networks" + (f" trained on {dataset}" if dataset else ""),
        _subtitle(found),
        tuple(tabs),
        page_facts(found),
        command,
    )


def median_network(found: Study, population: Population) -> Tab:
    """The graph of the network with the median score, and its numbers beside their references.

    Args:
        found: Of the population.
        population: Whose networks' code may be known.
    """
    name = next(name for name, run in population.runs.items() if run.folder == found.example.folder)
    network = population.graph(name) if population.has_graph(name) else None
    tab = graph.network_tab(found.example)
    return replace(tab, blocks=(*tab.blocks, *references_blocks(found.example, network)))


def story(found: Study) -> Figure:
    """Layer fluctuation against accuracy, one dot a network, with the networks' paths in training.

    Of runs without fluctuation it is the measure that was recorded first.
    """
    panels = []
    metric, statistic = found.leading or ("layer_fluctuation", "value")
    choice, kinds = found.kinds
    shapes = " ".join(f"{figures.SYMBOLS[symbol]} {kind}" for kind, symbol in figures.symbols(kinds).items())
    for group in found.measured_groups(metric, statistic):
        values = found.with_accuracy(metric, group, statistic)
        rho, n = association(found, metric, group, statistic)
        figure = figures.against_accuracy(
            values,
            y=definitions.axis(metric, statistic),
            log=figures.spans_decades(values["value"]),
            step=found.step_name,
            kinds=kinds,
            score=found.score,
        )
        remark = f"ρ = {rho:+.2f} over {n} networks" if n > 2 else f"n = {n}"
        panels.append(Panel(figure, group, f"{remark} · {choice}: {shapes}" if kinds else remark))
    words, score = definitions.axis(metric, statistic).split(" (")[0], found.score.words
    caption = (
        f"Each dot is a network after its last {found.step_name}; the line is its path in training. Colour shows final "
        f"{score}. Choose a layer above; press play for an animation over training. ρ is Spearman's rank correlation "
        f"of {'fluctuation' if metric == 'layer_fluctuation' else words} with {score} over the networks."
        + _warning(found)
    )
    return Figure(
        f"{words[0].upper()}{words[1:]} against {score}",
        tuple(panels),
        caption,
        definitions.definition(metric),
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


def overview(found: Study) -> tuple[Block, ...]:
    """What a page shows first: numbers, the leading measure against accuracy, ranks, accuracy over time."""
    values, score = found.networks[found.score.name], found.score
    low, high = values.quantile([0.1, 0.9])
    across = f"{100 * low:.0f}–{100 * high:.0f}%" if score.share else f"{score.text(low)}–{score.text(high)}"
    highlights = {
        "networks": len(values),
        f"median final {score.words}": score.text(values.median()),
        f"10%–90% range of final {score.words}": across,
        **{name: value for name, value in graph.totals(found.example).items() if name in {"neurons", "links"}},
    }
    blocks: list[Block] = [Facts(highlights, prominent=True)]
    blocks += [story(found)] if found.leading else []
    blocks += [_ranks(found)] if found.measured_groups("layer_fluctuation") else []
    return (*blocks, sections.accuracy_over_time(found))


def _ranks(found: Study) -> Table:
    """Rank correlation of each layer's measures with accuracy."""
    rows = []
    medians = found.tracked_last("layer_fluctuation").groupby(["group", "bin"], observed=True)["value"].median()
    measured = found.measured_groups("layer_fluctuation")
    for group in (group for group in found.example.groups if group.name in measured):
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
        f"ρ is Spearman's rank correlation with final {found.score.words} over the networks: 1 for an increasing, −1 "
        "for a decreasing and 0 for no monotonic relation."
    )
    return Table(columns, tuple(rows), "By layer, at the last step", caption)


def networks_blocks(found: Study) -> tuple[Block, ...]:
    """Configurations, accuracy by choice, and the table of all networks."""
    table = found.networks
    scalars = [name for name in table if name not in (*found.configured, "bin")]
    columns = [*found.differing, *scalars]
    shown = table.iloc[evenly(len(table), MOST_ROWS)].iloc[::-1][columns].reset_index()
    blocks: list[Block] = [Facts(found.common | found.software, "Common configuration")]
    blocks += sections.by_choice(found)
    count = f"{len(shown)} of {len(table)} over all accuracies" if len(shown) < len(table) else f"All {len(table)}"
    first = "the most accurate" if found.score.name == "accuracy" else f"the greatest {found.score.words}"
    caption = f"{count}, {first} first. Click a column head to sort."
    return (*blocks, Table.of(shown, title="Networks", caption=caption))


def _subtitle(found: Study) -> str:
    kind = " ".join(str(found.common[name]) for name in ("size", "family") if found.common.get(name) is not None)
    differing = [name.replace("_", " ") for name in found.differing]
    words = f"{f'{kind} networks' if kind else 'networks of one architecture'}, measured as graphs during training"
    differences = f"They differ in {join_words(differing)}." if differing else "All have the same configuration."
    return f"{words[0].upper()}{words[1:]}. {differences}"


def absent_table(absent: tuple[tuple[str, str], ...]) -> tuple[Block, ...]:
    """The runs that a page does not show, by name; no table where it shows all.

    Args:
        absent: Each with why.
    """
    caption = f"{len(absent)} runs are not on this page."
    return (Table(("run", "why"), absent, "Left out", caption),) if absent else ()


def page_facts(found: Study) -> dict[str, object]:
    """The foot of a page: what was trained, when, with which software; how many runs are not shown."""
    facts: dict[str, object] = {
        name: found.common[name] for name in ("dataset", "family", "size") if found.common.get(name)
    }
    steps = found.metrics["step"]
    facts[f"{found.step_name}s recorded"] = f"{steps.min()}–{steps.max()}"
    away = {"unfinished": found.unfinished, "stopped early": found.stopped}
    if any(away.values()):
        facts["not shown"] = ", ".join(f"{count} {words}" for words, count in away.items() if count)
    if found.left_out:
        facts["left out"] = f"{found.left_out} without an {found.score.words}"
    written = max(path.stat().st_mtime for path in found.example.folder.iterdir())
    facts["trained"] = f"{datetime.fromtimestamp(written):%Y-%m-%d}"
    return facts | {name: found.software[name] for name in ("axonometry", "torch") if name in found.software}
