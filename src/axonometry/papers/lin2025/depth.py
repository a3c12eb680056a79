"""Accuracy and attraction basins over the number of layers, among networks that all learn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from axonometry.experiments import Claim, Estimate, LineChart, Section, mean_estimate, paired_estimate
from axonometry.papers.lin2025.reading import (
    DRAWN,
    chart,
    ends,
    groups,
    in_pairs,
    means,
    over_seeds,
    section,
)
from axonometry.statistics import REALS, bootstrap_estimate

BEST = (6, 8)
"""Layers that the paper finds best."""
LEARNED = 0.8
"""Test accuracy from which on a network counts as trained, where basins are compared [our choice]."""
AS_GOOD = 0.02
"""Accuracies that differ by less are called equal [our choice]."""
DEGREE = 3
"""Of the curve of accuracy over the logarithm of the depth: one maximum and a collapse behind it fit [our choice]."""
CLASSES = {"0": Claim.above, "2": Claim.above, "9": Claim.below}
"""Classes that the paper names, and whether it finds their basins large or small."""

Series = Mapping[str, pd.DataFrame]


@section(
    "version 5",
    still=True,
    settled_by="widths to 256, ten depths to 100 and 3,000 updates at scale full: 30 hours of a core",
)
def depth(table: pd.DataFrame) -> Section:
    """What the networks say of the paper's claims."""
    end, one = ends(table).sort_values("layers", kind="stable"), table.iloc[0]
    end["kind"] = end["family"].map({"mlp": "batch norm", "residual-mlp": "batch norm and skips"})
    series = {f"width {width}, {kind}": some for (width, kind), some in end.groupby(["width", "kind"], sort=True)}
    learned = end[end["test_accuracy"] >= LEARNED]
    setup = (
        f"ReLU networks with batch norm, with and without skips around each layer, on {one['n_train']:,} images of "
        f"{one['data']}, batches of {one['batch_size']}, Adam ({one['learning_rate']:g}), each until its loss on "
        f"training images (batch norm in evaluation mode) is at most {one['stop_at_train_loss']:g} nats, or for "
        f"{one['max_steps']:,} updates; {len(learned)} of {len(end)} learned ({LEARNED:.0%} accuracy). Weights "
        "from U(±1/√fan_in), the paper's. The best depth is where a cubic curve in log depth is greatest, through the "
        "means over seeds at depths at which all of them learned; its interval is over resampled seeds. Basins on "
        f"{one['noised']} test images, among networks that learned."
    )
    claims = (
        *_optimum(series),
        _trend(series, "sample_basin", "The sample basin grows with depth", grows=True),
        _trend(series, "weight_basin", "The weight basin shrinks with depth", grows=False),
        _classes(learned),
        _deepest(series),
    )
    rows = {(name, n): mine for name, some in series.items() for n, mine in groups(some, "layers").items()}
    columns = ("step", "test_accuracy", "train_loss", "sample_basin", "weight_basin")
    tables = (means("At the end of training", rows, ("networks", "layers"), columns),)
    return Section("How deep is best, and what do the basins do?", setup, claims, tables, tuple(_charts(series)))


