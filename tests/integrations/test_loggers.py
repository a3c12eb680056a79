"""Loggers and exports, each with the real library, read back by its own reader."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ConfigurationError, RunError
from axonometry.integrations.exports import import_run, read_export
from axonometry.integrations.loggers import histogram, log_run
from axonometry.integrations.loop import AxonometryCallback
from axonometry.integrations.wandb_file import records_of

if TYPE_CHECKING:
    from pathlib import Path

libraries = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning", "ignore::ResourceWarning"
)
STRENGTH = "axonometry/node_strength/0"


def trained(folder: Path, *loggers: Any) -> ax.Trajectory:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    example = torch.zeros(1, 4)
    with AxonometryCallback(folder, every=1, example=example, loggers=loggers, configuration={"lr": 0.1}) as callback:
        callback.watch(model)
        for step in (1, 2):
            with torch.no_grad():
                model[0].weight.mul_(2)
            callback.record(step, accuracy=step / 4)
    return ax.load(folder, model, example)


def test_histograms_count_finite_values() -> None:
    found = histogram(torch.tensor([0.0, 1.0, 1.0, 4.0, float("nan")]), bins=2)
    assert found is not None
    assert (found.edges, found.counts, found.total, found.squares) == ((0, 2, 4), (3, 1), 6, 18)
    assert histogram(torch.tensor([float("inf")])) is None
    constant = histogram(torch.ones(3))
    assert constant is not None
    assert sum(constant.counts) == 3


def same_run(found: ax.Trajectory, run: ax.Trajectory) -> None:
    """All measures and scalars came back, to a logger's float32."""
    keys = ["step", "metric", "group", "statistic"]
    a, b = (one.metrics.dropna().sort_values(keys).reset_index(drop=True) for one in (found, run))
    pd.testing.assert_frame_equal(a, b, rtol=1e-6)
    assert found.state == "finished"


@libraries
def test_tensorboard_scalars_and_histograms_come_back(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from torch.utils.tensorboard import SummaryWriter

    from axonometry.integrations.tensorboard import TensorBoardLogger

    with SummaryWriter(str(tmp_path / "logs")) as writer:  # type: ignore[no-untyped-call]
        run = trained(tmp_path / "run", TensorBoardLogger(writer))
    events = accumulator.EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("axonometry/accuracy")] == [(1, 0.25), (2, 0.5)]
    last = events.Histograms(STRENGTH)[-1]
    value, strengths = last.histogram_value, ax.node_strength(run.graph(2))["0"]
    assert (value.num, value.min, value.max) == pytest.approx((5, float(strengths.min()), float(strengths.max())))
    assert value.sum == pytest.approx(float(strengths.sum()))
    assert sum(value.bucket) == 5
    same_run(import_run(tmp_path / "logs", tmp_path / "again", configuration={"lr": 0.1}), run)


