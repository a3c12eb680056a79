"""Basins and sharpness as measures of the catalogue: the direct functions' numbers, where they are asked for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import axonometry as ax
from axonometry.errors import ConfigurationError, SamplesError
from axonometry.metrics.basins.captured import CapturedClassifier, labelled
from axonometry.metrics.basins.rows import STATISTICS
from axonometry.program import NeuralGraph

OPT_IN = ("sample_basin", "weight_basin", "sharpness", "proxies", "gradient_noise_scale")


class Tied(nn.Module):
    """Two layers that share one weight, an unused buffer, and a log-softmax at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.second.weight = self.first.weight
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        return torch.log_softmax(self.head(torch.tanh(self.second(torch.relu(self.first(x))))), 1)


def convolutional() -> nn.Module:
    layers = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))
    layers[1].running_mean.normal_()
    layers[1].running_var.uniform_(0.5, 2)
    return layers.eval()


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 3))


def reparametrised() -> nn.Module:
    """Its weights are computed from parameters: gradients reach these through the calls that compute them."""
    return nn.Sequential(weight_norm(nn.Linear(4, 12)), nn.Tanh(), nn.Linear(12, 3))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (perceptron, (4,)),
    "convolutional": (convolutional, (1, 4, 4)),
    "tied": (Tied, (4,)),
    "reparametrised": (reparametrised, (4,)),
}


@pytest.fixture(params=NETWORKS)
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, NeuralGraph, Tensor, Tensor]:
    """A network, its graph, samples, and labels that it mostly gives them itself."""
    make, shape = NETWORKS[request.param]
    model, samples = make(), 2 * torch.randn(30, *shape)
    labels = model(samples).argmax(1)
    labels[:6] = (labels[:6] + 1) % 3
    return model, ax.capture(model, samples[:1]), samples, labels


def values(graph: NeuralGraph, name: str, samples: Tensor, labels: Tensor) -> pd.Series:
    batches = [(samples[:13], labels[:13]), (samples[13:], labels[13:])]
    frame = ax.measure(graph, [name], samples=batches)
    assert set(frame["group"]) <= {""}
    return frame.set_index("statistic")["value"]


def test_the_captured_network_is_the_network(case: tuple[nn.Module, NeuralGraph, Tensor, Tensor]) -> None:
    model, graph, samples, labels = case
    network = CapturedClassifier(graph)
    torch.testing.assert_close(network(samples), model(samples))
    trained = [(p.shape, p.data_ptr()) for p in model.parameters()]
    assert [(p.shape, p.data_ptr()) for p in network.parameters()] == trained, "the same tensors in the same order"
    given, known = labelled(graph, [(samples[:13], labels[:13]), (samples[13:], labels[13:])])
    assert torch.equal(given, samples)
    assert torch.equal(known, labels)


@pytest.mark.parametrize("name", ["sample_basin", "weight_basin"])
def test_basins_are_those_of_the_direct_function(
    name: str, case: tuple[nn.Module, NeuralGraph, Tensor, Tensor]
) -> None:
    model, graph, samples, labels = case
    found, direct = values(graph, name, samples, labels), getattr(ax, name)(model, samples, labels)
    assert found.index.tolist() == [*STATISTICS, "class_0", "class_1", "class_2"]
    for statistic in STATISTICS:
        assert found[statistic] == pytest.approx(getattr(direct.network, statistic)), statistic
    assert found["clean"] == pytest.approx(24 / 30)
    for label in range(3):
        expected = direct.classes[label].amplitude if label in direct.classes else math.nan
        assert found[f"class_{label}"] == pytest.approx(expected, nan_ok=True)


def test_sharpness_is_that_of_the_direct_function(case: tuple[nn.Module, NeuralGraph, Tensor, Tensor]) -> None:
    model, graph, samples, labels = case
    found = values(graph, "sharpness", samples, labels)
    assert found.index.tolist() == ["value", "scaled"]
    assert found["value"] == pytest.approx(ax.sharpness(model, samples, labels).value, rel=2e-3)
    assert found["scaled"] == pytest.approx(ax.sharpness(model, samples, labels, scaled=True).value, rel=2e-3)


def test_other_weights_of_the_same_network() -> None:
    model, samples = perceptron(), torch.randn(20, 4)
    graph = ax.capture(model, samples[:1])
    other = perceptron()
    labels = other(samples).argmax(1)
    found = values(graph.at(other.state_dict()), "sharpness", samples, labels)
    assert found["value"] == pytest.approx(ax.sharpness(other, samples, labels).value, rel=2e-3)


def test_they_are_taken_only_where_they_are_asked_for() -> None:
    model, samples = perceptron(), torch.randn(20, 4)
    graph, labels = ax.capture(model, samples[:1]), torch.arange(20) % 3
    taken = set(ax.measure(graph, samples=[(samples, labels)])["metric"])
    assert "linear_truncation" in taken
    assert not taken & set(OPT_IN)
    assert {name for name, spec in ax.CATALOGUE.items() if spec.opt_in} >= set(OPT_IN)
    with pytest.raises(ConfigurationError, match="no labels for sharpness"):
        ax.measure(graph, ["sharpness"], samples=samples)


def test_a_recorder_takes_them_and_a_run_is_measured_again(tmp_path: Path) -> None:
    model, samples = perceptron(), torch.randn(20, 4)
    labels = model(samples).argmax(1)
    batches = [(samples, labels)]
    with ax.Recorder(tmp_path / "run", model, samples[:1], measures=["sharpness"], samples=batches) as recorder:
        recorder.record(0)
    expected = ax.sharpness(model, samples, labels).value
    basin = ax.sample_basin(model, samples, labels).network.amplitude
    again = ax.trajectory.remeasure(ax.load(tmp_path / "run", model, samples[:1]), "sample_basin", samples=batches)
    table = again.metrics.set_index(["metric", "statistic"])["value"]
    assert table["sharpness", "value"] == pytest.approx(expected, rel=2e-3)
    assert table["sample_basin", "amplitude"] == pytest.approx(basin)


def test_two_classes_are_no_warning() -> None:
    model, samples = nn.Linear(2, 2), torch.randn(20, 2)
    graph, labels = ax.capture(model, samples[:1]), torch.arange(20) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = values(graph, "weight_basin", samples, labels)
    assert len(found) == len(STATISTICS) + 2


def test_a_network_that_diverged_has_no_numbers_and_one_that_does_not_classify_no_rows() -> None:
    model, samples = perceptron(), torch.randn(20, 4)
    graph, labels = ax.capture(model, samples[:1]), torch.arange(20) % 3
    flat = graph.at({name: torch.zeros_like(value) for name, value in graph.state.items()})
    assert values(flat, "weight_basin", samples, labels).isna().all(), "no weights that noise could move"
    broken = graph.at({**graph.state, "0.bias": torch.full((12,), torch.nan)})
    assert values(broken, "sharpness", samples, labels).isna().all()
    assert values(broken, "sample_basin", samples, labels).isna().all()
    single = ax.capture(nn.Linear(4, 1), samples[:1])
    for name in OPT_IN:
        assert len(ax.measure(single, [name], samples=[(samples, labels)])) == 0
    with pytest.raises(SamplesError, match="one input and one output"):
        CapturedClassifier(single)
