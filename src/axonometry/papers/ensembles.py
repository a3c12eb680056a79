"""An ensemble: networks of one architecture, compared by accuracy."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from axonometry.experiments import association
from axonometry.metrics import jeffreys_divergence
from axonometry.papers import readings
from axonometry.papers.readings import Place, Values
from axonometry.progress import Progress
from axonometry.report import samples as densities_of
from axonometry.report.study import labels

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.populations import Population

SUMMARIES = ("mean", "std")
"""What stands for a layer of one network in comparisons, chosen before looking."""
THIRDS = ("low", "middle", "high")
FEWEST = 5
"""Networks that a bin must have to be shown as a density."""
RELABELLINGS = 10
"""Random relabellings of the high and low third that a divergence is held against."""


@dataclass(frozen=True)
class Ensemble:
    """What was found in one ensemble.

    Attributes:
        name: A short name, the folder of its runs.
        title: What it is, in words.
        networks: A row a network, ascending by accuracy: configuration, last scalars, ``bin`` (ordered categorical) and
            ``third`` (low, middle, high).
        summaries: Tidy: network, metric, group, statistic, value; at the networks' last step.
        fluctuation: A row a layer, and one for their mean: Spearman's correlation of layer fluctuation with accuracy.
        separation: A row a summary: how well it tells the high third from the low third.
        contrast: A row a measure and layer: divergence of the high third from the low third.
        densities: Tidy: metric, group, name (a bin's), x, density.
        divergences: By measure and group: a bin by bin frame.
        trained_alike: Columns of ``networks`` inside whose combinations networks differ by their seed alone.
        broken: Networks that are left out because a weight is NaN or infinite.
    """

    name: str
    title: str
    networks: pd.DataFrame
    summaries: pd.DataFrame
    fluctuation: pd.DataFrame
    separation: pd.DataFrame
    contrast: pd.DataFrame
    densities: pd.DataFrame
    divergences: dict[Place, pd.DataFrame]
    trained_alike: tuple[str, ...]
    broken: int

    @property
    def bins(self) -> list[str]:
        """Names of the accuracy bins that hold networks, from low to high."""
        return list(self.networks["bin"].cat.categories)


def ensemble(
    population: Population,
    name: str,
    title: str,
    *,
    edges: Sequence[float],
    trained_alike: Sequence[str],
    progress: Progress | None = None,
) -> Ensemble:
    """Read an ensemble's runs and compare its networks by accuracy.

    Args:
        population: Whole runs of one architecture; a network is one sample, at its last step.
        name: A short name.
        title: What it is, in words.
        edges: Edges of the accuracy bins, which do not overlap.
        trained_alike: Attributes of the configuration; networks that agree in them differ by their seed alone.
        progress: Called with networks read, out of how many, and a few words.

    Raises:
        RunError: A run is damaged.
    """
    summaries, values, broken = readings.read(population, title, progress)
    networks = _binned(population, edges, without=broken)
    values = {place: {n: of[n] for n in networks.index} for place, of in values.items()}
    table = summaries[summaries["network"].isin(networks.index)]
    by_bin = _by_bin(networks, table, values)
    alike = list(map(tuple, networks[list(trained_alike)].to_numpy()))
    return Ensemble(
        name=name,
        title=title,
        networks=networks,
        summaries=table,
        fluctuation=_fluctuation(networks, table, alike),
        separation=_separation(networks, table, alike),
        contrast=_contrast(networks, values),
        densities=densities_of.densities(by_bin),
        divergences=densities_of.divergences(by_bin),
        trained_alike=tuple(trained_alike),
        broken=len(broken),
    )


def _binned(population: Population, edges: Sequence[float], *, without: set[str]) -> pd.DataFrame:
    """The networks ascending by accuracy, with their bins and thirds."""
    import pandas as pd

    members = [(part, [run for run in part.runs if run not in without]) for part in population.accuracy_bins(edges)]
    members = [(part, runs) for part, runs in members if runs]
    names = labels([(part.lower, part.upper) for part, _ in members])
    of = {run: name for name, (_, runs) in zip(names, members, strict=True) for run in runs}
    networks = population.frame.loc[list(of)].copy()
    networks["bin"] = pd.Categorical(list(of.values()), categories=names, ordered=True)
    networks["third"] = np.array(THIRDS)[np.arange(len(networks)) * 3 // max(1, len(networks))]
    return networks


def _by_bin(
    networks: pd.DataFrame, table: pd.DataFrame, values: Mapping[Place, Mapping[str, Values]]
) -> dict[Place, dict[str, Values]]:
    """The values of each bin's networks together; fluctuation is one value a network."""
    bins = {name: part.index for name, part in networks.groupby("bin", observed=True) if len(part) >= FEWEST}
    pooled = {
        place: {str(name): np.concatenate([of[n] for n in members]) for name, members in bins.items()}
        for place, of in values.items()
    }
    for layer, of in _wide(table, "layer_fluctuation", "value").items():
        pooled["layer_fluctuation", str(layer)] = {
            str(name): of[members].to_numpy(dtype=np.float32) for name, members in bins.items()
        }
    return pooled


def _fluctuation(networks: pd.DataFrame, table: pd.DataFrame, alike: Sequence[object]) -> pd.DataFrame:
    """Spearman's correlation of layer fluctuation with accuracy, and the fluctuation of the lowest and highest bin."""
    import pandas as pd

    by_layer = _wide(table, "layer_fluctuation", "value").loc[networks.index]
    by_layer["mean of layers"] = by_layer.mean(axis=1)
    rows = []
    for layer, of in by_layer.items():
        medians = of.groupby(networks["bin"], observed=True).median()
        rows.append(
            {
                "layer": layer,
                **_correlations(of, networks, alike, seed=str(layer)),
                "lowest_bin": medians.iloc[0],
                "highest_bin": medians.iloc[-1],
            }
        )
    return pd.DataFrame(rows)


def _separation(networks: pd.DataFrame, table: pd.DataFrame, alike: Sequence[object]) -> pd.DataFrame:
    """How well each summary tells the high third from the low third; p adjusted for all of the rows."""
    import pandas as pd

    rows = []
    for metric in ("link_weights", "node_strength"):
        for statistic in SUMMARIES:
            for layer, of in _wide(table, metric, statistic).loc[networks.index].items():
                low, high = (of[networks["third"] == third].to_numpy() for third in (THIRDS[0], THIRDS[-1]))
                seed = f"{metric} {layer} {statistic}"
                auc = association.separation(low, high, seed=zlib.crc32(seed.encode()))
                rows.append(
                    {
                        "metric": metric,
                        "layer": layer,
                        "statistic": statistic,
                        "auc": auc.value,
                        "auc_low": auc.low,
                        "auc_high": auc.high,
                        "p": association.rank_test(low, high),
                        **_correlations(of, networks, alike, seed=seed),
                    }
                )
    frame = pd.DataFrame(rows)
    return frame.assign(p_adjusted=association.holm(frame["p"].tolist()))


def _correlations(of: pd.Series, networks: pd.DataFrame, alike: Sequence[object], *, seed: str) -> dict[str, float]:
    number, accuracy, x = zlib.crc32(seed.encode()), networks["accuracy"].to_numpy(), of.to_numpy()
    everywhere = association.rank_correlation(x, accuracy, seed=number)
    inside = association.rank_correlation(x, accuracy, alike, seed=number)
    return {
        "rho": everywhere.value,
        "rho_low": everywhere.low,
        "rho_high": everywhere.high,
        "n": everywhere.n,
        "alike": inside.value,
        "alike_low": inside.low,
        "alike_high": inside.high,
        "alike_n": inside.n,
    }


def _contrast(networks: pd.DataFrame, values: Mapping[Place, Mapping[str, Values]]) -> pd.DataFrame:
    """Divergence of the pooled values of the high third from the low third, and the greatest of random relabellings."""
    import pandas as pd

    thirds = networks["third"].to_numpy()
    compared = networks.index[thirds != THIRDS[1]]
    first = int((thirds == THIRDS[0]).sum())
    generator = np.random.default_rng(0)
    orders = [np.arange(len(compared)), *(generator.permutation(len(compared)) for _ in range(RELABELLINGS))]
    rows = []
    for (metric, layer), of in values.items():
        found = []
        for order in orders:
            low, high = (np.concatenate([of[n] for n in part]) for part in np.split(compared[order], [first]))
            usable = densities_of.varies(low) and densities_of.varies(high)
            found.append(jeffreys_divergence(low, high) if usable else np.nan)
        rows.append({"metric": metric, "layer": layer, "divergence": found[0], "relabelled": max(found[1:])})
    return pd.DataFrame(rows)


def _wide(table: pd.DataFrame, metric: str, statistic: str) -> pd.DataFrame:
    """One statistic: a row a network, a column a layer in the network's order."""
    rows = table[(table["metric"] == metric) & (table["statistic"] == statistic)]
    wide = rows.pivot(index="network", columns="group", values="value")
    return wide[list(dict.fromkeys(rows["group"]))]
