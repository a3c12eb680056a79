"""The gradient of the rank distribution from layer to layer while deep ReLU networks with batch norm learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from axonometry.experiments import Claim, LineChart, Section, mean_estimate, ratio_estimate
from axonometry.papers.lin2025.reading import (
    at_chosen,
    at_end,
    chart,
    chosen_by_others,
    correlated,
    ends,
    groups,
    in_pairs,
    means,
    over_seeds,
    paired,
    range_of,
    section,
    turning,
)

OUTER = 3
"""Layers at either end that are compared [our choice]."""
CONVERGED = 0.5
"""Gradients have converged where their spread over layers falls to this share of its maximum [our choice]."""

Conditions = Mapping[str, pd.DataFrame]


@section("version 5", still=True, settled_by="width 512, all of MNIST and more rates at scale full: 20 hours of a core")
def phases(table: pd.DataFrame) -> Section:
    """Phase I, phase II, and what goes with accuracy."""
    one, layers = table.iloc[0], int(table["layers"].iloc[0])
    names, some = gradient_columns(layers), min(OUTER, layers // 2)
    table = table.assign(tilt=table[names[:some]].mean(axis=1) - table[names[-some:]].mean(axis=1))
    end, over_training = ends(table), groups(table, "condition")
    setup = (
        f"{layers} hidden layers of {one['width']} ReLU neurons, batch norm in front of each, weights from "
        f"U(±1/√fan_in), on {one['n_train']:,} images of {one['data']}, {one['max_steps']:,} updates of "
        f"{one['batch_size']} images (the paper: width 512; its deep runs have batch norm). Without batch norm such "
        f"networks do not leave chance. Ranks of {one['ranked']:,} test images, batch norm in evaluation mode; since "
        "its running statistics lag, one setting takes those of the last batch. When phase I is, is read off the "
        "other seeds."
    )
    laggard = end["norm_momentum"] < 1
    claims = (_reversal(over_training), _rates(end[laggard]), _all(end[laggard]), _first_rises(over_training))
    title = "Which layers keep the order of samples, and does that go with accuracy?"
    conditions = groups(end, "condition")
    columns = ("test_accuracy", "gradient_1", f"gradient_{layers}", "tilt")
    rows = {(name,): some for name, some in conditions.items()}
    tables = (means("At the end of training", rows, ("setting",), columns),)
    return Section(title, setup, claims, tables, tuple(_charts(over_training, conditions, layers)))


def gradient_columns(layers: int) -> list[str]:
    """Columns of the gradients, from the first to the last hidden layer."""
    return [f"gradient_{layer}" for layer in range(1, layers + 1)]


def _reversal(conditions: Conditions) -> Claim:
    """Phase I: early layers steep; phase II: reversed."""
    each, found = [], {}
    for name, some in conditions.items():
        wide = over_seeds(some, "step", "tilt")
        when = chosen_by_others(wide)
        moments = at_chosen(wide, when), at_end(wide)
        early, late = (mean_estimate(one.values(), within=range_of("tilt")) for one in moments)
        steps = sorted(set(when.values()))
        found[name] = f"{early} at update {' or '.join(map(str, steps))}, {late} at the end"
        each.append(Claim.all_of(name, (Claim.above("", early), Claim.below("", late)), numbers="", one_refutes=True))
    words = "At first the early layers are steeper (phase I), later the late ones (phase II)"
    numbers = f"gradient of the first {OUTER} layers less that of the last {OUTER}. {in_pairs(found)}"
    return Claim.all_of(words, each, numbers=numbers)


def _rates(end: pd.DataFrame) -> Claim:
    """The paper's pair: the greater of two learning rates of SGD is better there, and has the lower gradient."""
    rates = groups(end[end["optimiser"] == "sgd"], "learning_rate")
    pair = high, low = rates[max(rates)], rates[min(rates)]
    better, steeper = paired(high, low, "test_accuracy"), paired(high, low, "gradient_1")
    words = "Of two learning rates of SGD, the greater has a lower first gradient and is more accurate"
    names = " less ".join(some["condition"].iloc[0] for some in pair)
    numbers = f"{names}: first layer's gradient {steeper}, accuracy {better}"
    return Claim.all_of(words, (Claim.below("", steeper), Claim.above("", better)), numbers=numbers, one_refutes=True)


