"""Rank distributions: worked numbers, the AUC's identity, and every rank counted by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import SamplesError, ValuesError
from axonometry.metrics.modes import order_ranks
from axonometry.program.readings.linear import linear_maps
from axonometry.program.readings.live import live_batches

H = torch.tensor([0.1, 0.9, 0.4, -0.3, 0.7, -0.8])
LABELS = torch.tensor([0, 1, 0, 0, 1, 1])


def by_hand(h: Tensor, labels: Tensor, signs: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Gradient of each class and neuron, and the density of each class, from the ranks of the signed projections."""
    classes, neurons = signs.shape
    gradient = torch.full((classes, neurons), math.nan, dtype=torch.float64)
    counts = torch.zeros(classes, bins, dtype=torch.float64)
    for k in range(classes):
        for i in range(neurons):
            members = labels == k
            if signs[k, i] == 0 or not members.any():
                continue
            u = (torch.from_numpy(rankdata((h[:, i] * signs[k, i].sign()).numpy())) - 0.5) / len(h)
            gradient[k, i] = 12 * (u[members].mean() - 0.5)
            for value in (u[members] * bins).tolist():
                place = round(value, 9)
                counts[k, math.ceil(place) - 1] += 0.5
                counts[k, math.floor(place)] += 0.5
    return gradient, counts * bins / counts.sum(1, keepdim=True)


def test_worked_numbers() -> None:
    # definitions 4: class {1, 4, 5} has the ranks 6, 5 and 1 of six: mean u 0.583333, g = 1, AUC 2/3; -1 turned round.
    found = order_ranks(H[:, None].expand(-1, 2), LABELS, torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    assert found.gradient[1].tolist() == pytest.approx([1, -1])
    assert found.gradient[1, 0].item() == pytest.approx(12 * (0.583333 - 0.5), abs=1e-5)
    assert roc_auc_score(LABELS, H) == pytest.approx(2 / 3)


@settings(max_examples=60)
@given(st.integers(4, 40), st.integers(2, 30), st.integers(2, 4), st.integers(0, 10**6))
def test_every_rank_by_hand(samples: int, different: int, classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    h = torch.randint(0, different, (samples, 5), generator=generator).double()
    labels = torch.randint(0, classes, (samples,), generator=generator)
    labels[:2] = torch.tensor([0, 1])
    signs = torch.randint(-1, 2, (classes, 5), generator=generator)
    found, (gradient, density) = order_ranks(h, labels, signs, bins=7), by_hand(h, labels, signs, 7)
    torch.testing.assert_close(found.gradient, gradient, equal_nan=True)
    torch.testing.assert_close(found.density, density, equal_nan=True)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.booleans())
def test_identity_with_the_area_under_the_curve(seed: int, ties: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(50, 3, generator=generator)
    h = h.round() if ties else h
    labels = torch.randint(0, 3, (50,), generator=generator)
    labels[:3] = torch.arange(3)
    signs = torch.where(torch.rand(3, 3, generator=generator) < 0.5, -1.0, 1.0)
    found = order_ranks(h, labels, signs)
    for k in range(3):
        share = float((labels == k).double().mean())
        for i in range(3):
            auc = roc_auc_score(labels == k, h[:, i] * signs[k, i])
            assert found.gradient[k, i].item() == pytest.approx(12 * (1 - share) * (auc - 0.5), abs=1e-9)


def test_turning_all_signs_mirrors_the_density_and_turns_the_gradient() -> None:
    h, labels, signs = torch.randn(60, 9).round(decimals=1), torch.randint(0, 3, (60,)), torch.randn(3, 9)
    straight, turned = order_ranks(h, labels, signs), order_ranks(h, labels, -signs)
    torch.testing.assert_close(straight.density.flip(1), turned.density)
    torch.testing.assert_close(straight.gradient, -turned.gradient)


def test_a_density_is_one_on_average_and_flat_for_labels_at_random() -> None:
    h, labels = torch.randn(2000, 40), torch.randint(0, 2, (2000,))
    found = order_ranks(h, labels, torch.ones(2, 40), bins=20)
    assert found.density.mean(1).tolist() == pytest.approx([1, 1])
    assert bool((found.density - 1).abs().max() < 0.2)
    assert abs(found.mean) < 0.2


def test_a_class_that_is_told_apart_has_the_steepest_gradient() -> None:
    h, labels = torch.arange(10.0)[:, None], torch.tensor([0] * 8 + [1] * 2)
    found = order_ranks(h, labels, torch.ones(2, 1), bins=10)
    assert found.by_class.tolist() == pytest.approx([12 * (0.4 - 0.5), 12 * (0.9 - 0.5)])
    assert found.density[1].tolist() == [0] * 8 + [5, 5]


def test_constant_fields_tell_nothing_and_lie_on_both_sides_of_the_middle() -> None:
    found = order_ranks(torch.ones(8, 1), torch.tensor([0, 1] * 4), torch.tensor([[1], [-1]]), bins=4)
    assert found.gradient.tolist() == [[0], [0]]
    assert found.density.tolist() == [[0, 2, 2, 0]] * 2


def test_a_class_without_samples_and_a_class_without_neurons() -> None:
    found = order_ranks(H[:, None], LABELS * 2, torch.tensor([[1], [1], [0]]))
    assert found.gradient.isnan().flatten().tolist() == [False, True, True]
    assert found.density.isnan().all(1).tolist() == [False, True, True]
    assert found.mean == pytest.approx(-1)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 8), nn.Tanh(), nn.Linear(8, 4)
    ).eval()


