"""Modes of runs and of networks of one's own, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import axonometry as ax
from axonometry.populations import RunConfiguration, load_population, train
from axonometry.populations.datasets import load_dataset

if TYPE_CHECKING:
    from pathlib import Path

OWN = """
from torch import nn
def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.GELU(), nn.Linear(8, 10))
network = build()
wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
nothing = 3
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    configuration = RunConfiguration(epochs=2)
    return train(configuration, tmp_path_factory.mktemp("population") / configuration.identity).folder


def test_a_run_at_its_steps(run, trained: Path) -> None:
    found = run("modes", trained, "--samples", 50, "--json").json
    assert (found["dataset"], found["samples"], found["classes"]) == ("digits", 50, 10)
    assert sorted({row["step"] for row in found["rows"]}) == [0, 1, 2]
    data = load_dataset("digits")
    graph = load_population(trained.parent).graph(trained.name)
    expected = ax.neuron_modes(graph, data.test_inputs[:50]).summary().set_index("group")["rate"]
    rates = [row for row in found["rows"] if row["statistic"] == "rate" and row["step"] == 2]
    assert {row["group"]: row["value"] for row in rates} == pytest.approx(expected.to_dict())
    gradients = ax.rank_distribution(graph, data.test_inputs[:50], data.test_labels[:50])
    shown = [row for row in found["rows"] if row["metric"] == "rank_gradient" and row["statistic"] == "mean"]
    assert [row["value"] for row in shown if row["step"] == 2] == pytest.approx(
        [ranks.mean for ranks in gradients.groups.values()]
    )


def test_tables_and_page(run, trained: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    outcome = run("modes", trained, "--samples", 40, "--steps", 2, "--report", page)
    assert outcome.code == 0
    assert "step 0   step 2" in outcome.out
    assert "linear accuracy" in outcome.out
    assert outcome.err.endswith(f"Wrote {page}\n")
    assert "Rank distributions" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["build", "network"])
def test_a_network_of_ones_own(run, tmp_path: Path, name: str) -> None:
    file = tmp_path / "own_network.py"
    file.write_text(OWN)
    found = run("modes", f"{file}:{name}", "--dataset", "digits", "--samples", 60, "--json").json
    assert {row["metric"] for row in found["rows"]} == {"neuron_modes", "rank_gradient", "linear_truncation"}


def test_outputs_that_are_no_classes(run, tmp_path: Path) -> None:
    file = tmp_path / "own_network.py"
    file.write_text(OWN)
    outcome = run("modes", f"{file}:wide", "--dataset", "digits", "--samples", 60)
    assert outcome.code == 0
    assert "not the classes" in outcome.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{}/own_network.py:network",), "--dataset"),
        (("{}/own_network.py:nothing", "--dataset", "digits"), "it is not a torch.nn.Module"),
        (("{}/missing.py:network", "--dataset", "digits"), "no such file: "),
        (("no_such_module_at_all:network", "--dataset", "digits"), "No module named 'no_such_module_at_all'"),
        (("{}", "--dataset", "digits"), "run.json"),
    ],
    ids=["no-dataset", "no-module", "no-file", "no-import", "no-run"],
)
def test_what_is_not_there(run, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    (tmp_path / "own_network.py").write_text(OWN)
    outcome = run("modes", *(word.format(tmp_path) for word in words))
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert message in outcome.err


def test_a_run_of_no_population(run, runs: Path) -> None:
    outcome = run("modes", runs / "whole")
    assert outcome.code == 2
    assert "FILE.py:NAME" in outcome.err


def test_torch_is_left_as_it_was(run, trained: Path) -> None:
    state = torch.get_rng_state()
    run("modes", trained, "--samples", 20, "--json")
    assert torch.equal(state, torch.get_rng_state())
