"""The findings of the six experiments as an HTML page, a tab an experiment."""

from __future__ import annotations

from axonometry.papers.lin2025.experiments import Results
from axonometry.papers.lin2025.finding import Chart, Finding
from axonometry.papers.lin2025.table import diverged, in_short
from axonometry.report.curves import colours, curves
from axonometry.report.page import Block, Facts, Figure, Key, Page, Panel, Prose, Tab, Table

BANDS = "Bands are 95% intervals of Student's t over seeds, cut off where they leave the panel."


def results_page(results: Results, *, command: str = "axonometry paper lin2025") -> Page:
    """The page of all experiments.

    Args:
        results: Of :func:`axonometry.papers.lin2025.experiments.run`.
        command: What repeats it.

    Raises:
        MissingExtraError: plotly is not installed, when it is written.
    """
    verdicts = [one.verdict for found in results.findings for one in found.statements]
    counts = {words: verdicts.count(words) for words in ("holds here", "does not hold here", "undecided")}
    words = "\n\n".join(line.replace("**", "").replace("*", "") for line in in_short(results))
    short = (Facts({"networks": results.networks, **counts}, prominent=True), Prose(words, "In short"))
    tabs = [Tab("In short", short), *(Tab(found.name, _finding(found)) for found in results.findings)]
    seeds = max((found.seeds for found in results.findings), default=0)
    return Page(
        "Neuron modes and attraction basins in six experiments",
        f"The experiments of Lin et al. 2025 on {results.networks:,} networks.",
        tuple(tabs),
        {"scale": results.scale, "networks": results.networks, "seeds": seeds},
        command,
    )


def _finding(found: Finding) -> tuple[Block, ...]:
    statements = Facts(
        {
            one.words: f"{one.verdict.capitalize()}. {one.evidence[:1].upper()}{one.evidence[1:]}."
            for one in found.statements
        },
        "The paper's statements",
    )
    sheets = (Table(sheet.columns, sheet.rows, sheet.title, sheet.caption) for sheet in found.sheets)
    return (
        Prose((found.setup + diverged(found)).replace("*", ""), found.title),
        statements,
        *map(_figure, found.charts),
        *sheets,
    )


def _figure(chart: Chart) -> Figure:
    names = list(dict.fromkeys(chart.frame["name"]))
    panel = Panel(curves(chart.frame, x=chart.x, y=chart.y, log=chart.log))
    legend = tuple(Key(name, colour) for name, colour in zip(names, colours(len(names)), strict=True))
    caption = f"{chart.caption} {BANDS}".strip()
    return Figure(chart.title, (panel,), caption, legend=legend if len(names) > 1 else (), arrangement="wide")
