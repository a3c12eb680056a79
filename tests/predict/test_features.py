"""What each family of features says of a run, from runs whose numbers are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import PredictionError, RunError
from axonometry.predict.features import (
    configuration_group,
    epochs_of,
    feature_table,
    final_accuracy,
    names_of,
    one_architecture,
    open_runs,
    read_runs,
    run_features,
)
from tests.predict.synthetic import record


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ax.Trajectory:
    """Two linear layers, all of whose weights are known: epoch t multiplies those of epoch 0 by 1 + t."""
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    start = {"0.weight": torch.tensor([[1.0, -2.0], [3.0, 4.0]]), "2.weight": torch.tensor([[0.5, -1.0]])}
    configuration = {
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "epochs": 3,
        "seed": 5,
        "optimiser": {"name": "sgd", "lr": 0.1},
        "dropout": 0.25,
        "augment": True,
        "widths": [2, 1],
        "nothing": None,
    }
    with ax.Recorder(
        tmp_path_factory.mktemp("known") / "run",
        network,
        torch.zeros(1, 2),
        measures=("channel_degree",),
        configuration=configuration,
    ) as recorder:
        for epoch in range(3):
            network.load_state_dict({name: (1 + epoch) * value for name, value in start.items()})
            recorder.record(10 * epoch, epoch=float(epoch), accuracy=0.1 + 0.2 * epoch, loss=2.0 - epoch)
    return ax.load(recorder.folder)


def test_the_curve_is_what_was_recorded_up_to_the_epoch(run: ax.Trajectory) -> None:
    row = run_features(run, 1, per_group=True, features="curve")
    assert row == {
        "epochs": 1.0,
        "accuracy@0": pytest.approx(0.1),
        "accuracy@1": pytest.approx(0.3),
        "loss@0": 2.0,
        "loss@1": 1.0,
    }
    assert "accuracy@2" in run_features(run, 2, per_group=True, features="curve")


def test_the_number_of_parameters_is_known_before_training(run: ax.Trajectory) -> None:
    row = run_features(run, 0, per_group=True, features="parameters+initial")
    n = sum(int(np.prod(shape)) for shape in (run.description.tensors or {}).values())
    assert row.pop("parameters@0") == pytest.approx(np.log10(n))
    assert {name.rpartition("@")[2] for name in row if "@" in name} == {"0"}


def test_the_last_accuracy_reads_the_accuracies_alone(run: ax.Trajectory) -> None:
    assert set(run_features(run, 1, per_group=True, features="last-accuracy")) == {"epochs", "accuracy@0", "accuracy@1"}


def test_degrees_and_their_changes(run: ax.Trajectory) -> None:
    row = run_features(run, 2, per_group=True, features="degree")
    names = [name for name in row if name.endswith("mean@0") and "log" not in name and name.count(".") == 2]
    assert names
    for name in names:
        at_0, at_1, at_2 = (row[f"{name[:-2]}@{epoch}"] for epoch in range(3))
        # All weights grow in proportion, and a degree is a sum of their absolute values.
        assert at_1 == pytest.approx(2 * at_0)
        assert at_2 == pytest.approx(3 * at_0)
        assert row[f"{name[:-2]}@1-0"] == pytest.approx(at_1 - at_0)
        assert row[f"{name[:-2]}@2-0"] == pytest.approx(2 * at_0)
        assert f"{name[:-2]}@2-1" not in row


def test_statistics_of_a_parameter(run: ax.Trajectory) -> None:
    row = run_features(run, 1, per_group=True, features="weights")
    values = np.array([2.0, -4.0, 6.0, 8.0])  # those of epoch 0 twice
    assert row["parameter.0.weight.mean@1"] == pytest.approx(values.mean())
    assert row["parameter.0.weight.variance@1"] == pytest.approx(values.var())
    for percentile in (0, 25, 50, 75, 100):
        assert row[f"parameter.0.weight.p{percentile}@1"] == pytest.approx(np.percentile(values, percentile))
    assert not any(name.startswith("movement") for name in row)


def test_how_the_weights_moved(run: ax.Trajectory) -> None:
    row = run_features(run, 2, per_group=True, features="graph")
    for name in ("0.weight", "2.weight"):
        assert row[f"movement.{name}.distance@1"] == pytest.approx(0.0, abs=1e-6)  # log10 of |W_0| / |W_0|
        assert row[f"movement.{name}.distance@2"] == pytest.approx(math.log10(2))
        assert row[f"movement.{name}.growth@2"] == pytest.approx(math.log10(3))
        assert row[f"movement.{name}.step@2"] == pytest.approx(math.log10(1 / 2))
        assert row[f"movement.{name}.turn@2"] == pytest.approx(1.0)  # straight on
    # sigma_1 of [[1, -2], [3, 4]]: the trace of W'W is 30 and its determinant 100, so sigma_1^2 = 15 + 5 sqrt(5).
    assert row["movement.0.weight.rank@1"] == pytest.approx(30 / (15 + 5 * math.sqrt(5)), rel=1e-5)
    assert row["movement.2.weight.rank@1"] == pytest.approx(1.0)


def test_the_configuration_as_numbers(run: ax.Trajectory) -> None:
    row = run_features(run, 1, per_group=True, features="hyperparameters")
    assert row == {
        "epochs": 1.0,
        "configuration.learning_rate": pytest.approx(-2.0),
        "configuration.weight_decay": pytest.approx(-12.0),  # log10 of a rate of 0
        "configuration.optimiser.name=sgd": 1.0,
        "configuration.optimiser.lr": pytest.approx(-1.0),
        "configuration.dropout": 0.25,
        "configuration.augment": 1.0,
        "configuration.widths=[2, 1]": 1.0,
    }


def test_without_groups_the_groups_are_spread_in_their_order(run: ax.Trajectory) -> None:
    groups = run_features(run, 1, per_group=True, features="weights")
    values = [groups[f"parameter.{name}.mean@1"] for name in ("0.weight", "2.weight")]
    spread = run_features(run, 1, per_group=False, features="weights")
    assert spread["parameter.(first).mean@1"] == values[0] == pytest.approx(3.0)
    assert spread["parameter.(last).mean@1"] == values[1] == pytest.approx(-0.5)
    assert spread["parameter.(average).mean@1"] == pytest.approx(1.25)
    assert spread["parameter.(least).mean@1"] == values[1]
    assert spread["parameter.(greatest).mean@1"] == values[0]
    assert spread["parameter.mean@1"] == groups["parameter.mean@1"]
    assert not any(".weight." in name for name in spread)


def test_everything_at_once_is_every_family(run: ax.Trajectory) -> None:
    row = run_features(run, 1, per_group=True)
    families = {name.split("@")[0].split(".")[0] for name in row}
    recorded = {"epochs", "channel_degree", "movement", "parameter", "accuracy", "loss", "configuration"}
    assert families == recorded | {"changes", "parametric", "parameters"}
    parts = [run_features(run, 1, per_group=True, features=name) for name in ("graph", "weights", "curve")]
    assert {name for part in parts for name in part} <= set(row)


def test_a_measure_that_was_not_recorded_is_missed_by_name(run: ax.Trajectory) -> None:
    with pytest.raises(RunError, match="channel_centrality"):
        run_features(run, 1, per_group=True, features="centrality")


def test_too_few_epochs_are_missed_or_nan(run: ax.Trajectory, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="4 epochs"):
        feature_table(run, epochs=4, features="degree")
    short = record(tmp_path / "short", seed=1, epochs=1)
    table = feature_table([run, short], epochs=2, features="curve", under_way=True, per_group=False)
    assert table["epochs"].tolist() == [2.0, 1.0]
    assert table["accuracy@2"].isna().tolist() == [False, True]


def test_whole_epochs_are_counted_without_a_gap(tmp_path: Path) -> None:
    network = nn.Linear(2, 1)
    with ax.Recorder(tmp_path / "gap", network, torch.zeros(1, 2), measures=()) as recorder:
        for step, epoch in enumerate((0.0, 1.0, 1.5, 2.0, 4.0)):
            recorder.record(step, epoch=epoch, accuracy=1 - epoch / 10)
    gap = ax.load(tmp_path / "gap")
    assert epochs_of(gap) == 2
    assert final_accuracy(gap) == pytest.approx(0.6)  # the last one, not the best


def test_a_run_without_an_accuracy_says_how_to_record_it(tmp_path: Path) -> None:
    with ax.Recorder(tmp_path / "run", nn.Linear(2, 1), torch.zeros(1, 2), measures=()) as recorder:
        recorder.record(0)
    with pytest.raises(PredictionError, match=r"last scalar `accuracy`.*recorder.record\(step, accuracy=...\)"):
        final_accuracy(ax.load(tmp_path / "run"))


def test_runs_that_differ_by_their_seed_are_one_group(tmp_path: Path) -> None:
    def group(name: str, configuration: dict[str, object] | None) -> str:
        with ax.Recorder(
            tmp_path / name, nn.Linear(2, 1), torch.zeros(1, 2), measures=(), configuration=configuration
        ) as recorder:
            recorder.record(0)
        return configuration_group(ax.load(tmp_path / name))

    first = group("a", {"rate": 0.1, "batch": 8, "seed": 1})
    assert first == group("b", {"batch": 8, "seed": 2, "rate": 0.1})
    assert first != group("c", {"rate": 0.2, "batch": 8, "seed": 1})
    assert group("d", None) != group("e", None)


def test_a_table_of_runs(tmp_path: Path) -> None:
    folders = [record(tmp_path / f"{seed}", seed=seed) for seed in range(3)]
    told: list[tuple[int, int, str]] = []
    table = read_runs(folders, epochs=2, progress=lambda done, total, words: told.append((done, total, words)))
    assert told == [(0, 3, "0"), (1, 3, "1"), (2, 3, "2")]
    assert list(table.features.index) == ["0", "1", "2"]
    # Its synthetic accuracy: 0.1 plus a third of the rate, which is 0.1 (1 + seed).
    np.testing.assert_allclose(table.final_accuracy, [0.1 + 0.1 * (1 + seed) / 3 for seed in range(3)])
    assert table.groups.nunique() == 3
    assert table.features["configuration.optimiser=sgd"].tolist() == [1.0, 0.0, 1.0]
    assert table.features["configuration.optimiser=adam"].tolist() == [0.0, 1.0, 0.0]
    assert not table.features.isna().all(axis=None)


def test_names_are_folders_or_paths_where_two_are_called_the_same(tmp_path: Path) -> None:
    runs = open_runs([record(tmp_path / "a" / "run", seed=0), record(tmp_path / "b" / "run", seed=1)])
    assert names_of(runs[:1]) == ["run"]
    assert names_of(runs) == [str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run")]
    assert one_architecture(runs)
    with pytest.raises(PredictionError, match="prediction is made from runs; got none"):
        open_runs([])


def test_another_network_is_another_architecture(run: ax.Trajectory, tmp_path: Path) -> None:
    layers = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))  # the layers are called 0 and 1, not 0 and 2
    with ax.Recorder(tmp_path / "run", layers, torch.zeros(1, 2), measures=("channel_degree",)) as recorder:
        recorder.record(0)
        recorder.record(1)
    other = ax.load(tmp_path / "run")
    assert not one_architecture([run, other])
    table = feature_table([run, other], epochs=1, features="degree")
    assert any(".(first)." in name for name in table)
