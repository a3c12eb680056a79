"""What the ensembles of La Malfa et al. 2021 say: claims, tables, figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from axonometry.experiments import Claim, IntervalChart, Measurements, Section, in_words
from axonometry.metrics import divergence_matrix, layer_fluctuation
from axonometry.papers.ictai2021.ensembles import CONVENTION, Ensemble, ensembles, layer_values
from axonometry.report import definitions, figures, palette, samples
from axonometry.report.distributions import density_panels, divergence_panels, keys
from axonometry.report.page import Figure, Panel, Table

if TYPE_CHECKING:
    import pandas as pd

HEADS = {
    **{"metric": "measure", "statistic": "summary", "auc": "AUC", "p_adjusted": "p, adjusted", "rho": "ρ"},
    **{"alike": "ρ, trained alike", "lowest": "median in the lowest bin", "highest": "median in the highest bin"},
}
"""Columns whose names do not say what they are."""
ALPHA = 0.05
DIVERGENCE = "Jeffreys divergence (nats)"
APART = "Jeffreys divergence, in nats: 0 where two densities are alike, large where they are far apart."
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
    charts = [
        IntervalChart(table, table.columns[1:3], "Spearman's ρ with accuracy", 0.0, caption=ALIKE) for table in tables
    ]
    claims = tuple(claim for one in every for claim in _fluctuation_claims(one))
    return Section(title, "", claims, tuple(tables), (*charts, *(partial(_dots, one) for one in every)))


def _bins(one: Ensemble) -> str:
    counts = one.networks["bin"].value_counts(sort=False)
    bins = ", ".join(f"{name}: {n}" for name, n in counts.items())
    left_out = f" {len(one.broken)} with a weight that is not finite are left out." if one.broken else ""
    return f"{len(one.networks)} networks; in each accuracy bin {bins}.{left_out}"


def _fluctuation_claims(one: Ensemble) -> Iterator[Claim]:
    layers, mean = one.fluctuation.iloc[:-1], one.fluctuation.iloc[-1]
    for key, words in (("rho", ""), ("alike", " among networks trained alike")):
        estimates = list(zip(layers["layer"], layers[key], strict=True))
        rises = _counted([layer for layer, rho in estimates if rho.low > 0], len(layers))
        falls = _counted([layer for layer, rho in estimates if rho.high < 0], len(layers))
        numbers = (
            f"ρ = {mean[key].text()} for the mean over layers, n = {mean[key].n}; rises in {rises}, falls in {falls}"
        )
        yield Claim.above(f"Layer fluctuation rises with accuracy{words}: {one.title}", mean[key], numbers=numbers)


def _dots(one: Ensemble) -> Iterator[Figure]:
    values = one.wide("layer_fluctuation").assign(accuracy=one.networks["accuracy"], step=0).rename_axis("network")
    panels = []
    for layer, rho in zip(one.fluctuation["layer"][:-1], one.fluctuation["rho"], strict=False):
        part = values.reset_index().rename(columns={layer: "value"})
        log = figures.spans_decades(part["value"])
        figure = figures.against_accuracy(part, y=definitions.axis("layer_fluctuation"), log=log)
        panels.append(Panel(figure, layer, f"ρ = {rho.value:+.2f}, n = {rho.n}"))
    words = "A dot is a network at the end of its training. ρ is Spearman's rank correlation over networks."
    chosen, defined = min(1, len(panels) - 1), definitions.definition("layer_fluctuation")
    title = f"Fluctuation against accuracy: {one.title}"
    yield Figure(title, tuple(panels), words, defined, arrangement="switch", chosen=chosen)


def separation(found: Measurements) -> Section:
    """The most against the least accurate third: node strength beside link weights, one number a network."""
    every, title = ensembles(found), "Does node strength tell accurate networks apart where link weights do not?"
    wanted = ["metric", "layer", "statistic", "auc", "p_adjusted", "rho", "alike"]
    tables = [_table(one.separation[wanted], f"High against low third: {one.title}") for one in every]
    charts = tuple(
        IntervalChart(t, ("AUC",), "area under the ROC curve", 0.5, (-0.03, 1.03), SEPARATED) for t in tables
    )
    setup = "The most accurate third of the networks against the least accurate one, layer by layer."
    return Section(title, setup, tuple(map(_strength_claim, every)), tuple(tables), charts)


def _strength_claim(one: Ensemble) -> Claim:
    rows = one.separation
    told = rows[rows["p_adjusted"] < ALPHA].groupby("metric")["layer"].unique()
    strength, weights = (list(told.get(metric, [])) for metric in ("node_strength", "link_weights"))
    n_strength, n_weights = rows.groupby("metric")["layer"].nunique()[["node_strength", "link_weights"]]
    shared = list(dict.fromkeys(rows.loc[rows["metric"] == "link_weights", "layer"]))
    alone = [layer for layer in shared if layer in strength and layer not in weights]
    distance = rows["auc"].map(lambda auc: abs(auc.value - 0.5))
    apart = distance.groupby([rows["metric"], rows["layer"]]).max().to_dict()
    sharper = [layer for layer in shared if apart["node_strength", layer] > apart["link_weights", layer]]
    numbers = (
        f"Node strength tells the high from the low third in {_counted(strength, n_strength)}, link weights in "
        f"{_counted(weights, n_weights)} (mean or standard deviation, adjusted p < {ALPHA}); node strength does where "
        f"link weights do not in {_counted(alone, len(shared))}. Its better AUC is farther from 0.5 than that of link "
        f"weights in {_counted(sharper, len(shared))} (n = {len(one.networks)})"
    )
    words = f"Node strength tells accurate networks apart where link weights do not: {one.title}"
    return Claim.counted(words, [layer in alone for layer in shared], numbers=numbers)


def densities(found: Measurements) -> Section:
    """All values of a layer, pooled over networks: divergence of the thirds, densities in accuracy bins."""
    every = ensembles(found)
    tables = [_table(one.contrast, f"High against low third: {one.title}") for one in every]
    setup = "Values are pooled over the networks of a third, or of an accuracy bin."
    drawn = tuple(partial(_density_figures, one) for one in every)
    title = "How far apart are accurate and inaccurate networks, as densities?"
    return Section(title, setup, tuple(map(_density_claim, every)), tuple(tables), drawn)


def _density_claim(one: Ensemble) -> Claim:
    rows = one.contrast
    far = dict(zip(zip(rows["metric"], rows["layer"], strict=True), rows["divergence"], strict=True))
    shared = [layer for metric, layer in far if metric == "link_weights"]
    farther = [layer for layer in shared if far["node_strength", layer] > far["link_weights", layer]]
    words = f"As densities, the thirds are farther apart in node strength than in link weights: {one.title}"
    cases = [layer in farther for layer in shared]
    return Claim.counted(words, cases, numbers=f"in {_counted(farther, len(shared))}")


def _density_figures(one: Ensemble) -> Iterator[Figure]:
    caption = "The density in each accuracy bin, over all networks in it; small bins are left out."
    yield from _by_measure(one.pooled, one.bins, "accuracy", f" by accuracy: {one.title}", caption)


def _by_measure(
    values: samples.Samples, names: Sequence[str], scale: palette.Scale, title: str, caption: str
) -> Iterator[Figure]:
    """Of each measure the densities, and how far apart they are."""
    curves, matrices = samples.density_curves(values), samples.divergences(values)
    for metric in dict.fromkeys(curves["metric"]):
        words, defined = in_words(metric), definitions.definition(metric)
        legend = keys(names, scale, drawn=set(curves.loc[curves["metric"] == metric, "name"]))
        panels, apart = density_panels(curves, names, metric, scale), divergence_panels(matrices, metric)
        yield Figure(f"{words.capitalize()}{title}", panels, caption, defined, legend)
        yield Figure(f"How far apart: {words}{title}", apart, APART, definitions.divergence())


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
        matrix, title = divergence_matrix(of_layers, "kernel"), f"{DIVERGENCE} between the layers' {in_words(metric)}"
        tables.append(Table.of(matrix.rename_axis("").reset_index(), title=title))
    setup = f"The most accurate network of the first ensemble (run `{name}`, accuracy {accuracy:.4f})."
    layers = list(dict.fromkeys(layer for by_layer in values.values() for layer in by_layer))
    drawn = (partial(_by_measure, values, layers, "depth", " by layer", "The density of each layer's values."),)
    return Section("How do the layers of one network differ?", setup, (), tuple(tables), drawn)


def _counted(layers: Iterable[str], total: int) -> str:
    names = list(layers)
    if not names:
        return f"none of {total} layers"
    return f"{len(names)} of {total} layers ({', '.join(names)})" if len(names) < total else f"all {total} layers"


def _table(frame: pd.DataFrame, title: str, caption: str = "") -> Table:
    shown = frame.assign(metric=frame["metric"].map(in_words)) if "metric" in frame else frame
    return Table.of(shown.rename(columns=HEADS), title=title, caption=caption)
