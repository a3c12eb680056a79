"""What is measured of a network at a moment, as plain numbers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from axonometry.errors import ConvergenceError, WeightsError
from axonometry.metrics.basins import Basin, NoCrossingWarning, sample_basin, sharpness, weight_basin
from axonometry.metrics.modes import linear_truncation, neuron_modes, rank_distribution
from axonometry.papers.lin2025.items import Plan
from axonometry.program import NeuralGraph, capture

if TYPE_CHECKING:
    from axonometry.metrics.modes import RankDistribution

PRECISION = 0.05
"""Relative width to which a basin's amplitude is bracketed."""
SAMPLE_DRAWS, WEIGHT_DRAWS = 4, 8
"""Draws of noise a sample; networks with noise."""
BINS = 20
"""Of a rank distribution's density."""


@dataclass(frozen=True, eq=False)
class Measuring:
    """Measures one network whenever it is called.

    Attributes:
        plan: What is measured.
        model: The network, which goes on learning between the calls.
        test: Test samples.
        test_labels: Their classes.
        train: Training samples.
        train_labels: Their classes, as they are trained on.
    """

    plan: Plan
    model: nn.Module
    test: Tensor
    test_labels: Tensor
    train: Tensor
    train_labels: Tensor

    def __call__(self) -> dict[str, Any]:
        """What is measured now, by the measure's name."""
        return {name: MEASURES[name](self) for name in self.plan.measures}

    @property
    def graph(self) -> NeuralGraph:
        """The network's graph with its present weights."""
        return self._captured.at(self.model.state_dict())

    @property
    def ordered(self) -> tuple[Tensor, Tensor]:
        """The test samples that are put in order, with their classes."""
        some = slice(self.plan.ranked)
        return self.test[some], self.test_labels[some]

    @cached_property
    def _captured(self) -> NeuralGraph:
        return capture(self.model, self.test[:2])


def ranks(measuring: Measuring) -> dict[str, float]:
    """Slope of the rank distribution of each hidden layer, mean over neurons and classes."""
    return {name: found.mean for name, found in _ranks(measuring).groups.items()}


def densities(measuring: Measuring) -> dict[str, list[float]]:
    """Density of the rank distribution of each hidden layer, mean over classes."""
    groups = _ranks(measuring).groups
    return {name: [float(x) for x in found.density.nanmean(0)] for name, found in groups.items()}


def modes(measuring: Measuring) -> dict[str, dict[str, float]]:
    """Mean order-preserving rate and shares of modes of each hidden layer."""
    summary = neuron_modes(measuring.graph, measuring.ordered[0]).summary().set_index("group")
    names = ["rate", "strict", "weak", "non_preserving", "dead"]
    return {str(group): {name: float(row[name]) for name in names} for group, row in summary[:-1].iterrows()}


def truncation(measuring: Measuring) -> dict[str, dict[str, float]]:
    """Accuracy and error of the network that is linear behind each layer; that of the input is the whole L-Map."""
    table = linear_truncation(measuring.graph, *measuring.ordered).set_index("group")
    names = ["accuracy", "agreement", "error"]
    return {str(group): {name: float(row[name]) for name in names} for group, row in table.iterrows()}


def test_samples(measuring: Measuring) -> dict[str, Any]:
    """Sample basin of test samples."""
    some = slice(measuring.plan.samples)
    return _sample_basin(measuring.model, measuring.test[some], measuring.test_labels[some])


def train_samples(measuring: Measuring) -> dict[str, Any]:
    """Sample basin of training samples, with the labels that are trained on."""
    some = slice(measuring.plan.samples)
    return _sample_basin(measuring.model, measuring.train[some], measuring.train_labels[some])


def test_weights(measuring: Measuring) -> dict[str, Any]:
    """Weight basin, by accuracy on test samples."""
    some = slice(measuring.plan.samples)
    return _weight_basin(measuring.model, measuring.test[some], measuring.test_labels[some])


def train_weights(measuring: Measuring) -> dict[str, Any]:
    """Weight basin, by accuracy on training samples, with the labels that are trained on."""
    some = slice(measuring.plan.samples)
    return _weight_basin(measuring.model, measuring.train[some], measuring.train_labels[some])


def flatness(measuring: Measuring) -> dict[str, float]:
    """Largest eigenvalue of the Hessian of the cross entropy on training samples, plain and in weight-basin units."""
    some = slice(measuring.plan.samples)
    found = {}
    for name, scaled in (("plain", False), ("scaled", True)):
        try:
            one = sharpness(
                measuring.model, measuring.train[some], measuring.train_labels[some], scaled=scaled, tol=1e-2
            )
        except (ConvergenceError, WeightsError):  # a network that has diverged, or whose Hessian is all but zero
            found[name] = math.nan
        else:
            found[name] = one.value
    return found


MEASURES: dict[str, Callable[[Measuring], dict[str, Any]]] = {
    "ranks": ranks,
    "densities": densities,
    "modes": modes,
    "truncation": truncation,
    "test_samples": test_samples,
    "train_samples": train_samples,
    "test_weights": test_weights,
    "train_weights": train_weights,
    "flatness": flatness,
}
"""What can be measured at a moment."""


def _ranks(measuring: Measuring) -> RankDistribution:
    return rank_distribution(measuring.graph, *measuring.ordered, bins=BINS)


def _sample_basin(model: nn.Module, samples: Tensor, labels: Tensor) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoCrossingWarning)  # the state says it
        return _numbers(sample_basin(model, samples, labels, precision=PRECISION, draws=SAMPLE_DRAWS))


def _weight_basin(model: nn.Module, samples: Tensor, labels: Tensor) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoCrossingWarning)
        return _numbers(weight_basin(model, samples, labels, precision=PRECISION, draws=WEIGHT_DRAWS))


def _numbers(basin: Basin) -> dict[str, Any]:
    """The network's amplitude with its interval, the classes', and the mean of the samples'.

    In the mean a misclassified sample counts 0, and one that no noise turned counts as the greatest amplitude.
    """
    whole = basin.network
    own = basin.samples["amplitude"].to_numpy(dtype=float)
    return {
        "amplitude": whole.amplitude,
        "low": whole.low,
        "high": whole.high,
        "clean": whole.clean,
        "state": whole.state,
        "mean": float(np.minimum(own, basin.search.amplitudes[1]).mean()),
        "classes": {str(label): one.amplitude for label, one in basin.classes.items()},
    }
