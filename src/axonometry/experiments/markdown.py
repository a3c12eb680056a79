"""Results as a Markdown page: every number with its n, charts as pictures beside it."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from axonometry.cell_text import number
from axonometry.experiments.claims import RULE, Claim
from axonometry.experiments.running import QUANTILES, Results
from axonometry.experiments.section import Section
from axonometry.files import write_text
from axonometry.report.charts import LineChart, MatrixChart
from axonometry.report.page import Table

SMALLEST = 0.001
"""p that is written with its digits."""


def write_markdown(results: Results, path: str | Path, *, command: str = "") -> None:
    """Write what was run, what was found, and how to repeat it; charts go into a folder of the page's name beside it.

    Args:
        results: Of :func:`axonometry.experiments.run`.
        path: The page; folders on the way are made.
        command: What repeats it.
    """
    path = Path(path)
    for name, section in results.sections.items():
        for file, chart in _charts(name, section):
            write_text(path.parent / path.stem / file, chart.svg() + "\n", parents=True)
    write_text(path, markdown(results, command=command, figures=path.stem) + "\n", parents=True)


def markdown(results: Results, *, command: str = "", figures: str = "figures") -> str:
    """The page's text.

    Args:
        results: Of :func:`axonometry.experiments.run`.
        command: What repeats it.
        figures: Folder of the charts.
    """
    experiment, trained = results.experiment, conditions_table(results)
    by = f"Written by `{command}` (scale: {results.scale}); do not edit." if command else f"Scale: {results.scale}."
    parts = [
        f"# {experiment.title}",
        f"{by} {machine(results)}",
        experiment.about,
        "## Summary",
        "\n".join(f"- {line}" for line in summary_lines(results)),
        "## How to read it",
        f"- {RULE}" if not experiment.how else f"- {RULE}\n{experiment.how.strip()}",
        *(text for name, section in results.sections.items() for text in _section(name, section, figures)),
        "## What was trained",
        markdown_table(trained.columns, trained.rows),
    ]
    return "\n\n".join(filter(None, parts))


def summary_lines(results: Results) -> list[str]:
    """A line a claim: its verdict, its words, its numbers; and what was not run."""
    lines = [
        f"{claim.words} ({name}). **{claim.verdict.capitalize()}.** {' '.join(said(claim))}"
        for name, section in results.sections.items()
        for claim in section.claims
    ]
    if results.not_run:
        lines.append(f"Not run in this call: {', '.join(results.not_run)}.")
    return lines


def machine(results: Results) -> str:
    """How long a call took, how many networks it trained, and where."""
    import torch

    return str(results.kept.get("machine", "")) or (
        f"This call took {results.seconds / 60:.1f} minutes and trained {results.trained} of {results.networks} "
        f"networks, on {os.cpu_count()} cores ({platform.machine()}, {platform.system()}), "
        f"Python {platform.python_version()}, torch {torch.__version__}."
    )


def conditions_table(results: Results) -> Table:
    """What was trained, a row a condition."""
    rows = [
        (
            f"{row['title']} ({row['condition']})" if row["title"] != row["condition"] else row["title"],
            *(row[name] for name in ("networks", "seeds", "parameters")),
            row["performance"].replace("_", " "),
            ", ".join(f"{row[name]:.3f}" for name in QUANTILES),
        )
        for row in results.conditions.to_dict("records")
    ]
    columns = (
        "condition",
        "networks",
        "seeds",
        "parameters",
        "performance on test data",
        "minimum, quartiles, maximum",
    )
    return Table(columns, tuple(rows), "What was trained")


def outcome(claim: Claim) -> str:
    """A claim's verdict and numbers, as sentences."""
    return " ".join((f"{claim.verdict.capitalize()}.", *said(claim)))


def said(claim: Claim) -> list[str]:
    """Sentences: a claim's numbers, what an undecided one would have shown, and where the paper makes it."""
    where = f"Source: {claim.maintained}" if claim.maintained else ""
    return [sentence(words) for words in (claim.numbers, claim.power, where) if words]


def sentence(words: str) -> str:
    """Words with a capital at the beginning, unless they begin with a symbol, and a full stop.

    >>> sentence("strength grows"), sentence("ρ is 0.5")
    ('Strength grows.', 'ρ is 0.5.')
    """
    first = words[:1]
    return f"{first.upper() if first.isascii() else first}{words[1:]}" + ("." if words else "")


def adjusted_p(claim: Claim) -> str:
    """The p that decides a claim, adjusted for all claims of its page; a dash where no number does.

    >>> adjusted_p(Claim("", "holds", adjusted=0.0000123)), adjusted_p(Claim("", "undecided"))
    ('< 0.001', '–')
    """
    if math.isnan(claim.adjusted):
        return "–"
    return "< 0.001" if claim.adjusted < SMALLEST else f"{claim.adjusted:.3f}"


def _section(name: str, section: Section, figures: str) -> Iterator[str]:
    yield f"## {section.title}"
    yield section.setup
    if section.claims:
        rows = [
            (claim.words, f"**{claim.verdict}**", adjusted_p(claim), " ".join(said(claim))) for claim in section.claims
        ]
        yield markdown_table(("claim", "verdict", "p, adjusted", "numbers"), rows)
    for file, chart in _charts(name, section):
        yield f"![{chart.title}]({figures}/{file})"
        bands = " Bands are the intervals." if isinstance(chart, LineChart) else ""
        yield f"*{chart.title}: {chart.y}.* {chart.caption}{bands}".replace("  ", " ").strip()
    for table in section.tables:
        yield f"**{table.title}.** {table.caption}".strip()
        yield markdown_table(table.columns, table.rows)


def _charts(name: str, section: Section) -> list[tuple[str, LineChart | MatrixChart]]:
    charts = [one for one in section.figures if isinstance(one, LineChart | MatrixChart)]
    return [(f"{name}-{place}.svg", chart) for place, chart in enumerate(charts, 1)]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table.

    >>> print(markdown_table(["a", "b"], [[1, 0.123456]]))
    | a | b |
    | --- | --- |
    | 1 | 0.1235 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(number(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
