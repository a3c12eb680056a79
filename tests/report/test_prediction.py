"""The pages of predictions: what they say, and that a real browser draws it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import axonometry as ax
from axonometry.predict import AccuracyPredictor, Evaluation, EvaluationPlan, evaluate
from axonometry.report import Figure, Page, Table
from axonometry.report.forecast import MOST_TABS, accuracies, forecast_page, history_figure, overview_blocks
from axonometry.report.prediction import evaluation_page, importance_figure
from tests.predict.synthetic import record, table

SHOWN = ("graph", "degree", "curve", "graph+curve")


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    plan = EvaluationPlan(folds=3, inner_folds=2, trees=3, resamples=40)
    return evaluate(table(30), SHOWN, (1, 2), plan=plan)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[ax.Trajectory]:
    folder = tmp_path_factory.mktemp("runs")
    whole = [ax.load(record(folder / f"{seed:02}", seed=seed)) for seed in range(12)]
    return [*whole, ax.load(record(folder / "under-way", seed=5, epochs=1, end=False))]


@pytest.fixture(scope="module")
def predictor(runs: list[ax.Trajectory]) -> AccuracyPredictor:
    return AccuracyPredictor("graph+curve", 2, folds=3, trees=3).fit(runs[:12])


@pytest.fixture(scope="module")
def forecast(predictor: AccuracyPredictor, runs: list[ax.Trajectory]) -> Page:
    shown = runs[-3:]
    return forecast_page(predictor, shown, predictor.predict_interval(shown, 0.8), level=0.8)


def drawn(page: Page) -> list[Figure]:
    return [block for tab in page.tabs for block in tab.blocks if isinstance(block, Figure)]


def test_scores_are_drawn_as_they_are(evaluation: Evaluation) -> None:
    (r2, _), *_ = [figure.panels for figure in drawn(evaluation_page(evaluation, facts={}))]
    assert {trace.name for trace in r2.figure.data} == set(SHOWN)
    (curve,) = (trace for trace in r2.figure.data if trace.name == "curve")
    rows = evaluation.scores.query("features == 'curve' and score == 'r2'")
    np.testing.assert_allclose(curve.y, rows["value"], rtol=1e-6)
    np.testing.assert_allclose(curve.y + curve.error_y.array, rows["high"], rtol=1e-5)
    np.testing.assert_allclose(curve.y - curve.error_y.arrayminus, rows["low"], rtol=1e-4)


def test_every_run_is_a_dot_at_truth_and_prediction(evaluation: Evaluation) -> None:
    figure = next(f for f in drawn(evaluation_page(evaluation, facts={})) if f.title.endswith("after 2 epochs"))
    assert [panel.title for panel in figure.panels] == ["graph", "curve", "graph+curve"]
    dots = figure.panels[0].figure.data[-1]
    rows = evaluation.predictions.query("features == 'graph' and epochs == 2").set_index("run").loc[list(dots.text)]
    assert len(rows) == 30
    np.testing.assert_allclose(dots.x, rows["truth"], rtol=1e-6)
    np.testing.assert_allclose(dots.y, rows["predicted"], rtol=1e-6)


def test_the_caption_says_how_many_runs_reach_the_threshold(evaluation: Evaluation) -> None:
    split = replace(evaluation, threshold=float(np.sort(evaluation.predictions.groupby("run")["truth"].first())[-3]))
    scores = drawn(evaluation_page(split, facts={}))[0]
    assert scores.caption.endswith(f"a final accuracy of {split.threshold:.1%}; 10% of the runs reach it.")  # 3 of 30


def test_differences_are_drawn_with_room_on_both_sides(evaluation: Evaluation) -> None:
    figure = next(f for f in drawn(evaluation_page(evaluation, facts={})) if f.title == "Differences of R²")
    rows = evaluation.differences.query("score == 'r2'")
    low, high = min(rows["low"].min(), 0.0), max(rows["high"].max(), 0.0)
    for panel, (_, part) in zip(figure.panels, rows.groupby("epochs"), strict=True):
        assert panel.figure.layout.xaxis.range == pytest.approx((low - 0.03 * (high - low), high + 0.03 * (high - low)))
        (trace,) = panel.figure.data
        np.testing.assert_allclose(trace.x, part["value"], rtol=1e-5)
        np.testing.assert_allclose(trace.x - trace.error_x.arrayminus, part["low"], atol=1e-6)


def test_without_the_reference_there_are_no_differences() -> None:
    plan = EvaluationPlan(folds=2, inner_folds=2, trees=2, resamples=10)
    found = evaluate(table(16), ("degree",), (1,), plan=plan)
    titles = [figure.title for figure in drawn(evaluation_page(found, facts={}))]
    assert titles == ["Scores by number of known epochs", "Prediction and truth, after 1 epoch"]


def test_importances_run_from_the_most_important() -> None:
    rows = pd.DataFrame({"family": ["a", "b"], "columns": [1, 2], "loss": [0.1, 0.4], "std": [0.01, 0.02]})
    (trace,) = importance_figure(rows).panels[0].figure.data
    assert list(trace.text) == ["b", "a"]
    np.testing.assert_allclose(trace.error_x.array, [0.02, 0.01], rtol=1e-5)


def test_a_run_under_way_says_what_it_is_predicted_to_become(
    forecast: Page, predictor: AccuracyPredictor, runs: list[ax.Trajectory]
) -> None:
    assert [tab.name for tab in forecast.tabs] == ["All runs", "10", "11", "under-way"]
    facts, figure, _ = forecast.tabs[-1].blocks
    expected = predictor.predict_interval([runs[-1]], 0.8).iloc[0]
    assert facts.items["predicted final accuracy"] == f"{expected['prediction']:.1%}"
    assert facts.items["80% interval"] == f"{expected['low']:.1%} to {expected['high']:.1%}"
    assert "accuracy now" in facts.items
    assert "final accuracy" in forecast.tabs[1].blocks[0].items
    ends, *lines = figure.panels[0].figure.data
    np.testing.assert_allclose(ends.y, [expected["low"], expected["high"]], rtol=1e-6)
    assert [line.name for line in lines] == ["predicted final accuracy", "accuracy so far"]
    assert list(lines[1].x) == [0, 1]


def test_the_band_follows_the_history() -> None:
    columns = {"prediction": [0.5, 0.6], "low": [0.3, 0.5], "high": [0.7, 0.8]}
    history = pd.DataFrame(columns, index=pd.Index([1, 2], name="epoch"))
    band, line = history_figure(history, pd.Series(dtype="float64")).data
    np.testing.assert_allclose(band.x, [1, 2, 2, 1])
    np.testing.assert_allclose(band.y, [0.3, 0.5, 0.8, 0.7], rtol=1e-6)
    np.testing.assert_allclose(line.y, [0.5, 0.6], rtol=1e-6)


def test_of_many_runs_there_is_the_table_alone(predictor: AccuracyPredictor, runs: list[ax.Trajectory]) -> None:
    many = [runs[0]] * (MOST_TABS + 1)
    found = predictor.predict_interval([runs[0]], 0.8)
    names = [f"run{number}" for number in range(len(many))]
    page = forecast_page(predictor, many, pd.concat([found] * len(many)).set_axis(names), level=0.8)
    assert [tab.name for tab in page.tabs] == ["All runs"]
    (shown,) = (block for block in page.tabs[0].blocks if isinstance(block, Table))
    assert len(shown.rows) == MOST_TABS + 1


def test_more_intervals_than_a_screen_holds_are_thinned_and_said() -> None:
    values = np.linspace(0, 1, 200)
    columns = {"prediction": values, "low": values - 0.1, "high": values + 0.1}
    predictions = pd.DataFrame(columns, index=[f"run{number}" for number in range(200)])
    facts, figure, shown = overview_blocks(predictions.assign(prediction=values**2), level=0.9)
    assert facts.items["median prediction"] == "25.0%", "the mean is 33.4%"
    assert facts.items["highest prediction"] == "100.0%"
    (trace,) = figure.panels[0].figure.data
    assert (trace.x[0], trace.x[-1], len(trace.x), len(shown.rows)) == (1, 0, 40, 200)
    assert figure.caption.startswith("40 of 200 runs")


def test_a_run_without_accuracies_has_none(tmp_path: Path) -> None:
    import torch
    from torch import nn

    with ax.Recorder(tmp_path, nn.Linear(2, 2), torch.zeros(1, 2)) as recorder:
        recorder.record(0)
    assert accuracies(ax.load(tmp_path)).empty


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["evaluation", "forecast"])
def test_a_browser_draws_every_figure(
    browser: Any, tmp_path: Path, request: pytest.FixtureRequest, scheme: str, name: str
) -> None:
    shown = request.getfixturevalue(name)
    page = shown if isinstance(shown, Page) else evaluation_page(shown, facts={"runs": 30})
    complaints: list[str] = []
    browser.set_default_timeout(90_000)  # a busy machine is no failure
    browser.on("console", lambda message: complaints.append(message.text))
    browser.on("pageerror", lambda error: complaints.append(str(error)))
    browser.emulate_media(color_scheme=scheme)
    browser.goto(page.write(tmp_path / "page.html").as_uri())
    tabs = browser.get_by_role("tab").all()
    assert [tab.inner_text() for tab in tabs] == [tab.name for tab in page.tabs]
    for tab in tabs:
        tab.click()
        plots = browser.locator("section:not([hidden]) .plot").all()
        assert plots
        for plot in plots:
            plot.scroll_into_view_if_needed()
            plot.locator(".main-svg").first.wait_for()
            assert plot.locator(".point, .js-line").count() > 0
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert complaints == []
