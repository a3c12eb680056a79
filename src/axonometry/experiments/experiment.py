"""What an experiment is: trials at several scales, one table of measurements, and sections that read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from axonometry.errors import ConfigurationError
from axonometry.experiments.cache import cached
from axonometry.experiments.section import Section
from axonometry.populations import Population, RunConfiguration
from axonometry.progress import Progress, prefixed, silent

HOW = "How to read the results:\n\n"
"""The heading of the part of a docstring that a page shows."""


@dataclass(frozen=True)
class Trial:
    """One network of an experiment.

    Attributes:
        configuration: How it is trained.
        condition: What it is compared by; networks of one condition are measured together.
        stratum: Networks of one stratum were trained alike and differ by their seed alone.
        population: Name of the folder that its run is in, inside the experiment's.
        measures: Names in ``axonometry.metrics.CATALOGUE`` that are recorded while it is trained; link weights where
            empty.
        sections: Names of the sections that need it; all of them where empty.

    >>> Trial(RunConfiguration(seed=3), "small").population
    'networks'
    """

    configuration: RunConfiguration
    condition: str = ""
    stratum: str = ""
    population: str = "networks"
    measures: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()


def trials_of(configurations: Sequence[RunConfiguration], condition: str, **about: Any) -> tuple[Trial, ...]:
    """A trial a configuration, of one condition.

    Args:
        configurations: How each network is trained.
        condition: What they have in common.
        about: The other attributes of :class:`Trial`.
    """
    return tuple(Trial(configuration, condition, **about) for configuration in configurations)


@dataclass(frozen=True)
class Scale:
    """How large an experiment is.

    Attributes:
        trials: The trials for a number of seeds: all networks of the experiment, those that are wanted first ahead.
        seeds: That number, unless the caller says another.
        about: How long it takes, and on what.
        titles: Conditions in words, by name.
        options: What else ``measure`` and the sections need to know; it is part of what is cached.
    """

    trials: Callable[[int], Sequence[Trial]]
    seeds: int = 10
    about: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)
    options: Any = None


@dataclass(frozen=True)
class Context:
    """What ``measure`` and sections are given beside the networks.

    Attributes:
        scale: The experiment's scale.
        seeds: The number of seeds.
        tables: Folder of the cached tables.
        data: Directory of the data sets' files; ``$AXONOMETRY_DATA`` where None.
        workers: Processes that compute.
        progress: Called with what is done, out of what, and a few words.

    >>> scale = Scale(lambda seeds: (), 3, titles={"dense": "dense, 2 layers"})
    >>> Context(scale, 3, Path("tables")).title("dense"), Context(scale, 3, Path("tables")).title("gru")
    ('dense, 2 layers', 'gru')
    """

    scale: Scale
    seeds: int
    tables: Path
    data: str | Path | None = None
    workers: int = 1
    progress: Progress = silent

    @property
    def options(self) -> Any:
        """Those of the scale."""
        return self.scale.options

    def title(self, condition: str) -> str:
        """A condition in words."""
        return self.scale.titles.get(condition, condition)

    def saying(self, words: str) -> Context:
        """The context whose progress begins with some words."""
        return replace(self, progress=prefixed(words, self.progress))

    @property
    def cached(self) -> Callable[..., pd.DataFrame]:
        """:func:`axonometry.experiments.cache.cached` in the experiment's folder of tables."""
        return partial(cached, self.tables)


@dataclass(frozen=True)
class Measurements:
    """What sections read.

    Attributes:
        trials: The trials that were asked for.
        populations: Whole runs, by the name of their folder.
        frames: What ``measure`` returned, by population and condition.
        context: Scale, options, cache, progress.
    """

    trials: tuple[Trial, ...]
    populations: Mapping[str, Population]
    frames: Mapping[tuple[str, str], pd.DataFrame]
    context: Context

    @property
    def options(self) -> Any:
        """Those of the scale."""
        return self.context.options

    @cached_property
    def table(self) -> pd.DataFrame:
        """All that was measured, tidy: columns population, condition, stratum, seed and run, then those of ``measure``.

        The run is the name of its folder: the identity of its configuration.
        """
        return pd.concat([self.of(*place) for place in self.frames], ignore_index=True)

    def of(self, population: str, condition: str) -> pd.DataFrame:
        """The table's rows of one condition of a population."""
        place, about = (population, condition), ["population", "condition", "stratum", "seed", "run"]
        trials = [t for t in self.trials if (t.population, t.condition) == place]
        rows = [(*place, t.stratum, t.configuration.seed, t.configuration.identity) for t in trials]
        asked = pd.DataFrame(rows, columns=about).drop_duplicates("run", keep="last")
        return asked.merge(self.frames[place].drop(columns=about[:-1], errors="ignore"), on="run", how="right")

    def for_section(self, name: str) -> Measurements:
        """The measurements of the trials that a section needs."""
        trials = tuple(trial for trial in self.trials if not trial.sections or name in trial.sections)
        places = {(trial.population, trial.condition) for trial in trials}
        return replace(self, trials=trials, frames={p: frame for p, frame in self.frames.items() if p in places})


