"""What is read of each network: numbers that any architecture has, from every measure, before and after training.

Layers are those between the inputs and the outputs: what goes in and out gives the task away. A number of neurons,
links or layers is never among the numbers, nor are extremes, which grow with it. Real links only are counted
(convention ``"links"``), biases are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from axonometry.experiments import Context, measure_population
from axonometry.metrics import link_samples, node_strength
from axonometry.metrics.neuron_strength import strength_of_samples
from axonometry.populations import Population
from axonometry.populations.objectives import EVALUATION_METRICS
from axonometry.populations.training import dataset_of
from axonometry.program import NeuralGraph
from axonometry.program.readings.live import live_batches
from axonometry.report.samples import drawn_values
from axonometry.statistics import moments

MEASURES = ("link_weights", "node_strength", "layer_fluctuation", "neuron_strength", "neuron_activation")
"""The paper's measures."""
CONTROL, BASELINE = "scaled_strength", "weights"
"""Node strength in units of what chance would give, and statistics of all parameters (Unterthiner et al. 2020)."""
CHOICES = "hyperparameters"
"""Chosen before training: networks that differ in performance differ in it too, conditions do not."""
_DRAWN = ("optimiser", "learning_rate", "momentum", "scale", "weight_decay", "label_noise")
"""Networks that share these are never on both sides of a fold, whichever conditions they are of."""
SAMPLES = 100
"""Inputs that data-dependent measures are taken on: the first ones of the condition's own test data."""
VALUES = 200
"""Values of each measure of each network that enter densities."""

STATISTICS = ("mean", "median", "std", "skewness", "kurtosis")
_QUANTILES = (0.05, 0.25, 0.75, 0.95)

Values = Mapping[str, Tensor]
"""By layer."""


def measure_conditions(population: Population, context: Context) -> pd.DataFrame:
    """Two rows a network, before and after training.

    Columns: run; when ("before" or "after"); group (networks that share their hyper-parameters), performance; the
    features, called ``measure.layer.statistic``; hyper-parameters as numbers; and ``values.measure``, some of each
    measure's values, for densities.
    """
    first = next(iter(population.configurations.values()))
    inputs = dataset_of(first, context.data).test_inputs[:SAMPLES]
    table = measure_population(population, partial(_read, samples=inputs), context)
    about = population.frame.loc[table["run"]].reset_index(drop=True)
    drawn = about[list(_DRAWN)]
    # As numbers; learners look at their order alone, so that they need no logarithm.
    choices = [pd.get_dummies(drawn[[name]], prefix_sep=".", dtype=float) for name in drawn]
    varied = drawn.loc[:, drawn.nunique() > 1]  # label noise that all networks have does not part them from others
    named = varied.astype(str).agg(", ".join, axis=1) if len(varied.columns) else table["run"]
    grouped = table.assign(group=named, performance=about[EVALUATION_METRICS[first.reconstructs]])
    return pd.concat([grouped, pd.concat(choices, axis=1).add_prefix(f"{CHOICES}.")], axis=1)


def _read(population: Population, name: str, samples: Tensor) -> pd.DataFrame:
    steps, rows = population.runs[name].steps, []
    for when, step in (("before", steps[0]), ("after", steps[-1])):
        graph = population.graph(name, step)
        measured = measured_values(graph, samples)
        pooled = {measure: _pooled(list(by_layer.values())) for measure, by_layer in measured.items()}
        values = {f"values.{measure}": drawn_values(every, VALUES) for measure, every in pooled.items()}
        rows.append({"when": when, **features(graph, measured), **values})
    return pd.DataFrame(rows)


