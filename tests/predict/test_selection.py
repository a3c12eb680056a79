"""Runs whose last accuracy is not the final one are not learned from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import PredictionError
from axonometry.predict import AccuracyPredictor, read_runs
from axonometry.predict.features import open_runs
from tests.predict.synthetic import record


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight whole runs; one that was stopped, one with fewer steps than planned, one cut off."""
    folder = tmp_path_factory.mktemp("runs")
    made = [record(folder / f"{seed}", seed=seed) for seed in range(8)]
    for name, planned, stopped in (("early", None, True), ("short", 11, False)):
        choices = {"measures": ("channel_degree",), "configuration": {"learning_rate": 0.5}, "planned_steps": planned}
        recorder = ax.Recorder(folder / name, nn.Linear(4, 2), torch.zeros(1, 4), **choices)
        for epoch in range(3):
            recorder.record(epoch, accuracy=0.11, epoch=float(epoch))
        recorder.close(stopped=stopped)
    return [*made, folder / "early", folder / "short", record(folder / "cut", seed=9, end=False)]


WORDS = (
    r"3 of 11 runs are not finished and are left out: "
    r"early \(stopped early\), short \(stopped early\), cut \((running|interrupted)\)\."
)


def test_a_table_of_runs_leaves_them_out_by_name(folders: list[Path]) -> None:
    with pytest.warns(UserWarning, match=WORDS):
        table = read_runs(folders, epochs=1, features="curve")
    assert list(table.features.index) == [str(n) for n in range(8)]
    assert 0.11 not in table.final_accuracy.tolist()
    with pytest.raises(
        PredictionError, match=r"no finished runs to learn from; got 2 of 2 runs are not finished.* early"
    ):
        read_runs(folders[8:10], epochs=1, features="curve")


def test_a_predictor_learns_from_the_others(folders: list[Path]) -> None:
    with pytest.warns(UserWarning, match=WORDS):
        fitted = AccuracyPredictor("curve", 1, trees=3, folds=2).fit(open_runs(folders), groups=list(range(11)))
    alone = AccuracyPredictor("curve", 1, trees=3, folds=2).fit(open_runs(folders[:8]), groups=list(range(8)))
    assert fitted.predict(folders[:3]).tolist() == alone.predict(folders[:3]).tolist()
    known = AccuracyPredictor("curve", 1, trees=3, folds=2).fit(folders, [0.1 * n for n in range(11)])
    assert known.n_features_in_ > 0, "whoever passes the final accuracies knows them"
