"""What is measured of a network, from the snapshots that its run recorded.

A row a recorded step. Accuracies and the loss on training samples come from the run itself; the measures of the
network's section are taken at its moments, and are NaN between them:

    condition           seed  step  test_accuracy  gradient_1  rate_1  sample_basin ...
    addition modulo 59  0     0     0.01           -0.42       0.81    0.0
    addition modulo 59  0     10    0.02           NaN         NaN     NaN
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from axonometry.errors import ConvergenceError, WeightsError
from axonometry.experiments import Context, measure_population
from axonometry.metrics import basins, modes
from axonometry.populations import Population, RunConfiguration
from axonometry.populations.datasets import Dataset
from axonometry.populations.objectives import batch_statistics_accuracy
from axonometry.populations.sampling import used_images
from axonometry.populations.training import dataset_of, initial_network
from axonometry.program import NeuralGraph

PRECISION = 0.05
"""Relative width to which a basin's amplitude is bracketed."""
SAMPLE_DRAWS, WEIGHT_DRAWS = 4, 8
"""Draws of noise a sample; networks with noise."""
LARGEST = 10.0
"""The greatest amplitude of noise that is tried; a basin that is larger counts as this."""
BATCH = 500
"""Samples in a batch whose own statistics batch norm takes, where they are taken."""
TITLES = {"mnist": "MNIST", "digits": "the digits", "modular-addition": "modular addition"}
VARIED = (
    *("n_train", "activation", "initialiser", "optimiser", "learning_rate", "weight_decay", "batch_size"),
    *("max_steps", "label_noise", "objective", "stop_at_train_loss", "family", "norm_momentum", "components"),
)
"""Attributes of a configuration that sections compare by, or say of their set-up."""
MOMENTS = 12
"""How many of the looks at a network that may grok it is measured at."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured at a scale.

    Attributes:
        noised: Samples that basins and sharpness are taken on.
        ranked: Test samples that are put in order.
    """

    noised: int
    ranked: int


@dataclass(frozen=True, eq=False)
class MeasuredSnapshot:
    """A network at a recorded step, with its data.

    Attributes:
        graph: Gives its graph, which measures of noise do without.
        model: The network itself, for measures of noise.
        ranked: Test samples that are put in order, with their classes.
        test: Test samples that basins are taken on, likewise.
        train: Training samples, with the labels that are trained on.
        data: All that it is trained and tested on.
    """

    graph: Callable[[], NeuralGraph]
    model: nn.Module
    ranked: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    train: tuple[Tensor, Tensor]
    data: Dataset


def rank_gradients(snapshot: MeasuredSnapshot) -> dict[str, float]:
    """Slope of the rank distribution of each hidden layer, mean over neurons and classes."""
    found = modes.rank_distribution(snapshot.graph(), *snapshot.ranked).groups.values()
    return {f"gradient_{layer}": ranks.mean for layer, ranks in enumerate(found, 1)}


def kept_orders(snapshot: MeasuredSnapshot) -> dict[str, float]:
    """Mean order-preserving rate and share of dead neurons of each hidden layer."""
    rows = [found.summary() for found in modes.neuron_modes(snapshot.graph(), snapshot.ranked[0]).groups.values()]
    return {f"{name}_{layer}": row[name] for layer, row in enumerate(rows[:-1], 1) for name in ("rate", "dead")}


def truncation(snapshot: MeasuredSnapshot) -> dict[str, float]:
    """Accuracy of the network and of its L-Map, which is linear behind the input, and the L-Map's error."""
    table = modes.linear_truncation(snapshot.graph(), *snapshot.ranked)
    mapped, accuracy = table.iloc[0], table["accuracy"].iloc[-1]
    return {"ranked_accuracy": accuracy, "mapped_accuracy": mapped["accuracy"], "mapped_error": mapped["error"]}


