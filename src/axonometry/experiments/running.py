"""Running an experiment: its networks are trained or resumed, measured, and read into sections."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from axonometry.errors import ConfigurationError, closest
from axonometry.experiments.claims import Claim, corrected
from axonometry.experiments.experiment import Context, Experiment, Measurements, Trial, recorded
from axonometry.experiments.section import Section
from axonometry.populations import Population, train_population
from axonometry.populations.objectives import EVALUATION_METRICS
from axonometry.progress import Progress, prefixed, silent

T = TypeVar("T")
QUANTILES = {"minimum": 0.0, "lower": 0.25, "median": 0.5, "upper": 0.75, "maximum": 1.0}
"""Of a condition's performance on test data."""


@dataclass(frozen=True)
class Results:
    """What an experiment found.

    Attributes:
        experiment: The experiment.
        scale: Name of the scale.
        sections: By name; those that were asked for.
        conditions: A row a condition: condition, title, networks, seeds, parameters, performance (its name),
            minimum, lower (quartile), median, upper, maximum.
        measurements: What the sections were read from.
        trained: Networks that this call trained; the others were there.
        seconds: Duration of the call.
        kept: Of results that were read from a file: what the call said of its networks, machine and command.
    """

    experiment: Experiment
    scale: str
    sections: Mapping[str, Section]
    conditions: pd.DataFrame
    measurements: Measurements
    trained: int
    seconds: float
    kept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def networks(self) -> int:
        """How many networks it comes from."""
        return self.kept.get("networks") or len(
            {(trial.population, trial.configuration.identity) for trial in self.measurements.trials}
        )

    @property
    def read_from(self) -> Mapping[str, str]:
        """By section, how many networks it was read from and what these learned: "90 networks of mnist"."""
        found = self.measurements
        return self.kept.get("read_from") or {name: _said_of(found.for_section(name).trials) for name in self.sections}

    def section(self, name: str) -> Section:
        """One of the sections.

        Raises:
            ConfigurationError: There is none of that name.
        """
        return chosen(self.sections, name, "section")

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Those of all sections."""
        return tuple(claim for section in self.sections.values() for claim in section.claims)

    @property
    def not_run(self) -> tuple[str, ...]:
        """Names of the sections that were not asked for."""
        return tuple(name for name in self.experiment.section_names if name not in self.sections)


def run(  # noqa: PLR0913 - what, how large, where, by whom, and who is told
    experiment: Experiment,
    scale: str = "small",
    *,
    folder: str | Path,
    only: Iterable[str] = (),
    seeds: int | None = None,
    data: str | Path | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Results:
    """Train an experiment's networks, or resume them, measure them and read the sections.

    Whatever is there already, a whole run or a table, is not computed again; after any interruption the same call
    resumes.

    Args:
        experiment: What to run.
        scale: Name of one of its scales.
        folder: Where runs and tables go: a folder a population, a run a configuration, and ``tables``.
        only: Names of sections; all where empty. Networks that these do not need are not trained.
        seeds: Number of seeds; the scale's own where None.
        data: Directory of the data sets' files; ``$AXONOMETRY_DATA`` where None.
        workers: Processes that train and compute. None: a process a core trains, one computes.
        executor: Where to train instead.
        progress: Called with what is done, out of what, and a few words.

    Raises:
        ConfigurationError: There is no such scale or section, or no seed.
        DataError: A data set's file is missing.
        RunError: Runs failed, or the folder holds something else.
    """
    start, size = time.monotonic(), chosen(experiment.scales, scale, "scale")
    seeds = size.seeds if seeds is None else seeds
    if seeds < 1:
        raise ConfigurationError("`seeds` is at least 1", str(seeds), "Two are the least that give an interval")
    makers = dict(zip(experiment.section_names, experiment.sections, strict=True))
    only = {name: chosen(makers, name, "section") for name in only} or makers
    makers = {name: make for name, make in makers.items() if name in only}
    context = Context(size, seeds, Path(folder) / "tables", data, workers or 1, progress or silent)
    trials = [t for t in size.trials(seeds) if not t.sections or set(t.sections) & set(makers)]
    places = {Path(folder) / trial.population / trial.configuration.identity for trial in trials}
    trained = sum(not (place / "metrics.parquet").exists() for place in places)
    training = {"data": data, "executor": executor, "workers": None if executor else workers}
    populations = _trained(experiment, trials, Path(folder), context, training)
    found = Measurements(tuple(trials), populations, _measured(experiment, trials, populations, context), context)
    sections = {
        name: make(replace(found.for_section(name), context=context.saying(name))) for name, make in makers.items()
    }
    claims = corrected({name: section.claims for name, section in sections.items()})
    sections = {name: replace(section, claims=claims[name]) for name, section in sections.items()}
    conditions = _conditions(trials, populations, context)
    return Results(experiment, scale, sections, conditions, found, trained, time.monotonic() - start)


def chosen(there: Mapping[str, T], name: str, kind: str) -> T:
    """What a user asks for by its name.

    Args:
        there: What can be asked for.
        name: What is asked for.
        kind: What it is.

    Raises:
        ConfigurationError: There is none of that name.

    >>> chosen({"tiny": 2, "small": 10}, "small", "scale")
    10
    """
    if name not in there:
        remedy = closest(name, there, f"Choose from: {', '.join(there)}")
        raise ConfigurationError(f"no such {kind}: {name}", "", remedy)
    return there[name]


def _said_of(trials: Iterable[Trial]) -> str:
    networks = {(trial.population, trial.configuration.identity): trial.configuration for trial in trials}
    datasets = sorted({configuration.dataset for configuration in networks.values()})
    return f"{len(networks):,} networks of {' and '.join(datasets)}" if networks else "no networks"


def _grouped(trials: Iterable[Trial], *attributes: str) -> dict[Any, list[Trial]]:
    groups: dict[Any, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(tuple(getattr(trial, name) for name in attributes), []).append(trial)
    return groups


def _trained(
    experiment: Experiment, trials: Sequence[Trial], folder: Path, context: Context, training: Mapping[str, Any]
) -> dict[str, Population]:
    """The populations of the trials, each with all measures that one of its trials or the experiment asks for."""
    populations = {}
    for (name,), mine in _grouped(trials, "population").items():
        always = () if callable(experiment.measure) else experiment.measure
        asked = tuple(dict.fromkeys([*always, *(measure for trial in mine for measure in trial.measures)]))
        measures = asked or ("link_weights",)
        populations[name] = train_population(
            [trial.configuration for trial in mine],
            folder / name,
            measures=measures,
            progress=prefixed(f"training {context.title(name)}", context.progress),
            **training,
        ).measured(measures, prefixed(f"measuring {context.title(name)}", context.progress))
    return populations


def _measured(
    experiment: Experiment, trials: Sequence[Trial], populations: Mapping[str, Population], context: Context
) -> dict[tuple[str, str], pd.DataFrame]:
    measure = experiment.measure if callable(experiment.measure) else recorded
    frames, also = {}, (context.options, str(context.data))
    for (name, condition), mine in _grouped(trials, "population", "condition").items():
        own = {trial.configuration.identity: populations[name].runs[trial.configuration.identity] for trial in mine}
        networks = replace(populations[name], runs=own)
        saying = context.saying(f"measuring {context.title(condition or name)}")
        frames[name, condition] = context.cached(measure, networks, also=also, unkeyed=(saying,))
    return frames


def _conditions(trials: Sequence[Trial], populations: Mapping[str, Population], context: Context) -> pd.DataFrame:
    """What was trained: a row a condition, with the spread of its performance."""
    rows = []
    for (name, condition), mine in _grouped(trials, "population", "condition").items():
        population, names = populations[name], [trial.configuration.identity for trial in mine]
        performance = EVALUATION_METRICS[1 if mine[0].configuration.reconstructs else 0]
        first = population.runs[names[0]]
        snapshot = first.snapshots[first.steps[0]] if first.snapshots else {}
        spread = population.frame.loc[names, performance].quantile(list(QUANTILES.values()))
        about = {
            "condition": condition or name,
            "title": context.title(condition or name),
            "networks": len(names),
            "seeds": len({trial.configuration.seed for trial in mine}),
            "parameters": sum(tensor.numel() for tensor in snapshot.values()),
            "performance": performance,
        }
        rows.append(about | dict(zip(QUANTILES, spread, strict=True)))
    return pd.DataFrame(rows)