def _all(end: pd.DataFrame) -> Claim:
    """Over settings, seed by seed; and, since settings differ in both, among networks that were trained alike."""
    rho = correlated(end, "gradient_1", "test_accuracy")
    both = end[["gradient_1", "test_accuracy"]]
    deviations = both - both.groupby(end["condition"]).transform("mean")
    alike = correlated(deviations.assign(seed=0), "gradient_1", "test_accuracy")
    numbers = f"Spearman's ρ over {end['condition'].nunique()} settings {rho}; of deviations from the mean of networks "
    numbers += f"trained alike {alike}, n = {len(end)}, without an interval"
    return Claim.below("A lower first gradient goes with a higher accuracy, in general", rho, numbers=numbers)


def _first_rises(conditions: Conditions) -> Claim:
    found = {name: turning(some, "gradient_1") for name, some in conditions.items()}
    numbers = in_pairs({name: f"rises by {up}, then falls by {down}" for name, (up, down) in found.items()})
    each = (Claim.above("", one) for both in found.values() for one in both)
    return Claim.all_of("The first layer's gradient rises, then falls", each, numbers=numbers)


def _charts(over_training: Conditions, conditions: Conditions, layers: int) -> Iterator[LineChart]:
    title, caption = "Gradient of the first layers less the last ones', over training", "Step 0 is drawn at 1."
    steps = {name: (some, "tilt") for name, some in over_training.items()}
    yield chart(title, ("update", "difference of gradients"), "step", steps, caption)
    title, steps = (
        "The first layer's gradient over training",
        {name: (some, "gradient_1") for name, (some, _) in steps.items()},
    )
    yield chart(title, ("update", "gradient"), "step", steps, caption)
    profile = [
        (name, float(layer), mean_estimate(some[column]))
        for name, some in conditions.items()
        for layer, column in enumerate(gradient_columns(layers), 1)
    ]
    yield LineChart.of("Gradient from layer to layer, at the end", profile, "hidden layer", "gradient", log=False)


@section("version 5", still=True, settled_by="batches of 30,000 images at scale full: 3 hours of a core a seed")
def third_phase(table: pd.DataFrame) -> Section:
    """Whether the gradients of nearly all layers converge."""
    one, names = table.iloc[0], gradient_columns(int(table["layers"].iloc[0]))
    # Nearly all: the middle half of the layers, so that the first and the last ones have no part in it.
    middle = table[names].quantile([0.25, 0.75], axis=1).T
    table = table.assign(spread=middle[0.75] - middle[0.25], middle=table[names].median(axis=1))
    wide = over_seeds(table, "step", "spread")
    when = chosen_by_others(wide)
    peak, late = at_chosen(wide, when), at_end(wide)
    share = ratio_estimate(late, peak)
    setup = (
        f"{one['layers']} hidden layers of {one['width']} ReLU neurons, batch norm, Adam ({one['learning_rate']:g}) "
        f"as in the paper; each of the {one['max_steps']:,} updates is of all {one['n_train']:,} images of "
        f"{one['data']} that are used (the paper: batches of 30,000). *Spread* is the distance between the layers' "
        "quartiles of the gradient."
    )
    updates = " or ".join(map(str, sorted(set(when.values()))))
    numbers = (
        f"spread {mean_estimate(peak.values())} at its maximum (update {updates}), {mean_estimate(late.values())} at "
        f"the end: "
        f"{share} of it; called converged below {CONVERGED}"
    )
    words = "With large batches the gradients of nearly all layers converge (phase III)"
    # Not the share itself, which is 1 in every seed where the spread is greatest at the end.
    less = mean_estimate(late[s] - CONVERGED * peak[s] for s in peak)
    claims = (Claim.below(words, less, numbers=numbers),)
    some = {
        f"layer {k}": (table, f"gradient_{k}")
        for k in sorted({1, 2, 6, 12, 18, len(names) - 1, len(names)})
        if k <= len(names)
    }
    charts = (
        chart("Gradients over training", ("update", "gradient"), "step", some, "Step 0 is drawn at 1."),
        chart("Spread over layers", ("update", "spread of gradients"), "step", {"spread": (table, "spread")}),
    )
    rows = {(f"{step:,}",): some for step, some in groups(table, "step").items()}
    tables = (means("Over training", rows, ("update",), ("test_accuracy", "train_accuracy", "middle", "spread")),)
    return Section("Do the gradients of all layers meet?", setup, claims, tables, charts)
