"""An experiment on runs that are there: nothing is trained, whoever recorded them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from axonometry.errors import ConfigurationError
from axonometry.experiments.claims import corrected
from axonometry.experiments.experiment import Context, Experiment, Measurements, recorded
from axonometry.experiments.running import QUANTILES, Results, chosen
from axonometry.populations import Population
from axonometry.progress import Progress, silent


def run_on(  # noqa: PLR0913 - what, of what, with what, and who is told
    experiment: Experiment,
    populations: Mapping[str, Population],
    *,
    tables: str | Path,
    options: Any = None,
    data: str | Path | None = None,
    only: Iterable[str] = (),
    progress: Progress | None = None,
) -> Results:
    """Measure populations that are there, and read an experiment's sections from them.

    There are no trials: sections read ``found.frames``, by the name of the population, instead of ``found.table``.

    Args:
        experiment: What to read; of its scales the first.
        populations: By the name that pages call them.
        tables: Folder of the cached tables.
        options: What ``measure`` and the sections need to know; those of the scale where None.
        data: Directory of the data sets' files; ``$AXONOMETRY_DATA`` where None.
        only: Names of sections; all where empty.
        progress: Called with what is done, out of what, and a few words.

    Raises:
        ConfigurationError: There is no such section, or no population has a run.
        RunError: A run is corrupt.
    """
    start, (name, scale) = time.monotonic(), next(iter(experiment.scales.items()))
    some = {title: population for title, population in populations.items() if len(population)}
    if not some:
        raise ConfigurationError("an experiment on runs that are there has finished runs", "none", "Name their folder")
    scale = scale if options is None else replace(scale, options=options)
    context = Context(scale, 0, Path(tables), data, 1, progress or silent)
    makers = dict(zip(experiment.section_names, experiment.sections, strict=True))
    makers = {one: chosen(makers, one, "section") for one in list(only) or makers}
    measure = experiment.measure if callable(experiment.measure) else recorded
    also, frames = (scale.options, str(data)), {}
    for title, population in some.items():
        saying = context.saying(f"measuring {title}")
        frames[title, ""] = context.cached(measure, population, also=also, unkeyed=(saying,))
    found = Measurements((), some, frames, context)
    sections = {one: make(replace(found, context=context.saying(one))) for one, make in makers.items()}
    claims = corrected({one: section.claims for one, section in sections.items()})
    sections = {one: replace(section, claims=claims[one]) for one, section in sections.items()}
    networks = sum(map(len, some.values()))
    read_from = dict.fromkeys(sections, f"{networks:,} networks of {len(some)} populations")
    kept = {"networks": networks, "read_from": read_from}
    return Results(experiment, name, sections, _conditions(some), found, 0, time.monotonic() - start, kept)


def _conditions(populations: Mapping[str, Population]) -> pd.DataFrame:
    """A row a population, with the spread of its performance, the first scalar of a few that it has."""
    rows = []
    for title, population in populations.items():
        first, frame = next(iter(population.runs.values())), population.frame
        known = [name for name in ("accuracy", "variance_explained", "loss") if name in frame]
        spread = frame[known[0]].quantile(list(QUANTILES.values())) if known else [float("nan")] * len(QUANTILES)
        size = sum(tensor.numel() for tensor in first.snapshots[first.steps[0]].values()) if first.snapshots else 0
        seeds = population.frame["seed"].nunique() if "seed" in population.frame else len(population)
        about = {"condition": title, "title": title, "networks": len(population), "seeds": seeds, "parameters": size}
        rows.append(about | {"performance": (known or ["none"])[0]} | dict(zip(QUANTILES, spread, strict=True)))
    return pd.DataFrame(rows)
