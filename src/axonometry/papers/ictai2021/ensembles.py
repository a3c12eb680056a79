"""An ensemble: networks of one architecture, compared by accuracy. Networks are the sample, one number of each."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from axonometry.experiments import Context, Estimate, Measurements, measure_population
from axonometry.metrics import jeffreys_divergence, measure as measure_graph
from axonometry.populations import Population
from axonometry.populations.accuracy_bins import bins_of
from axonometry.program import NeuralGraph
from axonometry.report import samples
from axonometry.report.study import labels
from axonometry.statistics import holm, rank_correlation, rank_test, roc_area

MORE = "5,800 networks at scale medium, two hours on two cores; the paper's sizes and CIFAR-10 at scale full, a cluster"
"""What would change the verdicts of this experiment."""
CONVENTION: Literal["ictai2021"] = "ictai2021"
"""Counted as in the paper's code: biases are pooled with the weights, and inputs and outputs have one more link to the
outside world."""
MEASURES = ("link_weights", "node_strength", "layer_fluctuation")
SUMMARIES = ("mean", "std")
"""What stands for a layer of one network in comparisons, chosen before looking."""
EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Accuracy bins: tenths, the highest one halved."""
THIRDS = ("low", "middle", "high")
FEWEST = 5
"""Networks that a bin must have to be shown as a density."""
RELABELLINGS = 10
"""Random relabellings of the high and low third that a divergence is held against."""
VALUES = 2000
"""Values of one layer of one network that enter densities; of more, so many are drawn, with replacement."""
MEAN = "mean of layers"

Values = NDArray[np.float32]
Place = tuple[str, str]
"""Measure and layer."""
Read = Callable[[], Mapping[Place, Mapping[str, Values]]]


def measure_ensembles(population: Population, context: Context) -> pd.DataFrame:
    """What is compared of every network at its last step: metric, group, statistic, value."""

    def last(networks: Population, name: str) -> pd.DataFrame:
        return measure_graph(networks.graph(name), MEASURES, CONVENTION)

    return measure_population(population, last, context)[["run", "metric", "group", "statistic", "value"]]


