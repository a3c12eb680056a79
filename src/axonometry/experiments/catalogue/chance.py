"""How far trained networks are from chance, and what each measure costs."""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd

from axonometry.experiments.catalogue.measuring import (
    BEFORE,
    SLOW,
    CatalogueOptions,
    network_numbers,
    runs_over_scores,
    samples_of,
    weight_measures,
)
from axonometry.experiments.catalogue.sections import HEADLINES
from axonometry.experiments.experiment import Context, Measurements, measure_population
from axonometry.experiments.section import Section, cross_table
from axonometry.metrics.catalogue import CATALOGUE, Shared, measure
from axonometry.metrics.nulls import null
from axonometry.populations import Population
from axonometry.program import ChannelGraph, NeuralGraph

FAR = 2.1
"""|z| that 5 of 100 draws of Student's t with 19 degrees of freedom exceed."""


def chance(found: Measurements) -> Section:
    """Z of weights' numbers against shuffled weights, before training and at the end."""
    cells: dict[tuple[str, str], object] = {}
    shares: dict[str, list[float]] = {"before": [], "after": []}
    networks = 0
    for title, population in found.populations.items():
        table = found.context.cached(
            draw_nulls, population, also=found.options, unkeyed=(found.context.saying(f"null draws of {title}"),)
        )
        if table.empty:
            continue
        networks += table["run"].nunique()
        for when, part in table.groupby("when"):
            shares[str(when)].append(float((part["z"].abs() > FAR).mean()))
        known = [name for name in (*HEADLINES, *table["number"].unique()) if name in set(table["number"])]
        for name in list(dict.fromkeys(known))[:SHOWN]:
            some = table[table["number"] == name]
            before, after = (some.loc[some["when"] == when, "z"].median() for when in ("before", "after"))
            cells[name, title] = " → ".join("–" if math.isnan(one) else f"{one:.1f}" for one in (before, after))
    if not networks:
        return Section("What is different from chance?", "No population has a network that learned.")
    setup = (
        f"Weights shuffled within each layer, {found.options.draws} draws, of {networks} networks evenly spread over "
        "the score. Before training weights are independent draws already, so that z says nothing there but its own "
        f"noise: |z| exceeds {FAR} in {np.mean(shares['before']):.0%} of numbers (5% are expected), after training in "
        f"{np.mean(shares['after']):.0%}."
    )
    shown = cross_table(
        "Median z before training → at the end", "number", cells, "z = (value − mean) / sd of the draws."
    )
    return Section("What is different from chance?", setup, tables=(shown,))


SHOWN = 16
"""Numbers whose z a table shows."""


def draw_nulls(population: Population, context: Context) -> pd.DataFrame:
    """Z of the numbers of weights against null draws: columns run, when, number, z.

    Args:
        population: Whose networks, some of which are drawn.
        context: Options and progress.
    """
    options: CatalogueOptions = context.options
    names = weight_measures()
    some = runs_over_scores(population, options, options.drawn_networks)
    if not some:
        return pd.DataFrame(columns=["run", "when", "number", "z"])

    def numbers(graph: NeuralGraph | ChannelGraph) -> dict[str, float]:
        return network_numbers(measure(graph, names))

    def read(networks: Population, name: str) -> pd.DataFrame:
        steps = networks.runs[name].steps
        parts = []
        for when, step in (("before", steps[0]), ("after", steps[-1])):
            scored = null(networks.graph(name, step), "shuffle", numbers, draws=options.draws)
            parts.append(scored[["group", "z"]].rename(columns={"group": "number"}).assign(when=when))
        return pd.concat(parts).dropna()

    chosen = Population(population.folder, {name: population.runs[name] for name in some}, network=population.network)
    return measure_population(chosen, read, context)


def costs(found: Measurements) -> Section:
    """Seconds of each measure for one network of each population."""
    cells: dict[tuple[str, str], object] = {}
    for title, population in found.populations.items():
        table = found.context.cached(time_measures, population, also=found.options, unkeyed=(found.context,))
        cells |= {(row["measure"], title): float(row["milliseconds"]) for row in table.to_dict("records")}
    order = {name: place for place, name in enumerate(CATALOGUE)}
    cells = dict(sorted(cells.items(), key=lambda pair: order.get(pair[0][0], len(order))))
    setup = (
        "One network at the end of training, the second call, on one core that may have other work; measures of "
        f"samples take {found.options.samples} test inputs, {', '.join(SLOW)} {found.options.few_samples}. Measures of "
        "gradients and updates are of a training under way and are left out."
    )
    tables = (cross_table("Milliseconds", "measure", cells),) if cells else ()
    return Section("What does each cost?", setup, tables=tables)


def time_measures(population: Population, context: Context) -> pd.DataFrame:
    """Milliseconds of each measure for the network of the median score: columns measure, milliseconds.

    Args:
        population: Whose network.
        context: Options, and where data are.
    """
    options: CatalogueOptions = context.options
    name = runs_over_scores(population, options, 3)[1:2] or list(population.runs)[:1]
    samples, rows = samples_of(population, name[0], context), []
    few = samples and [(x[: options.few_samples], y[: options.few_samples]) for x, y in samples]
    for one, spec in CATALOGUE.items():
        if spec.needs_training or (spec.needs_samples and not samples) or one in BEFORE:
            continue
        taken = []
        for _ in range(2 if one not in SLOW else 1):
            shared = Shared(population.graph(name[0]), samples=few if one in SLOW else samples)
            start = time.perf_counter()
            list(spec.table(shared))
            taken.append(1e3 * (time.perf_counter() - start))
        rows.append((one, round(taken[-1], 2)))
    return pd.DataFrame(rows, columns=["measure", "milliseconds"])