@pytest.mark.parametrize("memory", [1, 2**30])
def test_layers_of_a_network_with_the_signs_of_its_linear_map(memory: int) -> None:
    graph, samples, labels = ax.capture(network(), torch.zeros(1, 1, 6, 6)), torch.randn(40, 1, 6, 6), torch.arange(40)
    found = ax.rank_distribution(graph, samples, labels % 4, memory=memory, bins=10)
    batch, maps = next(live_batches(graph, samples, batch_size=40)), linear_maps(graph)
    assert list(found.groups) == [g.name for g in graph.groups if g.role == "hidden"]
    for name, layer in found.groups.items():
        gradient, density = by_hand(batch.pre_activations[name].flatten(1), labels % 4, maps[name].flatten(1), 10)
        torch.testing.assert_close(layer.gradient, gradient)
        torch.testing.assert_close(layer.density, density)
    frame = found.gradients()
    assert frame["gradient"].tolist() == pytest.approx(torch.cat([x.by_class for x in found.groups.values()]).tolist())
    assert len(found.densities()) == 2 * 4 * 10


def test_the_output_ranks_its_own_logits() -> None:
    graph, samples = ax.capture(network(), torch.zeros(1, 1, 6, 6)), torch.randn(40, 1, 6, 6)
    labels = torch.arange(40) % 4
    output = graph.groups[-1].name
    logits = next(live_batches(graph, samples, batch_size=40)).pre_activations[output]
    found = ax.rank_distribution(graph, samples, labels, groups=[output])[output]
    expected = [12 * 0.75 * (roc_auc_score(labels == k, logits[:, k]) - 0.5) for k in range(4)]
    assert found.by_class.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(40, dtype=torch.long), "all of class 0"),
        (torch.arange(40), "labels from 0 to 39 for 4 outputs"),
        (torch.arange(40) % 4 - 1, "labels from -1 to 2"),
        (torch.arange(39) % 4, r"shape \(39,\) for 40 samples"),
    ],
    ids=["one-class", "too-many", "negative", "too-few"],
)
def test_labels_that_do_not_fit(labels: Tensor, message: str) -> None:
    graph = ax.capture(network(), torch.zeros(1, 1, 6, 6))
    with pytest.raises(SamplesError, match=message):
        ax.rank_distribution(graph, torch.randn(40, 1, 6, 6), labels)


def test_there_must_be_one_output_group() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.a(x), self.b(x)

    with pytest.raises(ValuesError, match="one output group"):
        ax.rank_distribution(ax.capture(Two(), torch.zeros(1, 3)), torch.randn(6, 3), LABELS)
