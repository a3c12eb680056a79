"""An experiment from end to end: trained, resumed, cached, judged, written in every form, by function and command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from axonometry.cli import main
from axonometry.errors import ConfigurationError
from axonometry.experiments import (
    Claim,
    Context,
    Experiment,
    Measurements,
    Results,
    Scale,
    Section,
    Trial,
    markdown,
    mean_estimate,
    measure_population,
    plain,
    results_page,
    run,
    running,
    trials_of,
)
from axonometry.experiments.loading import load_experiment
from axonometry.populations import Population, grid, train_population
from axonometry.report import Facts, Table

EXAMPLE = Path(__file__).parents[2] / "examples" / "experiment.py"
TINY: dict[str, Any] = {"epochs": 1, "train_fraction": 0.1, "layers": 1}
MEASURED: list[str] = []


def trials(seeds: int) -> tuple[Trial, ...]:
    narrow = grid({"seed": range(seeds)}, units=3, **TINY)
    wide = grid({"seed": range(seeds)}, units=6, **TINY)
    return (
        *trials_of(narrow, "narrow", population="small", stratum="alike"),
        *trials_of(wide, "wide", sections=("second",), measures=("node_strength",)),
    )


def measure(population: Population, context: Context) -> pd.DataFrame:
    MEASURED.extend(population.runs)
    assert context.options == "options"
    return measure_population(population, lambda p, name: pd.DataFrame({"steps": [len(p.runs[name].steps)]}), context)


def first(found: Measurements) -> Section:
    """Reads the narrow networks alone."""
    values = found.populations["small"].frame.loc[found.table["run"], "accuracy"]
    return Section("Do they learn?", "Little.", (Claim.above("They do", mean_estimate(values)),))


def second(found: Measurements) -> Section:
    counted = found.table["condition"].value_counts(sort=False).to_dict()
    return Section("How many?", claims=(Claim.counted("Some", [True] * 9, numbers=str(counted)),))


EXPERIMENT = Experiment(
    name="counting",
    title="What is counted?",
    scales={"small": Scale(trials, 2, titles={"narrow": "narrow networks"}, options="options")},
    measure=measure,
    sections=(first, second),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("counting")


def carried_out(folder: Path, **more: Any) -> Results:
    with ThreadPoolExecutor(1) as executor:
        return run(EXPERIMENT, folder=folder, executor=executor, **more)


@pytest.fixture(scope="module")
def results(folder: Path) -> Iterator[Results]:
    return carried_out(folder)


def test_networks_are_trained_into_a_folder_a_population(results: Results, folder: Path) -> None:
    assert (results.trained, results.networks) == (4, 4)
    assert {path.parent.parent.name for path in folder.glob("*/*/run.json")} == {"small", "networks"}
    assert {path.parent.name for path in folder.glob("small/*/run.json")} == {
        trial.configuration.identity for trial in trials(2)[:2]
    }


def test_the_table_is_tidy(results: Results) -> None:
    table = results.measurements.table
    assert list(table) == ["population", "condition", "stratum", "seed", "run", "steps"]
    assert table["condition"].tolist() == ["narrow"] * 2 + ["wide"] * 2
    assert table["stratum"].tolist() == ["alike"] * 2 + [""] * 2
    assert table["seed"].tolist() == [0, 1, 0, 1]
    assert set(table["steps"]) == {2}


def test_a_column_of_a_measurement_does_not_hide_what_the_trials_say(results: Results) -> None:
    found = results.measurements
    frames = {place: frame.assign(seed=9, condition="mine")[::-1] for place, frame in found.frames.items()}
    table = replace(found, frames=frames).of("small", "narrow")
    assert list(table) == ["population", "condition", "stratum", "seed", "run", "steps"]
    assert (table["seed"].tolist(), set(table["condition"])) == ([1, 0], {"narrow"})  # in the measurement's order


def test_what_was_trained(results: Results) -> None:
    rows = results.conditions.set_index("condition")
    assert rows.loc["narrow", ["title", "networks", "seeds", "parameters", "performance"]].tolist() == [
        *("narrow networks", 2, 2, 64 * 3 + 3 + 3 * 10 + 10, "accuracy")
    ]
    assert rows.loc["wide", "minimum"] <= rows.loc["wide", "median"] <= rows.loc["wide", "maximum"]


def test_trials_record_the_measures_that_they_ask_for(results: Results) -> None:
    populations = results.measurements.populations
    assert {run.description.measures for run in populations["networks"].runs.values()} == {("node_strength",)}


def crossing(seeds: int) -> tuple[Trial, ...]:
    """One configuration in two conditions and in two populations, another one of its seed, and one that copies."""
    one, other = grid({"units": (3, 6)}, **TINY)
    copying = grid({"seed": (0,)}, units=3, family="autoencoder", objective="bce", epochs=1, train_fraction=0.1)
    return (
        *trials_of([one], "x", population="first", stratum="here"),
        *trials_of([other], "x", population="first", measures=("node_strength",)),
        *trials_of([one], "y", population="first", sections=("second", "elsewhere")),
        *trials_of([one], "x", population="other", stratum="there"),
        *trials_of(copying, "copies", population="copies"),
    )


def test_networks_of_several_conditions_and_populations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[tuple[list[str], Context]] = []
    asked: list[dict[str, Any]] = []
    heard: list[str] = []

    def noted(population: Population, context: Context) -> pd.DataFrame:
        measured.append((list(population.runs), context))
        return measure_population(population, lambda p, name: pd.DataFrame({"runs": [len(p.runs)]}), context)

    def train(*arguments: Any, **options: Any) -> Population:
        asked.append(options)
        return train_population(*arguments, **options)

    monkeypatch.setattr(running, "train_population", train)
    scale = Scale(crossing, 1, titles={"first": "the first networks"}, options="options")
    experiment = replace(EXPERIMENT, scales={"small": scale}, measure=noted, sections=(second,))

    def carry_out(data: Path) -> Results:
        with ThreadPoolExecutor(1) as executor:
            progress = lambda done, total, words: heard.append(f"{done}/{total} {words}")  # noqa: E731
            return run(experiment, folder=tmp_path, executor=executor, data=data, progress=progress)

    (tmp_path / "other" / crossing(1)[0].configuration.identity).mkdir(parents=True)  # a run that was cut off at once
    found = carry_out(tmp_path)
    assert (found.trained, found.networks) == (4, 4)
    assert 0 < found.seconds < 300
    assert {options["data"] for options in asked} == {tmp_path}
    assert [len(names) for names, _ in measured] == [2, 1, 1, 1]  # each condition's own
    assert {(context.workers, context.data) for _, context in measured} == {(1, tmp_path)}
    assert {path.parent.name for path in tmp_path.rglob("noted-*.parquet")} == {"tables"}
    assert any(line.endswith("training the first networks") for line in heard)
    assert "0/2 measuring x" in heard
    assert {run.description.measures for run in found.measurements.populations["first"].runs.values()} == {
        ("node_strength",)
    }
    places = {name: found.measurements.of(name, "x")["stratum"].tolist() for name in ("first", "other")}
    assert places == {"first": ["here", ""], "other": ["there"]}

    rows = found.conditions.set_index(["condition", found.conditions.groupby("condition").cumcount()])
    x, y, copies = rows.loc[("x", 0)], rows.loc[("y", 0)], rows.loc[("copies", 0)]
    assert (x["networks"], x["seeds"], y["networks"], copies["performance"]) == (2, 1, 1, "variance_explained")
    assert x["lower"] == pytest.approx(x["minimum"] + (x["maximum"] - x["minimum"]) / 4)
    accuracy = found.measurements.populations["other"].frame["accuracy"].iloc[0]
    assert y["minimum"] == y["maximum"] == pytest.approx(accuracy)

    measured.clear()
    carry_out(tmp_path)
    assert measured == []
    carry_out(tmp_path / "elsewhere")  # other data are measured anew
    assert len(measured) == 4


def test_a_second_call_computes_nothing(results: Results, folder: Path) -> None:
    MEASURED.clear()
    again = carried_out(folder)
    assert again.trained == 0
    assert MEASURED == []
    assert again.sections == results.sections
    pd.testing.assert_frame_equal(again.measurements.table, results.measurements.table)


def test_a_section_alone_trains_what_it_needs(tmp_path: Path) -> None:
    found = carried_out(tmp_path, only=["first"], seeds=1)
    assert found.trained == 1
    assert (tuple(found.sections), found.not_run) == (("first",), ("second",))
    assert found.claims[0].verdict == "undecided"  # one seed decides nothing
    assert "Not run in this call: second." in markdown(found)


def test_other_options_are_measured_anew(folder: Path, results: Results) -> None:
    MEASURED.clear()
    scale = EXPERIMENT.scales["small"]
    other = replace(EXPERIMENT, scales={"small": replace(scale, options="others")})
    with ThreadPoolExecutor(1) as executor, pytest.raises(AssertionError, match="others"):
        run(other, folder=folder, executor=executor)
    assert len(MEASURED) == 2


def test_progress_says_what_is_done(folder: Path, results: Results) -> None:
    heard: list[str] = []
    carried_out(folder, progress=lambda done, total, words: heard.append(f"{done}/{total} {words}"))
    assert any(line.startswith("2/2 training small") for line in heard)


def test_catalogue_names_are_a_measurement_too(tmp_path: Path) -> None:
    def strength(found: Measurements) -> Section:
        assert {"step", "metric", "value"} <= set(found.table)
        assert "node_strength" in set(found.table["metric"])
        return Section("Any?")

    experiment = replace(EXPERIMENT, measure=("node_strength",), sections=(strength,))
    with ThreadPoolExecutor(1) as executor:
        assert run(experiment, folder=tmp_path, seeds=1, executor=executor).section("strength").title == "Any?"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "huge"}, r"no such scale: huge\. Choose from: small"),
        ({"only": ["third"]}, r"no such section: third\. Choose from: first, second"),
        ({"seeds": 0}, "`seeds` is at least 1; got 0"),
    ],
)
def test_what_does_not_exist_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        carried_out(tmp_path, **options)


def test_an_experiment_has_scales_and_sections() -> None:
    with pytest.raises(ConfigurationError, match="an experiment has a scale; got none"):
        replace(EXPERIMENT, scales={})
    with pytest.raises(ConfigurationError, match="an experiment has a section; got none"):
        replace(EXPERIMENT, sections=())


def test_the_markdown_page(results: Results) -> None:
    text = markdown(results, command="axonometry experiment x.py:X")
    for words in (
        "Written by `axonometry experiment x.py:X` (scale: small)",
        "trained 4 of 4 networks",
        "- Some (second). **Holds.** {'narrow': 2, 'wide': 2}.",
        "## Do they learn?\n\nLittle.",
        "| narrow networks (narrow) | 2 | 2 | 235 | accuracy |",
    ):
        assert words in text
    assert "nan" not in text


def test_the_html_page(results: Results) -> None:
    page = results_page(results, command="x")
    assert [tab.name for tab in page.tabs] == ["Summary", "First", "Second"]
    tiles = page.tabs[0].blocks[0]
    assert isinstance(tiles, Facts)
    assert tiles.items["holds"] == 2
    claims = page.tabs[0].blocks[1]
    assert isinstance(claims, Table)
    assert claims.rows[1] == ("holds", "Some", "{'narrow': 2, 'wide': 2}.", "0.007", "second")
    assert "What is counted?" in page.html()


def test_json_holds_every_number(results: Results) -> None:
    found = plain(results)
    assert [section["name"] for section in found["sections"]] == ["first", "second"]
    claim = found["sections"][0]["claims"][0]
    assert claim["evidence"][0]["value"] == results.claims[0].evidence[0].value
    assert found["conditions"][0]["networks"] == 2
    assert set(found["read_from"]) == {"first", "second"}
    assert all(words.endswith(" networks of digits") for words in found["read_from"].values())
    assert set(found["sections"][0]) == {"name", "title", "setup", "claims", "tables", "charts"}


# ------------------------------------------------------------------------------------------------ a user's own file


@pytest.fixture(scope="module")
def widths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("widths")


def test_the_example_by_command(widths: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["experiment", f"{EXAMPLE}:WIDTHS", "--scale", "tiny", "--folder", str(widths / "runs"), "--workers", "1"]
    page, table = widths / "page.html", widths / "page.md"
    assert main([*words, "--report", str(page), "--table", str(table)]) == 0
    shown = capsys.readouterr()
    assert "undecided" in shown.out
    assert f"Wrote {table}" in shown.err
    assert "8 networks trained" in shown.err
    assert "--scale tiny --table" in table.read_text(encoding="utf-8")
    assert (widths / "page" / "fluctuation-1.svg").exists()
    assert page.stat().st_size > 100_000
    assert main([*words, "--json", "--only", "width"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["trained"], found["not_run"]) == (0, ["fluctuation"])


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nothing.py:X", r"no such file: nothing\.py"),
        (f"{EXAMPLE}", r"an experiment is named by FILE\.py:NAME"),
        (f"{EXAMPLE}:NARROW", r"declares the experiment; got NARROW, which is a int\. It declares: WIDTHS"),
        (f"{EXAMPLE}:OTHER", r"declares the experiment; got OTHER, which does not exist"),
    ],
)
def test_files_without_the_experiment(place: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_experiment(place)
