"""Verdicts: each rule on intervals whose answer is known."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from axonometry.experiments import Claim, Estimate, IntervalChart, LineChart, Table, joint
from axonometry.experiments.section import counts

ABOVE, BELOW, AROUND = Estimate(0.5, 0.25, 0.75, 9), Estimate(-0.5, -0.75, -0.25, 9), Estimate(0.0, -0.1, 0.1, 9)
ONE_SEED = Estimate(0.5, math.nan, math.nan, 1)


@pytest.mark.parametrize(
    ("evidence", "verdict"),
    [
        (ABOVE, "holds"),
        (BELOW, "contradicted"),
        (AROUND, "undecided"),
        (ONE_SEED, "undecided"),
        ([ABOVE, ABOVE], "holds"),
        ([ABOVE, AROUND], "in part"),
        ([ABOVE, BELOW], "in part"),
        ([BELOW, BELOW], "contradicted"),
        ([BELOW, AROUND], "contradicted"),  # one number refutes, none holds
        ([], "undecided"),
    ],
)
def test_above(evidence: Estimate | list[Estimate], verdict: str) -> None:
    assert Claim.above("it grows", evidence).verdict == verdict
    opposite = [-one for one in evidence] if isinstance(evidence, list) else -evidence
    assert Claim.below("it falls", opposite).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.51, 0.7, "holds"), (0.5, 0.61, "undecided"), (0.49, 0.59, "contradicted"), (0.4, 0.6, "undecided")],
)
def test_a_margin_between_holding_and_refuted(low: float, high: float, verdict: str) -> None:
    assert Claim.above("told apart", Estimate(0.5, low, high, 9), 0.5, refuted_below=0.6).verdict == verdict


def test_a_number_below_0_may_refute_a_claim_above_a_bound() -> None:
    found = Estimate(0.2, 0.1, 0.3, 9)
    assert Claim.above("told apart", found, 0.5, refuted_below=0.0).verdict == "undecided"
    assert Claim.above("told apart", -found, 0.5, refuted_below=0.0).verdict == "contradicted"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.3, 0.49, "holds"),
        (0.3, 0.5, "undecided"),  # an interval that touches the bound lies on neither side
        (0.5, 0.7, "undecided"),
        (0.51, 0.7, "contradicted"),
        (-0.2, 0.2, "holds"),
    ],
)
def test_below_another_bound_than_0(low: float, high: float, verdict: str) -> None:
    assert Claim.below("small", Estimate((low + high) / 2, low, high, 9), 0.5).verdict == verdict
    assert Claim.above("great", Estimate(-(low + high) / 2, -high, -low, 9), -0.5).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.19, 0.19, "holds"),
        (-0.2, 0.1, "undecided"),  # to touch the margin is not to be within it
        (-0.1, 0.2, "undecided"),
        (-0.3, 0.1, "undecided"),
        (-0.3, -0.1, "undecided"),
        (-0.3, -0.2, "undecided"),
        (-0.3, -0.21, "contradicted"),
        (0.2, 0.3, "undecided"),
        (0.21, 0.3, "contradicted"),
    ],
)
def test_within_a_margin_of_both_signs(low: float, high: float, verdict: str) -> None:
    assert Claim.within("alike", Estimate((low + high) / 2, low, high, 9), 0.2).verdict == verdict


def test_within() -> None:
    assert Claim.within("alike", AROUND, 0.2).verdict == "holds"
    assert Claim.within("alike", AROUND, 0.2).evidence == (AROUND,)
    assert Claim.within("alike", [AROUND, ABOVE], 0.2).numbers == "0.000 [−0.100, 0.100], 0.500 [0.250, 0.750]"
    assert Claim.within("alike", Estimate(0.5, 0.3, 0.7, 3), 0.2).verdict == "contradicted"
    assert Claim.within("alike", Estimate(0.2, 0.1, 0.3, 3), 0.2).verdict == "undecided"
    assert Claim.within("alike", ONE_SEED, 1.0).verdict == "undecided"


def test_counted() -> None:
    assert Claim.counted("it jumps", [True] * 6, numbers="6 of 6").verdict == "holds"
    assert Claim.counted("it jumps", [False] * 6, numbers="0 of 6").verdict == "contradicted"
    assert Claim.counted("it jumps", [True, True], numbers="2 of 2").verdict == "undecided"
    assert Claim.counted("it jumps", [True, False], numbers="1 of 2").verdict == "undecided"
    assert Claim.counted("it jumps", [True], numbers="1 of 1").verdict == "undecided"  # one seed decides nothing


def test_settings_that_contradict_each_other_hold_in_part() -> None:
    assert joint(["contradicted", "contradicted"]) == "contradicted"
    assert joint(["holds", "contradicted"]) == "in part"


@pytest.mark.parametrize(
    ("evidence", "agreed", "one_refutes"),
    [
        ([ABOVE, ABOVE], "holds", "holds"),
        ([BELOW, BELOW], "contradicted", "contradicted"),
        ([ABOVE, BELOW], "in part", "contradicted"),
        ([BELOW, AROUND], "contradicted", "contradicted"),
        ([ABOVE, AROUND], "in part", "undecided"),
        ([], "undecided", "undecided"),
    ],
)
def test_several_statements_in_one(evidence: list[Estimate], agreed: str, one_refutes: str) -> None:
    parts = [Claim.above("a part", one) for one in evidence]
    claim = Claim.all_of("all of it", parts, numbers="by half")
    assert (claim.verdict, claim.words, claim.evidence, claim.numbers) == (
        *(agreed, "all of it", tuple(evidence), "by half"),
    )
    assert Claim.all_of("all of it", iter(parts), numbers="", one_refutes=True).verdict == one_refutes


def test_numbers_are_the_evidence_unless_they_are_told() -> None:
    assert Claim.above("it grows", [ABOVE, AROUND]).numbers == "0.500 [0.250, 0.750], 0.000 [−0.100, 0.100]"
    assert Claim.above("it grows", ABOVE, numbers="by half").numbers == "by half"


def test_verdicts_are_counted() -> None:
    claims = [Claim.above("it grows", one) for one in (AROUND, ABOVE, ABOVE)]
    assert list(counts(claims).items()) == [("holds", 2), ("undecided", 1)]  # in the order of the verdicts


def test_a_chart_of_estimates() -> None:
    chart = LineChart.of("Accuracy", [("narrow", 8.0, ABOVE), ("narrow", 16.0, ONE_SEED)], "units", "accuracy")
    expected = pd.DataFrame(
        {"name": "narrow", "x": [8.0, 16.0], "value": 0.5, "low": [0.25, math.nan], "high": [0.75, math.nan]}
    )
    pd.testing.assert_frame_equal(chart.frame, expected)
    assert chart.svg().startswith("<svg")
    assert len(chart.figure().panels[0].figure.data) == 2


def test_a_chart_of_a_tables_estimates() -> None:
    rows = (("all networks, in words", "x", ABOVE, 1.0), ("some", "y", BELOW, 2.0), ("none", "z", "–", 3.0))
    chart = IntervalChart(Table(("name", "kind", "ρ", "other"), rows, "Correlations"), ("ρ",), "Spearman's ρ", 0.0)
    figure = chart.figure()
    (panel,) = figure.panels
    (dots,) = panel.figure.data
    assert (figure.title, figure.legend) == ("Correlations", ())
    assert list(dots.x) == [0.5, -0.5]
    assert list(dots.text) == ["all networks, in words, x", "some, y"]
    short = IntervalChart(Table(("name", "ρ"), tuple((str(n), ABOVE) for n in range(9)), ""), ("ρ",), "ρ", 0.0)
    assert (
        short.figure().panels[0].height
        < IntervalChart(
            Table(("name", "ρ"), tuple((f"a rather long name {n}", ABOVE) for n in range(9)), ""), ("ρ",), "ρ", 0.0
        )
        .figure()
        .panels[0]
        .height
    )
