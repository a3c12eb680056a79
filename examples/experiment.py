"""A new experiment in one file: do wider networks, trained alike on the digits, forget the scale they began with?

    axonometry experiment examples/experiment.py:WIDTHS --scale tiny --report widths.html

trains the networks (or finds them), measures them, judges the claims and writes the page. Read it from top to bottom:
the trials, one table of measurements, two sections, the declaration.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import axonometry as ax
from axonometry.experiments import (
    Claim,
    Context,
    Experiment,
    LineChart,
    Measurements,
    Scale,
    Section,
    Table,
    Trial,
    mean_estimate,
    measure_population,
    paired_estimate,
    rank_correlation,
    run,
)
from axonometry.populations import Population, RunConfiguration

NARROW, WIDE = 8, 32


def trials(seeds: int) -> list[Trial]:
    """A narrow and a wide network of every seed, by a slow and a fast learning rate."""
    return [
        Trial(
            RunConfiguration(units=units, layers=1, learning_rate=rate, seed=seed, epochs=4, train_fraction=0.5),
            condition=f"{units} units",
            stratum=f"rate {rate}",  # networks of one stratum and condition differ by their seed alone
        )
        for seed in range(seeds)
        for units in (NARROW, WIDE)
        for rate in (0.0005, 0.005)
    ]


def measure(population: Population, context: Context) -> pd.DataFrame:
    """One row a network and layer: its accuracy, and how far its node strengths spread, before and after training."""
    return measure_population(population, spread, context)


def spread(population: Population, name: str) -> pd.DataFrame:
    """The rows of one network. Any function of a graph may stand here."""
    first = population.runs[name].steps[0]
    before, after = (ax.layer_fluctuation(population.graph(name, step)) for step in (first, None))
    rows = {"layer": list(after), "before": list(before.values()), "after": list(after.values())}
    return pd.DataFrame(rows).assign(accuracy=population.frame.loc[name, "accuracy"])


def width(found: Measurements) -> Section:
    """Differences are taken seed by seed, from one table."""
    fast = found.table[found.table["stratum"] == "rate 0.005"]
    accuracy = fast.drop_duplicates("run").set_index("seed").groupby("condition")["accuracy"]
    narrow, wide = (accuracy.get_group(f"{units} units").to_dict() for units in (NARROW, WIDE))
    gain = paired_estimate(wide, narrow)
    rows = [(name, mean_estimate(by.values())) for name, by in (("narrow", narrow), ("wide", wide))]
    return Section(
        title="Are wider networks more accurate?",
        setup=f"One hidden layer of {NARROW} or {WIDE} units, four epochs of half of the digits.",
        claims=(Claim.above("Wider networks are more accurate", gain),),
        tables=(Table(("networks", "accuracy on test data"), tuple(rows), "Accuracy, mean over seeds"),),
    )


def fluctuation(found: Measurements) -> Section:
    """A rank correlation over networks, and inside the strata, where only the seed differs."""
    hidden = found.table[found.table["layer"] == "fc1"]
    numbers = hidden["after"].to_numpy(), hidden["accuracy"].to_numpy()
    alike = list(hidden["condition"] + hidden["stratum"])
    everywhere, inside = rank_correlation(*numbers), rank_correlation(*numbers, alike)
    points = [
        (when, float(str(condition).split()[0]), mean_estimate(rows[when]))
        for condition, rows in hidden.groupby("condition", sort=False)
        for when in ("before", "after")
    ]
    return Section(
        title="Does layer fluctuation go with accuracy?",
        setup="The layer fluctuation of the hidden layer: the standard deviation of its node strengths.",
        claims=(
            Claim.above("Networks whose hidden layer fluctuates more are more accurate", everywhere),
            Claim.above("So they are among networks that were trained alike", inside),
        ),
        figures=(LineChart.of("Layer fluctuation by width", points, "hidden units", "layer fluctuation"),),
    )


WIDTHS = Experiment(
    name="widths",
    title="What does width do to node strengths?",
    about="An example: narrow and wide networks on the digits, by two learning rates.",
    scales={
        "tiny": Scale(trials, seeds=2, about="Seconds."),
        "small": Scale(trials, seeds=10, about="A minute on two cores."),
    },
    measure=measure,
    sections=(width, fluctuation),
    defined=("layer_fluctuation",),
)

if __name__ == "__main__":
    results = run(WIDTHS, "tiny", folder=Path("runs/widths"))
    for claim in results.claims:
        print(f"{claim.verdict}: {claim.words} ({claim.numbers})")
    print(results.measurements.table.head())
