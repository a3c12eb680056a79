"""Rank distributions of networks with many outputs: what has no samples costs nothing and has no rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.metrics.modes import ranks
from axonometry.program.readings.linear import linear_maps

MANY = 1000


@pytest.fixture(scope="module")
def network() -> ax.NeuralGraph:
    torch.manual_seed(0)
    return ax.capture(nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, MANY)), torch.zeros(1, 6))


def test_pre_activations_are_sorted_once_whatever_the_number_of_classes(
    network: ax.NeuralGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, labels = torch.rand(24, 6), torch.arange(24) * 41
    sorts, tables = [], []
    for name in ("argsort", "sort"):
        real = getattr(np, name)
        monkeypatch.setattr(
            np, name, lambda *args, real=real, **kwargs: sorts.append(args[0].shape) or real(*args, **kwargs)
        )
    count = np.bincount
    monkeypatch.setattr(np, "bincount", lambda *a, **k: tables.append(k.get("minlength", 0)) or count(*a, **k))
    frame = ax.measure(network, ["rank_gradient", "linear_truncation"], samples=[(samples, labels)])
    assert 1 <= len([shape for shape in sorts if shape == (40, 24)]) <= 3
    assert max(tables) < 24 * 40 * 100  # no table of all classes, neurons and bins
    rows = frame[frame["metric"] == "rank_gradient"]
    assert set(rows["statistic"]) == {"mean", *(f"class_{k}" for k in labels.tolist())}
    assert rows["value"].notna().all()


def test_classes_with_samples_have_what_they_have_among_few(network: ax.NeuralGraph) -> None:
    samples, labels = torch.rand(30, 6), torch.tensor([7, 500, 999]).repeat(10)
    found = ax.rank_distribution(network, samples, labels)["0"]
    signs = linear_maps(network)["0"].flatten(1)
    h = network.kernel("0").weight @ samples.T + dict(network.state)["0.bias"][:, None]
    few = ranks.order_ranks(h.T.contiguous(), torch.arange(3).repeat(10), signs[[7, 500, 999]])
    assert torch.allclose(found.gradient[[7, 500, 999]], few.gradient, atol=1e-6, equal_nan=True)
    assert torch.allclose(found.density[[7, 500, 999]], few.density)
    without = torch.ones(MANY, dtype=torch.bool)
    without[[7, 500, 999]] = False
    assert bool(found.gradient[without].isnan().all())
    assert bool(found.density[without].isnan().all())
