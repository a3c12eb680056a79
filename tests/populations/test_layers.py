"""Dropout with numbers from outside, and widths."""

from __future__ import annotations

import pytest
import torch

from axonometry.errors import ConfigurationError
from axonometry.populations.layers import Dropout, draw_noise, linear_layers, scaled


def test_dropout_drops_below_its_rate_and_keeps_the_mean() -> None:
    layer = Dropout(0.5, 4)
    layer.noise = torch.tensor([[0.0, 0.4999, 0.5, 0.9]])
    assert layer(torch.ones(1, 4)).tolist() == [[0.0, 0.0, 2.0, 2.0]]
    assert layer.eval()(torch.ones(1, 4)).tolist() == [[1.0] * 4]


def test_dropout_says_who_gives_it_numbers() -> None:
    with pytest.raises(ConfigurationError, match=r"Call axonometry\.populations\.layers\.draw_noise"):
        Dropout(0.5, 3)(torch.ones(1, 3))


def test_noise_is_the_generators() -> None:
    network = torch.nn.Sequential(Dropout(0.5, 3), torch.nn.Linear(3, 2), Dropout(0.5, 2))
    draw_noise(network, 5, torch.Generator().manual_seed(1))
    first = [network[0].noise, network[2].noise]
    assert [tuple(noise.shape) for noise in first] == [(5, 3), (5, 2)]
    draw_noise(network, 5, torch.Generator().manual_seed(1))
    assert network[0].noise.equal(first[0])


def test_linear_layers_end_without_activation() -> None:
    names = [name for name, _ in linear_layers((4, 3, 2), "tanh", 0.1)]
    assert names == ["fc1", "fc1_tanh", "fc1_dropout", "fc2"]


def test_a_width_never_leaves_a_layer_empty() -> None:
    assert [scaled(6, width) for width in (0.01, 0.5, 1.0, 2.0)] == [1, 3, 6, 12]
