"""Claims of a page: power of what is undecided, p of what several numbers decide, Holm's correction, versions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from axonometry.experiments import Claim, Estimate, mean_estimate
from axonometry.experiments.claims import corrected
from axonometry.experiments.markdown import outcome
from axonometry.statistics import p_value

CLEAR, OPEN = Estimate(0.5, 0.3, 0.7, 9), Estimate(0.1, -0.2, 0.4, 9)
BARE = Estimate(0.2, 0.004, 0.396, 9)
"""p = 0.046."""


def test_only_what_is_undecided_says_what_it_would_have_seen() -> None:
    assert Claim.above("it grows", OPEN).power == "With n = 9, 0.43 or more would have been seen"
    assert Claim.below("it falls", OPEN).power == "With n = 9, −0.43 or less would have been seen"
    assert Claim.within("alike", OPEN, 0.2).power == "With n = 9 ±0.3 is left open, where ±0.2 is asked"
    assert Claim.above("it grows", CLEAR).power == Claim.below("it falls", CLEAR).power == ""
    assert outcome(Claim.above("it grows", OPEN)).endswith(
        "0.100 [−0.200, 0.400]. With n = 9, 0.43 or more would have been seen."
    )


def test_opposite_evidence_is_never_undecided() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        found = mean_estimate(draw.normal(-1.0, 1.0, size=10))
        claim = Claim.above("it grows", found)
        assert (claim.verdict == "contradicted") == (found.high < 0)


def test_p_of_several_numbers() -> None:
    clear, bare = p_value(CLEAR), p_value(BARE)
    assert Claim.above("all", [CLEAR, BARE]).p == pytest.approx(bare)  # the weakest of those that must all hold
    assert Claim.above("some", [CLEAR, OPEN, OPEN]).p == pytest.approx(3 * clear)
    assert Claim.below("refuted", [CLEAR, OPEN]).p == pytest.approx(2 * clear)
    assert Claim.below("refuted by all", [CLEAR, BARE]).p == pytest.approx(bare)
    assert math.isnan(Claim("by hand", "undecided").p)


def test_a_page_is_corrected_as_a_whole() -> None:
    claims = (Claim.above("clear", CLEAR), Claim.above("bare", BARE), Claim("not run", "undecided"))
    alone = corrected({"a": claims[1:]})["a"]
    assert [claim.verdict for claim in alone] == ["holds", "undecided"]
    assert alone[0].adjusted == pytest.approx(p_value(BARE))
    pages = corrected({"a": claims, "b": (Claim.above("open", OPEN),)})
    assert [claim.verdict for claim in (*pages["a"], *pages["b"])] == ["holds", "undecided", *["undecided"] * 2]
    assert pages["a"][0].adjusted == pytest.approx(3 * p_value(CLEAR))  # one of three with a number
    assert pages["a"][1].power == "holds alone, p = 0.046; among the claims of the page p = 0.091"


def test_correction_leaves_what_the_clear_numbers_say() -> None:
    """Of several numbers one is bare; beside so many claims it falls, and the others do not fall with it."""
    others = tuple(Claim.above("open", OPEN) for _ in range(5))
    made = (
        Claim.above("both", [CLEAR, BARE]),
        Claim.below("neither", [CLEAR, BARE]),
        Claim.all_of("each", [Claim.above("", CLEAR), Claim.above("", BARE)], numbers=""),
        Claim.all_of("this and that", [Claim.above("", CLEAR), Claim.above("", BARE)], numbers="", one_refutes=True),
        Claim.above("one", BARE),
    )
    assert [claim.verdict for claim in made] == ["holds", "contradicted", "holds", "holds", "holds"]
    judged = corrected({"a": (*made, *others)})["a"][: len(made)]
    assert [claim.verdict for claim in judged] == ["in part", "contradicted", "in part", "undecided", "undecided"]
    left_open = 2 * p_value(CLEAR) * (len(made) + len(others))
    assert judged[0].adjusted == pytest.approx(left_open)
    assert judged[0].power.startswith("holds alone, p = 0.046;")
    assert judged[1].power == ""


def test_simes_of_several_alike() -> None:
    """Three of four alike are no weaker evidence than one of four."""
    assert Claim.above("some", [BARE, BARE, BARE, OPEN]).p == pytest.approx(4 / 3 * p_value(BARE))


def test_chance_alone_seldom_decides_anything_on_a_page() -> None:
    """Twenty claims without an effect: without correction, 64 of 100 pages would decide one of them."""
    draw, decided = np.random.default_rng(2), 0
    for _ in range(100):
        claims = [Claim.above("x", mean_estimate(draw.normal(size=10))) for _ in range(20)]
        decided += any(claim.verdict != "undecided" for claim in corrected({"a": claims})["a"])
    assert decided <= 12


def test_where_the_authors_make_it() -> None:
    claim = Claim.above("it grows", CLEAR).stated("versions 1 and 2", still=False, settled_by="full width")
    assert (claim.maintained, claim.settled_by) == ("versions 1 and 2; not in the last", "full width")
    assert "Source: versions 1 and 2; not in the last." in outcome(claim)
    assert claim.stated("5").settled_by == "full width"
    assert Claim("x", "holds").stated("", still=True).maintained == "in the last too"
