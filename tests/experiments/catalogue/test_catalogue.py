"""The catalogue compared: networks that are there, numbers with known answers, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from axonometry.cli import main
from axonometry.errors import ConfigurationError
from axonometry.experiments import Context, Measurements, load_results, plain, run_on
from axonometry.experiments.catalogue import CATALOGUE_COMPARED, CatalogueOptions, measure_catalogue
from axonometry.experiments.catalogue.agreement import agreement, mean_correlations
from axonometry.experiments.catalogue.chance import draw_nulls, time_measures
from axonometry.experiments.catalogue.measuring import (
    FINAL,
    GAP,
    NORM,
    SCORE,
    UPDATES,
    network_numbers,
    runs_over_scores,
    steps_by_epoch,
)
from axonometry.experiments.catalogue.reading import Numbers, correlations, target_correlation
from axonometry.experiments.catalogue.sections import accuracy, gap
from axonometry.experiments.catalogue.selection import selection, standing
from axonometry.metrics import CATALOGUE
from axonometry.populations import Population, grid, train_population
from tests.populations.test_population import Inline

OPTIONS = CatalogueOptions(
    epochs=(0,), samples=12, few_samples=4, slow_networks=1, drawn_networks=1, draws=2, least=0.0
)


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Population:
    """Three networks of two epochs."""
    alike = {"units": 4, "layers": 1, "epochs": 2, "train_fraction": 0.05, "test_fraction": 0.1}
    return train_population(grid({"seed": range(3)}, **alike), tmp_path_factory.mktemp("runs"), executor=Inline())


def context(tmp_path: Path) -> Context:
    scale = replace(CATALOGUE_COMPARED.scales["given"], options=OPTIONS)
    return Context(scale, 0, tmp_path)


def made(seed: int = 0, networks: int = 40) -> pd.DataFrame:
    """Numbers of networks that are known: ``good`` goes with the score, ``copy`` with ``good``, ``clock`` with time."""
    chance = np.random.default_rng(seed)
    updates, skill = chance.integers(1, 9, networks).astype(float), chance.normal(size=networks)
    final = 0.5 + 0.05 * updates / 9 + 0.1 * skill
    columns = {
        "node_strength.std": skill + 0.1 * chance.normal(size=networks),
        "disparity.mean": chance.normal(size=networks),
        "layer_fluctuation": updates + 0.01 * chance.normal(size=networks),
        "spectral_norm.mean": chance.normal(size=networks),
        UPDATES: updates,
        NORM: chance.random(networks),
        SCORE: chance.random(networks),
        FINAL: final,
        GAP: -skill + 0.1 * chance.normal(size=networks),
    }
    columns["weighted_degree.mean"] = np.exp(columns["node_strength.std"])
    rows = [
        (f"run{network}", epoch, name, float(values[network]))
        for network in range(networks)
        for epoch in (0, 1, 4)
        for name, values in columns.items()
    ]
    return pd.DataFrame(rows, columns=["run", "epoch", "number", "value"])


@pytest.fixture
def found(tmp_path: Path) -> Measurements:
    frames = {("one", ""): made(), ("other", ""): made(1), ("few", ""): made(2, 5)}
    return Measurements((), {}, frames, context(tmp_path))


def test_every_measure_of_weights_and_samples_has_a_number(population: Population, tmp_path: Path) -> None:
    table = measure_catalogue(population, context(tmp_path))
    assert table.groupby("run")["epoch"].unique().map(list).tolist() == [[0, 2]] * 3
    metrics = {number.split(".")[0] for number in table["number"]}
    missing = {n for n, spec in CATALOGUE.items() if not spec.needs_training} - metrics
    assert missing == {"attention_strength", "gradient_noise_scale"}  # no attention, and one batch alone
    assert {GAP, NORM} <= metrics
    assert set(table.loc[table["number"].str.startswith("proxies"), "epoch"]) == {0}
    assert table.loc[table["number"].str.startswith("weight_basin"), "run"].nunique() == 1
    updates = table.loc[table["number"] == UPDATES, "value"].unique()
    assert updates.tolist() == pytest.approx([0, updates[1]])
    assert updates[1] > 0
    last = table[table["epoch"] == 2].set_index(["run", "number"])["value"].unstack()
    final = population.frame["accuracy"].to_numpy()
    np.testing.assert_allclose(last[FINAL].loc[list(population.runs)], final)
    np.testing.assert_allclose(last[SCORE].loc[list(population.runs)], final)


def test_networks_that_learned_nothing_are_not_measured(population: Population, tmp_path: Path) -> None:
    strict = replace(OPTIONS, least=1.1)
    table = measure_catalogue(
        population, replace(context(tmp_path), scale=replace(context(tmp_path).scale, options=strict))
    )
    assert set(table["number"]) == {FINAL}


def test_networks_are_spread_over_the_score(population: Population) -> None:
    ordered = population.frame["accuracy"].sort_values(kind="stable").index.tolist()
    assert runs_over_scores(population, OPTIONS, 2) == [ordered[0], ordered[-1]]
    assert runs_over_scores(population, OPTIONS, 9) == ordered
    assert runs_over_scores(population, replace(OPTIONS, score="nothing")) == []


def test_epochs_are_those_that_were_recorded(population: Population) -> None:
    run = next(iter(population.runs.values()))
    assert steps_by_epoch(run, (0, 1, 7)) == {0: 0, 1: 1, 2: 2}


def test_a_number_is_of_the_network_or_the_mean_over_layers() -> None:
    rows = [("", "m", "std", 5.0), ("a", "m", "std", 1.0), ("b", "k", "class_3", 1.0), ("b", "k", "mean", float("nan"))]
    assert network_numbers(pd.DataFrame(rows, columns=["group", "metric", "statistic", "value"])) == {"m.std": 5.0}


def test_what_time_explains_is_taken_out() -> None:
    table = Numbers("one", made(), OPTIONS).at(4)
    assert target_correlation(table, "layer_fluctuation", FINAL, beside=False).value > 0
    beyond = correlations(table, FINAL, beside=True)
    assert beyond["node_strength.std"] > 0.9
    assert abs(beyond["layer_fluctuation"]) < 0.4
    assert set(beyond.index).isdisjoint({UPDATES, NORM, SCORE, FINAL, GAP})


def test_numbers_that_say_the_same_are_one_cluster(found: Measurements) -> None:
    section = agreement(found)
    assert [row[2] for row in section.tables[0].rows] == ["node_strength.std and weighted_degree.mean"]
    (chart,) = section.figures
    matrix = mean_correlations([Numbers("one", made(), OPTIONS)])
    assert matrix.loc["node_strength.std", "weighted_degree.mean"] == pytest.approx(1)
    assert abs(chart.names.index("node_strength.std") - chart.names.index("weighted_degree.mean")) == 1
    assert chart.svg().count("<text") >= len(chart.names)
    standing_for_all = set(standing(Numbers("one", made(), OPTIONS)))
    assert len(standing_for_all & {"node_strength.std", "weighted_degree.mean"}) == 1


def test_claims_are_judged_by_networks_that_did_not_choose(found: Measurements) -> None:
    section = accuracy(found)
    assert [claim.verdict for claim in section.claims] == ["holds", "holds"] * 2  # one population has too few networks
    assert all("20 networks" in claim.numbers for claim in section.claims)
    assert all("node_strength.std" in c.numbers or "weighted_degree.mean" in c.numbers for c in section.claims)
    assert {claim.evidence[0].n for claim in gap(found).claims} == {20}
    assert all(claim.numbers.startswith("−ρ") for claim in gap(found).claims)
    nothing = Measurements((), {}, {}, found.context)
    assert not accuracy(nothing).tables
    assert "takes training scores" in gap(nothing).setup
    assert "No population" in agreement(nothing).setup
    assert "No population" in selection(nothing).setup


def test_nulls_and_costs_are_of_some_networks(population: Population, tmp_path: Path) -> None:
    table = draw_nulls(population, context(tmp_path))
    assert table["run"].nunique() == 1
    assert set(table["when"]) == {"before", "after"}
    assert np.isfinite(table["z"]).all()
    times = time_measures(population, context(tmp_path))
    assert {"node_strength", "sample_basin", "class_structure"} <= set(times["measure"])
    assert (times["milliseconds"] >= 0).all()


def test_the_command(population: Population, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["catalogue", str(population.folder), "--samples", "0", "--least", "0", "--only", "agreement"]
    words += ["--only", "costs", "--tables", str(tmp_path / "tables"), "--table", str(tmp_path / "page.md"), "--json"]
    assert main(words) == 0
    kept = json.loads(capsys.readouterr().out)
    assert (kept["experiment"], kept["networks"], kept["trained"]) == ("catalogue", 3, 0)
    assert kept["conditions"][0]["condition"] == population.folder.name
    assert "# The catalogue compared" in (tmp_path / "page.md").read_text()
    path = tmp_path / "kept.json"
    path.write_text(json.dumps(kept))
    again = load_results(path, CATALOGUE_COMPARED)
    assert [one["setup"] for one in plain(again)["sections"]] == [one["setup"] for one in kept["sections"]]
    assert len(again.section("costs").tables[0].rows) == len(kept["sections"][1]["tables"][0]["rows"]) > 5


def test_runs_are_needed(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has finished runs; got none"):
        run_on(CATALOGUE_COMPARED, {"none": Population(tmp_path, {})}, tables=tmp_path)


def test_an_unknown_section_is_refused_before_anything_is_measured(population: Population, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such section: agreemnt"):
        run_on(CATALOGUE_COMPARED, {"some": population}, tables=tmp_path / "tables", only=["agreemnt"])
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize("options", [replace(OPTIONS, least=1.1), replace(OPTIONS, score="nothing")])
def test_a_page_of_networks_that_learned_nothing_says_so(
    population: Population, tmp_path: Path, options: CatalogueOptions
) -> None:
    names = ["agreement", "accuracy", "gap", "selection", "chance"]
    read = run_on(CATALOGUE_COMPARED, {"some": population}, tables=tmp_path, options=options, only=names)
    assert not any(section.claims or section.tables for section in read.sections.values())
    assert read.section("chance").setup == "No population has a network that learned."
