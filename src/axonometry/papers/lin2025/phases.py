"""The gradient of the rank distribution from layer to layer while deep ReLU networks learn."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from axonometry.experiments import Claim, LineChart, Section, Verdict, mean_estimate
from axonometry.papers.lin2025.reading import chart, correlated, ends, groups, in_pairs, means, paired, rises, section

OUTER = 3
"""Layers at either end that are compared [our choice]."""

Conditions = Mapping[str, pd.DataFrame]


@section
def phases(table: pd.DataFrame) -> Section:
    """What the networks say of the paper's claims."""
    one, layers = table.iloc[0], int(table["layers"].iloc[0])
    names, some = gradient_columns(layers), min(OUTER, layers // 2)
    table = table.assign(tilt=table[names[:some]].mean(axis=1) - table[names[-some:]].mean(axis=1))
    end, over_training = ends(table), groups(table, "condition")
    setup = (
        f"{layers} hidden layers of {one['width']} ReLU neurons on {one['n_train']:,} images of {one['data']}, "
        f"{one['max_steps']:,} updates of {one['batch_size']} images. Weights begin as N(0, 2/fan_in), not from the "
        "paper's U(±1/√fan_in), from which SGD did not leave chance in trials of as many. Ranks of "
        f"{one['ranked']:,} test images."
    )
    claims = (_rates(end), _all(end), _reversal(over_training), _first_rises(over_training))
    title = "Which layers keep the order of samples, and does that go with accuracy?"
    conditions = groups(end, "condition")
    columns = ("test_accuracy", "gradient_1", f"gradient_{layers}", "tilt", "rate_1", f"rate_{layers}", "dead_1")
    rows = {(name,): some for name, some in conditions.items()}
    tables = (means("At the end of training", rows, ("setting",), columns),)
    return Section(title, setup, claims, tables, _charts(over_training, conditions, layers))


def gradient_columns(layers: int) -> list[str]:
    """Columns of the gradients, from the first to the last hidden layer."""
    return [f"gradient_{layer}" for layer in range(1, layers + 1)]


def _rates(end: pd.DataFrame) -> Claim:
    """The paper's pair: two learning rates of SGD."""
    rates = groups(end[end["optimiser"] == "sgd"], "learning_rate")
    pair = high, low = rates[max(rates)], rates[min(rates)]
    better, steeper = paired(high, low, "test_accuracy"), paired(high, low, "gradient_1")
    words = "Of two learning rates of SGD, that with the lower first gradient is more accurate"
    sides = [Claim.above(words, one).verdict for one in (better, steeper)]
    names = " less ".join(some["condition"].iloc[0] for some in pair)
    numbers = f"{names}: accuracy {better}, first layer's gradient {steeper}"
    verdict: Verdict = "holds" if sides[0] != sides[1] else "contradicted"
    return Claim(words, "undecided" if "undecided" in sides else verdict, (better, steeper), numbers)


def _all(end: pd.DataFrame) -> Claim:
    """Over settings, seed by seed; and, since settings differ in both, among networks that were trained alike."""
    rho = correlated(end, "gradient_1", "test_accuracy")
    both = end[["gradient_1", "test_accuracy"]]
    deviations = both - both.groupby(end["condition"]).transform("mean")
    alike = correlated(deviations.assign(seed=0), "gradient_1", "test_accuracy")
    numbers = f"Spearman's ρ over {end['condition'].nunique()} settings {rho}; of deviations from the mean of networks "
    numbers += f"trained alike {alike}, n = {len(end)}, without an interval"
    return Claim.below("A lower first gradient goes with a higher accuracy, in general", rho, numbers=numbers)


def _reversal(conditions: Conditions) -> Claim:
    """Phase I: early layers steep; phase II: reversed."""
    early = {c: mean_estimate(some[some["step"] > 0].groupby("seed")["tilt"].max()) for c, some in conditions.items()}
    late = {name: mean_estimate(ends(some)["tilt"]) for name, some in conditions.items()}
    numbers = in_pairs({name: f"at most {early[name]}, at the end {late[name]}" for name in early})
    words = "At first the early layers are steeper (phase I), later the late ones (phase II)"
    each = (
        Claim.all_of(name, (Claim.above("", early[name]), Claim.below("", late[name])), numbers="", one_refutes=True)
        for name in conditions
    )
    numbers = f"gradient of the first {OUTER} layers less that of the last {OUTER}, over training. {numbers}"
    return Claim.all_of(words, each, numbers=numbers)


def _first_rises(conditions: Conditions) -> Claim:
    found = {name: rises(some) for name, some in conditions.items()}
    numbers = in_pairs({name: f"rises by {up}, then falls by {down}" for name, (up, down) in found.items()})
    each = (Claim.above("", one) for both in found.values() for one in both)
    return Claim.all_of("The first layer's gradient rises, then falls", each, numbers=numbers)


def _charts(over_training: Conditions, conditions: Conditions, layers: int) -> tuple[LineChart, ...]:
    profile = [
        (name, float(layer), mean_estimate(some[column]))
        for name, some in conditions.items()
        for layer, column in enumerate(gradient_columns(layers), 1)
    ]
    steps = {name: (some, "gradient_1") for name, some in over_training.items()}
    title, caption = "The first layer's gradient over training", "Step 0 is drawn at 1."
    return (
        LineChart.of("Gradient from layer to layer, at the end", profile, "hidden layer", "gradient", log=False),
        chart(title, ("update", "gradient"), "step", steps, caption),
    )
