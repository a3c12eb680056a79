"""Ensembles whose truth is planted: the experiment must find it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from axonometry.experiments import Context, Estimate, Measurements, Scale, Trial
from axonometry.metrics import divergence_null, jeffreys_divergence, layer_fluctuation
from axonometry.papers.ictai2021 import ensembles
from axonometry.papers.ictai2021.ensembles import VALUES, Ensemble, layer_values, measure_ensembles
from axonometry.papers.ictai2021.sections import one_network
from axonometry.populations import Population, RunConfiguration
from axonometry.program import NeuralGraph, capture
from axonometry.report import samples
from axonometry.statistics import association

N = 60
State = dict[str, torch.Tensor]
RUN = SimpleNamespace(steps=(0,), description=SimpleNamespace(measures=()))


class Planted(Population):
    """A population whose networks and accuracies are made up, with the parts of Population that an ensemble reads."""

    def __init__(self, network: nn.Module, change: Callable[[State, float], State]) -> None:
        torch.manual_seed(1)
        accuracies = np.linspace(0.1, 0.9, N)
        states = {
            f"run{i}": change({name: torch.randn_like(t) for name, t in network.state_dict().items()}, accuracy)
            for i, accuracy in enumerate(accuracies)
        }
        frame = pd.DataFrame({"accuracy": accuracies}, index=pd.Index(list(states), name="run"))
        parts = {"folder": Path("planted"), "runs": dict.fromkeys(states, RUN), "unfinished": (), "frame": frame}
        vars(self).update(parts, states=states, base=capture(network, torch.zeros(1, 8)))

    def graph(self, name: str, step: int | None = None) -> NeuralGraph:
        return vars(self)["base"].at(vars(self)["states"][name])


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
    monkeypatch.setattr(ensembles, "EDGES", (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    monkeypatch.setattr(association, "DRAWS", 300)


@cache
def found(change: Callable[[State, float], State]) -> Ensemble:
    folder = TemporaryDirectory()
    context = Context(Scale(lambda _: (), 1), 1, Path(folder.name))
    population = Planted(network(), change)
    table = measure_ensembles(population, context)
    numbers = table["run"].str.removeprefix("run").astype(int)
    table["stratum"] = np.where(numbers % 2 == 0, "sgd", "adam")
    ensemble = Ensemble("planted", "planted networks", population, table, context)
    _ = ensemble.contrast, folder.cleanup()
    return ensemble


def ends(estimates: Iterable[Estimate]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, lower and upper ends."""
    return tuple(np.array([(one.value, one.low, one.high) for one in estimates]).T)


def test_weights_that_widen_with_accuracy_are_seen_in_everything() -> None:
    result = found(widened)
    assert (ends(result.fluctuation["rho"])[1] > 0).all()
    assert (ends(result.fluctuation["alike"])[1] > 0).all()
    assert (result.fluctuation["highest"] > result.fluctuation["lowest"]).all()
    assert result.fluctuation["layer"].tolist() == ["input", "0", "2", "4", "mean of layers"]
    spread = result.separation[result.separation["statistic"] == "std"]
    assert (ends(spread["auc"])[0] > 0.8).all()
    assert (spread["p_adjusted"] < 0.01).all()
    assert (result.contrast["divergence"] > result.contrast["relabelled"]).all()


def test_an_arrangement_is_seen_in_the_strengths_and_not_in_the_weights() -> None:
    result = found(rearranged)
    separation = result.separation.set_index(["metric", "layer", "statistic"]).sort_index()
    assert separation.loc[("node_strength", "2", "std"), "auc"].low == pytest.approx(0.025 ** (1 / 40))  # 40 of 40
    assert (result.separation.loc[result.separation["metric"] == "link_weights", "p_adjusted"] > 0.05).all()
    contrast = result.contrast.set_index(["metric", "layer"]).sort_index()
    assert contrast.loc[("node_strength", "2"), "divergence"] > 10 * contrast.loc[("link_weights", "2"), "divergence"]
    assert contrast.loc[("node_strength", "2"), "divergence"] > contrast.loc[("node_strength", "2"), "relabelled"]


def test_where_nothing_is_planted_nothing_is_found() -> None:
    result = found(unchanged)
    assert (result.separation["p_adjusted"] > 0.05).all()
    assert (np.abs(ends(result.fluctuation["rho"])[0]) < 0.4).all()
    assert (result.contrast["divergence"] < 2 * result.contrast["relabelled"]).all()


def test_every_network_is_in_one_bin_and_one_third() -> None:
    result = found(unchanged)
    assert result.networks["accuracy"].is_monotonic_increasing
    assert result.networks["third"].value_counts().to_dict() == {"low": 20, "middle": 20, "high": 20}
    assert result.networks["bin"].value_counts().sum() == N
    assert result.bins == ["0–20%", "20–40%", "40–60%", "60–80%", "80–100%"]
    assert result.broken == set()
    densities = samples.density_curves(result.pooled)
    assert set(densities["metric"]) == {"link_weights", "node_strength", "layer_fluctuation"}
    assert set(densities["name"]) == set(result.bins)
    for matrix in samples.divergences(result.pooled).values():
        assert list(matrix.index) == list(matrix.columns) == result.bins
        assert matrix.notna().all(axis=None)


def test_networks_with_broken_weights_are_left_out_and_counted() -> None:
    def broken(state: State, accuracy: float) -> State:
        return state if accuracy < 0.85 else state | {"0.weight": state["0.weight"] * float("nan")}

    result = found(broken)
    assert len(result.broken) == 4
    assert len(result.networks) == N - 4
    assert {one.n for one in result.separation["rho"]} == {N - 4}


def test_one_network_layer_by_layer(tmp_path: Path) -> None:
    population = found(unchanged).population
    trial = Trial(RunConfiguration(), "planted", population="planted")
    context = Context(Scale(lambda _: (), 1), 1, tmp_path)
    measured = Measurements(
        (trial,), {"planted": population}, {("planted", "planted"): measure_ensembles(population, context)}, context
    )
    section = one_network(measured)
    fluctuation, weights, strengths = section.tables
    assert "accuracy 0.9000" in section.setup
    # Every pair once, with what relabelled halves give in its place.
    assert [row[:2] for row in weights.rows] == [("0", "2"), ("0", "4"), ("2", "4")]
    assert [row[:2] for row in strengths.rows] == list(combinations(("input", "0", "2", "4"), 2))
    assert all(0 <= mean <= high for *_, mean, high in (*weights.rows, *strengths.rows))
    graph = population.graph(f"run{N - 1}")
    assert dict(fluctuation.rows) == pytest.approx(layer_fluctuation(graph, "ictai2021"))
    first, second = (layer_values(graph)["link_weights", name] for name in ("0", "2"))
    null = divergence_null(first, second, "kernel", draws=20)
    wanted = (jeffreys_divergence(first, second, "kernel"), null.value, null.high)
    assert weights.rows[0][2:] == pytest.approx(wanted)


def test_many_values_are_thinned_at_the_same_places() -> None:
    graph = capture(nn.Linear(60, 60), torch.zeros(1, 60))
    values = layer_values(graph)["link_weights", graph.synapses[0].name]
    doubled = layer_values(graph.at({name: 2 * t for name, t in graph.state.items()}))
    assert len(values) == VALUES
    assert np.array_equal(doubled["link_weights", graph.synapses[0].name], 2 * values)