def best_depth(layers: Sequence[int], accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the curve through mean accuracies is greatest, in octaves: log2 of a number of layers.

    Args:
        layers: Of each column.
        accuracy: Shape (..., depths): mean accuracies; a curve a row.

    >>> float(best_depth([2, 4, 8, 16, 32], -np.square(np.arange(1.0, 6) - 2.5)).round(2))
    2.5
    """
    x = np.log2(layers)
    fitted = np.polyfit(x, accuracy.reshape(-1, len(layers)).T, min(DEGREE, len(layers) - 1))
    grid = np.linspace(x[0], x[-1], 401)
    found: NDArray[np.float64] = grid[np.argmax(np.vander(grid, len(fitted)) @ fitted, axis=0)]
    return found.reshape(accuracy.shape[:-1])


def _best(some: pd.DataFrame) -> Estimate:
    """The best depth of a series in octaves, with its interval over resampled seeds."""
    wide = _learned(some)

    def of_seeds(drawn: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return best_depth(list(wide.index), wide.to_numpy().T[drawn.astype(int)].mean(axis=-2))

    octaves = (math.log2(wide.index[0]), math.log2(wide.index[-1]))
    return bootstrap_estimate([np.arange(float(wide.shape[1]))], of_seeds, unit="seeds", within=octaves)


def _learned(some: pd.DataFrame) -> pd.DataFrame:
    """Accuracies by depth and seed, of the depths at which all seeds learned: a collapse is no part of the curve."""
    wide = over_seeds(some, "layers", "test_accuracy").dropna(axis=1)
    return wide[(wide >= LEARNED).all(axis=1)]


def _optimum(series: Series) -> tuple[Claim, Claim]:
    """Whether it is from 6 to 8 layers, and whether it moves with the width among networks of one kind."""
    best = {name: _best(some) for name, some in series.items() if len(_learned(some)) > DEGREE}
    low, high = (math.log2(layers) for layers in BEST)
    words = "The most accurate networks have 6 to 8 layers"
    centred = (_moved(one, (low + high) / 2) for one in best.values())
    each = (Claim.within(words, one, (high - low) / 2) for one in centred)
    optimum = Claim.all_of(
        words, each, numbers=f"best depth. {in_pairs({name: _layers(one) for name, one in best.items()})}"
    )
    kinds: dict[str, dict[int, pd.DataFrame]] = {}
    for some in (series[name] for name in best):
        kinds.setdefault(some["kind"].iloc[0], {})[int(some["width"].iloc[0])] = some
    octaves = {kind: _octaves(widths) for kind, widths in kinds.items()}
    widths = sorted({int(some["width"].iloc[0]) for some in series.values()})
    numbers = f"from width {widths[0]} to {widths[-1]} it moves, in octaves: {in_pairs(octaves)}; independent below one"
    words = "The best depth hardly depends on the width"
    return optimum, Claim.all_of(words, (Claim.within(words, one, 1.0) for one in octaves.values()), numbers=numbers)


def _moved(one: Estimate, by: float) -> Estimate:
    return replace(one, value=one.value - by, low=one.low - by, high=one.high - by, within=REALS)


def _layers(one: Estimate) -> str:
    value, low, high = (2**octaves for octaves in (one.value, one.low, one.high))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _octaves(widths: Mapping[int, pd.DataFrame]) -> Estimate:
    """How far the best depth of the greatest width is from that of the least; the same seeds are drawn of both."""
    both = [_learned(widths[w]) for w in (max(widths), min(widths))]
    seeds = [seed for seed in both[0] if seed in both[1]]

    def moved(drawn: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        wide, narrow = (
            best_depth(list(one.index), one[seeds].to_numpy().T[drawn.astype(int)].mean(axis=-2)) for one in both
        )
        return np.asarray(wide - narrow)

    most = max(math.log2(one.index[-1] / one.index[0]) for one in both)
    return bootstrap_estimate([np.arange(float(len(seeds)))], moved, unit="seeds", within=(-most, most))


def _trend(series: Series, basin: str, words: str, *, grows: bool) -> Claim:
    """Octaves of the basin an octave of depth, seed by seed, among the networks that have learned."""
    trained = {name: some[some["test_accuracy"] >= LEARNED] for name, some in series.items()}
    slopes = {
        name: mean_estimate(steepness(mine, basin) for _, mine in some.groupby("seed"))
        for name, some in trained.items()
    }
    each = ((Claim.above if grows else Claim.below)(words, slope) for slope in slopes.values())
    reach = {name: f"{slopes[name]} (up to {max(some['layers'], default=0)} layers)" for name, some in trained.items()}
    return Claim.all_of(
        words, each, numbers=f"octaves of the amplitude an octave of depth, mean over seeds. {in_pairs(reach)}"
    )


def steepness(some: pd.DataFrame, basin: str) -> float:
    """The exponent of a basin that goes with a power of the depth, by least squares; NaN of fewer than three depths.

    >>> steepness(pd.DataFrame({"layers": [2, 4, 8], "basin": [0.8, 0.4, 0.2]}), "basin")
    -1.0
    """
    there = some[some[basin] > 0]
    if there["layers"].nunique() < 3:
        return math.nan
    x, y = np.log2(there["layers"].astype(float)), np.log2(there[basin].astype(float))
    return round(float(np.polyfit(x, y, 1)[0]), 12)


def _classes(trained: pd.DataFrame) -> Claim:
    """Where the classes that the paper names stand among the classes of each network."""
    words = "Classes 0 and 2 have large basins, class 9 a small one"
    whole = trained.dropna(subset=[f"sample_basin_class_{label}" for label in CLASSES])
    if whole.empty:
        return Claim(words, "undecided", numbers="no network learned enough")
    ranks = whole.filter(regex="^sample_basin_class_").rank(axis=1)
    places = (ranks - 1).div(ranks.count(axis=1) - 1, axis=0).groupby(whole["seed"]).mean()
    found = {label: mean_estimate(places[f"sample_basin_class_{label}"], within=(0.0, 1.0)) for label in CLASSES}
    numbers = (
        "place among the classes' sample basins, 0 the smallest and 1 the largest, mean over the networks: "
        f"{', '.join(f'class {label} {one}' for label, one in found.items())} (n = {len(whole)} networks)"
    )
    # One class on the other side refutes what the paper says of all three.
    each = (CLASSES[label](words, one, 0.5) for label, one in found.items())
    return Claim.all_of(words, each, numbers=numbers, one_refutes=True)


def _deepest(series: Series) -> Claim:
    """The deepest networks against those whose depth is nearest to the paper's best."""
    gaps = {}
    for name, some in series.items():
        layers = groups(some, "layers")
        best, deepest = min(layers, key=lambda n: abs(n - BEST[1])), max(layers)
        ours, theirs = (
            dict(zip(one["seed"], one["test_accuracy"], strict=True)) for one in (layers[deepest], layers[best])
        )
        gaps[f"{name}, {deepest} less {best} layers"] = paired_estimate(ours, theirs, within=(-1.0, 1.0))
    deepest = max(int(some["layers"].max()) for some in series.values())
    words = (
        f"Our question: networks of {deepest} layers are as accurate as those of {BEST[1]} (versions 1 and 2 name 100)"
    )
    numbers = f"difference of accuracies; equal within {AS_GOOD}. {in_pairs(gaps)}"
    return Claim.all_of(words, (Claim.within(words, one, AS_GOOD) for one in gaps.values()), numbers=numbers)


def _charts(series: Series) -> Iterator[LineChart]:
    for column in ("test_accuracy", "sample_basin", "weight_basin"):
        (title, y), lines = DRAWN[column], {name: (some, column) for name, some in series.items()}
        yield chart(f"{title} over depth", ("hidden layers", y), "layers", lines)
