"""The findings of the experiment on La Malfa et al. 2021 as a Markdown page, every number with its n."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from axonometry.experiments import association
from axonometry.papers import ensembles, readings
from axonometry.papers.markdown import machine, table, write
from axonometry.statistics import LEVEL

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.papers.ensembles import Ensemble
    from axonometry.papers.ictai2021 import Results

ALPHA = 0.05
WORDS = {"max_steps": "number of updates", "epochs": "number of epochs"}

HOW = f"""\
## How to read it

- A network is one sample. Its accuracy is that on the 10,000 test images after its last update; all measures are of the
  same weights, counted as in the paper's code (convention `ictai2021`).
- ρ is Spearman's rank correlation with accuracy over networks. *Trained alike* is the same correlation of ranks inside
  the groups of networks that had the same optimiser and the same number of updates, so that they differ by their seed
  alone: what is left when neither more training nor a better optimiser can make both numbers rise.
- AUC is how often a number is greater in a network of the high third (by accuracy) than in one of the low third: 0.5
  says nothing, 0 and 1 tell them apart without error. The numbers were chosen beforehand: mean and standard deviation
  of each layer's link weights and node strengths; the standard deviation of strength is the layer fluctuation.
- Brackets hold {LEVEL:.0%} intervals: {association.DRAWS:,} bootstrap draws of networks, seeded, for one
  number at a time. p is Mann-Whitney's, adjusted by Holm's method for all rows of its table.
- Divergence is Jeffreys', in nats, between the values of a layer pooled over the high third and over the low third
  (up to {readings.VALUES:,} values of each network). *Relabelled* is the greatest of {ensembles.RELABELLINGS} random
  relabellings of the same networks: what chance alone gives.
- In the paper's own figure of small fully connected networks (scale 0.05, first hidden layer, all nine initialisers)
  the modes of layer fluctuation go from 0.3-1 in the lowest accuracy bin to about 20 in the highest [read off it].
"""


def write_results(results: Results, markdown_path: str | Path, *, command: str = "axonometry paper ictai2021") -> None:
    """Write what was run, what was found, and how to repeat it.

    Args:
        results: Of :func:`axonometry.papers.ictai2021.run`.
        markdown_path: The page; folders on the way are made.
        command: What repeats it.
    """
    write(page(results, command), markdown_path)


def page(results: Results, command: str) -> str:
    """The page's text."""
    total = sum(len(found.networks) + found.broken for found in results.ensembles)
    parts = [
        "# La Malfa et al. 2021: does a network's graph tell how good it is?",
        f"Written by `{command}` (scale: {results.scale}); do not edit. "
        f"{machine(results.seconds, results.trained, total)}",
        "## In short",
        "\n".join(f"- {line}" for found in results.ensembles for line in in_short(found)),
        "## What was trained",
        _trained(results),
        HOW.strip(),
        *(text for found in results.ensembles for text in _ensemble(found)),
        *_individual(results),
    ]
    return "\n\n".join(parts)


def in_short(found: Ensemble) -> list[str]:
    """What the two claims of the paper come to in one ensemble, in words made of its numbers."""
    return [f"**{found.title}** (n = {len(found.networks)}). {_fluctuation_claim(found)}", _strength_claim(found)]


def _fluctuation_claim(found: Ensemble) -> str:
    by_layer = found.fluctuation.iloc[:-1]
    mean = found.fluctuation.iloc[-1]
    rises, falls = by_layer.loc[by_layer["rho_low"] > 0, "layer"], by_layer.loc[by_layer["rho_high"] < 0, "layer"]
    inside = by_layer.loc[by_layer["alike_low"] > 0, "layer"]
    words = f"Layer fluctuation rises with accuracy in {_counted(rises, len(by_layer))}"
    words += f" and falls in {_counted(falls, len(by_layer))}" if len(falls) else ""
    words += f"; the mean over layers has ρ = {_interval(mean, 'rho')}"
    alike = (
        f"Among networks trained alike it rises in {_counted(inside, len(by_layer))}: ρ = {_interval(mean, 'alike')}"
    )
    if mean["rho_low"] > 0 and not mean["alike_low"] > 0:
        alike += "; nothing was found that it tells beyond how the networks were trained"
    return f"{words}. {alike}."


