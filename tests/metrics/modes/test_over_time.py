"""Rows for tables: what they hold, and networks that have diverged."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import SamplesError
from axonometry.metrics.modes import modes_over_time
from axonometry.metrics.modes.modes import mode_rows
from axonometry.metrics.modes.over_time import METRICS
from axonometry.metrics.modes.ranks import gradient_rows
from axonometry.metrics.modes.tails import truncation_rows
from axonometry.program import NeuralGraph

SAMPLES, LABELS = torch.linspace(-1, 1, 60).reshape(12, 5), torch.arange(12) % 3


def network(scale: float = 1.0) -> NeuralGraph:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))
    layers[0].weight.data.mul_(scale)
    return ax.capture(layers, torch.zeros(1, 5))


def test_over_time() -> None:
    told: list[tuple[int, int, str]] = []
    graphs = {0: network, 10: lambda: network(3.0)}
    found = modes_over_time(graphs, SAMPLES, LABELS, progress=lambda *words: told.append(words))
    assert [words[:2] for words in told] == [(0, 2), (1, 2)]
    assert tuple(dict.fromkeys(found["metric"])) == METRICS
    last = found[found["step"] == 10]
    modes = ax.neuron_modes(network(3.0), SAMPLES).summary().set_index("group")
    for row in last[last["metric"] == "neuron_modes"].itertuples():
        assert row.value == pytest.approx(modes.loc[row.group, row.statistic], nan_ok=True)
    ranks = ax.rank_distribution(network(3.0), SAMPLES, LABELS)
    gradients = last[last["metric"] == "rank_gradient"].set_index(["group", "statistic"])["value"]
    assert gradients["0", "mean"] == pytest.approx(ranks["0"].mean)
    assert gradients["2", "class_1"] == pytest.approx(float(ranks["2"].by_class[1]))
    truncated = ax.linear_truncation(network(3.0), SAMPLES, LABELS).set_index("group")
    errors = last[last["metric"] == "linear_truncation"].set_index(["group", "statistic"])["value"]
    assert errors["input", "error"] == pytest.approx(truncated.loc["input", "error"])
    assert set(modes_over_time(graphs, SAMPLES)["metric"]) == {"neuron_modes"}


@pytest.mark.parametrize("weight", [math.nan, math.inf, 1e38])
def test_a_network_that_diverged_has_no_numbers(weight: float) -> None:
    graph = network()
    graph = graph.at({**graph.state, "0.weight": torch.full((6, 5), weight), "2.weight": torch.full((4, 6), 1e38)})
    with pytest.raises(SamplesError, match="every sample is finite at every neuron; got sample 0"):
        ax.neuron_modes(graph, SAMPLES)
    for rows, fine in (
        (list(mode_rows(graph, SAMPLES)), list(mode_rows(network(), SAMPLES))),
        (list(gradient_rows(graph, SAMPLES, LABELS)), list(gradient_rows(network(), SAMPLES, LABELS))),
        (list(truncation_rows(graph, SAMPLES, LABELS)), list(truncation_rows(network(), SAMPLES, LABELS))),
    ):
        assert [row[:2] for row in rows] == [row[:2] for row in fine]
        assert all(math.isnan(value) for *_, value in rows)


def test_samples_that_do_not_fit_are_an_error_all_the_same() -> None:
    with pytest.raises(SamplesError, match="shape"):
        list(mode_rows(network(), torch.randn(4, 3)))
    broken = SAMPLES.clone()
    broken[3, 3] = math.nan
    with pytest.raises(SamplesError, match="sample 3"):
        list(mode_rows(network(), broken))
    with pytest.raises(SamplesError, match="all of class 0"):
        list(gradient_rows(network(), SAMPLES, LABELS * 0))
