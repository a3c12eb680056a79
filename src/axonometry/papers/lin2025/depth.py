"""Accuracy and attraction basins over the number of layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pandas as pd

from axonometry.experiments import Claim, LineChart, Section, mean_estimate, paired_estimate
from axonometry.papers.lin2025.reading import DRAWN, chart, correlated, ends, groups, in_pairs, means, section

BEST = range(6, 9)
"""Layers that the paper finds best."""
LEARNED = 0.8
"""Test accuracy from which on a network counts as trained, where basins are compared [our choice]."""
CLASSES = {"0": Claim.above, "2": Claim.above, "9": Claim.below}
"""Classes that the paper names, and whether it finds their basins large or small."""
DEEPEST = "behave as the paper's (its versions 1 and 2 name 100 in their abstracts)"

Series = Mapping[str, pd.DataFrame]


@section
def depth(table: pd.DataFrame) -> Section:
    """What the networks say of the paper's claims."""
    end, one = ends(table).sort_values("layers", kind="stable"), table.iloc[0]
    end["begins"] = end["initialiser"].replace("torch-default", "torch")
    series = {f"width {width}, {begins}": some for (width, begins), some in end.groupby(["width", "begins"], sort=True)}
    setup = (
        f"ReLU networks on {one['n_train']:,} images of {one['data']}, {one['max_steps']:,} updates of "
        f"{one['batch_size']} images by Adam ({one['learning_rate']:g}) at every depth: how fast a depth learns is "
        "part of its accuracy here. *he*: weights begin as N(0, 2/fan_in); *torch*: as U(±1/√fan_in), the paper's. "
        f"Basins on {one['noised']} test images, compared among networks of at least {LEARNED:.0%} accuracy; 0 is "
        "that of a network whose accuracy is not above one half."
    )
    claims = (
        _optimum(series),
        _moves(groups(end[end["begins"] == "he"], "width")),
        _trend(series, "sample_basin", "The sample basin grows with depth", grows=True),
        _trend(series, "weight_basin", "The weight basin shrinks with depth", grows=False),
        _classes(end[end["test_accuracy"] >= LEARNED]),
        Claim(f"{end['layers'].max()} layers {DEEPEST}", "undecided", numbers="the paper's set-up is not known to us"),
    )
    rows = {(name, n): mine for name, some in series.items() for n, mine in groups(some, "layers").items()}
    columns = ("test_accuracy", "train_accuracy", "sample_basin", "weight_basin")
    tables = (means("At the end of training", rows, ("networks", "layers"), columns),)
    return Section("How deep is best, and what do the basins do?", setup, claims, tables, tuple(_charts(series)))


def _best(some: pd.DataFrame) -> dict[int, int]:
    """The most accurate depth, by seed; the least of several."""
    order = some.sort_values(["test_accuracy", "layers"], ascending=[True, False])
    return {seed: int(one["layers"].iloc[-1]) for seed, one in groups(order, "seed").items()}


def _optimum(series: Series) -> Claim:
    best = {name: list(_best(some).values()) for name, some in series.items()}
    cases = [layers in BEST for found in best.values() for layers in found]
    numbers = in_pairs({name: ", ".join(map(str, found)) for name, found in best.items()})
    words = "The most accurate networks have 6 to 8 layers"
    return Claim.counted(words, cases, numbers=f"best depth, seed by seed. {numbers}")


def _moves(widths: Mapping[int, pd.DataFrame]) -> Claim:
    """Among the widths that began alike."""
    best = {width: {seed: math.log2(n) for seed, n in _best(some).items()} for width, some in widths.items()}
    octaves = paired_estimate(best[max(best)], best[min(best)])
    numbers = f"from width {min(best)} to {max(best)} it moves by {octaves} octaves; called independent below one"
    return Claim.within("The best depth hardly depends on the width", octaves, 1.0, numbers=numbers)


def _trend(series: Series, basin: str, words: str, *, grows: bool) -> Claim:
    """Spearman's ρ of depth and basin, seed by seed, among the networks that have learned."""
    trained = {name: some[some["test_accuracy"] >= LEARNED] for name, some in series.items()}
    rhos = {name: correlated(some, "layers", basin) for name, some in trained.items()}
    each = ((Claim.above if grows else Claim.below)(words, rho) for rho in rhos.values())
    reach = {name: f"{rhos[name]} (up to {max(some['layers'], default=0)} layers)" for name, some in trained.items()}
    return Claim.all_of(words, each, numbers=f"Spearman's ρ of depth and amplitude, mean over seeds. {in_pairs(reach)}")


def _classes(trained: pd.DataFrame) -> Claim:
    """Where the classes that the paper names stand among the classes of each network."""
    words = "Classes 0 and 2 have large basins, class 9 a small one"
    whole = trained.dropna(subset=[f"sample_basin_class_{label}" for label in CLASSES])
    if whole.empty:
        return Claim(words, "undecided", numbers="no network learned enough")
    ranks = whole.filter(regex="^sample_basin_class_").rank(axis=1)
    places = (ranks - 1).div(ranks.count(axis=1) - 1, axis=0).groupby(whole["seed"]).mean()
    found = {label: mean_estimate(places[f"sample_basin_class_{label}"]) for label in CLASSES}
    numbers = (
        "place among the classes' sample basins, 0 the smallest and 1 the largest, mean over the networks: "
        f"{', '.join(f'class {label} {one}' for label, one in found.items())} (n = {len(whole)} networks)"
    )
    # One class on the other side refutes what the paper says of all three.
    each = (CLASSES[label](words, one, 0.5) for label, one in found.items())
    return Claim.all_of(words, each, numbers=numbers, one_refutes=True)


def _charts(series: Series) -> Iterator[LineChart]:
    for column in ("test_accuracy", "sample_basin", "weight_basin"):
        (title, y), lines = DRAWN[column], {name: (some, column) for name, some in series.items()}
        yield chart(f"{title} over depth", ("hidden layers", y), "layers", lines)
