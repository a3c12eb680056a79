"""Pages and JSON of results that are made up: every number where it belongs, in the form in which it is shown."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from axonometry.experiments import (
    Claim,
    Context,
    Estimate,
    Experiment,
    LineChart,
    Measurements,
    Results,
    Scale,
    Section,
    Table,
    Trial,
    plain,
    results_page,
)
from axonometry.experiments.markdown import conditions_table, machine, markdown, markdown_table, sentence
from axonometry.populations import RunConfiguration
from axonometry.report import Facts, Prose

ONE = Estimate(0.123456, 0.1, 0.2, 9, "seeds")
HOW = "- The first thing.\n- The second one,\n  on two lines."


def section(found: Measurements) -> Section:
    raise AssertionError("never made")


def skipped(found: Measurements) -> Section:
    raise AssertionError("never made")


def results() -> Results:
    chart = LineChart.of("Growth", [("a", 1.0, ONE), ("a", 2.0, ONE)], "step", "size")
    made = Section(
        "Does it grow?",
        "Little.",
        (Claim.above("It grows", ONE), Claim.above("ρ grows", ONE, numbers="ρ by half")),
        (Table(("a|b", "size"), (("x", ONE), ("y", 0.123456)), "Sizes"),),
        (chart, chart),
    )
    experiment = Experiment("growing", "What grows?", {"tiny": Scale(lambda _: (), 1)}, (), (section, skipped), how=HOW)
    trials = tuple(Trial(RunConfiguration(seed=seed), f"c{seed // 2}") for seed in range(4))
    found = Measurements(trials, {}, {}, Context(experiment.scales["tiny"], 1, Path("tables")))
    spread = {"minimum": 0.1, "lower": 0.2, "median": 0.3456, "upper": 0.4, "maximum": 0.5}
    common = {"networks": 2, "seeds": 2, "parameters": 1234, "performance": "variance_explained", **spread}
    rows = [{"condition": "c0", "title": "c0", **common}, {"condition": "c1", "title": "the second", **common}]
    return Results(experiment, "tiny", {"section": made}, pd.DataFrame(rows), found, 3, 120.0)


def test_what_the_call_did() -> None:
    assert machine(results()).startswith("This call took 2.0 minutes and trained 3 of 4 networks, on ")


def test_conditions_are_named_once_and_their_quartiles_ascend() -> None:
    table = conditions_table(results())
    quartiles = "0.100, 0.200, 0.346, 0.400, 0.500"
    assert table.rows == (
        ("c0", 2, 2, 1234, "variance explained", quartiles),
        ("the second (c1)", 2, 2, 1234, "variance explained", quartiles),
    )
    assert table.columns[-1] == "minimum, quartiles, maximum"


@pytest.mark.parametrize(
    ("words", "said"),
    [("rises by half", "Rises by half."), ("ρ rises", "ρ rises."), ("", ""), ("R² falls", "R² falls.")],
)
def test_sentences(words: str, said: str) -> None:
    assert sentence(words) == said


def test_cells_of_markdown_are_escaped_and_have_four_digits() -> None:
    assert markdown_table(["a|b"], [[0.123456]]).splitlines() == ["| a\\|b |", "| --- |", "| 0.1235 |"]


def test_markdown_says_the_numbers() -> None:
    text = markdown(results(), figures="pictures")
    for words in (
        "- It grows (section). **Holds.** 0.123 [0.100, 0.200].",
        "- ρ grows (section). **Holds.** ρ by half.",
        "Not run in this call: skipped.",
        "| It grows | **holds** | – | 0.123 [0.100, 0.200]. |",
        "![Growth](pictures/section-1.svg)",
        "![Growth](pictures/section-2.svg)",
        "| x | 0.123 [0.100, 0.200] |\n| y | 0.1235 |",
    ):
        assert words in text


def test_the_page_begins_with_the_claims_and_their_numbers() -> None:
    page = results_page(results())
    tiles, claims, not_run, _, how = page.tabs[0].blocks
    assert isinstance(tiles, Facts)
    assert tiles.items == {"networks": 4, "conditions": 2, "holds": 2}
    assert isinstance(claims, Table)
    assert claims.rows[0] == ("holds", "It grows", "0.123 [0.100, 0.200].", "–", "section")
    assert isinstance(not_run, Prose)
    assert not_run.text == "Not run in this call: skipped."
    assert isinstance(how, Prose)
    assert how.text == "The first thing.\n\nThe second one,\n  on two lines."
    assert page.facts == {"scale": "tiny", "networks": 4, "seconds": 120}
    said = page.tabs[1].blocks[1]
    assert isinstance(said, Facts)
    assert said.items["It grows"] == "Holds. 0.123 [0.100, 0.200]."


def test_json_says_everything() -> None:
    found = json.loads(json.dumps(plain(results())))
    estimate = {"value": 0.123456, "low": 0.1, "high": 0.2, "n": 9, "unit": "seeds"}
    estimate |= {"within": [-math.inf, math.inf], "df": 0}
    said = {name: found[name] for name in ("experiment", "title", "scale", "networks", "trained", "seconds", "not_run")}
    assert said == {
        **{"experiment": "growing", "title": "What grows?", "scale": "tiny", "networks": 4, "trained": 3},
        **{"seconds": 120.0, "not_run": ["skipped"]},
    }
    (only,) = found["sections"]
    assert (only["name"], only["title"], only["setup"]) == ("section", "Does it grow?", "Little.")
    said = {"words": "ρ grows", "verdict": "holds", "evidence": [estimate], "numbers": "ρ by half", "power": ""}
    assert only["claims"][1].items() >= said.items()
    assert only["claims"][1]["p"] == pytest.approx(2 * stats.norm.sf(1.96 * 0.123456 / 0.023456), rel=1e-3)
    assert only["tables"][0]["rows"] == [["x", estimate], ["y", 0.123456]]
    assert "figures" not in only
    assert found["conditions"][0]["median"] == 0.3456
