"""What the ensembles of La Malfa et al. 2021 say: claims, tables, figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from axonometry.experiments import Claim, Estimate, Measurements, Section
from axonometry.metrics import divergence_matrix, layer_fluctuation
from axonometry.papers.ictai2021.ensembles import CONVENTION, Ensemble, ensembles, layer_values
from axonometry.report import definitions, distributions, figures, palette, samples
from axonometry.report.intervals import intervals, keys
from axonometry.report.page import Figure, Key, Panel, Table

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
TITLES = {
    "node_strength": "Node strength",
    "link_weights": "Link weights",
    "layer_fluctuation": "Layer fluctuation",
}
DIVERGENCE = "Jeffreys divergence (nats)"
APART = "in nats: 0 where two densities are alike, large where they are far apart."


def fluctuation(found: Measurements) -> Section:
    """Layer fluctuation and accuracy: rank correlation over networks, and among those that were trained alike."""
    every = ensembles(found)
    claims = [claim for one in every for claim in _fluctuation_claims(one)]
    tables = [
        Table(
            ("layer", "ρ", "ρ, trained alike", "median in the lowest bin", "median in the highest bin"),
            tuple(one.fluctuation.itertuples(index=False, name=None)),
            one.title[0].upper() + one.title[1:],
            f"{_counted_networks(one)} Lowest and highest bin: {one.bins[0]} and {one.bins[-1]}.",
        )
        for one in every
    ]
    drawn = [partial(_fluctuation_figures, one) for one in every]
    return Section(
        "Do layers fluctuate more in networks that do better?", "", tuple(claims), tuple(tables), tuple(drawn)
    )


def _counted_networks(one: Ensemble) -> str:
    counts = one.networks["bin"].value_counts(sort=False)
    bins = ", ".join(f"{name}: {n}" for name, n in counts.items())
    left_out = f" {len(one.broken)} with a weight that is not finite are left out." if one.broken else ""
    return f"{len(one.networks)} networks; in each accuracy bin {bins}.{left_out}"


def _fluctuation_claims(one: Ensemble) -> Iterator[Claim]:
    layers, mean = one.fluctuation.iloc[:-1], one.fluctuation.iloc[-1]
    for key, words in (("rho", ""), ("alike", " among networks trained alike")):
        rises = [layer for layer, one_of in zip(layers["layer"], layers[key], strict=True) if one_of.low > 0]
        falls = [layer for layer, one_of in zip(layers["layer"], layers[key], strict=True) if one_of.high < 0]
        counted = f"rises in {_counted(rises, len(layers))}" + (
            f" and falls in {_counted(falls, len(layers))}" if falls else ""
        )
        numbers = f"ρ = {mean[key].text()} for the mean over layers; it {counted} (n = {mean[key].n})"
        yield Claim.above(f"Layer fluctuation rises with accuracy{words}: {one.title}", mean[key], numbers=numbers)


def _fluctuation_figures(one: Ensemble) -> Iterator[Figure]:
    rows = one.table[one.table["metric"] == "layer_fluctuation"].rename(columns={"run": "network"}).assign(step=0)
    values = rows.merge(one.networks["accuracy"], left_on="network", right_index=True)
    rho = dict(zip(one.fluctuation["layer"], one.fluctuation["rho"], strict=True))
    panels = []
    for layer in dict.fromkeys(values["group"]):
        part = values[values["group"] == layer]
        log = figures.spans_decades(part["value"])
        figure = figures.against_accuracy(part, y=definitions.axis("layer_fluctuation"), log=log)
        panels.append(Panel(figure, layer, f"ρ = {rho[layer].value:+.2f}, n = {rho[layer].n}"))
    yield Figure(
        f"Fluctuation against accuracy: {one.title}",
        tuple(panels),
        "A dot is a network at the end of its training. ρ is Spearman's rank correlation over networks.",
        definitions.definition("layer_fluctuation"),
        arrangement="switch",
        chosen=min(1, len(panels) - 1),
    )
    series = {"rho": "all networks", "alike": "networks trained alike"}
    panel = intervals(_estimates(one.fluctuation, series), x="Spearman's ρ with accuracy", reference=0.0)
    caption = (
        "Right of the dotted line, networks whose layer fluctuates more do better. A bar is the 95% bootstrap interval "
        f"over {len(one.networks)} networks. Networks trained alike differ by their seed alone: what is left among "
        "them is no effect of longer or faster training."
    )
    legend = keys(list(series.values()))
    yield Figure(f"Layer by layer: {one.title}", (panel,), caption, legend=legend, arrangement="wide")


def separation(found: Measurements) -> Section:
    """The most against the least accurate third: node strength beside link weights, one number a network."""
    every = ensembles(found)
    columns = ("metric", "layer", "statistic", "auc", "p_adjusted", "rho", "alike")
    tables = [
        Table(
            ("measure", "layer", "summary", "AUC", "p, adjusted", "ρ", "ρ, trained alike"),
            _rows(one.separation, *columns),
            one.title[0].upper() + one.title[1:],
            f"{len(one.networks)} networks.",
        )
        for one in every
    ]
    return Section(
        "Does node strength tell accurate networks apart where link weights do not?",
        "The most accurate third of the networks against the least accurate one, layer by layer.",
        tuple(map(_strength_claim, every)),
        tuple(tables),
        tuple(partial(_separation_figures, one) for one in every),
    )


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


def _separation_figures(one: Ensemble) -> Iterator[Figure]:
    panels, layers = [], list(one.fluctuation["layer"])
    for statistic, words in (("mean", "by their mean"), ("std", "by their standard deviation")):
        rows = one.separation[one.separation["statistic"] == statistic]
        named = _spread(rows["auc"]).assign(name=list(rows["layer"]), series=list(rows["metric"].map(_words)))
        named = named.sort_values("name", key=lambda names: names.map(layers.index), kind="stable")
        panels.append(intervals(named, x="area under the ROC curve", reference=0.5, limits=(-0.03, 1.03), title=words))
    caption = (
        "How often the number is greater in a network of the most accurate third than in one of the least accurate "
        "third. 1 or 0: it tells them apart without error; 0.5, the dotted line: not at all. A bar is the 95% "
        "bootstrap interval over networks."
    )
    yield Figure(
        f"High against low third: {one.title}",
        tuple(panels),
        caption,
        legend=keys(list(dict.fromkeys(named["series"]))),
    )


def densities(found: Measurements) -> Section:
    """All values of a layer, pooled over networks: divergence of the thirds, densities in accuracy bins."""
    every = ensembles(found)
    tables = [
        Table(
            ("measure", "layer", "divergence", "relabelled"),
            _rows(one.contrast, "metric", "layer", "divergence", "relabelled"),
            f"High against low third: {one.title}",
            f"{len(one.networks)} networks.",
        )
        for one in every
    ]
    claims = []
    for one in every:
        rows = one.contrast
        far = dict(zip(zip(rows["metric"], rows["layer"], strict=True), rows["divergence"], strict=True))
        shared = [layer for metric, layer in far if metric == "link_weights"]
        farther = [layer for layer in shared if far["node_strength", layer] > far["link_weights", layer]]
        words = f"As densities, the thirds are farther apart in node strength than in link weights: {one.title}"
        cases = [layer in farther for layer in shared]
        claims.append(Claim.counted(words, cases, numbers=f"in {_counted(farther, len(shared))}"))
    setup = "Values are pooled over the networks of a third, or of an accuracy bin."
    drawn = tuple(partial(_density_figures, one) for one in every)
    return Section(
        "How far apart are accurate and inaccurate networks, as densities?", setup, tuple(claims), tuple(tables), drawn
    )


def _density_figures(one: Ensemble) -> Iterator[Figure]:
    curves, matrices = samples.density_curves(one.pooled), samples.divergences(one.pooled)
    counts = one.networks["bin"].value_counts()
    for metric, title in TITLES.items():
        mine = curves[curves["metric"] == metric]
        notes = {name: f"n = {counts[name]}" for name in mine["name"].unique()}
        panels = tuple(
            Panel(distributions.densities(mine[mine["group"] == layer], one.bins, x=definitions.axis(metric)), layer)
            for layer in dict.fromkeys(mine["group"])
        )
        caption = (
            f"The density of {title.lower()} in each accuracy bin, over all networks in it; small bins are left out."
        )
        if panels:
            legend = _keys(one.bins, "accuracy", notes)
            yield Figure(f"{title} by accuracy: {one.title}", panels, caption, definitions.definition(metric), legend)
        apart = tuple(
            Panel(distributions.heatmap(matrix, value=DIVERGENCE), layer)
            for (of, layer), matrix in matrices.items()
            if of == metric
        )
        if apart:
            heading = f"{title}, how far apart the accuracy bins are: {one.title}"
            yield Figure(heading, apart, f"Jeffreys divergence, {APART}", definitions.divergence())


def one_network(found: Measurements) -> Section:
    """The individual counterpart: the most accurate network of the first ensemble, layer by layer."""
    ensemble = ensembles(found)[0]
    name = str(ensemble.networks.index[-1])
    graph = ensemble.population.graph(name)
    values: dict[str, dict[str, np.ndarray]] = {"link_weights": {}, "node_strength": {}}
    for (metric, layer), of in layer_values(graph).items():
        if samples.varies(of):
            values[metric][layer] = of
    matrices = {metric: divergence_matrix(by_layer) for metric, by_layer in values.items()}
    tables = [
        Table(("layer", "layer fluctuation"), tuple(layer_fluctuation(graph, CONVENTION).items()), "Layer fluctuation")
    ]
    tables += [
        Table(
            ("", *map(str, matrix.columns)),
            tuple((layer, *row) for layer, row in zip(matrix.index, matrix.to_numpy().tolist(), strict=True)),
            f"{DIVERGENCE} between the layers' {_words(metric)}",
        )
        for metric, matrix in matrices.items()
    ]
    accuracy = ensemble.networks["accuracy"].iloc[-1]
    setup = f"The most accurate network of the first ensemble (run `{name}`, accuracy {accuracy:.4f})."
    drawn = (partial(_network_figures, values, matrices),)
    return Section("How do the layers of one network differ?", setup, (), tuple(tables), drawn)


def _network_figures(
    values: Mapping[str, Mapping[str, np.ndarray]], matrices: Mapping[str, pd.DataFrame]
) -> Iterator[Figure]:
    curves = samples.density_curves({(metric, ""): dict(by_layer) for metric, by_layer in values.items()})
    for metric, matrix in matrices.items():
        mine, layers = curves[curves["metric"] == metric], list(map(str, matrix.index))
        panels = (
            Panel(distributions.densities(mine, layers, x=definitions.axis(metric), scale="depth"), "Densities"),
            Panel(distributions.heatmap(matrix, value=DIVERGENCE), "How far apart the layers are"),
        )
        caption = f"One network, layer by layer; the divergence is Jeffreys', {APART}"
        legend = _keys(layers, "depth", dict.fromkeys(layers, ""))
        yield Figure(TITLES[metric], panels, caption, definitions.definition(metric), legend, arrangement="wide")


def _estimates(table: pd.DataFrame, series: Mapping[str, str]) -> pd.DataFrame:
    """Columns name, series, value, low, high of the columns of estimates that ``series`` names."""
    import pandas as pd

    parts = [_spread(table[key]).assign(name=list(table["layer"]), series=words) for key, words in series.items()]
    return pd.concat(parts, ignore_index=True)


def _spread(estimates: Iterable[Estimate]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([(one.value, one.low, one.high) for one in estimates], columns=["value", "low", "high"])


def _keys(names: Sequence[str], scale: palette.Scale, notes: Mapping[str, str]) -> tuple[Key, ...]:
    """The legend of those names that have a note; colours are the scale's over all names."""
    colours = palette.steps(scale, len(names))
    return tuple(Key(name, colour, notes[name]) for name, colour in zip(names, colours, strict=True) if name in notes)


def _counted(layers: Iterable[str], total: int) -> str:
    names = list(layers)
    if not names:
        return f"none of {total} layers"
    return f"{len(names)} of {total} layers ({', '.join(names)})" if len(names) < total else f"all {total} layers"


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _rows(frame: pd.DataFrame, *columns: str) -> tuple[tuple[object, ...], ...]:
    """Columns of a frame as a table's rows, measures in words."""
    shown = frame.assign(metric=frame["metric"].map(_words))
    return tuple(shown[list(columns)].itertuples(index=False, name=None))
