"""What an experiment says: claims with verdicts, tables and figures, in sections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from axonometry.report.page import Block, Figure, Key, Panel, Table
from axonometry.report.population import join_words
from axonometry.statistics import Estimate

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["holds here", "holds here in part", "does not hold here", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("holds here", "holds here in part", "does not hold here", "undecided")
"""*Here* is these networks, sizes and data."""

RULE = (
    "A claim *holds here* where the interval of its number lies on the claimed side, *does not hold here* where it "
    "lies on the other side, and is *undecided* otherwise. A claim about several numbers holds where it holds for all "
    "of them, *in part* where it does for some, and does not hold where it does for none. There is no correction for "
    "the number of claims."
)


@dataclass(frozen=True)
class Claim:
    """A statement, and what became of it.

    A claim is made by the rule that it is judged by: :meth:`above`, :meth:`below`, :meth:`within` or :meth:`counted`.

    Attributes:
        words: What is claimed.
        verdict: By :data:`RULE`.
        evidence: The estimates that decide it.
        numbers: The evidence in words; the estimates as text where empty.
    """

    words: str
    verdict: Verdict
    evidence: tuple[Estimate, ...] = ()
    numbers: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", self.numbers or ", ".join(map(str, self.evidence)))

    @classmethod
    def above(
        cls,
        words: str,
        evidence: Estimate | Sequence[Estimate],
        bound: float = 0.0,
        *,
        refuted_below: float | None = None,
        numbers: str = "",
    ) -> Claim:
        """The number is greater than a bound.

        Args:
            words: What is claimed.
            evidence: The number; of several, each must be greater.
            bound: What it must exceed with its whole interval.
            refuted_below: What it must stay below for the claim not to hold; the bound where None. A greater one says
                that a number just above the bound is too small to matter.
            numbers: The evidence in words.

        >>> Claim.above("it grows", Estimate(0.5, 0.25, 0.75, 9)).verdict
        'holds here'
        >>> Claim.above("both grow", [Estimate(0.5, 0.25, 0.75, 9), Estimate(0.1, -0.1, 0.3, 9)]).verdict
        'holds here in part'
        """
        found = _several(evidence)
        refuted = bound if refuted_below is None else refuted_below
        return cls(words, _verdict([(one.low > bound, one.high < refuted) for one in found]), found, numbers)

    @classmethod
    def below(
        cls, words: str, evidence: Estimate | Sequence[Estimate], bound: float = 0.0, *, numbers: str = ""
    ) -> Claim:
        """The number is less than a bound; as :meth:`above`.

        >>> Claim.below("it falls", Estimate(0.5, 0.25, 0.75, 9)).verdict
        'does not hold here'
        """
        found = _several(evidence)
        return cls(words, _verdict([(one.high < bound, one.low > bound) for one in found]), found, numbers)

    @classmethod
    def within(cls, words: str, evidence: Estimate | Sequence[Estimate], margin: float, *, numbers: str = "") -> Claim:
        """The number differs from 0 by less than a margin; as :meth:`above`.

        >>> Claim.within("both are alike", Estimate(0.01, -0.01, 0.03, 9), margin=0.05).verdict
        'holds here'
        """
        found = _several(evidence)
        judged = [(-margin < one.low and one.high < margin, one.low > margin or one.high < -margin) for one in found]
        return cls(words, _verdict(judged), found, numbers)

    @classmethod
    def counted(cls, words: str, cases: Iterable[bool], *, numbers: str) -> Claim:
        """Something happens in every case, such as every seed; two cases are the fewest that decide.

        Args:
            words: What is claimed.
            cases: Whether it happened, case by case.
            numbers: The evidence in words.

        >>> Claim.counted("accuracy jumps", [True, False, True], numbers="steps 40, -, 60").verdict
        'undecided'
        """
        happened = list(cases)
        decided = len(happened) > 1 and len(set(happened)) == 1
        return cls(words, _verdict([(decided and one, decided and not one) for one in happened]), (), numbers)


def _several(evidence: Estimate | Sequence[Estimate]) -> tuple[Estimate, ...]:
    return (evidence,) if isinstance(evidence, Estimate) else tuple(evidence)


def _verdict(judged: Sequence[tuple[bool, bool]]) -> Verdict:
    """From whether each number holds and whether it is refuted; comparisons with NaN are false, hence undecided."""
    holds, refuted = (sum(column) for column in zip(*judged, strict=True)) if judged else (0, 0)
    if judged and holds == len(judged):
        return "holds here"
    if holds:
        return "holds here in part"
    return "does not hold here" if judged and refuted == len(judged) else "undecided"


def joint(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that several settings agree in; undecided where they contradict each other.

    >>> joint(["holds here", "holds here"]), joint(["holds here", "does not hold here"])
    ('holds here', 'undecided')
    """
    different = set(verdicts)
    return different.pop() if len(different) == 1 else "undecided"


def counts(claims: Iterable[Claim]) -> dict[str, int]:
    """How many claims have each verdict, those that none has left out."""
    found = Counter(claim.verdict for claim in claims)
    return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}


