"""What the catalogue promises of exchanged neurons: a measure of the permuted network is that of the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import axonometry as ax
from axonometry.metrics import TrainingState
from tests.program.symmetry.test_symmetry import made

DRAWN = {"weight_basin": "clean"}
"""Measures of random draws of noise on the weights, which fall on other neurons; what of each is without noise."""
KINDS = ("flattened", "encoder", "residual", "GRU", "depthwise", "LSTM, both ways", "grouped_attention", "concatenated")
ATTENTION = {"encoder", "grouped_attention"}
STRENGTHS = {"node_strength": ax.node_strength, "disparity": ax.disparity, "weighted_degree": ax.weighted_degree}


def permuted(name: str) -> tuple[ax.NeuralGraph, ax.NeuralGraph, ax.program.Permutation, Tensor]:
    module, example, graph, found = made(name)
    exchange = found.random(4)
    other = graph.at(ax.permute(module.state_dict(), graph, exchange))
    samples = torch.randn(12, *example.shape[1:], generator=torch.Generator().manual_seed(3)).double()
    return graph, other, exchange, samples


def training(graph: ax.NeuralGraph, exchange: ax.program.Permutation) -> tuple[TrainingState, TrainingState]:
    """What a step of training might have been, of the network and of the permuted one."""
    generator = torch.Generator().manual_seed(5)
    state = {name: tensor for name, tensor in graph.state.items() if tensor.is_floating_point()}
    drawn = [{n: torch.randn(t.shape, generator=generator, dtype=t.dtype) for n, t in state.items()} for _ in range(3)]
    before = {name: tensor + drawn[1][name] for name, tensor in state.items()}
    whole = [{**graph.state, **one} for one in (drawn[0], before, {n: t**2 for n, t in drawn[2].items()})]
    return TrainingState(*whole), TrainingState(*(ax.permute(one, graph, exchange) for one in whole))


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        (name, one) for name in KINDS for one in ax.CATALOGUE if one not in DRAWN or name == "flattened"
    ],  # draws take long
)
def test_summaries_do_not_change(name: str, measure: str) -> None:
    graph, other, exchange, samples = permuted(name)
    spec, steps = ax.CATALOGUE[measure], training(graph, exchange)
    labels = torch.arange(12) % 3
    given = [(samples, labels)] if spec.needs_labels else samples if spec.needs_samples else None
    before, after = (
        ax.measure(one, [measure], samples=given, training=step).sort_values(["group", "statistic", "value"])
        for one, step in zip((graph, other), steps, strict=True)
    )
    if measure in DRAWN:
        before, after = (one[one["statistic"] == DRAWN[measure]] for one in (before, after))
    assert len(before) or (measure == "attention_strength" and name not in ATTENTION)
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
