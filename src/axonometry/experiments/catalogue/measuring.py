"""What is measured of each network: all measures that weights and samples give, as one number each.

A measure has a row a group (layer) and statistic. Its number is that of the whole network where there is one, and else
the mean over the layers that have one: ``node_strength.std`` is the mean over layers of the standard deviation of node
strengths. Networks of one architecture can then be put in order by it; of counts, extremes and ends of intervals there
is no number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from axonometry.experiments.experiment import Context, measure_population
from axonometry.metrics.catalogue import CATALOGUE, measure
from axonometry.metrics.rows import NETWORK
from axonometry.populations import Population
from axonometry.populations.objectives import evaluate_network
from axonometry.populations.sampling import used_images
from axonometry.populations.training import dataset_of, initial_network
from axonometry.trajectory import Trajectory

Samples = list[tuple[Tensor, Tensor]]
LEFT_OUT = (
    "count",
    "nonfinite",
    "median",
    "minimum",
    "maximum",
    "low",
    "high",
    "low_all",
    "high_all",
    "clean",
    "accuracy",
)
"""Statistics that are no number of their own; the accuracy among them is the score itself."""
SLOW = ("sample_basin", "weight_basin", "sharpness")
"""Measures that take seconds a network: at the end alone, of some networks."""
BEFORE = ("proxies", "gradient_noise_scale")
"""Measures that are meant for the network before training, and are taken there alone."""
UPDATES, NORM, SCORE, FINAL, GAP = "updates", "weight norm", "score", "final score", "gap"
"""Numbers beside those of measures: updates so far (up to a factor), norm of all weights, the score then and at the
end, and the score on training data less that on test data at the end."""
ABOUT = (UPDATES, NORM, SCORE, FINAL, GAP)


@dataclass(frozen=True)
class CatalogueOptions:
    """How much is measured.

    Attributes:
        epochs: Recorded epochs that are looked at; the last one always is.
        score: The scalar that networks are compared by, the higher the better.
        least: The score from which on a network has learned something; others are left out.
        samples: Test inputs that run through the networks; 0 for measures of weights alone.
        few_samples: Of these, how many :data:`SLOW` measures take.
        slow_networks: Networks that :data:`SLOW` measures are taken of, evenly spread over the score.
        drawn_networks: Networks that are compared with null draws, likewise.
        draws: Null draws of each.
    """

    epochs: tuple[int, ...] = (0, 1, 3)
    score: str = "accuracy"
    least: float = 0.2
    samples: int = 200
    few_samples: int = 100
    slow_networks: int = 40
    drawn_networks: int = 20
    draws: int = 20


def measure_catalogue(population: Population, context: Context) -> pd.DataFrame:
    """All numbers of a population's networks at some epochs: columns run, epoch, number, value."""
    options: CatalogueOptions = context.options
    slow = set(runs_over_scores(population, options))

    def read(networks: Population, name: str) -> pd.DataFrame:
        rows = list(_of_run(networks, name, context, slow=name in slow))
        return pd.DataFrame(rows, columns=["epoch", "number", "value"])

    return measure_population(population, read, context)


def runs_over_scores(population: Population, options: CatalogueOptions, n: int | None = None) -> list[str]:
    """At most n runs that learned, evenly spread over the score.

    Args:
        population: Whose runs.
        options: The score, and the least of it.
        n: How many; as many as :data:`SLOW` measures are taken of where None.
    """
    n = options.slow_networks if n is None else n
    scores = population.frame[options.score] if options.score in population.frame else pd.Series(dtype=float)
    known = scores[scores >= options.least].sort_values(kind="stable").index
    if not len(known):
        return []
    return [str(known[int(place)]) for place in np.unique(np.linspace(0, len(known) - 1, min(n, len(known))).round())]


def weight_measures() -> list[str]:
    """The measures of weights alone, in the order of the catalogue."""
    return [name for name, spec in CATALOGUE.items() if not (spec.needs_samples or spec.needs_training)]


def network_numbers(table: pd.DataFrame) -> dict[str, float]:
    """The number of every measure and statistic of one network.

    Args:
        table: As :func:`axonometry.metrics.measure` gives it.

    >>> rows = [("a", "m", "std", 1.0), ("b", "m", "std", 3.0), ("a", "m", "count", 9.0), ("", "k", "value", 5.0)]
    >>> network_numbers(pd.DataFrame(rows, columns=["group", "metric", "statistic", "value"]))
    {'m.std': 2.0, 'k': 5.0}
    """
    kept = table[~table["statistic"].isin(LEFT_OUT) & ~table["statistic"].str.contains(r"\d")]
    kept = kept[np.isfinite(kept["value"])]
    found = {}
    for (metric, statistic), rows in kept.groupby(["metric", "statistic"], sort=False):
        whole = rows.loc[rows["group"] == NETWORK, "value"]
        name = metric if statistic == "value" else f"{metric}.{statistic}"
        found[str(name)] = float(whole.iloc[0] if len(whole) else rows["value"].mean())
    return found


