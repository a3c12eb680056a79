"""Pruners compared on recorded runs: nothing leaks, every pruner sees the same studies, planted relations are used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial
from torch import nn

from axonometry.errors import PredictionError
from axonometry.integrations import pruning
from axonometry.integrations.optuna import RUN
from axonometry.integrations.pruning import (
    HALVINGS,
    LEVELS,
    MARGINS,
    Design,
    compare_pruners,
    compare_settings,
    pruner_summary,
)
from axonometry.predict import AccuracyPredictor, RunTable
from axonometry.trajectory import Recorder, Trajectory, load

SMALL = Design(epochs=1, trials=10, splits=2, studies=4, trees=10)


def recorded(folder: Path, rate: float, seed: int) -> Trajectory:
    """A run whose weights move as much as its final accuracy says, while its early accuracies are noise."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    configuration = {"rate": rate, "seed": seed}
    with Recorder(
        folder, network, torch.zeros(1, 4), measures=("channel_degree",), configuration=configuration
    ) as record:
        record.record(0, accuracy=0.1, epoch=0.0)
        for epoch in (1, 2, 3):
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.mul_(1 + 4 * rate)
            accuracy = 0.1 + 0.8 * rate if epoch == 3 else random.uniform(0, 0.5)
            record.record(epoch, accuracy=accuracy, epoch=float(epoch))
    return load(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Trajectory]:
    folder = tmp_path_factory.mktemp("runs")
    return [recorded(folder / str(n), n // 2 / 20, n) for n in range(40)]  # two seeds of every rate


@pytest.fixture(scope="module")
def frame(runs: list[Trajectory]) -> pd.DataFrame:
    return compare_pruners(runs, SMALL)


def test_every_pruner_sees_every_study(frame: pd.DataFrame) -> None:
    assert len(frame) == 2 * 4 * 4
    for _, study in frame.groupby(["split", "study"]):
        assert list(study["pruner"]) == ["none", "median", "hyperband", "predicted"]
        assert study["best_of_all"].nunique() == 1
        assert set(study["epochs_of_all"]) == {30}
    assert frame[frame["pruner"] == "predicted"]["epochs"].nunique() > 1  # other trials, another order


def test_without_a_pruner_nothing_is_saved_or_lost(frame: pd.DataFrame) -> None:
    none = frame[frame["pruner"] == "none"]
    assert (none["epochs"] == none["epochs_of_all"]).all()
    assert (none["best"] == none["best_of_all"]).all()
    assert (none["pruned"] == 0).all()


def test_a_pruned_trial_costs_its_epochs_so_far(frame: pd.DataFrame) -> None:
    others = frame[frame["pruner"] != "none"]
    spared = others["epochs_of_all"] - others["epochs"]
    assert (spared >= others["pruned"]).all()
    assert (spared <= 2 * others["pruned"]).all()
    assert (others["best"] <= others["best_of_all"]).all()


def test_a_planted_relation_is_used(frame: pd.DataFrame) -> None:
    found = pruner_summary(frame, resamples=200).set_index(["pruner", "quantity"])
    # The weights say after one epoch how good the run becomes; its accuracies say nothing.
    assert found.loc[("predicted", "kept"), "value"] == 1
    assert found.loc[("predicted", "saved_at_equal_best"), "low"] > 0.15
    assert found.loc[("median", "kept"), "value"] < 1


def test_it_repeats(runs: list[Trajectory], frame: pd.DataFrame) -> None:
    assert compare_pruners(runs, SMALL).equals(frame)


def test_no_configuration_is_on_both_sides(runs: list[Trajectory], monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[set[float]] = []
    real_fit, real_replay = AccuracyPredictor.fit, pruning.replay

    def fit(self: AccuracyPredictor, table: RunTable) -> AccuracyPredictor:
        fitted.append({rate_of[name] for name in table.features.index})
        return real_fit(self, table)

    def replay(curves: dict[str, tuple[float, ...]], *arguments: object, **more: object) -> object:
        assert len(curves) == SMALL.trials
        assert not {rate_of[name] for name in curves} & fitted[-1]
        return real_replay(curves, *arguments, **more)

    rate_of = {str(run.folder): run.configuration["rate"] for run in runs if run.configuration}
    monkeypatch.setattr(AccuracyPredictor, "fit", fit)
    monkeypatch.setattr(pruning, "replay", replay)
    compare_pruners(runs, SMALL)
    assert [len(rates) for rates in fitted] == [10, 10]
    assert fitted[0] != fitted[1]


def test_progress(runs: list[Trajectory]) -> None:
    reports: list[tuple[int, int, str]] = []
    one = Design(epochs=1, trials=5, splits=1, studies=3, trees=5)
    compare_pruners(runs, one, progress=lambda *report: reports.append(report))
    assert reports == [(0, 3, "split 1"), (1, 3, "split 1"), (2, 3, "split 1")]


def test_too_few_runs_for_a_study(runs: list[Trajectory]) -> None:
    with pytest.raises(PredictionError, match="a study has 21 trials; got 20 of 40"):
        compare_pruners(runs, Design(epochs=1, trials=21, trees=5))


def test_a_run_that_was_cut_off(runs: list[Trajectory], tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    cut = Recorder(tmp_path / "cut", network, torch.zeros(1, 2), measures=())
    cut.record(0, accuracy=0.1, epoch=0.0)
    cut.record(1, accuracy=0.2, epoch=1.0)
    with pytest.raises(PredictionError, match="cut with gaps"):
        compare_pruners([*runs, load(tmp_path / "cut")], SMALL)


def test_runs_that_were_pruned_are_left_out(runs: list[Trajectory], tmp_path: Path) -> None:
    with Recorder(tmp_path / "pruned", nn.Linear(4, 2), torch.zeros(1, 4), measures=("channel_degree",)) as pruned:
        pruned.record(0, accuracy=0.1, epoch=0.0)
        pruned.record(1, accuracy=0.99, epoch=1.0)
        pruned.close(stopped=True)
    with pytest.warns(UserWarning, match=r"1 of 41 runs are not finished and are left out: pruned \(stopped early\)"):
        frame = compare_pruners([load(tmp_path / "pruned"), *runs], SMALL)
    pd.testing.assert_frame_equal(frame, compare_pruners(runs, SMALL))


def studies(saved: list[list[float]], lost: list[list[float]]) -> pd.DataFrame:
    rows = [
        {
            "split": split,
            "study": study,
            "pruner": "ours",
            "epochs": 100 * (1 - s),
            "best": 0.9 - x,
            "best_of_all": 0.9,
            "epochs_of_all": 100,
            "good_stopped": 2 * x,
        }
        for split, (some, losses) in enumerate(zip(saved, lost))
        for study, (s, x) in enumerate(zip(some, losses))
    ]
    return pd.DataFrame(rows)


def test_the_summary_by_hand() -> None:
    frame = studies([[0.2, 0.4], [0.6, 0.8]], [[0.0, 0.1], [0.0, 0.0]])
    found = pruner_summary(frame, resamples=500).set_index("quantity")
    assert found["value"].to_dict() == pytest.approx(
        {"saved": 0.5, "kept": 0.75, "lost": 0.025, "saved_at_equal_best": (0.2 + 0.6 + 0.8) / 3, "good_stopped": 0.05}
    )
    counted = {"saved": 4, "kept": 4, "lost": 4, "saved_at_equal_best": 3, "good_stopped": 4}
    assert found["studies"].to_dict() == counted
    assert (found["low"] <= found["value"]).all()
    assert (found["value"] <= found["high"]).all()
    assert found.loc["saved", "low"] < 0.35
    generous = pruner_summary(frame, within=0.1 + 1e-9, resamples=10).set_index("quantity")
    assert generous.loc["kept", "value"] == 1


def test_a_pruner_that_never_finds_the_best() -> None:
    found = pruner_summary(studies([[0.5]], [[0.1]]), resamples=10).set_index("quantity")
    assert found.loc["saved_at_equal_best", "studies"] == 0
    assert np.isnan(found.loc["saved_at_equal_best", "value"])


def test_all_trials_pruned_is_a_loss_that_is_not_a_number() -> None:
    frame = studies([[0.5, 0.5]], [[0.0, float("nan")]])
    found = pruner_summary(frame, resamples=10).set_index("quantity")
    assert found.loc["kept", "value"] == 0.5
    assert found.loc["lost", "studies"] == 1


def test_settings_are_compared_over_the_same_studies_and_wider_intervals_stop_fewer_good_runs(
    runs: list[Trajectory], frame: pd.DataFrame
) -> None:
    found = compare_settings(runs, SMALL)
    names = [f"predicted, {level:.0%}" for level in LEVELS]
    assert [*names, "median, from epoch 1 on"] == list(found["pruner"].unique())[: len(names) + 1]
    assert len(found) == 2 * 4 * (len(LEVELS) + 2 + len(HALVINGS) + len(MARGINS))
    studies = ["split", "study", "best_of_all"]
    assert found[studies].drop_duplicates().to_numpy().tolist() == frame[studies].drop_duplicates().to_numpy().tolist()
    stopped = [found.loc[found["pruner"] == name, "good_stopped"].mean() for name in names]
    assert stopped == sorted(stopped, reverse=True)
    assert stopped[0] > stopped[-1]


@pytest.mark.parametrize(("stops", "share"), [({"a"}, 0.5), ({"b", "c", "d"}, 0.5), ({"c", "d"}, 0.0), ({"a", "b"}, 1)])
def test_good_runs_that_are_stopped_are_those_of_the_upper_quarter(stops: set[str], share: float) -> None:
    class Stopping(BasePruner):
        def prune(self, study: Study, trial: FrozenTrial) -> bool:
            return trial.user_attrs[RUN] in stops

    ends = {"a": 0.9, "b": 0.8, "c": 0.4, "d": 0.3, "e": 0.2, "f": 0.1, "g": 0.1, "h": 0.1}
    (row,) = pruning._study({name: (0.0, end) for name, end in ends.items()}, {"stopping": Stopping()}, "0.0")
    assert row["good_stopped"] == share
