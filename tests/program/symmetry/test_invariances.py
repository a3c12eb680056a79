"""What the catalogue promises of exchanged neurons: a measure of the permuted network is that of the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import axonometry as ax
from tests.program.symmetry.test_symmetry import made

RANDOM = {"weight_basin"}
OF_TRAINING = {name for name, spec in ax.CATALOGUE.items() if spec.needs_training}
"""Measures of random draws of noise on the weights, which fall on other neurons."""
STRENGTHS = {"node_strength": ax.node_strength, "disparity": ax.disparity, "weighted_degree": ax.weighted_degree}


def permuted(name: str) -> tuple[ax.NeuralGraph, ax.NeuralGraph, ax.program.Permutation, Tensor]:
    module, example, graph, found = made(name)
    exchange = found.random(4)
    other = graph.at(ax.permute(module.state_dict(), graph, exchange))
    samples = torch.randn(12, *example.shape[1:], generator=torch.Generator().manual_seed(3)).double()
    return graph, other, exchange, samples


@pytest.mark.parametrize("measure", [name for name in ax.CATALOGUE if name not in RANDOM and name not in OF_TRAINING])
@pytest.mark.parametrize("name", ["flattened", "encoder"])
def test_summaries_do_not_change(name: str, measure: str) -> None:
    graph, other, _, samples = permuted(name)
    spec = ax.CATALOGUE[measure]
    labels = torch.arange(12) % 3
    given = [(samples, labels)] if spec.needs_labels else samples if spec.needs_samples else None
    before, after = (
        ax.measure(one, [measure], samples=given).sort_values(["group", "statistic", "value"]) for one in (graph, other)
    )
    assert len(before) or (name, measure) == ("flattened", "attention_strength")
    np.testing.assert_array_equal(before["statistic"], after["statistic"])
    np.testing.assert_allclose(before["value"].astype(float), after["value"].astype(float), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("measure", STRENGTHS)
@pytest.mark.parametrize("name", ["residual", "flattened", "concatenated", "GRU", "grouped_queries"])
def test_values_of_neurons_are_exchanged_like_the_neurons(name: str, measure: str) -> None:
    graph, other, exchange, _ = permuted(name)
    before, after = STRENGTHS[measure](graph), STRENGTHS[measure](other)
    seen = 0
    for synapse in graph.synapses:
        axis = graph.program.sites[synapse.name].lowering.output_axis
        order = exchange.order.get((synapse.parameter, axis))
        group = next(one for one in graph.groups if one.name == synapse.target)
        if order is None or group.n_channels != len(order):
            order = np.arange(group.n_channels)
        moved = before[group.name].index_select(group.channel_axis, torch.from_numpy(order))
        torch.testing.assert_close(after[group.name], moved)
        seen += bool((order != np.arange(len(order))).any())
    assert seen
