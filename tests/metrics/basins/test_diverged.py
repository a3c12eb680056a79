"""A network that has diverged has no basin: no measure answers 0."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import WeightsError

SAMPLES, LABELS = torch.randn(6, 3), torch.arange(6) % 3


def diverged(value: float) -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():
        network[2].weight[0, 0] = value
    return network


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("measure", [ax.sample_basin, ax.weight_basin])
def test_weights_that_are_not_finite_are_named(measure, value: float) -> None:
    with pytest.raises(WeightsError, match=r"NaN or infinity in '2\.weight'.*diverged"):
        measure(diverged(value), SAMPLES, LABELS)


def test_logits_that_are_not_finite_are_said() -> None:
    network = diverged(1.0)
    with torch.no_grad():
        network[2].bias.fill_(3e38)
        network[2].weight.fill_(3e38)
        network[0].bias.fill_(10.0)
    network.append(nn.Softmax(1))
    with pytest.raises(WeightsError, match=r"NaN for sample 0 .*diverged"):
        ax.sample_basin(network, SAMPLES, LABELS)


@pytest.mark.parametrize("name", ["sample_basin", "weight_basin"])
def test_tables_have_nan(name: str) -> None:
    graph = ax.capture(diverged(math.nan), SAMPLES)
    assert ax.measure(graph, [name], samples=[(SAMPLES, LABELS)])["value"].isna().all()
