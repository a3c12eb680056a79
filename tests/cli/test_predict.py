"""Learning from runs, applying it to others, judging it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.predict import AccuracyPredictor
from tests.predict.synthetic import record


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("population")
    for seed in range(12):
        record(folder / f"{seed:02}", seed=seed)
    return folder


def test_fit_and_apply(run, population: Path, tmp_path: Path) -> None:
    out = tmp_path / "predictor"
    words = ("predict", "fit", population, "--out", out, "--epochs", 2, "--features", "degree+curve", "--json")
    fitted = run(*words)
    assert (fitted.code, fitted.json["runs"]) == (0, 12)
    assert [row["epochs"] for row in fitted.json["epochs"]] == [1, 2]
    under_way = record(tmp_path / "under-way", seed=3, epochs=1, end=False)
    rows = run("predict", "apply", out, population, under_way, "--json").json
    assert len(rows) == 13
    assert all(row["low"] <= row["prediction"] <= row["high"] for row in rows)
    loaded = AccuracyPredictor.load(out)
    assert rows[3]["prediction"] == pytest.approx(loaded.predict([population / "03"])[0])
    assert "with 90% intervals" in run("predict", "apply", out, population).out


def test_evaluate_compares(run, population: Path) -> None:
    words = ("predict", "evaluate", population, "--epochs", 1, "--features", "curve", "--features", "degree")
    found = run(*words, "--json").json
    assert {row["features"] for row in found["scores"]} == {"curve", "degree"}
    assert {row["features"] for row in found["differences"]} == {"degree"}


def test_reports_are_written(run, population: Path, tmp_path: Path) -> None:
    page = tmp_path / "evaluation.html"
    words = ("predict", "evaluate", population, "--epochs", 1, "--folds", 3, "--features", "curve")
    outcome = run(*words, "--report", page)
    assert (outcome.code, outcome.err.splitlines()[-1]) == (0, f"Wrote {page}")
    assert f"axonometry predict evaluate {population} --epochs 1 --folds 3 --features curve" in page.read_text()
    out, page = tmp_path / "predictor", tmp_path / "forecast.html"
    run("predict", "fit", population, "--out", out, "--epochs", 1, "--features", "curve")
    begun, new = (record(tmp_path / name, seed=3, epochs=epochs, end=False) for name, epochs in (("a", 1), ("b", 0)))
    outcome = run("predict", "apply", out, begun, new, "--level", 0.8, "--report", page, "--json")
    assert [row["run"] for row in outcome.json] == ["a"]
    assert "1 of 2 runs have no complete epoch and are left out." in outcome.err
    assert "Predicted final accuracy of a" in page.read_text()


def test_a_predictor_of_classes_is_no_forecast(run, population: Path, tmp_path: Path) -> None:
    folders = sorted(population.iterdir())
    AccuracyPredictor("curve", 1, task="classification", trees=2).fit(folders).save(tmp_path / "classes")
    outcome = run("predict", "apply", tmp_path / "classes", population)
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert "is a classifier" in outcome.err


def test_bad_input_is_one_line(run, population: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("nothing")
    for words, line in (
        (("fit", population / "03", "--out", tmp_path / "out", "--epochs", 2), "Train 9 more"),
        (("fit", population, "--out", tmp_path / "out", "--features", "all"), "features are named sets; got 'all'"),
        (("apply", tmp_path / "file", population), "another kind of file"),
    ):
        outcome = run("predict", *words)
        assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
        assert line in outcome.err


def test_runs_that_were_stopped_early_are_left_out_by_name(run, population: Path, tmp_path: Path) -> None:
    early = tmp_path / "early"
    recorder = ax.Recorder(
        early, nn.Linear(4, 2), torch.zeros(1, 4), planned_steps=9, configuration={"learning_rate": 0.3}
    )
    for epoch in range(3):
        recorder.record(epoch, accuracy=0.9, epoch=float(epoch))
    recorder.close()
    line = "1 of 13 runs are not finished and are left out: early (stopped early)."
    fitted = run(
        "predict", "fit", population, early, "--out", tmp_path / "p", "--epochs", 1, "--features", "curve", "--json"
    )
    assert (fitted.code, fitted.json["runs"]) == (0, 12)
    assert line in fitted.err
    judged = run("predict", "evaluate", population, early, "--epochs", 1, "--folds", 3, "--features", "curve", "--json")
    assert (judged.code, judged.json["runs"]) == (0, 12)
    assert line in judged.err
    alone = run("predict", "fit", early, "--out", tmp_path / "q")
    assert alone.code == 2
    assert "no finished runs to learn from" in alone.err
    (row,) = run("runs", "list", early, "--json").json
    assert (row["state"], row["steps"], row["planned_steps"]) == ("stopped", 3, 9)
    assert "stopped" in run("runs", "list", tmp_path).out
    shown = run("runs", "show", early, "--json").json
    assert (shown["state"], shown["planned_steps"]) == ("stopped", 9)
    assert "3 of 9 planned" in run("runs", "show", early).out