def cross_table(title: str, corner: str, cells: Mapping[tuple[str, str], object], caption: str = "") -> Table:
    """The table of cells by row and column, in the order in which these come first; a dash where there is none.

    Args:
        title: Its heading.
        corner: Head of the first column, the rows' names.
        cells: By names of row and column: estimates, numbers or texts.
        caption: What to see.

    >>> cross_table("Scores", "features", {("graph", "R²"): 0.5, ("curve", "R²"): 0.4, ("curve", "AUC"): 0.7}).rows
    (('graph', 0.5, '–'), ('curve', 0.4, 0.7))
    """
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    body = tuple((row, *(cells.get((row, column), "–") for column in columns)) for row in rows)
    return Table((corner, *columns), body, title, caption)


def in_words(name: str) -> str:
    """A name of the code, as words: ``node_strength`` is "node strength"."""
    return name.replace("_", " ")


def listed(names: Iterable[str]) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"]), listed([])
    ('a, b and c', 'none')
    """
    return join_words(list(names)) or "none"


@dataclass(frozen=True)
class LineChart:
    """Lines with bands, which a Markdown page shows as a picture too.

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

    @classmethod
    def of(
        cls, title: str, points: Iterable[tuple[str, float, Estimate]], x: str, y: str, *, log: bool = True
    ) -> LineChart:
        """The chart of estimates.

        Args:
            title: Its heading.
            points: Name of the line, place on the horizontal axis, and estimate there.
            x: Name and unit of the horizontal axis.
            y: Name and unit of the vertical axis.
            log: Whether the horizontal axis is logarithmic.
        """
        import pandas as pd

        rows = [(name, at, one.value, one.low, one.high) for name, at, one in points]
        return cls(title, pd.DataFrame(rows, columns=["name", "x", "value", "low", "high"]), x, y, log)

    def svg(self) -> str:
        """The chart as an SVG drawing."""
        from axonometry.report.curves import curves_svg

        return curves_svg(self.frame, x=self.x, y=self.y, log=self.log)

    def figure(self) -> Figure:
        """The chart as a figure of an HTML page.

        Raises:
            MissingExtraError: plotly is not installed.
        """
        from axonometry.report.curves import colours, curves

        names = list(dict.fromkeys(self.frame["name"]))
        panel = Panel(curves(self.frame, x=self.x, y=self.y, log=self.log))
        legend = tuple(Key(name, colour) for name, colour in zip(names, colours(len(names)), strict=True))
        bands = f"{self.caption} Bands are 95% intervals, clipped where they leave the panel.".strip()
        return Figure(self.title, (panel,), bands, legend=legend if len(names) > 1 else (), arrangement="wide")


LONG = 14
"""Letters of a name that have room in one line beside an interval."""


@dataclass(frozen=True)
class IntervalChart:
    """The estimates of a table as dots with bars over their intervals.

    Attributes:
        table: A row a name, of the cells before its first estimate.
        columns: Heads of the columns that are drawn, at most three.
        x: Name and unit of the estimates.
        reference: The value that says nothing, a dotted line.
        limits: What the axis shows; all intervals where None.
        caption: What to see.
    """

    table: Table
    columns: tuple[str, ...]
    x: str
    reference: float
    limits: tuple[float, float] | None = None
    caption: str = ""

    def figure(self) -> Figure:
        """The chart as a figure of an HTML page.

        Raises:
            MissingExtraError: plotly is not installed.
        """
        import pandas as pd

        from axonometry.report.intervals import intervals, series_keys

        rows = []
        for column in self.columns:
            place = self.table.columns.index(column)
            for row in self.table.rows:
                name = ", ".join(map(str, takewhile(lambda cell: not isinstance(cell, Estimate), row)))
                if isinstance(one := row[place], Estimate):
                    rows.append((name, column, one.value, one.low, one.high))
        frame = pd.DataFrame(rows, columns=["name", "series", "value", "low", "high"])
        panel = intervals(frame, x=self.x, reference=self.reference, limits=self.limits)
        if frame["name"].str.len().max() > LONG:  # such names stand in two lines
            panel = replace(panel, height=max(panel.height, 4 + 2.5 * frame["name"].nunique()))
        legend = series_keys(list(self.columns)) if len(self.columns) > 1 else ()
        caption = f"{self.caption} Bars are 95% intervals.".strip()
        return Figure(self.table.title, (panel,), caption, legend=legend, arrangement="wide")


Drawn = Callable[[], Iterable[Block]]
"""Blocks of an HTML page, drawn when the page is: an experiment without a page needs no plotly."""


@dataclass(frozen=True)
class Section:
    """One question of an experiment, answered.

    Attributes:
        title: The question.
        setup: What was trained and measured for it.
        claims: With their verdicts.
        tables: A cell is a text, a number or an :class:`Estimate`.
        figures: Charts, and what is drawn for the HTML page alone.
    """

    title: str
    setup: str = ""
    claims: tuple[Claim, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[LineChart | IntervalChart | Drawn, ...] = ()
