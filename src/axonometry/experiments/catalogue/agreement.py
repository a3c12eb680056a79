"""Which measures say the same: rank correlations of all numbers with each other, clustered."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import squareform

from axonometry.experiments.catalogue.reading import Numbers, metric_of, populations_of
from axonometry.experiments.experiment import Measurements
from axonometry.experiments.section import Section, listed
from axonometry.report.charts import MatrixChart
from axonometry.report.page import Table

ALIKE = 0.9
"""Numbers whose mean rank correlation exceeds this in size, on average over a cluster, say the same [our choice]."""


def agreement(found: Measurements) -> Section:
    """The clusters of numbers, over all populations."""
    several = list(populations_of(found))
    if not several:
        return Section("Which measures say the same?", "No population has enough networks that learned.")
    matrix = mean_correlations(several)
    order = [matrix.columns[int(place)] for place in leaves_list(_tree(matrix))]
    members = clusters(matrix)
    groups = sorted((part for part in members if len(part) > 1), key=len, reverse=True)
    rows = tuple((len(part), len({metric_of(name) for name in part}), listed(part)) for part in groups)
    chart = MatrixChart(
        "Rank correlations of all numbers",
        tuple(order),
        tuple(tuple(float(value) for value in row) for row in matrix.loc[order, order].to_numpy()),
        "Spearman's ρ, mean over populations",
        "Of networks that learned, at the end of training; numbers are put beside those that they resemble.",
    )
    setup = (
        f"Numbers at the end of training of {len(several)} populations; ρ is taken inside each and averaged. "
        f"{matrix.shape[0]} numbers fall into {len(members)} clusters of a mean |ρ| above {ALIKE:g}; "
        f"{sum(len(part) == 1 for part in members)} of them are alone."
    )
    caption = "Numbers that any of them would say; those that stand alone are left out."
    table = Table(("numbers", "measures", "which"), rows, "Clusters of numbers that say the same", caption)
    return Section("Which measures say the same?", setup, tables=(table,), figures=(chart,))


def mean_correlations(several: list[Numbers]) -> pd.DataFrame:
    """The rank correlations of every two numbers, averaged over the populations that have both.

    Args:
        several: The populations.
    """
    found = [numbers.measures(numbers.last).corr("spearman", min_periods=8) for numbers in several]
    names = list(dict.fromkeys(name for one in found for name in one.columns))
    stack = np.stack([one.reindex(index=names, columns=names).to_numpy() for one in found])
    there = np.isfinite(stack)
    mean = np.divide(np.where(there, stack, 0).sum(0), there.sum(0), out=np.zeros(stack.shape[1:]), where=there.any(0))
    np.fill_diagonal(mean, 1.0)
    return pd.DataFrame(mean, index=names, columns=names)


def clusters(correlations: pd.DataFrame) -> list[list[str]]:
    """The numbers that say the same, each number in one cluster.

    Args:
        correlations: A row and a column a number; where one is not known it is 0.

    >>> known = pd.DataFrame([[1, -0.95, 0], [-0.95, 1, 0], [0, 0, 1]], index=[*"abc"], columns=[*"abc"])
    >>> clusters(known)
    [['a', 'b'], ['c']]
    """
    labels = pd.Series(fcluster(_tree(correlations), 1 - ALIKE, "distance"), index=correlations.columns)
    return [list(map(str, part.index)) for _, part in labels.groupby(labels)]


def _tree(correlations: pd.DataFrame) -> Float[np.ndarray, "_ 4"]:
    """Average linkage on 1 - |ρ|: a number and its opposite say the same."""
    values = np.nan_to_num(correlations.to_numpy(dtype=float))
    apart = 1 - np.abs((values + values.T) / 2)
    np.fill_diagonal(apart, 0)
    return np.asarray(linkage(squareform(apart.clip(0), checks=False), "average"))