def cut_accuracies(snapshot: MeasuredSnapshot) -> dict[str, float]:
    """Accuracy of the network that is real up to each hidden layer and linear behind it; behind the input for 0."""
    table = modes.linear_truncation(snapshot.graph(), *snapshot.ranked)
    return {f"cut_{layer}": accuracy for layer, accuracy in enumerate(table["accuracy"].iloc[:-1])}


def batch_accuracies(snapshot: MeasuredSnapshot) -> dict[str, float]:
    """Accuracies where batch norm takes its statistics from each batch, of the size of the training's."""
    halves = {"test": snapshot.ranked, "train": snapshot.train}
    return {
        f"batch_{half}_accuracy": batch_statistics_accuracy(snapshot.model, *some, min(BATCH, len(some[1])))
        for half, some in halves.items()
    }


def sample_tolerance(snapshot: MeasuredSnapshot, half: str = "") -> dict[str, float]:
    """Amplitude of noise on samples that the network, each class and a mean sample tolerate.

    In the mean a misclassified sample counts 0, and one that no noise turned counts as the greatest amplitude.
    """
    samples = getattr(snapshot, half.strip("_") or "test")
    found = basins.sample_basin(snapshot.model, *samples, precision=PRECISION, draws=SAMPLE_DRAWS)
    own = np.minimum(found.samples["amplitude"].to_numpy(dtype=float), LARGEST)
    amplitudes = {"": found.network, **{f"_class_{label}": one for label, one in found.classes.items()}}
    rows = {of: min(one.amplitude, LARGEST) for of, one in amplitudes.items()} | {"_mean": float(own.mean())}
    return {f"{half}sample_basin{of}": amplitude for of, amplitude in rows.items()}


def weight_tolerance(snapshot: MeasuredSnapshot, half: str = "") -> dict[str, float]:
    """Amplitude of noise on weights that the network's accuracy on some samples tolerates."""
    samples = getattr(snapshot, half.strip("_") or "test")
    found = basins.weight_basin(snapshot.model, *samples, precision=PRECISION, draws=WEIGHT_DRAWS)
    return {f"{half}weight_basin": min(found.network.amplitude, LARGEST)}


