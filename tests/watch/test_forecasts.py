"""Predictions by a real predictor, for runs that are finished, under way, too short, and gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("sklearn")

from axonometry.errors import PredictionError
from axonometry.predict import AccuracyPredictor
from axonometry.trajectory import load_runs
from axonometry.watch import FolderFollower
from axonometry.watch.forecasts import Forecast, Forecaster
from axonometry.watch.rows import run_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow


def trained(folder: Path, writer: Callable, runs: int = 12) -> None:
    """Finished runs, each 0.05 better than the one before from the beginning."""
    for number in range(runs):
        recording = writer(folder / f"{number:02}")
        for step in range(6):
            recording.write(step, accuracy=0.1 + 0.05 * number + 0.02 * step)
        recording.finish()


def test_a_predictor_predicts_what_it_can_and_says_why_it_cannot(tmp_path: Path, writer: Callable) -> None:
    trained(tmp_path / "old", writer)
    fitted = AccuracyPredictor("curve", epochs=2, folds=2, trees=2).fit(list(load_runs(tmp_path / "old")))
    fitted.save(tmp_path / "predictor")
    forecaster = Forecaster(tmp_path / "predictor")
    recording = writer(tmp_path / "new/a").write(0, accuracy=0.3)
    assert forecaster.forecast(tmp_path / "new/a") == "no whole epoch yet"
    recording.write(1, accuracy=0.32)
    first = forecaster.forecast(tmp_path / "new/a")
    assert isinstance(first, Forecast)
    assert (first.epochs, first.final) == (1, False)
    assert first.low <= first.prediction <= first.high
    recording.write(2, 3, accuracy=0.34)
    follower = FolderFollower(tmp_path / "new", forecaster=forecaster)
    follower.read_all()
    found = follower.forecasts["a"]
    assert isinstance(found, Forecast)
    assert (found.epochs, found.final) == (2, True)
    assert run_rows(follower)[0].predicted == found.prediction == pytest.approx(0.4, abs=0.15)
    assert "no such folder" in str(forecaster.forecast(tmp_path / "gone"))


def test_a_classifier_is_refused(tmp_path: Path, writer: Callable) -> None:
    trained(tmp_path / "old", writer)
    runs = list(load_runs(tmp_path / "old"))
    AccuracyPredictor("curve", epochs=1, task="classification", folds=2, trees=2).fit(runs).save(tmp_path / "predictor")
    with pytest.raises(PredictionError, match="is a classifier"):
        Forecaster(tmp_path / "predictor")
