"""Listing, showing, verifying and training runs."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.cli.runs import configurations_in

if TYPE_CHECKING:
    from pathlib import Path

TINY = ["--epochs", "1", "--workers", "1"]


def test_list_tells_finished_interrupted_and_corrupt(run, runs: Path) -> None:
    shutil.copytree(runs / "whole", runs / "below" / "damaged")
    (runs / "below" / "damaged" / "metrics.parquet").write_bytes(b"nothing")
    rows = {row["run"]: row for row in run("runs", "list", runs, "--json").json}
    assert {name: row["state"] for name, row in rows.items()} == {
        "whole": "finished",
        "cut": "interrupted",
        "below/damaged": "corrupt",
    }
    assert (rows["whole"]["steps"], rows["whole"]["last_step"], rows["whole"]["accuracy"]) == (3, 2, 0.75)
    assert rows["cut"]["problem"] is None
    assert "metrics.parquet" in rows["below/damaged"]["problem"]


def test_list_prints_a_table(run, runs: Path) -> None:
    lines = run("runs", "list", runs).out.splitlines()
    assert lines[0] == f"2 runs in {runs}"
    assert [line.split() for line in lines if line.strip().startswith(("cut", "whole"))] == [
        ["cut", "1", "0", "0.5", "interrupted"],
        ["whole", "3", "2", "0.75", "finished"],
    ]


def test_list_of_a_folder_without_runs(run, tmp_path: Path) -> None:
    outcome = run("runs", "list", tmp_path)
    assert outcome.code == 2
    assert "axonometry runs train" in outcome.err


def test_show_has_groups_synapses_steps_and_configuration(run, runs: Path) -> None:
    shown = run("runs", "show", runs / "whole", "--json").json
    assert shown["configuration"] == {"lr": 0.1}
    assert [group["neurons"] for group in shown["groups"]] == [4, 3, 2]
    assert [synapse["links"] for synapse in shown["synapses"]] == [12, 6]
    assert shown["steps"] == [{"step": step, "accuracy": 0.25 * (step + 1)} for step in range(3)]
    text = run("runs", "show", runs / "whole").out
    assert all(part in text for part in ("lr", "Neuron groups", "Synapses", "Steps", "linear"))


def test_verify_finds_a_changed_byte(run, runs: Path) -> None:
    assert (run("runs", "verify", runs).code, run("runs", "verify", runs).out) == (0, "2 of 2 runs are intact.\n")
    snapshot = runs / "whole" / "snapshots" / "1.safetensors"
    content = bytearray(snapshot.read_bytes())
    content[-1] ^= 1
    snapshot.write_bytes(content)
    outcome = run("runs", "verify", runs / "cut", runs / "whole", "--json")
    assert outcome.code == 1
    assert [finding["file"] for finding in outcome.json["findings"]] == [str(snapshot)]
    assert "1 of 2 runs are intact." in run("runs", "verify", runs).out


def test_train_trains_each_network_once(run, tmp_path: Path) -> None:
    words = ["runs", "train", *TINY, "--count", "2", "--scale", "0.1", "--folder", tmp_path / "p"]
    first = run(*words, "--json")
    assert first.code == 0
    assert [row["state"] for row in first.json] == ["finished", "finished"]
    configurations = [ax.load(tmp_path / "p" / row["run"]).configuration for row in first.json]
    assert [(c["seed"], c["scale"], c["epochs"]) for c in configurations] == [(0, 0.1, 1), (1, 0.1, 1)]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert run(*words, "--json").json == first.json
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}


@pytest.mark.usefixtures("in_this_process")
def test_train_from_a_file(run, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"epochs": 1, "seed": 7, "max_steps": 2}')
    words = ["--config", tmp_path / "c.json", "--workers", "1", "--folder", tmp_path / "p", "--json"]
    (row,) = run("runs", "train", *words).json
    assert ax.load(tmp_path / "p" / row["run"]).configuration["seed"] == 7


def test_a_file_holds_one_configuration_or_a_list(tmp_path: Path) -> None:
    one, several = tmp_path / "one.json", tmp_path / "several.json"
    one.write_text('{"seed": 7}')
    several.write_text('[{"seed": 7}, {"optimiser": "sgd"}]')
    assert [configuration.seed for configuration in configurations_in(one)] == [7]
    assert [configuration.learning_rate for configuration in configurations_in(several)] == [0.001, 0.01]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("{", "is not JSON: "),
        ('{"epoch": 1}', "a run's configuration has no key `epoch`. Did you mean epochs? It has the keys dataset,"),
        ("[1]", "a configuration is a JSON object"),
        ("3", "a configuration is a JSON object"),
    ],
)
def test_train_from_a_wrong_file(run, tmp_path: Path, content: str, line: str) -> None:
    (tmp_path / "c.json").write_text(content)
    outcome = run("runs", "train", "--config", tmp_path / "c.json", "--folder", tmp_path / "p")
    assert outcome.code == 2
    assert line in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "p").exists()


def test_train_from_no_file(run, tmp_path: Path) -> None:
    outcome = run("runs", "train", "--config", tmp_path / "none.json")
    assert (outcome.code, outcome.err) == (2, f"Error: {tmp_path / 'none.json'}: No such file or directory\n")


def test_an_unknown_measure_is_refused_before_a_process_is_started(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("axonometry.populations.workers._pool", None)  # to start one would be a TypeError
    found = run("runs", "train", "--measure", "node_strenght", "--folder", tmp_path)
    assert found.code == 2
    assert found.err.startswith("Error: unknown measure: node_strenght. Did you mean node_strength")
    assert list(tmp_path.iterdir()) == []


def test_train_is_told_once_what_to_train(run, tmp_path: Path) -> None:
    outcome = run("runs", "train", "--config", tmp_path / "c.json", "--epochs", "3")
    assert outcome.code == 2
    assert "--config replaces the other options" in outcome.err


def test_train_without_the_data_says_where_it_belongs(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AXONOMETRY_DATA", raising=False)
    outcome = run("runs", "train", "--dataset", "mnist", "--folder", tmp_path / "p")
    assert outcome.code == 2
    assert "AXONOMETRY_DATA" in outcome.err


@pytest.mark.usefixtures("in_this_process")
def test_measures_are_recorded_or_added_later(run, tmp_path: Path) -> None:
    folder = tmp_path / "population"
    asked = ["runs", "train", *TINY, "--folder", folder, "--measure", "link_weights"]
    assert run(*asked).code == 0
    assert run("runs", "measure", folder, "--measure", "channel_degree", "--measure", "node_strength").out == (
        f"1 runs in {folder} have channel_degree, node_strength.\n"
    )
    again = run("runs", "measure", folder, "--measure", "channel_degree", "--json").json
    assert again[0]["measures"] == ["link_weights", "channel_degree", "node_strength"]
    assert set(ax.load(folder / again[0]["run"]).metrics["metric"]) >= set(again[0]["measures"])
    outcome = run("runs", "measure", folder, "--measure", "beauty")
    assert outcome.code == 2
    assert "unknown measure: beauty" in outcome.err


@pytest.mark.usefixtures("in_this_process")
def test_measures_of_samples_are_recorded_or_added_later(run, tmp_path: Path) -> None:
    early, late = tmp_path / "early", tmp_path / "late"
    asked = ["runs", "train", *TINY, "--measure", "link_weights"]
    assert not run(*asked, "--folder", early, "--measure", "neuron_activation").code
    assert not run(*asked, "--folder", late).code
    (added,) = run("runs", "measure", late, "--measure", "neuron_activation", "--json").json
    recorded = next(path.parent.name for path in early.glob("*/run.json"))
    assert added["measures"] == ["link_weights", "neuron_activation"]
    first, second = ax.load(early / recorded), ax.load(late / recorded)
    assert first.description.samples == second.description.samples
    keys = ["step", "group", "metric", "statistic"]
    tables = [one.metrics.sort_values(keys).set_index(keys)["value"] for one in (first, second)]
    rows = [table[table.index.get_level_values("metric") == "neuron_activation"] for table in tables]
    assert rows[0].equals(rows[1])
    outcome = run("runs", "measure", late, "--measure", "neuron_strength", "--samples", "20")
    assert outcome.code == 2
    assert "of the same samples" in outcome.err


def test_measure_of_a_name_that_does_not_exist(run, runs: Path) -> None:
    outcome = run("runs", "measure", runs, "--measure", "layer_fluctuatoin", "--measure", "node_strength")
    assert (outcome.code, outcome.out) == (2, "")
    words = "Error: unknown measure: layer_fluctuatoin. Did you mean layer_fluctuation or update.layer_fluctuation? "
    assert outcome.err.startswith(words)
    assert run("runs", "measure", runs / "nowhere", "--measure", "nope").err.startswith("Error: unknown measure: nope.")


def test_measure_of_runs_that_were_recorded_by_hand(run, runs: Path) -> None:
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    outcome = run("runs", "measure", runs, "--measure", "disparity")
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.err.strip().splitlines()
    assert f"the network of {runs / 'whole'} has to be named" in line
    assert "--network FILE.py:NAME" in line
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before
    inside = run("runs", "measure", runs / "whole", "--measure", "disparity")
    assert (inside.code, "Pass the folder that holds this run" in inside.err) == (2, True)
    had = run("runs", "measure", runs, "--measure", "node_strength")
    assert had.code == 0, "they have it"
    assert "Not measured, since they are not finished: cut" in had.err


def test_runs_that_have_next_to_nothing(run, tmp_path: Path, network: nn.Module) -> None:
    """No steps, no link weights, no measures, no groups: a result or one line, never a traceback."""
    with ax.Recorder(tmp_path / "empty", network, torch.zeros(1, 4)):
        pass
    for name, measures in (("without", "node_strength"), ("bare", ())):
        with ax.Recorder(
            tmp_path / name, network, torch.zeros(1, 4), measures=measures, keep_weights=False
        ) as recorder:
            recorder.record(0)
    with ax.Recorder(tmp_path / "nobody", network, torch.zeros(1, 4)) as recorder:
        recorder.record(0)
    content = json.loads((tmp_path / "nobody" / "run.json").read_text())
    (tmp_path / "nobody" / "run.json").write_text(json.dumps(content | {"groups": [], "synapses": [], "wires": []}))
    for name in ("empty", "without", "bare", "nobody"):
        place = tmp_path / name
        for words in (
            ("runs", "show"),
            ("runs", "show", "--json"),
            ("runs", "verify"),
            ("runs", "list"),
            ("analyze",),
            ("analyze", "--json"),
        ):
            outcome = run(*words[:2], place, *words[2:]) if words[0] == "runs" else run(words[0], place, *words[1:])
            assert (outcome.code, "Traceback" in outcome.err) == (0, False), (name, words)
        page = run("analyze", place, "--report", tmp_path / "page.html")
        assert page.code == (2 if name == "empty" else 0), (name, page.err)
    assert "has no link weights" in run("analyze", tmp_path / "without").err
    assert "no complete step in" in run("analyze", tmp_path / "empty", "--report", tmp_path / "page.html").err