def random_features_error(snapshot: MeasuredSnapshot) -> dict[str, float]:
    """Test error of least squares on random ReLU features, with as many parameters as the network.

    Features relu(x A + b), A and b standard normal, A over the root of the number of inputs; of all solutions the one
    of least norm. Nothing is trained, so that a peak of it where there are as many features as samples owes nothing to
    an optimiser.
    """
    data = snapshot.data
    features = max(1, sum(p.numel() for p in snapshot.model.parameters()) // data.n_classes)
    train, test = (some.flatten(1).double() for some in (data.train_inputs, data.test_inputs))
    source = torch.Generator().manual_seed(features)
    weights = torch.randn(train.shape[1], features, generator=source, dtype=torch.float64) / train.shape[1] ** 0.5
    bias = torch.randn(features, generator=source, dtype=torch.float64)
    mapped, wanted = (train @ weights + bias).relu(), one_hot(data.train_labels, data.n_classes).double()
    outputs = (test @ weights + bias).relu() @ (torch.linalg.pinv(mapped) @ wanted)
    return {"features_error": float((outputs.argmax(1) != data.test_labels).double().mean())}


def sharpnesses(snapshot: MeasuredSnapshot) -> dict[str, float]:
    """Largest eigenvalue of the Hessian of the cross entropy on training samples, plain and in weight-basin units."""
    found = {}
    for name, scaled in (("sharpness", False), ("scaled_sharpness", True)):
        try:
            found[name] = basins.sharpness(snapshot.model, *snapshot.train, scaled=scaled, tol=1e-2).value
        except (ConvergenceError, WeightsError):  # the Hessian is all but zero
            found[name] = math.nan
    return found


BASINS = (sample_tolerance, weight_tolerance)
MODES_AND_BASINS = (rank_gradients, kept_orders, *BASINS, partial(sample_tolerance, half="train_"))
MEASURES: Mapping[str, tuple[Callable[[MeasuredSnapshot], Mapping[str, float]], ...]] = {
    "lmap": (rank_gradients, truncation),
    "phases": (rank_gradients,),
    "third-phase": (rank_gradients,),
    "late-layers": (cut_accuracies,),
    "running-statistics": (batch_accuracies,),
    "depth": BASINS,
    "flat-minima": (*BASINS, partial(weight_tolerance, half="train_"), sharpnesses),
    "grokking": MODES_AND_BASINS,
    "double-descent": (*MODES_AND_BASINS, random_features_error),
}
"""What is measured of the networks of each section."""


def measure_networks(population: Population, context: Context) -> pd.DataFrame:
    """The table of some networks; one that diverged has its accuracies alone.

    Args:
        population: Networks of the scale.
        context: Its options are :class:`Sizes`.
    """
    sections = {trial.configuration: trial.sections for trial in context.scale.trials(context.seeds)}

    def network(population: Population, name: str) -> pd.DataFrame:
        return measure_network(population, name, sections[population.configurations[name]], context)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", basins.NoCrossingWarning)  # LARGEST stands for it
        return measure_population(population, network, context)


def measure_network(population: Population, name: str, sections: tuple[str, ...], context: Context) -> pd.DataFrame:
    """A network's rows: a row a recorded step.

    Args:
        population: Where it is.
        name: Of its run.
        sections: In :data:`MEASURES`.
        context: Its options are :class:`Sizes`; and the directory of the data.
    """
    run, configuration, sizes = population.runs[name], population.configurations[name], context.options
    dataset = dataset_of(configuration, context.data)
    data, model = used_images(configuration, dataset), initial_network(configuration, dataset).eval()
    test, train = (data.test_inputs, data.test_labels), (data.train_inputs, data.train_labels)
    some = [(x[:n], y[:n]) for (x, y), n in ((test, sizes.ranked), (test, sizes.noised), (train, sizes.noised))]
    columns = {"accuracy": "test_accuracy", "train_accuracy": "train_accuracy", "train_eval_loss": "train_loss"}
    curve, found = run.scalars()[list(columns)].rename(columns=columns), {}
    moments = {of: measured_steps(run.steps, of) for of in sections if math.isfinite(curve["train_loss"].iloc[-1])}
    for step in sorted(set().union(*moments.values())):
        model.load_state_dict(run.snapshots[step])
        snapshot = MeasuredSnapshot(partial(population.graph, name, step), model, some[0], some[1], some[2], data)
        takes = (take for of, steps in moments.items() if step in steps for take in MEASURES[of])
        found[step] = {key: value for take in takes for key, value in take(snapshot).items()}
    rows = curve.join(pd.DataFrame.from_dict(found, orient="index")).rename_axis(index="step").reset_index()
    about = described(configuration) | {"data": TITLES.get(data.name, data.name)}
    return rows.assign(**about, ranked=len(some[0][1]), noised=len(some[1][1]))


def described(configuration: RunConfiguration) -> dict[str, Any]:
    """The columns that say how a network was trained."""
    varied = {attribute: getattr(configuration, attribute) for attribute in VARIED}
    return varied | {"layers": len(configuration.widths or ()), "width": (configuration.widths or (0,))[0]}


def measured_steps(steps: tuple[int, ...], section: str) -> tuple[int, ...]:
    """The recorded steps at which a network is measured.

    The end alone where nothing over time is asked; of networks that may grok, which are looked at often, the start, the
    end and others in between, evenly spaced in the logarithm of their number.

    >>> measured_steps((0, 1, 2, 3, 4, 5), "depth"), measured_steps(tuple(range(0, 5000, 50)), "grokking")
    ((5,), (0, 50, 100, 150, 200, 300, 500, 800, 1250, 1950, 3150, 4950))
    """
    if section in ("depth", "flat-minima", "double-descent", "late-layers"):
        return steps[-1:]
    if section != "grokking" or len(steps) <= MOMENTS:
        return steps
    places = np.geomspace(1, len(steps) - 1, MOMENTS - 1).round().astype(int)
    return (steps[0], *(steps[place] for place in np.unique(places)))