Measure = Callable[[Population, Context], pd.DataFrame]
"""The measurements of some networks: a column ``run``, and others. Its result is cached."""
MakeSection = Callable[[Measurements], Section]
"""Reads the measurements; its name, with hyphens, is the section's."""


@dataclass(frozen=True)
class Experiment:
    """Trials at several scales, one table of measurements, and sections that read it.

    Attributes:
        name: A short name; runs go to a folder of that name.
        title: A question.
        scales: By name, the smallest first.
        measure: Turns the networks of a condition into one table; or names in ``axonometry.metrics.CATALOGUE``, whose
            recorded numbers at all steps are then the table.
        sections: What is read from the table.
        about: What is done, in a sentence or two.
        how: How to read the pages, as a Markdown list; of a module's docstring, what follows :data:`HOW`.
        defined: Measures whose definitions the HTML page shows.

    Raises:
        ConfigurationError: There is no scale or no section.

    Six networks, three for each of two learning rates, and one section; ``axonometry experiment FILE.py:rates`` runs
    it:

    >>> from axonometry.experiments import Experiment, Scale, trials_of
    >>> from axonometry.populations import RunConfiguration
    >>> def trials(seeds):
    ...     several = {
    ...         rate: [RunConfiguration(seed=n, learning_rate=rate) for n in range(seeds)] for rate in (0.001, 0.003)
    ...     }
    ...     return [trial for rate, some in several.items() for trial in trials_of(some, str(rate))]
    >>> def spread(found): ...  # reads found.table, returns a Section
    >>> title, tiny = "What does the learning rate do?", Scale(trials, seeds=3)
    >>> rates = Experiment("rates", title, {"tiny": tiny}, ("layer_fluctuation",), (spread,))
    >>> rates.section_names, len(tiny.trials(tiny.seeds))
    (('spread',), 6)
    """

    name: str
    title: str
    scales: Mapping[str, Scale]
    measure: Measure | Sequence[str]
    sections: Sequence[MakeSection]
    about: str = ""
    how: str | None = ""
    defined: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, there in (("scale", self.scales), ("section", self.sections)):
            if not there:
                raise ConfigurationError(f"an experiment has a {what}", "none")
        _, heading, text = (self.how or "").partition(HOW)
        object.__setattr__(self, "how", text if heading else self.how)

    @property
    def section_names(self) -> tuple[str, ...]:
        """The names of the sections, in their order."""
        return tuple(map(section_name, self.sections))


def section_name(make: MakeSection) -> str:
    """The name of the section that a function makes.

    >>> def flat_minima(found): ...
    >>> section_name(flat_minima)
    'flat-minima'
    """
    return str(getattr(make, "__name__", type(make).__name__)).replace("_", "-")


def measure_population(
    population: Population, read: Callable[[Population, str], pd.DataFrame], context: Context
) -> pd.DataFrame:
    """The measurement table of a population, network by network.

    Args:
        population: Whole runs.
        read: Called with the population and the name of a run; its rows get the column ``run``.
        context: Whose progress is told.

    Raises:
        RunError: A run is damaged.
    """
    frames = []
    for number, name in enumerate(population.runs):
        context.progress(number, len(population), "")
        frames.append(read(population, name).assign(run=name))
    return pd.concat(frames, ignore_index=True)


def recorded(population: Population, context: Context) -> pd.DataFrame:
    """What was recorded of each network: run, step, group, metric, statistic, value."""
    return measure_population(population, lambda networks, name: networks.runs[name].metrics, context)
