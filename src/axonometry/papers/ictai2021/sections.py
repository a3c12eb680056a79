"""What the ensembles of La Malfa et al. 2021 say: claims, tables, figures."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from axonometry.experiments import Claim, Estimate, IntervalChart, Measurements, Section, in_words
from axonometry.metrics import divergence_null, jeffreys_divergence, layer_fluctuation
from axonometry.papers.ictai2021.ensembles import CONVENTION, MORE, SUMMARIES, THIRDS, Ensemble, ensembles, layer_values
from axonometry.report import samples
from axonometry.report.density_figures import figures_by_measure
from axonometry.report.page import Figure, Table
from axonometry.statistics import sharper

HEADS = {
    **{"metric": "measure", "statistic": "summary", "auc": "AUC", "p_adjusted": "p, adjusted", "rho": "ρ"},
    **{"alike": "ρ, trained alike", "lowest": "median in the lowest bin", "highest": "median in the highest bin"},
}
"""Columns whose names do not say what they are."""
ALPHA = 0.05
BETWEEN = ("layer", "and layer", "divergence", "relabelled halves, mean", "97.5 %")
HALVED = "What chance gives: the divergence of two halves of the pooled values, relabelled at random, 20 times."
DRAWS = 20
PAPER = "2110.02628"
DIVERGENCE = "Jeffreys divergence (nats)"
ALIKE = (
    "Right of the dotted line, networks whose layer fluctuates more do better. Networks trained alike differ by their "
    "seed alone: what is left among them is no effect of longer or faster training."
)
SEPARATED = (
    "How often the number is greater in a network of the most accurate third than in one of the least accurate third. "
    "1 or 0: it tells them apart without error; 0.5, the dotted line: not at all."
)


def fluctuation(found: Measurements) -> Section:
    """Layer fluctuation and accuracy: rank correlation over networks, and among those that were trained alike."""
    every, title = ensembles(found), "Do layers fluctuate more in networks that do better?"
    tables = [_table(one.fluctuation, f"Fluctuation: {one.title}", _bins(one)) for one in every]
    axis = "Spearman's ρ with accuracy"
    charts = (IntervalChart(table, table.columns[1:3], axis, 0.0, caption=ALIKE) for table in tables)
    claims = tuple(claim for one in every for claim in _fluctuation_claims(one))
    return Section(title, "", claims, tuple(tables), tuple(charts))


def _bins(one: Ensemble) -> str:
    counts = one.networks["bin"].value_counts(sort=False)
    bins = ", ".join(f"{name}: {n}" for name, n in counts.items())
    left_out = f" {len(one.broken)} with a weight that is not finite are left out." if one.broken else ""
    return f"{len(one.networks)} networks; in each accuracy bin {bins}.{left_out}"


def _fluctuation_claims(one: Ensemble) -> Iterator[Claim]:
    layers, mean = one.fluctuation.iloc[:-1], one.fluctuation.iloc[-1]
    for key, words in (("rho", ""), ("alike", " among networks trained alike")):
        by_layer, of = dict(zip(layers["layer"], layers[key], strict=True)), mean[key]
        rises = _counted([layer for layer, rho in by_layer.items() if rho.low > 0], len(layers))
        falls = _counted([layer for layer, rho in by_layer.items() if rho.high < 0], len(layers))
        numbers = f"ρ = {of.text()} for the mean over layers, n = {of.n}; rises in {rises}, falls in {falls}"
        claim = Claim.above(f"Layer fluctuation rises with accuracy{words}: {one.title}", of, numbers=numbers)
        yield claim.stated(PAPER if key == "rho" else "no paper: what its figures leave open", settled_by=MORE)


def separation(found: Measurements) -> Section:
    """The most against the least accurate third: node strength beside link weights, one number a network."""
    every, title = ensembles(found), "Does node strength tell accurate networks apart where link weights do not?"
    wanted = ["metric", "layer", "statistic", "auc", "p_adjusted", "rho", "alike"]
    tables = [_table(one.separation[wanted], f"High against low third: {one.title}") for one in every]
    about = (("AUC",), "area under the ROC curve", 0.5, (-0.03, 1.03), SEPARATED)
    charts = tuple(IntervalChart(table, *about) for table in tables)
    setup = "The most accurate third of the networks against the least accurate one, layer by layer."
    return Section(title, setup, tuple(map(_strength_claim, every)), tuple(tables), charts)


def _strength_claim(one: Ensemble) -> Claim:
    told = one.separation.groupby(["metric", "layer"], sort=False)["p_adjusted"].min().lt(ALPHA)
    strength, weights = (told.xs(metric) for metric in ("node_strength", "link_weights"))
    alone = [layer for layer in weights.index if strength[layer] and not weights[layer]]
    gains = {str(layer): _sharper(one, str(layer)) for layer in weights.index}
    numbers = (
        f"Node strength tells the high from the low third in {_counted(strength.index[strength], len(strength))}, link "
        f"weights in {_counted(weights.index[weights], len(weights))} (mean or standard deviation, adjusted p < "
        f"{ALPHA}); node strength does where link weights do not in {_counted(alone, len(weights))}. Its better AUC is "
        f"farther from 0.5 by {', '.join(f'{gain.text()} ({layer})' for layer, gain in gains.items())}, n = "
        f"{len(one.networks)}"
    )
    words = f"Node strength tells accurate networks apart better than link weights do: {one.title}"
    return Claim.above(words, list(gains.values()), numbers=numbers).stated(PAPER, settled_by=MORE)


def _sharper(one: Ensemble, layer: str) -> Estimate:
    """Of a layer: how much farther from a half the better AUC of its node strength is than that of its link weights."""
    thirds, both = one.networks["third"], []
    for metric in ("node_strength", "link_weights"):
        numbers = np.stack([one.wide(metric, statistic)[layer].to_numpy() for statistic in SUMMARIES])
        both.append((numbers[:, thirds == THIRDS[0]], numbers[:, thirds == THIRDS[-1]]))
    return sharper(*both, seed=zlib.crc32(layer.encode()))


def densities(found: Measurements) -> Section:
    """All values of a layer, pooled over networks: divergence of the thirds, densities in accuracy bins."""
    every = ensembles(found)
    tables = [_table(one.contrast, f"High against low third: {one.title}") for one in every]
    setup = "Values are pooled over the networks of a third, or of an accuracy bin."
    drawn = tuple(partial(_density_figures, one) for one in every)
    title = "How far apart are accurate and inaccurate networks, as densities?"
    return Section(title, setup, tuple(map(_density_claim, every)), tuple(tables), drawn)


def _density_claim(one: Ensemble) -> Claim:
    far = one.contrast.set_index(["metric", "layer"])["divergence"]
    weights, strengths = far["link_weights"], far["node_strength"]
    farther = [layer for layer in weights.index if strengths[layer] > weights[layer]]
    words = f"As densities, the thirds are farther apart in node strength than in link weights: {one.title}"
    numbers = f"in {_counted(farther, len(weights))}; the layers of some networks are no sample, hence no interval"
    settled = "a bootstrap over networks: 200 times all densities, an hour of one core"
    return Claim(words, "undecided", numbers=numbers).stated(PAPER, settled_by=settled)


def _density_figures(one: Ensemble) -> Iterator[Figure]:
    caption = "The density in each accuracy bin, over all networks in it; small bins are left out."
    return figures_by_measure(one.pooled, one.bins, title=f" by accuracy: {one.title}", caption=caption)


def one_network(found: Measurements) -> Section:
    """The individual counterpart: the most accurate network of the first ensemble, layer by layer."""
    ensemble = ensembles(found)[0]
    name, accuracy = str(ensemble.networks.index[-1]), ensemble.networks["accuracy"].iloc[-1]
    graph, values = ensemble.population.graph(name), samples.Samples()
    for (metric, layer), of in layer_values(graph).items():
        if samples.varies(of):
            values.setdefault((metric, ""), {})[layer] = of
    by_layer = tuple(layer_fluctuation(graph, CONVENTION).items())
    tables = [Table(("layer", "layer fluctuation"), by_layer, "Layer fluctuation")]
    for (metric, _), of_layers in values.items():
        title = f"{DIVERGENCE} between the layers' {in_words(metric)}"
        tables.append(Table(BETWEEN, tuple(_between(of_layers)), title, HALVED))
    setup = f"The most accurate network of the first ensemble (run `{name}`, accuracy {accuracy:.4f})."
    layers = list(dict.fromkeys(layer for by_layer in values.values() for layer in by_layer))
    caption = "The density of each layer's values."
    drawn = partial(figures_by_measure, values, layers, "depth", title=" by layer", caption=caption)
    return Section("How do the layers of one network differ?", setup, (), tuple(tables), (drawn,))


def _between(of_layers: Mapping[str, NDArray[np.float32]]) -> Iterator[tuple[str, str, float, float, float]]:
    """Each pair of layers, their divergence, and that of relabelled halves of the pair: mean and 97.5 % quantile."""
    for first, second in combinations(of_layers, 2):
        pair = of_layers[first], of_layers[second]
        null = divergence_null(*pair, "kernel", draws=DRAWS)
        yield first, second, jeffreys_divergence(*pair, "kernel"), null.value, null.high


def _counted(layers: Iterable[str], total: int) -> str:
    names = list(layers)
    if not names:
        return f"none of {total} layers"
    return f"{len(names)} of {total} layers ({', '.join(names)})" if len(names) < total else f"all {total} layers"


def _table(frame: pd.DataFrame, title: str, caption: str = "") -> Table:
    shown = frame.assign(metric=frame["metric"].map(in_words)) if "metric" in frame else frame
    return Table.of(shown.rename(columns=HEADS), title=title, caption=caption)
