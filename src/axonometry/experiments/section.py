"""What an experiment says: claims with verdicts, tables and figures, in sections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from axonometry.report.charts import IntervalChart, LineChart
from axonometry.report.page import Block, Table
from axonometry.report.population import join_words
from axonometry.statistics import Estimate

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

    @classmethod
    def all_of(cls, words: str, parts: Iterable[Claim], *, numbers: str, one_refutes: bool = False) -> Claim:
        """Several statements in one, such as one a setting: the verdict that they agree in, else undecided.

        Args:
            words: What is claimed.
            parts: The statements; their evidence is the claim's.
            numbers: The evidence in words.
            one_refutes: Whether the claim does not hold where one statement does not.

        >>> up, down = (Claim.above("", Estimate(at, at - 0.1, at + 0.1, 9)) for at in (0.5, -0.5))
        >>> [Claim.all_of("both", [up, down], numbers="", one_refutes=one).verdict for one in (False, True)]
        ['undecided', 'does not hold here']
        """
        every = list(parts)
        verdict = joint(part.verdict for part in every)
        if one_refutes and any(part.verdict == "does not hold here" for part in every):
            verdict = "does not hold here"
        return cls(words, verdict, tuple(one for part in every for one in part.evidence), numbers)


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
