"""Claims and their verdicts: one rule, from intervals; and its correction over the claims of a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from axonometry.statistics import Estimate, detectable, holm, p_value, share_estimate

Verdict = Literal["holds", "in part", "contradicted", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("holds", "in part", "contradicted", "undecided")
"""Of these networks, sizes and data."""
ALPHA = 0.05
"""What an adjusted p must not exceed."""
MOST = 0.5
"""Share of cases above which something happens in most of them."""

RULE = (
    "A claim *holds* here, for these networks, sizes and data, where the interval of its number lies on the claimed "
    "side, is *contradicted* where it lies on the other side, and is *undecided* otherwise: then it is said what so "
    "many networks would have seen in 80 of 100 cases. A claim about several numbers holds where it holds for all of "
    "them, *in part* where it does for some, and is contradicted where it is for some and holds for none. p is "
    "two-sided, of the number that decides, and adjusted by Holm's method for all claims of the page; a verdict whose "
    f"adjusted p exceeds {ALPHA} is *undecided*, unless some of its numbers decide surely enough without the others "
    "(by Simes' p, times the claims that Holm's method leaves open): then it is *in part*, or stays *contradicted*."
)

Judged = tuple[Verdict, float]
"""A verdict, and its p."""


@dataclass(frozen=True)
class Claim:
    """A statement, and what became of it.

    A claim is made by the rule that it is judged by: :meth:`above`, :meth:`below`, :meth:`within` or :meth:`counted`.

    Attributes:
        words: What is claimed.
        verdict: By :data:`RULE`.
        evidence: The estimates that decide it.
        numbers: The evidence in words; the estimates as text where empty.
        p: Of the verdict: the least level at which it is one; NaN where no number decides.
        p_some: Of a claim that all of several numbers decide: the same where some are enough, for *in part* or
            *contradicted*; NaN else.
        adjusted: The same, adjusted for the other claims of the page; NaN before.
        power: What an undecided claim's networks would have seen, in words.
        versions: In which versions of the paper it stands.
        still_made: Whether the authors make it in their last version; None where that is not known.
        settled_by: What would change the verdict.
    """

    words: str
    verdict: Verdict
    evidence: tuple[Estimate, ...] = ()
    numbers: str = ""
    p: float = math.nan
    p_some: float = math.nan
    adjusted: float = math.nan
    power: str = ""
    versions: str = ""
    still_made: bool | None = None
    settled_by: str = ""

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
            refuted_below: What it must stay below to contradict the claim; the bound where None. A greater one says
                that a number just above the bound is too small to matter.
            numbers: The evidence in words.

        >>> Claim.above("it grows", Estimate(0.5, 0.25, 0.75, 9)).verdict
        'holds'
        >>> undecided = Claim.above("it grows", Estimate(0.1, -0.1, 0.3, 9))
        >>> undecided.verdict, undecided.power
        ('undecided', 'With n = 9, 0.29 or more would have been seen')
        """
        found, refuted = _several(evidence), bound if refuted_below is None else refuted_below
        judged = [_sided(one.low > bound, one.high < refuted, one, (bound, refuted)) for one in found]
        return cls(words, *_joined(judged, found, numbers, lambda one: _would_see(one, bound)))

    @classmethod
    def below(
        cls, words: str, evidence: Estimate | Sequence[Estimate], bound: float = 0.0, *, numbers: str = ""
    ) -> Claim:
        """The number is less than a bound; as :meth:`above`.

        >>> Claim.below("it falls", Estimate(0.5, 0.25, 0.75, 9)).verdict
        'contradicted'
        """
        found = _several(evidence)
        judged = [_sided(one.high < bound, one.low > bound, one, (bound, bound)) for one in found]
        return cls(words, *_joined(judged, found, numbers, lambda one: _would_see(one, bound, below=True)))

    @classmethod
    def within(cls, words: str, evidence: Estimate | Sequence[Estimate], margin: float, *, numbers: str = "") -> Claim:
        """The number differs from 0 by less than a margin; as :meth:`above`.

        >>> Claim.within("both are alike", Estimate(0.01, -0.01, 0.03, 9), margin=0.05).verdict
        'holds'
        """
        found, judged = _several(evidence), []
        for one in found:
            sides = p_value(one, -margin), p_value(one, margin)
            inside, outside = -margin < one.low and one.high < margin, one.low > margin or one.high < -margin
            verdict: Verdict = "holds" if inside else "contradicted" if outside else "undecided"
            judged.append((verdict, max(sides)))
        return cls(words, *_joined(judged, found, numbers, lambda one: _too_wide(one, margin)))

    @classmethod
    def counted(cls, words: str, cases: Iterable[bool], *, numbers: str, unit: str = "seeds") -> Claim:
        """Something happens in most cases, such as seeds: the exact interval of its share lies above a half.

        Six cases are the fewest that decide.

        Args:
            words: What is claimed.
            cases: Whether it happened, case by case; independent of each other.
            numbers: The evidence in words.
            unit: What the cases are, in the plural.

        >>> [Claim.counted("it jumps", [True] * n, numbers="").verdict for n in (5, 6)]
        ['undecided', 'holds']
        """
        happened = list(cases)
        return cls.above(words, share_estimate(sum(happened), len(happened), unit=unit), MOST, numbers=numbers)

    @classmethod
    def all_of(cls, words: str, parts: Iterable[Claim], *, numbers: str, one_refutes: bool = False) -> Claim:
        """Several statements in one, such as one a setting; by the rule of several numbers.

        Args:
            words: What is claimed.
            parts: The statements; their evidence is the claim's.
            numbers: The evidence in words.
            one_refutes: Whether it is one statement (this *and* that), which one part contradicts and which does not
                hold in part.

        >>> up, down, none = (Claim.above("", Estimate(at, at - 0.1, at + 0.1, 9)) for at in (0.5, -0.5, 0.0))
        >>> [Claim.all_of("both", [up, down], numbers="", one_refutes=one).verdict for one in (False, True)]
        ['in part', 'contradicted']
        >>> [Claim.all_of("both", [up, none], numbers="", one_refutes=one).verdict for one in (False, True)]
        ['in part', 'undecided']
        """
        every = list(parts)
        judged = [(part.verdict, part.p) for part in every]
        verdict, p = _together(judged, one_statement=one_refutes)
        p_some = math.nan if one_refutes and verdict == "holds" else _p_some(verdict, judged)
        power = "; ".join(filter(None, (part.power for part in every))) if verdict == "undecided" else ""
        evidence = tuple(one for part in every for one in part.evidence)
        return cls(words, verdict, evidence, numbers, p, p_some, power=power)

    def stated(self, versions: str, *, still: bool | None = None, settled_by: str = "") -> Claim:
        """The claim with what is known of its place in the paper.

        Args:
            versions: In which versions of the paper it stands.
            still: Whether the authors make it in their last version.
            settled_by: What would change the verdict.

        >>> Claim.above("it grows", Estimate(0.5, 0.25, 0.75, 9)).stated("1 and 2", still=False).still_made
        False
        """
        settled_by = settled_by or self.settled_by
        return replace(self, versions=versions, still_made=still, settled_by=settled_by)

    @property
    def maintained(self) -> str:
        """Where the claim stands, in words.

        >>> Claim("it grows", "holds").stated("versions 1 and 2", still=False).maintained
        'versions 1 and 2; not in the last'
        """
        still = {True: "in the last too", False: "not in the last", None: ""}[self.still_made]
        return "; ".join(filter(None, (self.versions, still)))