def measured_values(graph: NeuralGraph, samples: Tensor) -> dict[str, dict[str, Tensor]]:
    """The values of every measure in each hidden layer, and those of the control.

    Args:
        graph: The network at one snapshot.
        samples: Inputs.
    """
    hidden = {group.name for group in graph.groups if group.role == "hidden"}
    targets = {synapse.name: synapse.target for synapse in graph.synapses}
    strengths = _of(node_strength(graph), hidden)
    lives = live_values(graph, samples)
    return {
        "link_weights": {name: w for name, w in link_samples(graph).items() if targets[name] in hidden},
        "node_strength": strengths,
        "layer_fluctuation": {name: s.flatten().double().std(correction=0)[None] for name, s in strengths.items()},
        **{measure: _of(by_layer, hidden) for measure, by_layer in lives.items()},
        CONTROL: _of(scaled_strength(graph), hidden),
    }


def live_values(graph: NeuralGraph, samples: Tensor) -> dict[str, dict[str, Tensor]]:
    """Neuron strength and neuron activation of every sample, by layer.

    Args:
        graph: The network at one snapshot.
        samples: Inputs.
    """
    strength, nodes = strength_of_samples(graph)
    batches = [(strength(batch), batch.activations) for batch in live_batches(graph, samples, nodes=nodes)]
    return {
        measure: {group: torch.cat([values[group] for values in parts]) for group in batches[0][1]}
        for measure, parts in zip(("neuron_strength", "neuron_activation"), zip(*batches))
    }


def scaled_strength(graph: NeuralGraph) -> dict[str, Tensor]:
    r"""Node strength over the root of the sum of its links' squared weights: s_k / \sqrt{Σ w²}; 0 without links.

    Where weights are independent of each other and symmetric about 0 this has variance 1, whatever their scale and
    their number: what it shows is how weights go together [our choice].
    """
    received, sent = graph.square().strengths()
    squares = received + sent
    strengths = node_strength(graph)
    return {name: s / squares[name].sqrt().where(squares[name] > 0, torch.ones(())) for name, s in strengths.items()}


def features(graph: NeuralGraph, measured: Mapping[str, Values]) -> dict[str, float]:
    """The numbers of one network, called ``measure.layer.statistic``; layers are (all), (first) and (last).

    Args:
        graph: The network at one snapshot.
        measured: Of :func:`measured_values`.
    """
    found: dict[str, float] = {}
    for measure, by_layer in measured.items():
        layers = list(by_layer.values())
        pooled = {"(all)": _pooled(layers), "(first)": layers[0].flatten(), "(last)": layers[-1].flatten()}
        for layer, values in pooled.items():
            # One number a layer has no shape; its spread over layers would say how many there are.
            chosen = ("mean",) if measure == "layer_fluctuation" else STATISTICS
            found |= {f"{measure}.{layer}.{name}": value for name, value in _statistics(values, chosen).items()}
    return found | dict(_baseline(graph))


def _baseline(graph: NeuralGraph) -> Iterator[tuple[str, float]]:
    """Statistics of all parameters, of the first and the last kernel, and the mean over parameters of each."""
    parameters = [v for v in graph.state.values() if v.is_floating_point()]
    kernels = [v for v in parameters if v.dim() > 1]
    chosen = {"(all)": _pooled(parameters), "(first)": kernels[0].flatten(), "(last)": kernels[-1].flatten()}
    for place, values in chosen.items():
        for name, value in _statistics(values, STATISTICS, _QUANTILES).items():
            yield f"{BASELINE}.{place}.{name}", value
    each = [_statistics(values.flatten(), STATISTICS) for values in parameters if values.numel() > 1]
    for name in STATISTICS:
        yield f"{BASELINE}.(average).{name}", float(np.mean([one[name] for one in each]))


def _statistics(values: Tensor, names: tuple[str, ...], quantiles: tuple[float, ...] = ()) -> dict[str, float]:
    shape, levels = moments(values), np.nanquantile(values.detach().numpy(), quantiles)
    return {name: float(getattr(shape, name)) for name in names} | {
        f"q{level}": float(value) for level, value in zip(quantiles, levels, strict=True)
    }


def _pooled(layers: list[Tensor]) -> Tensor:
    return torch.cat([layer.detach().flatten().float() for layer in layers])


def _of(by_layer: Mapping[str, Tensor], layers: set[str]) -> dict[str, Tensor]:
    return {name: values for name, values in by_layer.items() if name in layers}
