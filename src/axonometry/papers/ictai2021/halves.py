"""How much of the differences in accuracy are the networks', and how much the choice of test images; a control.

Networks that were trained alike differ little, and a test of 10,000 images is noisy. A measure that does not go with
accuracy among them is only evidence against the measure where accuracy itself can be told: half of the images must rank
the networks as the other half does, and some number must be seen to go with accuracy.
"""

from __future__ import annotations

import math

import pandas as pd

from axonometry.experiments import Claim, Context, Measurements, Section, Table, rank_correlation
from axonometry.papers.ictai2021.ensembles import MORE, Ensemble, ensembles, measure_ensembles
from axonometry.populations import Population, RunConfiguration, accuracy_and_loss
from axonometry.populations.sampling import used_images
from axonometry.populations.training import dataset_of, initial_network
from axonometry.statistics import spearman_brown

CHECK = "no paper: a check of the set-up"
HALVES = ("half-0", "half-1")
"""Test images of even and of odd number."""


def measure_with_halves(population: Population, context: Context) -> pd.DataFrame:
    """The measures of every network, and its accuracy on either half of the test images (metric ``accuracy``)."""
    measured = measure_ensembles(population, context)
    halves = [
        {"run": name, "metric": "accuracy", "group": half, "statistic": "value", "value": value}
        for name in population.runs
        for half, value in zip(HALVES, half_accuracies(population, name, context), strict=True)
    ]
    return pd.concat([measured, pd.DataFrame(halves)], ignore_index=True)


def half_accuracies(population: Population, name: str, context: Context) -> tuple[float, float]:
    """Accuracy of a trained network on the test images of even and on those of odd number.

    Args:
        population: Where it is.
        name: Of its run.
        context: The directory of the data.
    """
    run = population.runs[name]
    configuration = RunConfiguration.from_dict(run.configuration or {})
    dataset = dataset_of(configuration, context.data)
    network, data = initial_network(configuration, dataset), used_images(configuration, dataset)
    network.load_state_dict(run.snapshots[run.steps[-1]])
    first, second = (
        accuracy_and_loss(network, data.test_inputs[half::2], data.test_labels[half::2])[0] for half in (0, 1)
    )
    return first, second


def reliability(found: Measurements) -> Section:
    """Split-half reliability of accuracy, and what goes with it among networks that were trained alike."""
    claims, rows = [], []
    for one in ensembles(found):
        halves = one.wide("accuracy")
        strata = list(one.networks["stratum"])
        first, second = (halves[half].to_numpy() for half in HALVES)
        alike = rank_correlation(first, second, strata)
        whole = spearman_brown(alike)
        most = math.sqrt(max(0.0, whole.value))
        words = f"Accuracy tells networks trained alike apart, on other test images too: {one.title}"
        numbers = f"reliability {whole.text()}, n = {whole.n}; no measure can have more than ρ = {most:.2f}"
        claims += [Claim.above(words, whole, numbers=numbers).stated(CHECK, settled_by=MORE), _control(one)]
        rows.append((one.title, spearman_brown(rank_correlation(first, second)), alike, whole, f"{most:.2f}"))
    heads = ("ensemble", "reliability", "ρ of halves, trained alike", "reliability, trained alike", "most ρ, alike")
    setup = (
        "Accuracy on the test images of even number against that on those of odd number; Spearman and Brown's formula "
        "gives the reliability of all images together, and its root is the most that anything can correlate with them."
    )
    title = "Can accuracy be told among networks that differ by their seed alone?"
    return Section(title, setup, tuple(claims), (Table(heads, tuple(rows), "Split-half reliability of accuracy"),))


def _control(one: Ensemble) -> Claim:
    """Something must be seen among networks trained alike where the layers' fluctuation is not."""
    spread = one.separation[(one.separation["metric"] == "link_weights") & (one.separation["statistic"] == "std")]
    rhos = dict(zip(spread["layer"], spread["alike"], strict=True))
    numbers = ", ".join(f"{layer} ρ = {rho.text()}" for layer, rho in rhos.items())
    words = f"Positive control: the spread of link weights goes with accuracy among networks trained alike: {one.title}"
    return Claim.above(words, list(rhos.values()), numbers=numbers).stated(CHECK, settled_by=MORE)
