"""The experiment of paper 2 with a few dozen tiny networks on the digits; its plans, features, pages and command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from axonometry.cli import main
from axonometry.errors import ConfigurationError
from axonometry.metrics.neuron_strength import neuron_strength
from axonometry.papers import ijcai2024, ijcai2024_apart, ijcai2024_features
from axonometry.papers.ijcai2024 import Results, carry_out
from axonometry.papers.ijcai2024_apart import CHOICES, HIGH, LOW, SETS, TOGETHER
from axonometry.papers.ijcai2024_features import (
    BASELINE,
    CONTROL,
    MEASURES,
    features,
    live_values,
    measured_values,
    scaled_strength,
)
from axonometry.papers.ijcai2024_page import _centre, results_page
from axonometry.papers.ijcai2024_plans import DRAWN, QUESTIONS, Cell, Question, full, small
from axonometry.papers.ijcai2024_table import KINDS, in_short, page, verdict, write_results
from axonometry.populations import Architecture, draw, hard_grid
from axonometry.predict.evaluation import EvaluationPlan as Folds
from axonometry.program import capture
from axonometry.report import Figure
from axonometry.trajectory import recorder

TINY: dict[str, Any] = {
    "dataset": "digits",
    "epochs": 1,
    "train_fraction": 0.1,
    "test_fraction": 0.2,
    "batch_size": 16,
    "record_every": 10**6,
}


def cell(name: str, **fixed: Any) -> Cell:
    return Cell(name, f"{name} networks", draw(range(8), DRAWN, **{**TINY, **fixed}))


def tiny() -> tuple[Cell, ...]:
    hard = hard_grid(range(100, 112), activation="relu", units=8, **TINY)
    return (
        cell("narrow", units=6),
        cell("wide", units=24),
        cell("tanh", units=24, activation="tanh"),
        cell("copying", family="autoencoder", units=6, layers=1, objective="bce"),
        cell("gru", family="recurrent", cell="gru", units=3),
        Cell("mixed", "networks of all accuracies", hard),
    )


ASKED = (
    Question("width", "size", "Narrow or wide?", ("narrow", "wide"), "The width."),
    Question("kind", "type", "Which kind?", ("narrow", "copying", "gru"), "Much."),
    Question("activation", "activation", "ReLU or tanh?", ("wide", "tanh"), "Nothing."),
    Question("accuracy", "performance", "Low or high?", ("mixed",), "The rates."),
)


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """Few trees and folds, one capture an architecture."""
    graphs: dict[str, Any] = {}
    real: Callable[..., Any] = recorder.capture

    def captured(model: nn.Module, example: torch.Tensor) -> Any:
        if str(model) not in graphs:
            graphs[str(model)] = real(model, example)
        return graphs[str(model)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "capture", captured)
        patch.setattr(ijcai2024_apart, "FOLDS", Folds(folds=3, inner_folds=2, trees=4, resamples=60))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiment")


def carried_out(folder: Path) -> Results:
    with ThreadPoolExecutor(1) as executor:
        return carry_out(tiny(), ASKED, scale="small", folder=folder, executor=executor)


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return carried_out(folder)


# ------------------------------------------------------------------------------------------------- what is found


def test_everything_is_trained_and_asked(results: Results, folder: Path) -> None:
    assert results.trained == 5 * 8 + 12
    assert len(list((folder / "networks").glob("*/run.json"))) == 52
    assert dict(zip(results.cells["name"], results.cells["n"])) == {
        **dict.fromkeys(["narrow", "wide", "tanh", "copying", "gru"], 8),
        "mixed": 12,
    }
    named = dict(zip(results.cells["name"], results.cells["performance"]))
    assert named == {**dict.fromkeys(named, "accuracy"), "copying": "variance_explained"}
    assert dict(zip(results.cells["name"], results.cells["parameters"]))["narrow"] == 64 * 6 + 6 + 6 * 6 + 6 + 60 + 10
    ordered = results.cells[["least", "lower", "median", "upper", "most"]].to_numpy()
    assert (np.diff(ordered) >= 0).all()
    assert results.text is None


def test_every_set_is_scored_before_and_after(results: Results) -> None:
    places = results.scores.set_index(["question", "measure", "when"])
    assert len(places) == (len(ASKED) * len(SETS) + 1) * 2 == places.index.nunique()
    assert set(results.scores.loc[results.scores["measure"] == CHOICES, "question"]) == {"accuracy"}
    assert places.loc[("accuracy", CHOICES, "before"), "value"] == places.loc[("accuracy", CHOICES, "after"), "value"]
    assert ((places["value"] >= 0) & (places["value"] <= 1)).all()
    assert (places["low"] <= places["high"]).all()
    counts = results.scores.groupby("question")[["n", "classes"]].first()
    assert counts.loc["width"].tolist() == [16, 2]
    assert counts.loc["kind"].tolist() == [24, 3]
    assert counts.loc["accuracy", "classes"] == 2
    assert 8 <= counts.loc["accuracy", "n"] < 12  # the middle is left out
    assert len(results.differences) == len(ASKED) * (2 * len(SETS) - 1) + 2


def test_differences_are_those_of_the_scores(results: Results) -> None:
    values = results.scores.set_index(["question", "measure", "when"])["value"]
    for row in results.differences.itertuples():
        after = values[row.question, row.measure, "after"]
        other = values[
            (row.question, row.measure, "before") if row.minus == "before" else (row.question, BASELINE, "after")
        ]
        assert row.value == pytest.approx(after - other)


def test_the_same_initial_weights_are_not_told_apart(results: Results) -> None:
    # ReLU and tanh start from the same weights: what does not depend on data can say nothing.
    values = results.scores.set_index(["question", "measure", "when"])["value"]
    for measure in ("link_weights", "node_strength", "layer_fluctuation", CONTROL, BASELINE):
        assert values["activation", measure, "before"] == 0.5
    assert values["activation", "neuron_activation", "before"] > 0.9  # tanh has negative values


def test_what_is_plain_is_told_apart(results: Results) -> None:
    values = results.scores.set_index(["question", "measure", "when"])["value"]
    assert values["kind", TOGETHER, "after"] > 0.8
    assert values["kind", BASELINE, "after"] > 0.8


def test_a_second_call_trains_and_measures_nothing(
    results: Results, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object, **more: object) -> None:
        raise AssertionError

    monkeypatch.setattr(ijcai2024_features, "measured_values", never)
    monkeypatch.setattr(ijcai2024_apart, "out_of_fold", never)
    again = carried_out(folder)
    assert again.trained == 0
    pd.testing.assert_frame_equal(again.scores, results.scores)
    pd.testing.assert_frame_equal(again.densities, results.densities)


def test_densities_are_densities(results: Results) -> None:
    shown = results.densities.groupby(["label", "when", "measure"], sort=False)
    assert {label for label, _, _ in shown.groups} == {*(c.name for c in tiny()), LOW, HIGH}
    for place, rows in shown:
        assert np.trapezoid(rows["density"], rows["x"]) == pytest.approx(1, abs=0.02), place


# ------------------------------------------------------------------------------------------------- what is read


@pytest.fixture(scope="module")
def dense() -> nn.Module:
    torch.manual_seed(0)
    return Architecture("fully-connected", units=5, layers=3).network((1, 4, 4), 3)


SAMPLES = torch.rand(7, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def test_features_by_hand(dense: nn.Module) -> None:
    graph = capture(dense, SAMPLES[:1])
    found = features(graph, measured_values(graph, SAMPLES))
    w = [p.detach().double() for p in dense.parameters() if p.dim() == 2]
    b = [p.detach().double() for p in dense.parameters() if p.dim() == 1]
    strengths = [w[k].sum(1) + w[k + 1].sum(0) for k in range(3)]
    assert found["link_weights.(first).mean"] == pytest.approx(float(w[0].mean()))
    assert found["link_weights.(last).std"] == pytest.approx(float(w[2].std(correction=0)))
    assert found["link_weights.(all).mean"] == pytest.approx(float(torch.cat([x.flatten() for x in w[:3]]).mean()))
    assert found["node_strength.(last).mean"] == pytest.approx(float(strengths[2].mean()), rel=1e-4)
    spreads = [float(s.std(correction=0)) for s in strengths]
    assert found["layer_fluctuation.(all).mean"] == pytest.approx(np.mean(spreads), rel=1e-4)
    assert found["layer_fluctuation.(first).mean"] == pytest.approx(spreads[0], rel=1e-4)
    z = SAMPLES.flatten(1).double() @ w[0].T + b[0]
    assert found["neuron_activation.(first).mean"] == pytest.approx(float(z.relu().mean()), rel=1e-4)
    strength = z + z.relu() * w[1].sum(0)
    assert found["neuron_strength.(first).std"] == pytest.approx(float(strength.std(correction=0)), rel=1e-4)
    squares = w[1].square().sum(1) + w[2].square().sum(0)
    scaled = strengths[1] / squares.sqrt()
    torch.testing.assert_close(scaled_strength(graph)["fc2"].double(), scaled, rtol=1e-5, atol=1e-5)
    everything = torch.cat([p.detach().flatten() for p in dense.parameters()]).double()
    assert found["weights.(all).mean"] == pytest.approx(float(everything.mean()), rel=1e-4, abs=1e-7)
    assert found["weights.(all).q0.05"] == pytest.approx(float(everything.quantile(0.05)), rel=1e-4)


def test_no_number_tells_a_size_or_an_end(dense: nn.Module) -> None:
    graph = capture(dense, SAMPLES[:1])
    names = set(features(graph, measured_values(graph, SAMPLES)))
    assert {name.split(".")[0] for name in names} == {*MEASURES, CONTROL, BASELINE}
    assert not [name for name in names if "count" in name or "minimum" in name or "maximum" in name]
    assert [name for name in names if name.startswith("layer_fluctuation")] != []
    assert not [name for name in names if name.startswith("layer_fluctuation") and not name.endswith("mean")]
    # Other outputs and other inputs are never looked at by what depends on data.
    measured = measured_values(graph, SAMPLES)
    assert all("input" not in of and "fc4" not in of for of in measured.values())


@pytest.mark.parametrize("family", ["fully-connected", "convolutional", "recurrent"])
def test_neuron_strength_is_the_librarys(family: str) -> None:
    network = Architecture(family, units=4, layers=1).network((1, 5, 5), 3).eval()
    graph = capture(network, torch.zeros(1, 1, 5, 5))
    samples = torch.rand(6, 1, 5, 5)
    ours, theirs = live_values(graph, samples)["neuron_strength"], neuron_strength(graph, samples)
    for group in graph.groups:
        if group.role == "hidden":
            torch.testing.assert_close(ours[group.name].double().mean(0), theirs.mean[group.name], rtol=1e-5, atol=1e-5)


def test_scaled_strength_does_not_know_scale_or_width() -> None:
    def scaled(units: int, scale: float) -> torch.Tensor:
        network = nn.Sequential(nn.Linear(50, units), nn.ReLU(), nn.Linear(units, units))
        generator = torch.Generator().manual_seed(0)
        for parameter in network.parameters():
            parameter.data.normal_(0, scale, generator=generator)
        return scaled_strength(capture(network, torch.zeros(1, 50)))["0"]

    torch.testing.assert_close(scaled(300, 1.0), scaled(300, 5.0), rtol=1e-4, atol=1e-4)
    assert float(scaled(300, 1.0).std()) == pytest.approx(1, abs=0.15)
    assert float(scaled(1500, 1.0).std()) == pytest.approx(1, abs=0.07)


def test_a_neuron_without_links_has_no_scaled_strength() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    for parameter in network.parameters():
        parameter.data.zero_()
    values = scaled_strength(capture(network, torch.zeros(1, 2)))
    assert all(bool((v == 0).all()) for v in values.values())


# ------------------------------------------------------------------------------------------------- plans


def test_the_plans() -> None:
    cells = {c.name: c for c in small()}
    assert {len(c.configurations) for name, c in cells.items() if name != "performance"} == {30}
    assert len(cells["performance"].configurations) >= 60  # thirty and more in each third
    assert all(name in cells for question in QUESTIONS for name in question.cells)
    assert {question.kind for question in QUESTIONS} == set(KINDS)
    for one in cells.values():
        if one.name != "performance":
            alike = [[getattr(c, name) for name in (*DRAWN, "seed")] for c in one.configurations]
            assert alike == [[getattr(c, name) for name in (*DRAWN, "seed")] for c in cells["dense"].configurations]
    identities = [c.identity for one in cells.values() for c in one.configurations]
    assert len(set(identities)) == len(identities)
    assert sum(len(c.configurations) for c in full()) == 19 * 200 + 1000


def test_there_is_no_such_scale(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the experiment has its scales; got 'large'"):
        ijcai2024.run(scale="large", folder=tmp_path)


# ------------------------------------------------------------------------------------------------- what is said


def claimed(results: Results, low: float, high: float, others: float | None = None) -> Results:
    """The results with intervals of our own; those of node strength apart."""
    scores = results.scores.assign(low=low, high=high)
    if others is not None:
        scores.loc[scores["measure"] == "node_strength", "low"] = others
    return replace(results, scores=scores)


@pytest.mark.parametrize(
    ("low", "high", "others", "words"),
    [
        (0.51, 0.7, None, "holds here"),
        (0.49, 0.7, 0.55, "holds here in part"),
        (0.49, 0.59, None, "does not hold here"),
        (0.49, 0.61, None, "undecided"),
        (0.5, 0.61, None, "undecided"),
    ],
)
def test_verdicts(results: Results, low: float, high: float, others: float | None, words: str) -> None:
    shown = claimed(results, low, high, others)
    assert verdict(shown, "size") == words
    before = "nothing is told" if others is None and low <= 0.5 else "in part" if others else "as well"
    said = f"**Networks that differ in number of parameters: {words}; before training {before}.** "
    assert in_short(shown)[0].startswith(said)


def test_the_initial_weights_say_nothing_for_a_verdict(results: Results) -> None:
    scores = results.scores.assign(low=0.4, high=0.55)
    scores.loc[scores["when"] == "before", "low"] = 0.9
    shown = replace(results, scores=scores)
    assert verdict(shown, "size") == "does not hold here"
    assert "parameters: does not hold here; before training as well.**" in in_short(shown)[0]


def test_no_negative_nothing(results: Results) -> None:
    text = page(replace(results, differences=results.differences.assign(value=-0.001, low=-0.002, high=0.001)), "x")
    assert "-0.00" not in text
    assert "| 0.00 [0.00, 0.00] |" in text


def test_the_page_says_all(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "results" / "page.md"
    write_results(results, path, command="axonometry paper ijcai2024 --scale small")
    text = path.read_text(encoding="utf-8")
    assert "Written by `axonometry paper ijcai2024 --scale small` (scale: small)" in text
    assert "trained 52 of 52 networks" in text
    assert "nan" not in text.replace("explanation", "")
    assert "SHA-256" not in text
    row = results.scores.set_index(["question", "measure", "when"]).loc[("kind", "link_weights", "after")]
    assert f"| link weights | {row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}] |" in text
    assert "Networks that differ in performance" in text
    assert len(in_short(results)) == 4 + 1
    assert "ab" * 32 in page(replace(results, text="ab" * 32), "x")


def test_the_html_page_has_a_tab_a_kind(results: Results, tmp_path: Path) -> None:
    made = results_page(results)
    kinds = ["Number of parameters", "Type of layers", "Activation", "Performance"]
    assert [tab.name for tab in made.tabs] == ["In short", *kinds, "Definitions"]
    figures = [block for block in made.tabs[1].blocks if isinstance(block, Figure)]
    assert [len(figure.panels) for figure in figures] == [1, len(MEASURES) + 1, len(MEASURES) + 1]
    rows = results.scores[results.scores["question"] == "width"]
    drawn = np.concatenate([trace.x for trace in figures[0].panels[0].figure.data])
    np.testing.assert_allclose(np.sort(drawn), np.sort(rows["value"]), rtol=1e-6)
    (last,) = [tab for tab in made.tabs if tab.name == "Performance"]
    legend = next(b for b in last.blocks if isinstance(b, Figure) and len(b.panels) > 1).legend
    assert [key.name for key in legend] == [LOW, HIGH]
    assert "Do these measures tell networks apart?" in made.write(tmp_path / "page.html").read_text(encoding="utf-8")


def test_one_wide_density_does_not_make_lines_of_the_others() -> None:
    def curve(name: str, width: float) -> pd.DataFrame:
        x = np.linspace(-5 * width, 5 * width, 400)
        return pd.DataFrame({"name": name, "x": x, "density": np.exp(-((x / width) ** 2) / 2) / width})

    alike = pd.concat([curve("a", 1.0), curve("b", 2.0)])
    low, high = _centre(alike)
    assert -low == pytest.approx(2 * 3.03, rel=0.02)  # where exp(-x^2/2) is a hundredth
    assert high == pytest.approx(-low)
    low, high = _centre(pd.concat([alike, curve("c", 100.0)]))
    assert -low == pytest.approx(2 * 3.03 * 3, rel=0.02)
    assert high == pytest.approx(-low)


def test_the_command(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, Any]] = []

    def run(**values: Any) -> Results:
        asked.append(values)
        return results

    monkeypatch.setattr(ijcai2024, "run", run)
    words = ["paper", "ijcai2024", "--folder", str(tmp_path / "runs"), "--data", str(tmp_path)]
    table, report = tmp_path / "table.md", tmp_path / "page.html"
    assert main([*words, "--table", str(table), "--report", str(report)]) == 0
    shown = capsys.readouterr()
    assert "Networks that differ in type of layers" in shown.out
    assert "52 networks trained" in shown.err
    assert table.read_text().startswith("# La Malfa")
    assert report.exists()
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["scores"]) == len(results.scores)
    assert told["questions"][0] == {
        "name": "width",
        "kind": "size",
        "title": "Narrow or wide?",
        "cells": ["narrow", "wide"],
    }
    assert [one["folder"] for one in asked] == [tmp_path / "runs"] * 2
