"""The findings of the six experiments as a Markdown page with its figures beside it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from axonometry.papers.lin2025.experiments import Results
from axonometry.papers.lin2025.finding import LARGEST, LEVEL, Chart, Finding, Statement
from axonometry.papers.lin2025.measuring import PRECISION, SAMPLE_DRAWS, WEIGHT_DRAWS
from axonometry.papers.lin2025.plans import SEEDS, items, operations
from axonometry.papers.markdown import machine, table, write
from axonometry.report.curves import MOST_CURVES, curves_svg

HOW = f"""\
## How to read it

- Brackets are {LEVEL:.0%} intervals of Student's t over seeds. A seed draws the initial parameters, the training
  samples, their order and their noise. **Three seeds are little**: the interval reaches 2.5 standard deviations of the
  three to either side, also beyond what a number can be, and nothing but a large difference can be decided.
  Differences are taken seed by seed.
- A statement *holds here* where the interval of the number that it is about lies on its side, *does not hold here*
  where it lies on the other, and is *undecided* otherwise, also where settings contradict each other. What is counted
  seed by seed must be so in every seed to hold, in none not to. *Here* is these networks, sizes and data; no
  correction is made for the number of statements.
- The statements are an account's of the paper's version 5. It gives no seeds and no intervals. What was left open, and
  what was made smaller, stands with each experiment; thresholds marked so in the code are our choice.
- *Gradient* is the slope of the rank distribution: 0 where a layer's neurons know nothing of the classes, at most 6;
  mean over neurons and classes. *Order kept* is the share of pairs of samples that a neuron keeps in order.
- *Sample basin*: amplitude of Gaussian noise on the inputs (pixels from 0 to 1) at which accuracy falls to 50%;
  *weight basin*: the same of noise on the weights, in standard deviations of each layer's. {SAMPLE_DRAWS} draws a
  sample, {WEIGHT_DRAWS} networks, bisected to {PRECISION:.0%}; 0 where accuracy is not above 50% without noise, and
  {LARGEST:g} where no noise up to {LARGEST:g} brings it down. Their intervals over draws are not in the brackets.
"""


def write_results(results: Results, markdown_path: str | Path, *, command: str = "axonometry paper lin2025") -> None:
    """Write what was run, what was found, and how to repeat it; figures go into a folder of the page's name beside it.

    Args:
        results: Of :func:`axonometry.papers.lin2025.experiments.run`.
        markdown_path: The page; folders on the way are made.
        command: What repeats it.
    """
    path = Path(markdown_path)
    for found in results.findings:
        for name, chart in _figures(found):
            write(_svg(chart), path.parent / path.stem / name)
    write(page(results, command, path.stem), path)


def page(results: Results, command: str, figures: str = "lin2025") -> str:
    """The page's text; ``figures`` is the folder of its figures."""
    parts = [
        "# Lin et al. 2025: neuron modes and attraction basins in six experiments",
        f"Written by `{command}` (scale: {results.scale}); do not edit. "
        f"{machine(results.seconds, results.trained, results.networks)} Training and measuring all of them took "
        f"{sum(found.seconds for found in results.findings) / 60:.0f} minutes of processor time.",
        "## In short",
        "\n".join(f"- {line}" for line in in_short(results)),
        HOW.strip(),
        *(text for found in results.findings for text in _finding(found, figures)),
    ]
    if results.scale == "small":
        parts.append(_full(results))
    return "\n\n".join(parts)


def in_short(results: Results) -> list[str]:
    """A line an experiment: which statements hold here, which do not, which are undecided."""
    lines = []
    for found in results.findings:
        words = []
        for verdict in ("holds here", "does not hold here", "undecided"):
            mine = [statement.words for statement in found.statements if statement.verdict == verdict]
            words += [f"*{verdict.capitalize()}*: {'; '.join(_lower(one) for one in mine)}"] if mine else []
        counted = f"{found.networks} networks, {_seeds(found.seeds)}"
        lines.append(f"**{found.name}** ({counted}). {'. '.join(words)}.")
    if results.missing:
        lines.append(f"Not run in this call: {', '.join(results.missing)}.")
    return lines


def diverged(found: Finding) -> str:
    """Which networks are not counted; empty where all are."""
    words = " Networks whose training diverged, to which nothing here applies: "
    return f"{words}{'; '.join(found.diverged)}." if found.diverged else ""


def _lower(words: str) -> str:
    """A sentence inside another one."""
    return words if words[1:2].isupper() else words[0].lower() + words[1:]


def _seeds(count: int) -> str:
    return f"{count} seed{'s' if count > 1 else ''}"


def _finding(found: Finding, figures: str) -> Iterable[str]:
    yield f"## {found.name}: {found.title}"
    minutes = f"{found.seconds / 60:.1f} minutes of processor time"
    yield f"{found.networks} networks, {_seeds(found.seeds)}, {minutes}. {found.setup}{diverged(found)}"
    yield table(["statement", "verdict", "numbers"], map(_row, found.statements))
    for name, chart in _figures(found):
        yield f"![{chart.title}]({figures}/{name})"
        yield f"*{chart.title}: {chart.y}.* {chart.caption} Bands are the intervals.".replace("  ", " ")
    for sheet in found.sheets:
        yield f"**{sheet.title}.** {sheet.caption}".strip()
        yield table(sheet.columns, sheet.rows)


def _row(statement: Statement) -> tuple[str, str, str]:
    return statement.words, f"**{statement.verdict}**", statement.evidence


def _figures(found: Finding) -> list[tuple[str, Chart]]:
    return [(f"{found.name}-{number}.svg", chart) for number, chart in enumerate(found.charts, 1)]


def _svg(chart: Chart) -> str:
    assert chart.frame["name"].nunique() <= MOST_CURVES
    return curves_svg(chart.frame, x=chart.x, y=chart.y, log=chart.log)


def _full(results: Results) -> str:
    """What the paper's sizes would take, from what these took."""
    planned = [item for found in results.findings for item in items(found.name, "full", SEEDS["full"])]
    done = sum(found.operations for found in results.findings)
    seconds = sum(found.seconds for found in results.findings)
    wanted = sum(operations(item, float(item.training.steps)) for item in planned)
    return (
        f"The scale `full` (the paper's sizes where they are known, all images, {len(planned):,} networks, "
        f"{SEEDS['full']} seeds) was not run. Its training takes {wanted / done:,.0f} times the multiplications, "
        f"at these networks' speed about {wanted / done * seconds / 3600:,.0f} hours of processor time; measuring on "
        "more samples comes on top. It is for a GPU or a cluster."
    )
