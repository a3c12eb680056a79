"""Pairs of neurons that fold: built by hand, and none where there is none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import TooLargeError
from axonometry.metrics.modes import folding, folding_pairs, pairs_that_fold


def one_common_field(*slopes: float) -> torch.Tensor:
    return torch.linspace(-2, 2, 201)[:, None] * torch.tensor(slopes) + 1


def test_two_opposite_tanh_neurons_fold() -> None:
    # definitions 4: tanh(h + 1) + tanh(1 - h) rises and falls.
    h = one_common_field(1, -1)
    found = pairs_that_fold(h, h.tanh(), torch.ones(1, 2))
    assert found.pairs[["first", "second", "output"]].to_numpy().tolist() == [[0, 1, 0]]
    assert found.pairs["correlation"].item() == pytest.approx(-1)
    assert found.pairs["kept"].item() == pytest.approx(0.5, abs=0.02)
    assert (found.candidates, found.tested) == (1, 1)


def test_terms_that_run_together_or_differ_too_much_do_not() -> None:
    h = one_common_field(1, -1)
    assert pairs_that_fold(h, h.tanh(), torch.tensor([[1.0, -1.0]])).candidates == 0
    lopsided = pairs_that_fold(h, h.tanh(), torch.tensor([[100.0, 1.0]]))
    assert (lopsided.candidates, len(lopsided.pairs)) == (1, 0)


def test_only_the_outputs_that_see_the_fold() -> None:
    h = one_common_field(1, -1, 1)
    outgoing = torch.tensor([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 1.0, 1.0]])
    found = pairs_that_fold(h, h.tanh(), outgoing).pairs
    assert sorted(found[["first", "second", "output"]].to_numpy().tolist()) == [[0, 1, 0], [1, 2, 2]]


def test_linear_neurons_do_not_fold() -> None:
    h = one_common_field(1, -2, 3)
    assert len(pairs_that_fold(h, h, torch.randn(4, 3)).pairs) == 0


def test_fields_that_differ_are_no_candidates() -> None:
    h = torch.randn(500, 20)
    assert pairs_that_fold(h, h.tanh(), torch.randn(3, 20)).candidates == 0


def test_constant_fields_are_no_candidates() -> None:
    h = torch.ones(50, 3)
    assert pairs_that_fold(h, h.tanh(), torch.randn(3, 3)).candidates == 0


def test_noise_alone_does_not_fold() -> None:
    common, noise = torch.randn(2, 4000, 1).unbind(0)
    h = torch.cat([common, -0.9901 * common + 0.14 * noise], 1)
    found = pairs_that_fold(h, h, torch.tensor([[1e-3, 1.0]]))
    assert found.candidates <= 1
    assert len(found.pairs) == 0


def test_the_most_correlated_are_tested_first() -> None:
    h = one_common_field(1, -1, -1)
    h[:, 2] += 0.05 * torch.randn(201)
    found = pairs_that_fold(h, h.tanh(), torch.ones(1, 3), most=1)
    assert (found.candidates, found.tested) == (2, 1)
    assert found.pairs["second"].tolist() == [1]


def network() -> nn.Sequential:
    layers = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 2))
    layers[0].weight.data.copy_(torch.tensor([[1.0], [-1.0], [0.5]]))
    layers[0].bias.data.copy_(torch.tensor([1.0, 1.0, 0.0]))
    layers[2].weight.data.copy_(torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    return layers


def test_of_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, samples = ax.capture(network(), torch.zeros(1, 1)), torch.linspace(-2, 2, 99)[:, None]
    found = folding_pairs(graph, samples, "0").pairs
    assert found[["first", "second", "output"]].to_numpy().tolist() == [[0, 1, 0]]
    monkeypatch.setattr(folding, "_WIDEST", 2)
    with pytest.raises(TooLargeError, match="3 in '0'"):
        folding_pairs(graph, samples, "0")