@dataclass(frozen=True)
class Ensemble:
    """The networks of one condition.

    Attributes:
        name: The condition.
        title: What it is, in words.
        population: The runs.
        table: Its rows of the experiment's table.
        context: Cache and progress.
    """

    name: str
    title: str
    population: Population
    table: pd.DataFrame
    context: Context

    @cached_property
    def broken(self) -> set[str]:
        """Names of the networks that are left out because a weight is NaN or infinite."""
        rows = self.table[(self.table["metric"] == "link_weights") & (self.table["statistic"] == "nonfinite")]
        return set(rows.loc[rows["value"] > 0, "run"])

    @cached_property
    def networks(self) -> pd.DataFrame:
        """A row a network, ascending by accuracy: accuracy, bin (ordered categorical), third, stratum."""
        accuracy = self.population.frame["accuracy"].drop(list(self.broken))
        parts = [part for part in bins_of(accuracy, EDGES) if part.runs]
        names = labels([(part.low, part.high) for part in parts])
        of = {run: name for name, part in zip(names, parts, strict=True) for run in part.runs}
        networks = accuracy[list(of)].to_frame()
        strata = self.table.drop_duplicates("run").set_index("run")["stratum"]
        return networks.assign(
            bin=pd.Categorical(list(of.values()), categories=names, ordered=True),
            third=np.array(THIRDS)[np.arange(len(networks)) * 3 // max(1, len(networks))],
            stratum=strata.loc[list(of)],
        )

    @property
    def bins(self) -> list[str]:
        """Names of the accuracy bins that hold networks, from low to high."""
        return list(self.networks["bin"].cat.categories)

    def wide(self, metric: str, statistic: str = "value") -> pd.DataFrame:
        """One statistic: a row a network, ascending by accuracy, a column a layer in the network's order."""
        rows = self.table[(self.table["metric"] == metric) & (self.table["statistic"] == statistic)]
        wide = rows.pivot(index="run", columns="group", values="value")
        return wide.loc[self.networks.index, list(dict.fromkeys(rows["group"]))]

    def correlations(self, values: pd.Series, seed: str) -> tuple[Estimate, Estimate]:
        """Rank correlation of a number with accuracy: over all networks, and among those that were trained alike."""
        number, accuracy, x = zlib.crc32(seed.encode()), self.networks["accuracy"].to_numpy(), values.to_numpy()
        everywhere = rank_correlation(x, accuracy, seed=number)
        return everywhere, rank_correlation(x, accuracy, list(self.networks["stratum"]), seed=number)

    @cached_property
    def fluctuation(self) -> pd.DataFrame:
        """A row a layer, and one for their mean: layer, rho, alike, and the medians of the lowest and highest bin."""
        by_layer = self.wide("layer_fluctuation")
        by_layer[MEAN] = by_layer.mean(axis=1)
        rows = []
        for layer, of in by_layer.items():
            medians = of.groupby(self.networks["bin"], observed=True).median()
            rows.append((layer, *self.correlations(of, str(layer)), medians.iloc[0], medians.iloc[-1]))
        return pd.DataFrame(rows, columns=["layer", "rho", "alike", "lowest", "highest"])

    @cached_property
    def separation(self) -> pd.DataFrame:
        """How well each summary tells the high third from the low third; p adjusted for all of the rows."""
        rows = []
        for metric in ("link_weights", "node_strength"):
            for statistic in SUMMARIES:
                for layer, of in self.wide(metric, statistic).items():
                    low, high = (of[self.networks["third"] == third].to_numpy() for third in (THIRDS[0], THIRDS[-1]))
                    seed = f"{metric} {layer} {statistic}"
                    auc = roc_area(low, high, seed=zlib.crc32(seed.encode()))
                    p = rank_test(low, high)
                    rows.append((metric, layer, statistic, auc, p, *self.correlations(of, seed)))
        frame = pd.DataFrame(rows, columns=["metric", "layer", "statistic", "auc", "p", "rho", "alike"])
        return frame.assign(p_adjusted=holm(frame["p"].tolist()))

    @cached_property
    def values(self) -> Mapping[Place, Mapping[str, Values]]:
        """Link weights and node strengths of every network, by measure and layer."""
        found: dict[Place, dict[str, Values]] = {}
        for number, name in enumerate(self.networks.index):
            self.context.progress(number, len(self.networks), f"reading {self.title}")
            for place, values in layer_values(self.population.graph(str(name))).items():
                found.setdefault(place, {})[str(name)] = values
        return found

    @cached_property
    def contrast(self) -> pd.DataFrame:
        """A row a measure and layer: divergence of the high third from the low one, and of random relabellings."""
        thirds = self.networks[["third"]].astype(str)
        read = (self.population, thirds)
        return self.context.cached(contrast, *read, also=layer_values, unkeyed=(lambda: self.values,))

    @cached_property
    def pooled(self) -> samples.Samples:
        """The values of each bin's networks together; fluctuation is one value a network."""
        bins = {str(n): part.index for n, part in self.networks.groupby("bin", observed=True) if len(part) >= FEWEST}
        found = {
            place: {name: np.concatenate([of[n] for n in members]) for name, members in bins.items()}
            for place, of in self.values.items()
        }
        for layer, of in self.wide("layer_fluctuation").items():
            found["layer_fluctuation", str(layer)] = {
                name: of[members].to_numpy(dtype=np.float32) for name, members in bins.items()
            }
        return found


def ensembles(found: Measurements) -> list[Ensemble]:
    """The ensembles of an experiment, in the order of its trials."""
    return [
        Ensemble(name, found.context.title(name), found.populations[name], found.of(name, name), found.context)
        for name in found.populations
    ]


def layer_values(graph: NeuralGraph) -> dict[Place, Values]:
    """Link weights and node strengths of one network by measure and layer, at most :data:`VALUES` of each."""
    return dict(sorted(samples.of_graph(graph, CONVENTION, VALUES).items(), key=lambda item: item[0][0]))


def contrast(_population: Population, networks: pd.DataFrame, read: Read) -> pd.DataFrame:
    """Divergence of the pooled values of the high third from the low third, and the greatest of random relabellings."""
    thirds = networks["third"].to_numpy()
    compared = networks.index[thirds != THIRDS[1]]
    first = int((thirds == THIRDS[0]).sum())
    generator = np.random.default_rng(0)
    orders = [np.arange(len(compared)), *(generator.permutation(len(compared)) for _ in range(RELABELLINGS))]
    rows = []
    for (metric, layer), of in read().items():
        found = []
        for order in orders:
            low, high = (np.concatenate([of[n] for n in part]) for part in np.split(compared[order], [first]))
            usable = samples.varies(low) and samples.varies(high)
            found.append(jeffreys_divergence(low, high, "kernel") if usable else np.nan)
        rows.append({"metric": metric, "layer": layer, "divergence": found[0], "relabelled": max(found[1:])})
    return pd.DataFrame(rows)
