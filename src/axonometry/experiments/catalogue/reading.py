"""The measured numbers as tables of networks by numbers, of networks that learned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from axonometry.experiments.catalogue.measuring import ABOUT, FINAL, GAP, NORM, SCORE, UPDATES, CatalogueOptions
from axonometry.experiments.experiment import Measurements
from axonometry.metrics.catalogue import CATALOGUE
from axonometry.statistics import Estimate, partial_rank_correlation

FEWEST = 12
"""Networks that have a number, from which on it is read."""
VARIED = 1e-9
"""Relative spread below which a number is the same of all networks, but for rounding."""


@dataclass(frozen=True)
class Numbers:
    """One population's numbers.

    Attributes:
        title: Its name.
        frame: Columns run, epoch, number, value.
        options: Of the experiment.
    """

    title: str
    frame: pd.DataFrame
    options: CatalogueOptions

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that were looked at, in order."""
        return tuple(sorted(int(epoch) for epoch in self.frame["epoch"].unique()))

    @property
    def last(self) -> int:
        """The epoch at which most networks end."""
        return int(self.frame.groupby("run")["epoch"].max().mode().iloc[-1])

    @property
    def first(self) -> int:
        """The first epoch after training began."""
        return next((epoch for epoch in self.epochs if epoch > 0), self.last)

    @cached_property
    def learned(self) -> tuple[str, ...]:
        """The runs whose final score says that they learned something."""
        final = self.frame[self.frame["number"] == FINAL].drop_duplicates("run").set_index("run")["value"]
        return tuple(final.index[final >= self.options.least])

    def at(self, epoch: int) -> pd.DataFrame:
        """A row a network that learned, a column a number that differs between them, :data:`ABOUT` among them.

        Args:
            epoch: One of :attr:`epochs`.
        """
        some = self.frame[(self.frame["epoch"] == epoch) & self.frame["run"].isin(self.learned)]
        table = some.pivot(index="run", columns="number", values="value")
        table = table[[name for name in dict.fromkeys(some["number"]) if name in table]]
        spread, size = table.max() - table.min(), table.abs().max()
        kept = {str(name) for name in table.columns[(spread > VARIED * size) & (table.notna().sum() >= FEWEST)]}
        return table[[name for name in map(str, table.columns) if name in kept or name in ABOUT]]

    def measures(self, epoch: int) -> pd.DataFrame:
        """The same without :data:`ABOUT`."""
        table = self.at(epoch)
        return table[[name for name in table if name not in ABOUT]]


def populations_of(found: Measurements) -> Iterator[Numbers]:
    """The numbers of each population in which enough networks learned.

    Args:
        found: What was measured.
    """
    for (title, _), frame in found.frames.items():
        numbers = Numbers(title, frame, found.options)
        if len(numbers.learned) >= FEWEST:
            yield numbers


def metric_of(number: str) -> str:
    """The measure that a number is of.

    >>> metric_of("gradient.node_strength.std"), metric_of("layer_fluctuation")
    ('gradient.node_strength', 'layer_fluctuation')
    """
    return next((name for name in sorted(CATALOGUE, key=len, reverse=True) if number.startswith(name)), number)


def controls(table: pd.DataFrame, *, score: bool = False) -> list[np.ndarray]:
    """What a number is asked to say more than: length of training and norm of weights, and the score so far.

    Args:
        table: Of :meth:`Numbers.at`.
        score: Whether the score at that epoch is one of them.
    """
    names = [UPDATES, NORM, *([SCORE] if score else [])]
    return [table[name].to_numpy(dtype=float) for name in names if name in table and table[name].notna().any()]


def correlations(table: pd.DataFrame, target: str, *, beside: bool, score: bool = False) -> pd.Series:
    """Each number's rank correlation with the target, without intervals, by number.

    Args:
        table: Of :meth:`Numbers.at`.
        target: :data:`FINAL` or :data:`GAP`.
        beside: Whether what :func:`controls` say is taken out.
        score: As there.
    """
    return pd.Series(
        {
            name: target_correlation(table, name, target, beside=beside, score=score, draws=0).value
            for name in map(str, table.columns)
            if name not in ABOUT
        },
        dtype=float,
    )


def target_correlation(
    table: pd.DataFrame, name: str, target: str, *, beside: bool, score: bool = False, draws: int = 1000
) -> Estimate:
    """One number's rank correlation with the target.

    Args:
        table: Of :meth:`Numbers.at`.
        name: The number.
        target: :data:`FINAL` or :data:`GAP`.
        beside: Whether what :func:`controls` say is taken out.
        score: As there.
        draws: Bootstrap draws of networks.
    """
    x, y = (table[column].to_numpy(dtype=float) for column in (name, target))
    return partial_rank_correlation(x, y, controls(table, score=score) if beside else [], draws=draws)


TARGETS = {FINAL: "final score", GAP: "generalisation gap"}
"""What numbers are held against, in words."""
