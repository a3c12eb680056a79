"""``axonometry report`` and the other commands on 40 runs of an own loop, with own configuration and scalars."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

import axonometry as ax

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NETS = """
import torch
from torch import nn

from axonometry.populations import DATASETS, Dataset


class Net(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.first, self.out = nn.Linear(4, hidden), nn.Linear(hidden, 2)

    def forward(self, x):
        return self.out(torch.relu(self.first(x)))


def blobs():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 2
    inputs = torch.randn(60, 4, generator=generator) + 2 * labels[:, None] - 1
    return Dataset("blobs", inputs, labels, inputs, labels, 2)


if "blobs" not in DATASETS:
    DATASETS.register("blobs", blobs)
"""


def trained(folder: Path, number: int) -> None:
    """One run of an own loop: killed for number 7, stopped for 8, with a short history for 9."""
    torch.manual_seed(number)
    hidden, lr = 5, 0.01 * (1 + number % 10)
    labels = torch.arange(60) % 2
    inputs = torch.randn(60, 4) + 2 * labels[:, None] - 1
    model = nn.Sequential()
    model.add_module("first", nn.Linear(4, hidden))
    model.add_module("act", nn.ReLU())
    model.add_module("out", nn.Linear(hidden, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    chosen = {"hidden": hidden, "opt": {"lr": lr, "kind": "sgd"}, "repeat": number}
    recorder = ax.Recorder(folder / f"{number:02}", model, torch.zeros(1, 4), configuration=chosen)
    with suppress(KeyboardInterrupt), recorder:
        for epoch in range(1 + (number != 9) * 3):
            recorder.record(epoch, accuracy=(model(inputs).argmax(1) == labels).float().mean())
            for _ in range(2):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(inputs), labels).backward()
                optimizer.step()
            if number == 7 and epoch == 1:
                raise KeyboardInterrupt
            if number == 8 and epoch == 2:
                recorder.close(stopped=True)
                break


@pytest.fixture(scope="module")
def own(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    def make(folder: Path) -> None:
        (folder / "nets.py").write_text(NETS)
        for number in range(40):
            trained(folder / "runs", number)

    return made_once("forty-own-runs", make)


def test_forty_runs_of_an_own_loop_have_a_page(run, own: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    outcome = run("report", own / "runs", "--report", page, "--json")
    found = outcome.json
    assert (outcome.code, found["runs"], found["architectures"]) == (0, 38, 1)
    assert found["left_out"] == [{"run": "07", "why": "not finished"}, {"run": "08", "why": "stopped early"}]
    assert "2 of 40 runs are left out: 07 (not finished), 08 (stopped early)." in outcome.err
    text = page.read_text()
    assert "38 networks" in text
    assert "opt.lr" in text
    assert "Node strength by accuracy" not in text
    named = run("report", own / "runs", "--report", page, "--network", own / "nets.py:Net")
    assert (named.code, named.out) == (0, "38 runs, by accuracy.\n")
    assert "Node strength by accuracy" in page.read_text()


def test_a_run_that_cannot_be_read_is_a_partial_page(run, own: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(own / "runs", tmp_path / "runs")
    (tmp_path / "runs/03/run.json").write_text("{")
    outcome = run("report", tmp_path / "runs", "--report", tmp_path / "page.html")
    assert outcome.code == 3
    assert "3 of 40 runs are left out: 03 (cannot be read), 07" in outcome.err


def test_a_scalar_that_is_not_there_is_one_line(run, own: Path, tmp_path: Path) -> None:
    outcome = run("report", own / "runs", "--report", tmp_path / "page.html", "--score", "f1")
    assert (outcome.code, outcome.out) == (2, "")
    assert "no finished run with an f1" in outcome.err
    assert "Choose one with --score: accuracy" in outcome.err
    assert not (tmp_path / "page.html").exists()
    nowhere = run("report", own / "nowhere", "--report", tmp_path / "page.html")
    assert (nowhere.code, "no such folder" in nowhere.err) == (2, True)


def test_further_measures_modes_and_basins_of_own_runs(run, own: Path, tmp_path: Path) -> None:
    import shutil

    for name in ("01", "02"):
        shutil.copytree(own / "runs" / name, tmp_path / "runs" / name)
    code, parts = own / "nets.py:Net", own / "nets.py"
    without = run("runs", "measure", tmp_path / "runs", "--measure", "disparity")
    assert (without.code, "--network FILE.py:NAME" in without.err) == (2, True)
    words = ("--measure", "disparity", "--measure", "neuron_activation", "--network", code, "--dataset", "blobs")
    outcome = run("--import", parts, "runs", "measure", tmp_path / "runs", *words)
    assert (outcome.code, outcome.err) == (0, "")
    assert {"disparity", "neuron_activation"} <= set(ax.load(tmp_path / "runs/01").metrics["metric"])

    place = tmp_path / "runs/01"
    modes = run("--import", parts, "modes", place, "--network", code, "--dataset", "blobs", "--samples", 60, "--json")
    assert modes.code == 0
    assert {row["group"] for row in modes.json["rows"]} >= {"first", "out"}
    assert (
        run("modes", place, "--network", code).err
        == f"Error: {place} does not say what its data set is. Pass --dataset NAME.\n"
    )
    words = ("--dataset", "blobs", "--network", code, "--samples", 20, "--draws", 2, "--json")
    basins = run("--import", parts, "basins", place, *words)
    assert basins.code == 0
    assert basins.json[0]["run"] == "01"


def test_a_network_that_the_recorder_noted_is_followed_when_it_is_asked_for(run, tmp_path: Path) -> None:
    nets = tmp_path / "nets.py"
    nets.write_text(NETS)
    for number in range(2):
        model = nn.Sequential()
        model.add_module("first", nn.Linear(4, 3 + number))
        model.add_module("act", nn.ReLU())
        model.add_module("out", nn.Linear(3 + number, 2))
        keep = {"configuration": {"hidden": 3 + number}, "network": f"{nets}:Net"}
        with ax.Recorder(tmp_path / f"runs/{number}", model, torch.zeros(1, 4), **keep) as recorder:
            recorder.record(0, accuracy=0.5)
    wrong = {"configuration": {"hidden": 9}, "network": f"{nets}:Net"}
    with pytest.raises(ax.errors.ConfigurationError, match=r"makes the network that is recorded; got first\.bias is"):
        ax.Recorder(tmp_path / "other", model, torch.zeros(1, 4), **wrong)
    words = ("runs", "measure", tmp_path / "runs", "--measure", "disparity")
    assert f"Pass --network recorded for {nets}:Net, whose code is then run." in run(*words).err
    nets.write_text(NETS + "\n")
    changed = run(*words, "--network", "recorded")
    assert (changed.code, f"the file of {nets}:Net is as it was" in changed.err) == (2, True)
    nets.write_text(NETS)
    assert run(*words, "--network", "recorded").code == 0


def test_prediction_of_own_runs_leaves_out_short_ones_by_name(run, own: Path, tmp_path: Path) -> None:
    words = ("--features", "curve", "--epochs", 3, "--json")
    outcome = run("predict", "evaluate", own / "runs", "--folds", 5, *words)
    assert outcome.code == 0
    assert (outcome.json["runs"], outcome.json["left_out"]) == (37, ["07", "08", "09"])
    first, second = outcome.err.strip().splitlines()
    assert first == ("2 of 40 runs are not finished and are left out: 07 (interrupted), 08 (stopped early).")
    assert second == "1 of 38 runs are left out: 09 (0 epochs)."
    fitted = run("predict", "fit", own / "runs", "--out", tmp_path / "own.predictor", *words)
    assert (fitted.code, fitted.json["left_out"]) == (0, ["07", "08", "09"])
    late = run("predict", "evaluate", own / "runs", "--epochs", 9)
    assert (late.code, "a run to learn from has an accuracy and 9 whole epochs" in late.err) == (2, True)


def test_apply_says_what_to_do(run, own: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.predictor"
    assert run("predict", "fit", own / "runs", "--out", file, "--features", "curve", "--epochs", 3).code == 0
    outcome = run("predict", "apply", file, own / "runs", "--stop-below", 1.1, "--json")
    rows = {row["run"]: row for row in outcome.json}
    assert outcome.code == 1  # no accuracy reaches 1.1, and one run is under way
    assert [name for name, row in rows.items() if row["stop"]] == ["07"]
    assert rows["07"]["state"] == "interrupted"
    assert (rows["08"]["state"], rows["08"]["trained_on"]) == ("stopped", False)
    assert [name for name, row in rows.items() if not row["trained_on"]] == ["07", "08"]
    low = run("predict", "apply", file, own / "runs", "--stop-below", 0.0)
    assert low.code == 0
    assert "To be stopped, below 0: none." in low.out
    assert "37 of 39 runs are among those that the predictor was fitted to." in low.err
