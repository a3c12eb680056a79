"""Results as an HTML page: the claims first, then a tab a section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from axonometry.experiments.claims import RULE
from axonometry.experiments.markdown import adjusted_p, conditions_table, outcome, said
from axonometry.experiments.running import Results
from axonometry.experiments.section import Section, counts
from axonometry.report import definitions
from axonometry.report.charts import IntervalChart, LineChart, MatrixChart
from axonometry.report.page import Block, Facts, Page, Prose, Tab, Table


def results_page(results: Results, *, command: str = "") -> Page:
    """The page of an experiment.

    Args:
        results: Of :func:`axonometry.experiments.run`.
        command: What repeats it.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    experiment = results.experiment
    tabs = [Tab("Summary", tuple(_summary(results)))]
    tabs += [
        Tab(name.replace("-", " ").capitalize(), tuple(_section(found))) for name, found in results.sections.items()
    ]
    if experiment.defined:
        tabs.append(definitions.tab(experiment.defined))
    facts = {"scale": results.scale, "networks": results.networks, "seconds": round(results.seconds)}
    return Page(experiment.title, experiment.about, tuple(tabs), facts, command)


def _summary(results: Results) -> Iterator[Block]:
    facts = {"networks": results.networks, "conditions": len(results.conditions)}
    yield Facts(facts | counts(results.claims), prominent=True)
    rows = tuple(
        (claim.verdict, _bare(claim.words), _bare(" ".join(said(claim))), adjusted_p(claim), name)
        for name, section in results.sections.items()
        for claim in section.claims
    )
    yield Table(("verdict", "claim", "numbers", "p, adjusted", "section"), rows, "Claims", _bare(RULE))
    if results.not_run:
        yield Prose(f"Not run in this call: {', '.join(results.not_run)}.")
    yield conditions_table(results)
    if results.experiment.how:
        yield Prose(_paragraphs(results.experiment.how), "How to read it")


def _paragraphs(bullets: str) -> str:
    """Markdown's list as paragraphs, which the page writes."""
    return _bare(bullets.strip().removeprefix("- ").replace("\n- ", "\n\n"))


def _bare(text: str) -> str:
    """Text without Markdown's emphasis."""
    return text.replace("*", "")


def _section(section: Section) -> Iterator[Block]:
    yield Prose(_bare(section.setup), section.title)
    if section.claims:
        yield Facts({_bare(claim.words): _bare(outcome(claim)) for claim in section.claims}, "Claims")
    for figure in section.figures:
        yield from (figure.figure(),) if isinstance(figure, LineChart | IntervalChart | MatrixChart) else figure()
    yield from (replace(table, title=_bare(table.title), caption=_bare(table.caption)) for table in section.tables)