def _strength_claim(found: Ensemble) -> str:
    separation = found.separation
    told = separation[separation["p_adjusted"] < ALPHA].groupby("metric")["layer"].unique()
    strength, weights = (list(told.get(metric, [])) for metric in ("node_strength", "link_weights"))
    n_strength, n_weights = separation.groupby("metric")["layer"].nunique()[["node_strength", "link_weights"]]
    shared = list(dict.fromkeys(separation.loc[separation["metric"] == "link_weights", "layer"]))
    alone = [layer for layer in strength if layer in shared and layer not in weights]
    apart = (separation["auc"] - 0.5).abs().groupby([separation["metric"], separation["layer"]]).max()
    far = found.contrast.set_index(["metric", "layer"])["divergence"]
    sharper, farther = (
        [layer for layer in shared if by[("node_strength", layer)] > by[("link_weights", layer)]]
        for by in (apart.to_dict(), far.to_dict())
    )
    return (
        f"Node strength tells the high from the low third in {_counted(strength, n_strength)}, link weights in "
        f"{_counted(weights, n_weights)} (mean or standard deviation, adjusted p < {ALPHA}); node strength does where "
        f"link weights do not in {_counted(alone, len(shared))}. Its better AUC is farther from 0.5 than that of link "
        f"weights in {_counted(sharper, len(shared))}. As pooled densities the thirds are farther apart in node "
        f"strength than in link weights in {_counted(farther, len(shared))}."
    )


def _trained(results: Results) -> str:
    header = ["ensemble", "networks", "left out", "accuracy: least, quartiles, most", "networks in each accuracy bin"]
    rows = []
    for found in results.ensembles:
        accuracy = found.networks["accuracy"]
        counts = found.networks["bin"].value_counts(sort=False)
        rows.append(
            [
                found.title,
                len(accuracy),
                f"{found.broken} with a weight that is not finite" if found.broken else "none",
                ", ".join(f"{q:.3f}" for q in np.quantile(accuracy, np.linspace(0, 1, 5))),
                ", ".join(f"{name}: {n}" for name, n in counts.items()),
            ]
        )
    return table(header, rows)


def _ensemble(found: Ensemble) -> Iterable[str]:
    yield f"## {found.title[0].upper()}{found.title[1:]}"
    alike = " and ".join(WORDS.get(name, name) for name in found.trained_alike)
    yield (
        f"{len(found.networks)} networks; trained alike means the same {alike}. "
        f"Lowest and highest bin: {found.bins[0]} and {found.bins[-1]}."
    )
    yield "### Layer fluctuation and accuracy"
    rows = [
        [r["layer"], _interval(r, "rho"), _interval(r, "alike"), _short(r["lowest_bin"]), _short(r["highest_bin"])]
        for _, r in found.fluctuation.iterrows()
    ]
    header = ["layer", "ρ", "ρ, trained alike", "median in the lowest bin", "median in the highest bin"]
    yield table(header, rows)
    yield "### High against low third: one number a network"
    rows = [
        [
            r["metric"].replace("_", " "),
            r["layer"],
            r["statistic"],
            _interval(r, "auc"),
            _p(r["p_adjusted"]),
            _interval(r, "rho"),
            _interval(r, "alike"),
        ]
        for _, r in found.separation.iterrows()
    ]
    yield table(["measure", "layer", "summary", "AUC", "p, adjusted", "ρ", "ρ, trained alike"], rows)
    yield "### High against low third: all values of a layer"
    rows = [
        [r["metric"].replace("_", " "), r["layer"], _short(r["divergence"]), _short(r["relabelled"])]
        for _, r in found.contrast.iterrows()
    ]
    yield table(["measure", "layer", "divergence", "relabelled"], rows)


def _individual(results: Results) -> Iterable[str]:
    one = results.individual
    yield "## One network, layer by layer"
    yield (
        f"The most accurate network of the first ensemble (run {one.network}, accuracy {one.accuracy:.4f}). Layer "
        f"fluctuation: {', '.join(f'{layer} {_short(y)}' for layer, y in one.fluctuation.items())}."
    )
    for metric, matrix in one.divergences.items():
        yield f"Jeffreys divergence (nats) between the layers' {metric.replace('_', ' ')}:"
        rows = [[layer, *map(_short, row)] for layer, row in zip(matrix.index, matrix.to_numpy(), strict=True)]
        yield table(["", *map(str, matrix.columns)], rows)


def _counted(layers: Iterable[str], total: int) -> str:
    names = list(layers)
    if not names:
        return f"none of {total} layers"
    return f"{len(names)} of {total} layers ({', '.join(names)})" if len(names) < total else f"all {total} layers"


def _interval(row: pd.Series, name: str) -> str:
    value, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]" if np.isfinite(value) else "–"


def _short(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3g}"


def _p(value: float) -> str:
    return "–" if np.isnan(value) else ("< 0.001" if value < 0.001 else f"{value:.3f}")