def joint(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict over several settings, by the rule of several numbers.

    >>> joint(["holds", "holds"]), joint(["holds", "contradicted"]), joint(["undecided", "contradicted"])
    ('holds', 'in part', 'contradicted')
    """
    return _together([(verdict, math.nan) for verdict in verdicts])[0]


def corrected(sections: Mapping[str, Sequence[Claim]]) -> dict[str, tuple[Claim, ...]]:
    """The claims of a page by section, each judged by its p adjusted for all others (Holm 1979).

    Claims that no number decides have no p and are not counted. Where all numbers of a claim decide, but one of them
    not surely enough beside so many other claims, the others are judged without it: the claim holds *in part*, or stays
    contradicted. Their p is multiplied by the number of claims that Holm's method leaves open: of two numbers with p =
    .001 and .04, beside two undecided claims, it asks 3 * .04 <= .05 of both, which fails, and 3 * .002 of one.

    >>> one = Claim.above("", Estimate(0.5, 0.01, 0.99, 9))  # p = 0.046
    >>> [claim.verdict for claim in corrected({"a": (one,), "b": (one,)})["b"]]
    ['undecided']
    """
    places = [(name, claim) for name, claims in sections.items() for claim in claims]
    adjusted = holm([claim.p for _, claim in places])
    still_open = sum(p > ALPHA for p in adjusted)
    found: dict[str, list[Claim]] = {name: [] for name in sections}
    for (name, claim), p in zip(places, adjusted, strict=True):
        found[name].append(_adjusted(claim, p, still_open))
    return {name: tuple(claims) for name, claims in found.items()}


def _adjusted(claim: Claim, p: float, still_open: int) -> Claim:
    if claim.verdict == "undecided" or not p > ALPHA:
        return replace(claim, adjusted=p)
    power = f"{claim.verdict} alone, p = {claim.p:.2g}; among the claims of the page p = {p:.2g}"
    less = min(1.0, still_open * claim.p_some)
    if less <= ALPHA:
        verdict: Verdict = "in part" if claim.verdict == "holds" else claim.verdict
        power = "" if claim.verdict == verdict else f"{power}: not for all of the numbers"
        return replace(claim, adjusted=less, verdict=verdict, power=power)
    return replace(claim, adjusted=p, verdict="undecided", power=power)


def _several(evidence: Estimate | Sequence[Estimate]) -> tuple[Estimate, ...]:
    return (evidence,) if isinstance(evidence, Estimate) else tuple(evidence)


def _sided(holds: bool, refuted: bool, one: Estimate, bounds: tuple[float, float]) -> Judged:
    """One number; comparisons with NaN are false, hence undecided."""
    verdict: Verdict = "holds" if holds else "contradicted" if refuted else "undecided"
    return verdict, p_value(one, bounds[verdict == "contradicted"])


def _together(judged: Sequence[Judged], *, one_statement: bool = False) -> Judged:
    """Of several numbers. p is the greatest where all decide, and else Simes' of those that do.

    Of three with p = .01, .02 and .2, of which the first two hold: in part, p = min(3 * .01, 3 / 2 * .02) = .03.
    """
    several = [verdict for verdict, _ in judged]
    if judged and all(verdict == "holds" for verdict in several):
        return "holds", max(p for _, p in judged)
    held = any(verdict in {"holds", "in part"} for verdict in several)
    if "contradicted" in several and (one_statement or not held):
        return "contradicted", _of_some(judged, ("contradicted",))
    if held and not one_statement:
        return "in part", _of_some(judged, ("holds", "in part"))
    return "undecided", min((p for _, p in judged if not math.isnan(p)), default=math.nan)


def _of_some(judged: Sequence[Judged], verdicts: tuple[Verdict, ...]) -> float:
    deciding = [p for verdict, p in judged if verdict in verdicts]
    return max(deciding) if len(deciding) == len(judged) else _simes(judged, verdicts)


def _p_some(verdict: Verdict, judged: Sequence[Judged]) -> float:
    same = [each for each, _ in judged if each == verdict]
    return _simes(judged, (verdict,)) if len(same) == len(judged) > 1 and verdict != "undecided" else math.nan


def _simes(judged: Sequence[Judged], verdicts: tuple[Verdict, ...]) -> float:
    """The p of: at least one of the numbers decides so (Simes 1986); those that do not count as p = 1."""
    deciding = sorted(p for verdict, p in judged if verdict in verdicts)
    return min(1.0, *(len(judged) * p / place for place, p in enumerate(deciding, 1)))


def _joined(
    judged: Sequence[Judged], found: tuple[Estimate, ...], numbers: str, seen: Callable[[Estimate], str]
) -> tuple[Verdict, tuple[Estimate, ...], str, float, float, float, str]:
    """The fields of a claim after its words."""
    verdict, p = _together(judged)
    some = [seen(one) for one, (alone, _) in zip(found, judged, strict=True) if alone == "undecided"]
    power = "; ".join(dict.fromkeys(filter(None, some))) if verdict == "undecided" else ""
    return verdict, found, numbers, p, _p_some(verdict, judged), math.nan, power


def _would_see(one: Estimate, bound: float, *, below: bool = False) -> str:
    least = detectable(one, bound, below=below)
    seen = f"{least:.2g}"
    if float(seen) in one.within:  # 0.996 of a share, and not 1
        seen = f"{least:.4g}"
    seen = seen.replace("-", "−")
    return (
        "" if math.isnan(least) else f"With n = {one.n}, {seen} or {'less' if below else 'more'} would have been seen"
    )


def _too_wide(one: Estimate, margin: float) -> str:
    half = (one.high - one.low) / 2
    return "" if math.isnan(half) else f"With n = {one.n} ±{half:.2g} is left open, where ±{margin:.2g} is asked"