def _of_run(population: Population, name: str, context: Context, *, slow: bool) -> Iterator[tuple[int, str, float]]:
    options: CatalogueOptions = context.options
    run, scalars = population.runs[name], population.runs[name].scalars()
    samples = samples_of(population, name, context)
    score = scalars[options.score] if options.score in scalars else pd.Series(dtype=float)
    final = float(score.iloc[-1]) if len(score) else math.nan
    if not final >= options.least:  # it is left out of everything that is read, and may have diverged
        yield 0, FINAL, final
        return
    steps = steps_by_epoch(run, options.epochs)
    last = max(steps)
    about = {FINAL: final, GAP: gap_of(population, name, final, context)}
    for epoch, step in steps.items():
        graph = population.graph(name, step)
        names = [*_names(samples), *(BEFORE if epoch == 0 and samples else ())]
        found = network_numbers(measure(graph, names, samples=samples))
        if slow and epoch == last and samples:
            few = [(inputs[: options.few_samples], labels[: options.few_samples]) for inputs, labels in samples]
            found |= network_numbers(measure(graph, SLOW, samples=few))
        squares = (graph.state[parameter].double().square().sum() for parameter in graph.program.parameters)
        norm = math.sqrt(sum(map(float, squares)))
        known = {UPDATES: _updates(population, name, epoch), NORM: norm, SCORE: float(score.get(step, math.nan))}
        yield from ((epoch, number, value) for number, value in (found | known | about).items())


def _names(samples: Samples | None) -> list[str]:
    asked = [name for name, spec in CATALOGUE.items() if not spec.needs_training and name not in (*SLOW, *BEFORE)]
    return asked if samples else [name for name in asked if not CATALOGUE[name].needs_samples]


def steps_by_epoch(run: Trajectory, wanted: Iterable[int]) -> dict[int, int]:
    """The recorded step of each epoch that is wanted and recorded, and of the last one.

    Args:
        run: Whose steps are epochs, or which recorded the scalar ``epoch``.
        wanted: Epochs.
    """
    scalars = run.scalars()
    ended = scalars["epoch"] if "epoch" in scalars else pd.Series(run.steps, index=run.steps, dtype=float)
    places = {round(epoch): int(str(step)) for step, epoch in ended.items() if abs(epoch - round(epoch)) < 1e-9}
    last = max(places, default=0)
    return {epoch: places[epoch] for epoch in (*(e for e in wanted if e < last), last) if epoch in places}


def samples_of(population: Population, name: str, context: Context) -> Samples | None:
    """The first test inputs of a run's own data set, with their classes; None where there are none.

    Args:
        population: Whose run.
        name: The run.
        context: Options, and where data are.
    """
    options: CatalogueOptions = context.options
    if not population.ours or not options.samples or population.configurations[name].reconstructs:
        return None
    data = dataset_of(population.configurations[name], context.data)
    return [(data.test_inputs[: options.samples], data.test_labels[: options.samples])]


def gap_of(population: Population, name: str, final: float, context: Context) -> float:
    """The score on the training data, as they are trained on, less that on the test data; NaN where it is not known.

    Args:
        population: Whose run.
        name: The run.
        final: The score on test data at the end.
        context: Options, and where data are.
    """
    options: CatalogueOptions = context.options
    trained = f"train_{options.score}"
    scalars = population.runs[name].scalars()
    if trained in scalars and not math.isnan(float(scalars[trained].iloc[-1])):
        return float(scalars[trained].iloc[-1]) - final
    if not population.ours or not options.samples:
        return math.nan
    configuration = population.configurations[name]
    used = used_images(configuration, dataset_of(configuration, context.data))
    network = initial_network(configuration, used)
    network.load_state_dict(population.runs[name].snapshots[population.runs[name].steps[-1]])
    found = evaluate_network(configuration.objective, network, used.train_inputs, used.train_labels)
    return found.get(options.score, math.nan) - final


def _updates(population: Population, name: str, epoch: int) -> float:
    """Updates so far, up to a factor that all networks on one data set share; epochs where batches are not known."""
    if not population.ours:
        return float(epoch)
    configuration = population.configurations[name]
    images = configuration.train_fraction if configuration.n_train is None else configuration.n_train
    return epoch * images / configuration.batch_size
