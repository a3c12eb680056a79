"""The page of any folder of runs: of one architecture, or of several, each of which is a part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from axonometry.report import definitions, graph, sections
from axonometry.report.page import Block, Facts, Page, Prose, Tab, Table
from axonometry.report.phases import null_blocks, phases_blocks
from axonometry.report.population import (
    absent_table,
    median_network,
    networks_blocks,
    overview,
    page_facts,
    population_page,
)
from axonometry.report.study import Study, scored, study

if TYPE_CHECKING:
    from axonometry.populations import Population

MOST_PARTS = 6
"""Architectures that have a part of the page; of more, those with the most networks."""
NO_GRAPH = (
    "The code of the networks was not named, so that link weights are the parameters as they are (batch norm is not "
    "folded in), and there are no densities of node strength. Pass `--network FILE.py:NAME` for both."
)


def runs_page(
    population: Population, *, edges: Sequence[float] | None = None, command: str = "", score: str = "accuracy"
) -> Page:
    """The page of a folder of runs, whoever recorded them.

    Args:
        population: Finished runs, of one architecture or of several.
        edges: Edges of the bins of the score; round ones by default.
        command: The command that writes the page.
        score: The scalar by which networks are ordered and binned.

    Raises:
        AxonometryError: There is no finished run with the score.
        RunError: A run is corrupt.
        MissingExtraError: plotly is not installed.
    """
    known, absent = scored(population, score)
    parts = by_architecture(population, list(known.index))
    if len(parts) == 1:
        page = population_page(population, edges=edges, command=command, score=score)
        return replace(page, tabs=(_remarked(page.tabs[0], population, parts[0]), *page.tabs[1:]))
    studies = [
        study(replace(population, runs={name: population.runs[name] for name in part}), edges=edges, score=score)
        for part in parts[:MOST_PARTS]
    ]
    names = part_names(studies)
    tabs = [Tab("Overview", (*_parts_table(studies, names, parts), *absent_table(tuple(absent))))]
    tabs += [
        _remarked(_part(found, name, population), population, part)
        for found, name, part in zip(studies, names, parts, strict=False)
    ]
    shown = dict.fromkeys(metric for found in studies for metric in sections.defined(found))
    facts = page_facts(studies[0]) | {"architectures": len(parts)}
    subtitle = f"Networks of {len(parts)} architectures, measured as graphs during training."
    return Page(f"{len(known)} networks", subtitle, (*tabs, definitions.tab(shown)), facts, command)


def by_architecture(population: Population, names: Sequence[str]) -> list[list[str]]:
    """The runs by architecture, those of which there are most first.

    Args:
        population: Whose runs.
        names: Of runs.
    """
    found: dict[object, list[str]] = defaultdict(list)
    for name in names:
        run = population.runs[name]
        found[run.groups, run.synapses].append(name)
    return sorted(found.values(), key=len, reverse=True)


def part_names(studies: Sequence[Study]) -> list[str]:
    """A name for each architecture: its number and the sizes of its groups, or a choice in which they differ.

    >>> part_names([])
    []
    """
    for choice in studies[0].configured if studies else ():
        values = [found.common.get(choice) for found in studies]
        if None not in values and len({str(value) for value in values}) == len(values) and choice != "seed":
            return [f"{choice.replace('_', ' ')} {value}" for value in values]
    return [
        f"Part {number}: {graph.totals(found.example)['neurons']:,} neurons" for number, found in enumerate(studies, 1)
    ]


def _parts_table(studies: Sequence[Study], names: Sequence[str], parts: Sequence[Sequence[str]]) -> list[Block]:
    score = studies[0].score
    rows = []
    for name, found in zip(names, studies, strict=True):
        values, size = found.networks[found.score.name], graph.totals(found.example)
        texts = [found.score.text(float(values.quantile(share))) for share in (0.5, 0.1, 0.9)]
        rows.append((name, len(values), size["neurons"], size["links"], *texts))
    heads = ("architecture", "networks", "neurons", "links", f"median final {score.words}", "10%", "90%")
    more = sum(map(len, parts[MOST_PARTS:]))
    caption = "Each architecture has a tab of its own."
    caption += f" {more} networks of {len(parts) - MOST_PARTS} other architectures have none." if more else ""
    total = {"networks": sum(map(len, parts)), "architectures": len(parts)}
    return [Facts(total, prominent=True), Table(heads, tuple(rows), "By architecture", caption)]


def _part(found: Study, name: str, population: Population) -> Tab:
    blocks = (*overview(found), *sections.measures_over_time(found), *sections.by_accuracy(found))
    blocks = (*blocks, *sections.divergence_figures(found)) if found.divergences else blocks
    blocks = (*blocks, *phases_blocks([found.example]), *null_blocks(found.example))
    return Tab(name, (*blocks, *median_network(found, population).blocks, *networks_blocks(found)))


def _remarked(tab: Tab, population: Population, names: Sequence[str]) -> Tab:
    """The tab with a remark where the networks' code is not known."""
    if all(population.has_graph(name) or not population.runs[name].snapshots for name in names):
        return tab
    return replace(tab, blocks=(*tab.blocks, Prose(NO_GRAPH)))
