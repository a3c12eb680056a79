"""Results that were kept as JSON make the same pages as those that were just found."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from axonometry.cli import main
from axonometry.cli.terminal import json_value
from axonometry.errors import DataError
from axonometry.experiments import (
    Claim,
    Estimate,
    IntervalChart,
    LineChart,
    Results,
    Section,
    Table,
    load_results,
    markdown,
    plain,
    results_page,
)
from axonometry.papers import load_paper
from axonometry.papers.ictai2021 import EXPERIMENT
from tests.experiments.test_pages import results

SHARE = Estimate(1.0, 0.69, 1.0, 10, "seeds", (0.0, 1.0))
ALONE = Estimate(2.0, math.nan, math.nan, 1, "seeds", (0.0, math.inf))


def made() -> Results:
    """Those of the made-up pages, with an interval chart, a claim without a number, and open ranges."""
    found = results()
    table = Table(("name", "rho"), (("a", SHARE), ("b", ALONE)), "Shares", "A caption.")
    line = LineChart.of("Growth", [("a", 1.0, SHARE), ("a", 2.0, ALONE)], "step", "size")
    claims = (Claim.above("shares", SHARE, 0.5).stated("1", still=False), Claim("not run", "undecided"))
    chart = IntervalChart(table, ("rho",), "share", 0.5, (0.0, 1.0), "Dotted.")
    section = Section("How many?", "Some.", claims, (table,), (line, chart, lambda: ()))
    sections = {**found.sections, "shares": section}
    return Results(found.experiment, "tiny", sections, found.conditions, found.measurements, 3, 120.0)


def kept(path: Path, found: Results) -> Results:
    path.write_text(json.dumps(json_value(plain(found, command="axonometry paper x"))))
    return load_results(path, found.experiment)


def test_the_page_is_the_same(tmp_path: Path) -> None:
    found = made()
    again = kept(tmp_path / "found.json", found)
    assert markdown(again, command="x") == markdown(found, command="x")
    assert again.kept["command"] == "axonometry paper x"
    assert repr(again.sections["shares"].claims) == repr(found.sections["shares"].claims)
    assert again.sections["shares"].tables[0].rows[0] == ("a", SHARE)
    line, chart = again.sections["shares"].figures
    assert isinstance(line, LineChart)
    assert isinstance(chart, IntervalChart)
    assert line.svg() == found.sections["shares"].figures[0].svg()  # type: ignore[union-attr]
    assert chart == found.sections["shares"].figures[1]
    assert "How many?" in results_page(again).html()
    assert json_value(plain(again)) == json_value(plain(found, command="axonometry paper x"))


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"sections": 3}'])
def test_what_is_no_results_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match="holds the results of growing, as --json prints them"):
        load_results(tmp_path / "x.json", made().experiment)
    with pytest.raises(DataError, match="as --json prints them"):
        load_results(tmp_path / "none.json", made().experiment)


def test_results_of_another_experiment_are_refused(tmp_path: Path) -> None:
    kept(tmp_path / "x.json", made())
    with pytest.raises(DataError, match="holds the results of ictai2021; got growing"):
        load_results(tmp_path / "x.json", load_paper("ictai2021"))


def test_the_command_makes_pages_without_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = made()
    ours: Any = Results(EXPERIMENT, "tiny", found.sections, found.conditions, found.measurements, 3, 120.0)
    kept(tmp_path / "found.json", ours)
    paths = {name: str(tmp_path / name) for name in ("page.md", "page.html", "none")}
    command = ["paper", "ictai2021", "--from", str(tmp_path / "found.json"), "--folder", paths["none"]]
    assert main([*command, "--table", paths["page.md"], "--report", paths["page.html"]]) == 0
    assert "Shares" in Path(paths["page.md"]).read_text()
    assert "This call took 2.0 minutes and trained 3 of 4 networks" in Path(paths["page.md"]).read_text()
    assert Path(paths["page.html"]).stat().st_size > 10_000
    assert not Path(paths["none"]).exists()
    assert main(["paper", "cikm2022", "--from", str(tmp_path / "found.json")]) == 2
    assert "holds the results of cikm2022" in capsys.readouterr().err
