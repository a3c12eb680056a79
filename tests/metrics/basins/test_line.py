"""The line between two networks: losses by hand, barriers before and after alignment, statistics estimated anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import axonometry as ax
from axonometry.errors import ConfigurationError, SamplesError, WeightsError
from axonometry.metrics import merge, weight_line


def trained(seed: int, samples: Tensor, labels: Tensor) -> nn.Sequential:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(model(samples), labels).backward()
        optimizer.step()
    return model


@pytest.fixture(scope="module")
def spirals() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 3
    radius = torch.rand(300, generator=generator)
    angle = 3 * radius + labels * 2 * torch.pi / 3
    return 3 * torch.stack([radius * angle.cos(), radius * angle.sin()], 1), labels


def test_losses_are_those_of_each_point(spirals: tuple[Tensor, Tensor]) -> None:
    a, b = (trained(seed, *spirals) for seed in (0, 1))
    found = weight_line(a, a.state_dict(), b.state_dict(), *spirals, points=5)
    for place, share in enumerate((0.0, 0.25, 0.5, 0.75, 1.0)):
        between = trained(0, *spirals)
        with torch.no_grad():
            for p, q, r in zip(between.parameters(), a.parameters(), b.parameters(), strict=True):
                p.copy_((1 - share) * q + share * r)
            logits = between(spirals[0])
        assert found.loss[place] == pytest.approx(float(F.cross_entropy(logits, spirals[1])), rel=1e-5)
        assert found.accuracy[place] == pytest.approx(float((logits.argmax(1) == spirals[1]).double().mean()))


def test_an_exchange_of_neurons_makes_a_barrier_that_alignment_removes(spirals: tuple[Tensor, Tensor]) -> None:
    model = trained(0, *spirals)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    graph = ax.capture(model, spirals[0][:1])
    exchanged = ax.permute(state, graph, ax.permutations(graph).random(1))
    assert weight_line(model, state, exchanged, *spirals).barrier > 0.1
    aligned = ax.permute(exchanged, graph, ax.align(graph, state, exchanged))
    assert weight_line(model, state, aligned, *spirals).barrier == pytest.approx(0, abs=1e-6)


def test_alignment_lowers_the_barrier_between_seeds(spirals: tuple[Tensor, Tensor]) -> None:
    a, b = (trained(seed, *spirals) for seed in (0, 1))
    graph = ax.capture(a, spirals[0][:1])
    aligned = ax.permute(b.state_dict(), graph, ax.align(graph, a.state_dict(), b.state_dict()))
    before = weight_line(a, a.state_dict(), b.state_dict(), *spirals).barrier
    after = weight_line(a, a.state_dict(), aligned, *spirals).barrier
    assert after < 0.8 * before


def test_running_statistics_are_estimated_at_every_point() -> None:
    """Of x and -x, the mean network's sums are 0; its statistics are those of what it computes, not mixed ones."""
    model = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    samples = torch.linspace(-1, 3, 40)[:, None]
    merged = merge(model, [state, state], samples)
    sums = samples @ state["0.weight"].T + state["0.bias"]
    torch.testing.assert_close(merged["1.running_mean"], sums.mean(0))
    torch.testing.assert_close(merged["1.running_var"], sums.var(0))
    assert torch.equal(model.state_dict()["1.running_mean"], state["1.running_mean"])
    assert int(model.state_dict()["1.num_batches_tracked"]) == 0
    assert model.training
    assert model[1].momentum == 0.1


def test_statistics_are_those_of_all_samples_in_batches_and_behind_each_other() -> None:
    """Of 5,000 samples, in several batches; the second norm sees what the first makes of its new statistics."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2), nn.BatchNorm1d(2))
    states = [
        {name: torch.randn_like(tensor) if tensor.is_floating_point() else tensor for name, tensor in own.items()}
        for own in (model.state_dict(),) * 2
    ]
    samples = torch.randn(5000, 2)
    merged = merge(model, states, samples)
    mean = {name: (states[0][name] + states[1][name]) / 2 for name in states[0] if "num" not in name}
    h = F.batch_norm(F.linear(samples, mean["0.weight"], mean["0.bias"]), None, None, training=True)
    last = F.linear(F.relu(h * mean["1.weight"] + mean["1.bias"]), mean["3.weight"], mean["3.bias"])
    torch.testing.assert_close(merged["4.running_mean"], last.mean(0), rtol=0.02, atol=0.02)
    torch.testing.assert_close(merged["4.running_var"], last.var(0), rtol=0.02, atol=0.02)
    with pytest.raises(SamplesError, match="estimated from samples, two or more; got 1"):
        merge(model, states, samples[:1])


def test_a_merged_network_is_the_mean() -> None:
    model = nn.Linear(2, 2)
    states = [{"weight": torch.full((2, 2), float(i)), "bias": torch.zeros(2)} for i in (1, 2, 6)]
    np.testing.assert_allclose(merge(model, states, torch.ones(1, 2))["weight"], 3.0)


def test_what_does_not_fit_is_refused() -> None:
    model = nn.Linear(2, 2)
    state, samples, labels = model.state_dict(), torch.ones(1, 2), torch.tensor([0])
    with pytest.raises(ConfigurationError, match="a line has at least two points; got 1"):
        weight_line(model, state, state, samples, labels, points=1)
    with pytest.raises(WeightsError, match=r"a state holds every tensor of the network.*got none called 'bias'"):
        weight_line(model, state, {"weight": state["weight"]}, samples, labels)
    with pytest.raises(WeightsError, match=r"'weight' of shape \(3, 2\), where it is \(2, 2\)"):
        merge(model, [state, state | {"weight": torch.zeros(3, 2)}], samples)
    with pytest.raises(WeightsError, match=r"none called 'weight', but 'net.weight'. Take the prefix off the names"):
        merge(model, [{f"net.{name}": tensor for name, tensor in state.items()}], samples)
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    assert torch.equal(merge(model, [wrapped], samples)["weight"], state["weight"])
    with pytest.raises(WeightsError, match="networks are averaged; got none"):
        merge(model, [], samples)
    with pytest.raises(SamplesError, match="integer label"):
        weight_line(model, state, state, samples, labels.float())
