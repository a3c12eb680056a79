"""What an experiment found: statements with verdicts, tables, charts; and how seeds become intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from axonometry.papers.lin2025.items import Outcome
from axonometry.papers.lin2025.plans import operations

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["holds here", "does not hold here", "undecided"]
LEVEL = 0.95
LARGEST = 10.0
"""The greatest amplitude of noise that is tried; a basin that is larger counts as this."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        value: The mean; NaN where no seed has the number.
        low: Lower end of the 95% interval of Student's t; NaN for fewer than two seeds.
        high: Upper end.
        n: Seeds.
    """

    value: float
    low: float
    high: float
    n: int

    def text(self, form: str = ".2f") -> str:
        """The mean with its interval: ``0.87 [0.83, 0.90]``; a dash where there is none."""
        if math.isnan(self.value):
            return "–"
        interval = "" if math.isnan(self.low) else f" [{self.low:{form}}, {self.high:{form}}]"
        return f"{self.value:{form}}{interval}".replace("-", "−")

    def verdict(self) -> Verdict:
        """Whether it is surely above 0, surely below, or neither."""
        return "holds here" if self.low > 0 else "does not hold here" if self.high < 0 else "undecided"

    def within(self, margin: float) -> Verdict:
        """Whether it surely differs from 0 by less than a margin, surely by more, or neither."""
        if -margin < self.low and self.high < margin:
            return "holds here"
        return "does not hold here" if self.low > margin or self.high < -margin else "undecided"


@dataclass(frozen=True)
class Statement:
    """One of the paper's statements, and what became of it.

    Attributes:
        words: What is claimed.
        verdict: By the rule that ``evidence`` or the page states.
        evidence: The numbers.
    """

    words: str
    verdict: Verdict
    evidence: str


@dataclass(frozen=True)
class Sheet:
    """A table, its cells ready to print."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Chart:
    """Lines with bands.

    Attributes:
        title: Its heading.
        frame: Columns name (of a line), x, value, low, high; NaN where there is no interval.
        x: Name and unit of the horizontal axis.
        y: Name and unit of the vertical axis.
        log: Whether the horizontal axis is logarithmic.
        caption: What to see.
    """

    title: str
    frame: pd.DataFrame
    x: str
    y: str
    log: bool = True
    caption: str = ""


@dataclass(frozen=True)
class Finding:
    """What an experiment found.

    Attributes:
        name: Of the experiment.
        title: As a question.
        setup: What was trained and measured, and where that is not the paper's.
        statements: The paper's, with verdicts.
        sheets: Tables.
        charts: Figures.
        networks: How many networks.
        seeds: How many seeds.
        seconds: Processor time of training and measuring them.
        operations: Multiplications that training them took, about.
        diverged: Cells of the networks whose training diverged, which are in none of the numbers.
    """

    name: str
    title: str
    setup: str
    statements: tuple[Statement, ...]
    sheets: tuple[Sheet, ...]
    charts: tuple[Chart, ...]
    networks: int
    seeds: int
    seconds: float
    operations: float
    diverged: tuple[str, ...] = ()


def estimate(values: Iterable[float]) -> Estimate:
    """Mean over seeds with its 95% interval of Student's t; NaN is left out.

    >>> estimate([1.0, 2.0, 3.0]).text()
    '2.00 [−0.48, 4.48]'
    """
    from scipy import stats

    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = float(known.mean())
    if len(known) < 2:
        return Estimate(mean, math.nan, math.nan, len(known))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known)))
    return Estimate(mean, mean - half, mean + half, len(known))


def by_cell(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Outcomes that differ by their seed alone, in the order of their first."""
    cells: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        cells.setdefault(outcome.item.cell, []).append(outcome)
    return cells


def of(outcomes: Iterable[Outcome], value: Callable[[Outcome], float]) -> Estimate:
    """A number's mean over outcomes."""
    return estimate(value(outcome) for outcome in outcomes)


def paired(first: Sequence[Outcome], second: Sequence[Outcome], value: Callable[[Outcome], float]) -> Estimate:
    """The mean over seeds of a number of the first less that of the second; seeds that only one has are left out."""
    ours, theirs = ({outcome.item.seed: value(outcome) for outcome in some} for some in (first, second))
    return estimate(ours[seed] - theirs[seed] for seed in ours if seed in theirs)


def amplitude(moment: Mapping[str, Any], basin: str) -> float:
    """A basin's amplitude at a moment, at most :data:`LARGEST`; 0 where accuracy is below one half without noise."""
    return min(float(moment[basin]["amplitude"]), LARGEST)


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's ρ; NaN where one of them does not vary."""
    from scipy import stats

    if len(first) < 3 or len(set(first)) < 2 or len(set(second)) < 2:
        return math.nan
    return float(stats.spearmanr(first, second).statistic)


def lines(rows: Iterable[tuple[str, float, Estimate]]) -> pd.DataFrame:
    """A chart's frame from the names of lines, places on the horizontal axis, and estimates."""
    import pandas as pd

    columns = ["name", "x", "value", "low", "high"]
    return pd.DataFrame([(name, x, one.value, one.low, one.high) for name, x, one in rows], columns=columns)


def finding(
    name: str,
    words: tuple[str, str],
    outcomes: Sequence[Outcome],
    statements: Iterable[Statement],
    sheets: Iterable[Sheet],
    charts: Iterable[Chart],
) -> Finding:
    """A finding, with its networks counted; ``words`` are title and set-up. One seed decides nothing."""
    title, setup = words
    seeds = len({outcome.item.seed for outcome in outcomes})
    if seeds < 2:
        statements = [replace(statement, verdict="undecided") for statement in statements]
    seconds = sum(outcome.seconds for outcome in outcomes)
    work = sum(operations(outcome.item, outcome.last["step"]) for outcome in outcomes)
    return Finding(
        name, title, setup, tuple(statements), tuple(sheets), tuple(charts), len(outcomes), seeds, seconds, work
    )
