"""Ensembles whose truth is planted: the experiment must find it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from axonometry.experiments import association
from axonometry.metrics import layer_fluctuation
from axonometry.papers import ensembles
from axonometry.papers.ensembles import Ensemble, ensemble
from axonometry.papers.individual import individual
from axonometry.papers.readings import VALUES, values_of
from axonometry.populations import Population
from axonometry.program import NeuralGraph, capture

N = 60
State = dict[str, torch.Tensor]


class Planted:
    """A population whose networks and accuracies are made up, with the parts of Population that an ensemble reads."""

    accuracy_bins = Population.accuracy_bins
    folder = Path("planted")

    def __init__(self, network: nn.Module, change: Callable[[State, float], State]) -> None:
        torch.manual_seed(1)
        accuracies = np.linspace(0.1, 0.9, N)
        self._graph = capture(network, torch.zeros(1, 8))
        self._states = {
            f"run{i}": change({name: torch.randn_like(t) for name, t in network.state_dict().items()}, accuracy)
            for i, accuracy in enumerate(accuracies)
        }
        self.runs = dict.fromkeys(self._states)
        self.frame = pd.DataFrame(
            {"accuracy": accuracies, "optimiser": ["sgd", "adam"] * (N // 2)}, index=list(self._states)
        )

    def __len__(self) -> int:
        return len(self.runs)

    def graph(self, name: str) -> NeuralGraph:
        return self._graph.at(self._states[name])


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 4))


def widened(state: State, accuracy: float) -> State:
    return {name: tensor * (0.2 + accuracy) for name, tensor in state.items()}


def rearranged(state: State, accuracy: float) -> State:
    """The same weights, but in accurate networks the greatest meet at the same neurons."""
    order = torch.randperm(24 * 24) if accuracy < 0.5 else torch.arange(24 * 24)
    weights = state["2.weight"].flatten().sort().values
    return state | {"2.weight": weights[order].reshape(24, 24)}


def unchanged(state: State, accuracy: float) -> State:
    return state


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensembles, "RELABELLINGS", 3)
    monkeypatch.setattr(association, "DRAWS", 300)


@cache
def found(change: Callable[[State, float], State]) -> Ensemble:
    return ensemble(
        Planted(network(), change),
        "planted",
        "planted networks",
        edges=[0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
        trained_alike=["optimiser"],
    )


def test_weights_that_widen_with_accuracy_are_seen_in_everything() -> None:
    result = found(widened)
    assert (result.fluctuation["rho_low"] > 0).all()
    assert (result.fluctuation["alike_low"] > 0).all()
    assert (result.fluctuation["highest_bin"] > result.fluctuation["lowest_bin"]).all()
    assert result.fluctuation["layer"].tolist() == ["input", "0", "2", "4", "mean of layers"]
    spread = result.separation[result.separation["statistic"] == "std"]
    assert (spread["auc"] > 0.8).all()
    assert (spread["p_adjusted"] < 0.01).all()
    assert (result.contrast["divergence"] > result.contrast["relabelled"]).all()


def test_an_arrangement_is_seen_in_the_strengths_and_not_in_the_weights() -> None:
    result = found(rearranged)
    separation = result.separation.set_index(["metric", "layer", "statistic"]).sort_index()
    assert separation.loc[("node_strength", "2", "std"), "auc_low"] > 0.95
    assert (result.separation.loc[result.separation["metric"] == "link_weights", "p_adjusted"] > 0.05).all()
    contrast = result.contrast.set_index(["metric", "layer"]).sort_index()
    assert contrast.loc[("node_strength", "2"), "divergence"] > 10 * contrast.loc[("link_weights", "2"), "divergence"]
    assert contrast.loc[("node_strength", "2"), "divergence"] > contrast.loc[("node_strength", "2"), "relabelled"]


def test_where_nothing_is_planted_nothing_is_found() -> None:
    result = found(unchanged)
    assert (result.separation["p_adjusted"] > 0.05).all()
    assert (result.fluctuation["rho"].abs() < 0.4).all()
    assert (result.contrast["divergence"] < 2 * result.contrast["relabelled"]).all()


def test_every_network_is_in_one_bin_and_one_third() -> None:
    result = found(unchanged)
    assert result.networks["accuracy"].is_monotonic_increasing
    assert result.networks["third"].value_counts().to_dict() == {"low": 20, "middle": 20, "high": 20}
    assert result.networks["bin"].value_counts().sum() == N
    assert result.bins == ["0–20%", "20–40%", "40–60%", "60–80%", "80–100%"]
    assert result.broken == 0
    assert set(result.densities["metric"]) == {"link_weights", "node_strength", "layer_fluctuation"}
    assert set(result.densities["name"]) == set(result.bins)
    for matrix in result.divergences.values():
        assert list(matrix.index) == list(matrix.columns) == result.bins
        assert matrix.notna().all(axis=None)


def test_networks_with_broken_weights_are_left_out_and_counted() -> None:
    def broken(state: State, accuracy: float) -> State:
        return state if accuracy < 0.85 else state | {"0.weight": state["0.weight"] * float("nan")}

    result = found(broken)
    assert result.broken == 4
    assert len(result.networks) == N - 4
    assert result.separation["n"].eq(N - 4).all()


def test_one_network_layer_by_layer() -> None:
    population = Planted(network(), unchanged)
    one = individual(population, "run7")
    assert one.accuracy == pytest.approx(np.linspace(0.1, 0.9, N)[7])
    assert list(one.divergences["link_weights"].columns) == ["0", "2", "4"]
    assert list(one.divergences["node_strength"].columns) == ["input", "0", "2", "4"]
    assert one.fluctuation == pytest.approx(layer_fluctuation(population.graph("run7"), "ictai2021"))
    assert set(one.densities["name"]) == {"input", "0", "2", "4"}


def test_many_values_are_thinned_at_the_same_places() -> None:
    graph = capture(nn.Linear(60, 60), torch.zeros(1, 60))
    values = values_of(graph)["link_weights", graph.synapses[0].name]
    doubled = values_of(graph.at({name: 2 * t for name, t in graph.state.items()}))
    assert len(values) == VALUES
    assert np.array_equal(doubled["link_weights", graph.synapses[0].name], 2 * values)