@libraries
def test_wandb_offline_scalars_and_histograms_come_back(tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    from axonometry.integrations.wandb import WandbLogger

    settings = wandb.Settings(silent=True, disable_git=True, console="off", x_disable_stats=True)
    online = wandb.init(project="p", mode="offline", dir=str(tmp_path), config={"lr": 0.1}, settings=settings)
    online.log({"mine": 3.0}, step=40)  # the loop's own steps and ours do not meet
    run = trained(tmp_path / "run", WandbLogger(online))
    online.finish()
    wandb.teardown()  # its service writes the file
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    table, configuration = read_export(folder)
    assert configuration == {"lr": 0.1}
    assert table["axonometry/accuracy"].dropna().to_dict() == {1: 0.25, 2: 0.5}
    (file,) = folder.glob("*.wandb")
    record = pytest.importorskip("wandb.proto.wandb_internal_pb2").Record
    histories = [one.history for one in map(record.FromString, records_of(file)) if one.HasField("history")]
    drawn = {"/".join(item.nested_key) or item.key: item.value_json for item in histories[-1].item}
    assert drawn[f"{STRENGTH}/_type"] == '"histogram"'
    same_run(import_run(folder, tmp_path / "again"), run)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 2 // 3])  # the process was killed
    assert 0 < len(list(records_of(file))) < len(histories) + 30
    file.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    with pytest.raises(RunError, match="a wrong checksum at byte"):
        read_export(file)
    file.write_bytes(b"nothing")
    with pytest.raises(RunError, match="no file of W&B"):
        read_export(file)


@libraries
def test_mlflow_metrics_and_the_artifact_of_histograms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    from axonometry.integrations.mlflow import MlflowLogger

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # databases are the newer default
    client = mlflow.MlflowClient(tracking_uri=f"file://{tmp_path / 'mlruns'}")
    run_id = client.create_run(client.create_experiment("e")).info.run_id
    run = trained(tmp_path / "run", MlflowLogger(run_id, client))
    history = client.get_metric_history(run_id, "axonometry/accuracy")
    assert [(one.step, one.value) for one in history] == [(1, 0.25), (2, 0.5)]
    assert "axonometry/node_strength/0/mean" in client.get_run(run_id).data.metrics
    (stored,) = (tmp_path / "mlruns").rglob("histograms/2.json")
    content = pytest.importorskip("json").loads(stored.read_text())
    expected = histogram(ax.node_strength(run.graph(2))["0"])
    assert expected is not None
    assert content[STRENGTH]["counts"] == list(expected.counts)


@libraries
def test_trackio_scalars_and_histograms_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio")
    from axonometry.integrations.trackio import TrackioLogger

    started = trackio.init("project", name="a", embed=False, auto_log_gpu=False, auto_log_cpu=False)
    trained(tmp_path / "run", TrackioLogger(started))
    trackio.finish()
    storage = pytest.importorskip("trackio.sqlite_storage").SQLiteStorage
    logs = storage.get_logs("project", "a")
    assert [one["axonometry/accuracy"] for one in logs] == [0.25, 0.5]
    assert logs[-1][STRENGTH]["_type"] == "trackio.histogram"
    assert sum(logs[-1][STRENGTH]["values"]) == 5


def test_a_logger_that_fails_is_one_warning_and_a_recorded_run_is_logged_later(tmp_path: Path) -> None:
    class Failing:
        def log(self, *given: Any) -> None:
            raise OSError("no space left on device")

    class Kept:
        def __init__(self) -> None:
            self.steps: list[Any] = []

        def log(self, *given: Any) -> None:
            self.steps.append(given)

    kept = Kept()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run = trained(tmp_path / "run", Failing(), kept)
    ours = [str(one.message) for one in said if "training goes on" in str(one.message)]
    assert ours == ["Failing has ended, training goes on: no space left on device"]
    again = Kept()
    log_run(run, again)
    assert again.steps == kept.steps
    without = Kept()
    log_run(ax.load(tmp_path / "run"), without)
    assert [step[2] for step in without.steps] == [{}, {}]


def test_tables_of_other_trainings_are_predicted_from(tmp_path: Path) -> None:
    steps = np.arange(0, 40)
    for number in range(12):
        final = 0.5 + number / 30
        frame = pd.DataFrame({"_step": steps, "train_loss": 1 / (steps + 1), "note": "text"})
        frame["val_acc"] = np.where(steps % 10 == 9, final * (1 - 1 / (steps + 2)), np.nan)
        frame.to_csv(tmp_path / f"{number}.csv", index=False)
        import_run(tmp_path / f"{number}.csv", tmp_path / "runs" / f"{number:02}", configuration={"lr": number})
    runs = list(ax.load_runs(tmp_path / "runs"))
    assert runs[0].steps == (0, 1, 2, 3)
    assert runs[0].scalars()["train_loss"].iloc[0] == pytest.approx(1 / 10)
    predictor = ax.AccuracyPredictor("curve", epochs=1, folds=3, trees=5).fit(runs)
    assert np.corrcoef(predictor.predict(runs), np.arange(12))[0, 1] > 0.9
    with pytest.raises(ConfigurationError, match="no such export"):
        read_export(tmp_path / "nothing")
    with pytest.raises(RunError, match="is not empty"):
        import_run(tmp_path / "0.csv", tmp_path / "runs/00")
    (tmp_path / "other.csv").write_text("step,loss\n0,1\n")
    with pytest.raises(ConfigurationError, match=r"scalar `accuracy`; got .* Pass names="):
        import_run(tmp_path / "other.csv", tmp_path / "other")
    (tmp_path / "other.csv").write_text("step,loss,val_loss,top1,lr\n0,3,2,0.5,0.1\n")
    run = import_run(tmp_path / "other.csv", tmp_path / "other", names={"top1": "accuracy"})
    assert run.scalars().iloc[0].to_dict() == {"train_loss": 3.0, "loss": 2.0, "accuracy": 0.5, "lr": 0.1}
    with pytest.raises(ConfigurationError, match="two scalars of an export have two names; got lr twice"):
        import_run(tmp_path / "other.csv", tmp_path / "twice", names={"top1": "accuracy", "loss": "lr"})
    (tmp_path / "other.csv").write_text("a,b\n0,1\n")
    with pytest.raises(ConfigurationError, match="column of steps"):
        read_export(tmp_path / "other.csv")
    (tmp_path / "other.txt").write_text("")
    with pytest.raises(ConfigurationError, match="an export is a folder"):
        read_export(tmp_path / "other.txt")
