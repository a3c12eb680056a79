"""A bag of neurons: strengths by hand, planted types that are found again, and what has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ConfigurationError, ValuesError
from axonometry.metrics.neuron_types import neuron_features
from axonometry.testing import graph_of


def planted(shares: tuple[int, ...], seed: int = 0) -> ax.NeuralGraph:
    """As many hidden neurons of each of three types: all weights up, all down, and both."""
    chance = np.random.default_rng(seed)
    kinds = np.repeat([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]], shares, axis=0)
    order = chance.permutation(len(kinds))
    rows = (kinds + 0.05 * chance.normal(size=kinds.shape))[order]
    return graph_of(rows.tolist(), chance.normal(1, 0.05, size=(2, len(kinds))).tolist())


def test_features_are_sums_of_rows_and_columns() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    first, second, third = (model[place].weight.detach().double() for place in (0, 2, 4))
    expected = np.concatenate(
        [
            torch.stack([into.sum(1), out.sum(0), into.abs().sum(1), out.abs().sum(0)], 1).numpy()
            for into, out in ((first, second), (second, third))
        ]
    )
    found = neuron_features(ax.capture(model, torch.zeros(1, 3)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_planted_types_are_found_again_in_another_network() -> None:
    types = ax.NeuronTypes.of([planted((10, 10, 10), seed) for seed in range(3)], 3)
    found = sorted(types.bag(planted((2, 6, 12), 9)).round(6).tolist())
    assert found == [0.1, 0.3, 0.6]
    again = ax.NeuronTypes.of([planted((10, 10, 10), seed) for seed in range(3)], 3)
    np.testing.assert_array_equal(types.centres, again.centres)


def test_the_order_of_neurons_does_not_matter_and_shares_add_up() -> None:
    torch.manual_seed(0)
    rows, out = torch.randn(8, 3), torch.randn(2, 8)
    order = torch.randperm(8)
    one, other = graph_of(rows.tolist(), out.tolist()), graph_of(rows[order].tolist(), out[:, order].tolist())
    types = ax.NeuronTypes.of([one], 4)
    np.testing.assert_allclose(types.bag(one), types.bag(other))
    assert types.bag(one).sum() == pytest.approx(1)


def test_neurons_that_are_all_alike_have_one_type() -> None:
    graph = graph_of([[1.0], [1.0]], [[2.0, 2.0]])
    assert ax.NeuronTypes.of([graph], 1).bag(graph).tolist() == [1.0]
    for types in (0, 2):
        with pytest.raises(ConfigurationError, match=f"as many types as different neurons; got {types} of 1"):
            ax.NeuronTypes.of([graph], types)


def test_what_has_no_types() -> None:
    with pytest.raises(ValuesError, match="hidden neurons; got a network without any"):
        neuron_features(graph_of([[1.0]]))
    with pytest.raises(ValuesError, match="finite strengths"):
        neuron_features(graph_of([[math.nan]], [[1.0]]))
