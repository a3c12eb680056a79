"""Basins in weight space against closed forms and brute force, stacked and one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from axonometry.errors import WeightsError
from axonometry.metrics.basins import Basin, NoCrossingWarning, weight_basin
from axonometry.metrics.basins.classifier import examined
from axonometry.metrics.basins.weight_noise import NoisyWeights


def one_column(classes: int, height: float = 1.0) -> tuple[nn.Module, Tensor, Tensor]:
    """Logits are the weights themselves: [height, 0, 0...], for the one input 1."""
    layer = nn.Linear(1, classes, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.zeros(classes, 1))
        layer.weight[0] = height
    return layer, torch.ones(1, 1), torch.zeros(1, dtype=torch.int64)


@pytest.mark.parametrize(("classes", "worked"), [(3, 1.796881), (4, 1.195065), (10, 0.678046)])
def test_one_linear_layer(classes: int, worked: float) -> None:
    deviation = math.sqrt(1 / classes - 1 / classes**2)
    one = weight_basin(*one_column(classes, 7.0), draws=6000, stacked=True).network
    assert one.amplitude == pytest.approx(worked / deviation, rel=0.06)
    assert one.low < worked / deviation < one.high


def network(*, norm: bool = False) -> nn.Sequential:
    torch.manual_seed(1)
    layers = [nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 4)]
    if norm:
        layers.insert(1, nn.BatchNorm1d(12))
    return nn.Sequential(*layers)


def task(model: nn.Module, n: int = 60) -> tuple[nn.Module, Tensor, Tensor]:
    """Samples that the model classifies right, most of them."""
    torch.manual_seed(2)
    samples = torch.randn(n, 6)
    labels = model.eval()(samples).argmax(1)
    labels[::20] = (labels[::20] + 1) % 4
    return model, samples, labels


def same(one: Basin, other: Basin) -> bool:
    return one.network == other.network and one.samples.equals(other.samples) and one.curves.equals(other.curves)


def test_the_curve_against_networks_that_are_copied_and_moved() -> None:
    model, samples, labels = task(network())
    basin = weight_basin(model, samples, labels, draws=5)
    with examined(model, samples, labels) as classifier:
        noise = list(NoisyWeights(classifier, 5, 0)._drawn(range(5)))
    assert set(noise[0]) == {"0.weight", "2.weight", "4.weight"}
    curve = basin.curves[(basin.curves["group"] == "network") & (basin.curves["amplitude"] > 0.05)]
    for amplitude, accuracy in zip(curve["amplitude"], curve["accuracy"], strict=True):
        right = 0
        for drawn in noise:
            copy = network()
            with torch.no_grad():
                for name, parameter in copy.named_parameters():
                    if name in drawn:
                        parameter.add_(amplitude * parameter.numpy().std() * drawn[name])
            right += int((copy(samples).argmax(1) == labels).sum())
        assert accuracy == pytest.approx(right / (5 * len(labels)), abs=0.01)


def test_classes_are_bisected_and_samples_lie_on_the_grid_s_lines() -> None:
    model, samples, labels = task(network())
    basin = weight_basin(model, samples, labels)
    assert basin.space == "weights"
    assert basin.network.state == "crossed"
    assert basin.network.low <= basin.network.amplitude <= basin.network.high
    for label, one in basin.classes.items():
        curve = basin.curves[basin.curves["group"] == str(label)]
        if one.state == "crossed":
            below = (curve["accuracy"] <= 0.5).to_numpy().argmax()
            low, high = curve["amplitude"].iloc[[below - 1, below]]
            assert low < one.amplitude <= high <= 1.021 * low
    wrong = basin.samples["label"] != basin.samples["predicted"]
    assert (basin.samples["amplitude"][wrong] == 0).all()
    assert (basin.samples["amplitude"][~wrong] > 0).all()


def test_stacked_networks_and_one_by_one_are_the_same() -> None:
    for model in (network(), network(norm=True)):
        arguments = task(model, 20)
        one, other = (weight_basin(*arguments, draws=6, stacked=stacked) for stacked in (False, True))
        assert same(one, other)


def test_rescaling_layers_that_leaves_the_function_leaves_the_basin() -> None:
    model, samples, labels = task(network())
    before = weight_basin(model, samples, labels, draws=8)
    with torch.no_grad():
        for parameter in model[0].parameters():
            parameter.mul_(4)
        model[2].weight /= 4
    assert same(before, weight_basin(model, samples, labels, draws=8))


def test_biases_move_only_when_asked() -> None:
    model, samples, labels = task(network())
    names = []
    with examined(model, samples, labels) as classifier:
        for biases in (False, True):
            moved = NoisyWeights(classifier, 2, 0, biases).networks(0.5, range(2))
            names.append(sorted(moved))
            state = dict(model.named_parameters())
            assert all(not torch.equal(value[0], state[name]) for name, value in moved.items())
    assert names[0] == ["0.weight", "2.weight", "4.weight"]
    assert len(names[1]) == 6


def test_deviation_of_the_noise_is_the_layer_s_own() -> None:
    model, samples, labels = task(network())
    with examined(model, samples, labels) as classifier:
        moved = NoisyWeights(classifier, 400, 0).networks(0.1, range(400))
    for name, value in moved.items():
        weight = model.get_parameter(name).detach()
        assert (value - weight).std() == pytest.approx(0.1 * float(weight.std(correction=0)), rel=0.02)


def test_the_model_is_left_as_it_was() -> None:
    model, samples, labels = task(network(norm=True))
    model.train()
    model(samples).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    places = [p.data_ptr() for p in model.parameters()]
    state = torch.get_rng_state()
    weight_basin(model, samples, labels, draws=4)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert [p.data_ptr() for p in model.parameters()] == places
    assert torch.equal(torch.get_rng_state(), state)


def test_the_seed_decides_and_keeping_noise_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = task(network())
    first = weight_basin(*arguments, draws=4)
    assert not same(first, weight_basin(*arguments, draws=4, seed=1))
    monkeypatch.setattr("axonometry.metrics.basins.weight_noise._KEPT", 0)
    assert same(first, weight_basin(*arguments, draws=4))


def test_tied_and_pruned_weights() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(4, 8)
            self.out = nn.Linear(8, 4, bias=False)
            self.out.weight = self.table.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.table(x))

    tokens = torch.arange(4).repeat(5)
    model = Tied()
    basin = weight_basin(model, tokens, model(tokens).argmax(1), draws=4)
    assert basin.network.amplitude > 0
    pruned = network()
    prune.l1_unstructured(pruned[0], "weight", amount=0.9)
    kept = weight_basin(*task(pruned), draws=4)
    assert kept.network.amplitude > 0
    assert int((pruned[0].weight == 0).sum()) == 65


def test_a_model_that_cannot_be_stacked_says_so_before_it_runs() -> None:
    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) * (1 if self.layer.weight.sum().item() > -1e9 else 2)

    model, samples, labels = task(Looks())
    with examined(model, samples, labels) as classifier:
        assert not NoisyWeights(classifier, 2, 0)._can_be_stacked()
    assert weight_basin(model, samples, labels, draws=4).network.amplitude > 0
    model, samples, labels = task(network())
    with examined(model, samples, labels) as classifier:
        assert NoisyWeights(classifier, 2, 0)._can_be_stacked()


def test_two_classes_are_said() -> None:
    torch.manual_seed(0)
    model = nn.Linear(6, 2, bias=False)
    samples = torch.randn(40, 6)
    with pytest.warns(NoCrossingWarning, match="with 2 classes a guess is right 50%"):
        basin = weight_basin(model, samples, model(samples).argmax(1), draws=4)
    assert basin.remarks


def test_a_network_that_classifies_nothing_right() -> None:
    model, samples, _ = task(network())
    basin = weight_basin(model, samples, (model(samples).argmax(1) + 1) % 4, draws=2)
    assert (basin.network.amplitude, basin.network.state) == (0, "wrong")
    assert (basin.samples["amplitude"] == 0).all()


def test_diverged_weights_have_no_basin() -> None:
    model, samples, labels = task(network())
    with torch.no_grad():
        model[0].weight[0, 0] = torch.nan
    with pytest.raises(WeightsError, match=r"finite weights; got NaN or infinity in '0\.weight'"):
        weight_basin(model, samples, labels, draws=2)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_weights_that_no_noise_could_move(weight: float) -> None:
    layer = nn.Linear(3, 3)
    nn.init.constant_(layer.weight, weight)
    with pytest.raises(WeightsError, match="none with two different entries"):
        weight_basin(layer, torch.eye(3), torch.arange(3))


def test_progress_counts_to_its_end() -> None:
    calls: list[tuple[int, int, str]] = []
    weight_basin(*task(network()), draws=2, progress=lambda *call: calls.append(call))
    assert [done for done, _, _ in calls] == list(range(len(calls)))
    assert calls[-1][1] >= len(calls)
    assert np.all([total == calls[0][1] for _, total, _ in calls])
