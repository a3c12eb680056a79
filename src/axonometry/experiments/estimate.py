"""Estimates of what an experiment has already: seeds in pairs, resamples that were drawn, rows of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from axonometry.statistics import LEVEL, Estimate, mean_estimate


def paired_estimate(first: Mapping[int, float], second: Mapping[int, float], unit: str = "seeds") -> Estimate:
    """The mean over seeds of a number of the first condition less that of the second, seed by seed.

    Args:
        first: The number by seed; seeds that only one condition has are left out.
        second: Likewise.
        unit: What the keys are, in the plural.

    >>> paired_estimate({0: 0.9, 1: 0.8, 2: 0.5}, {0: 0.5, 1: 0.4}).value
    0.4
    """
    return mean_estimate((first[seed] - second[seed] for seed in first if seed in second), unit=unit)


def estimate_of_draws(value: float, draws: np.ndarray, n: int, unit: str = "networks") -> Estimate:
    """A statistic with the percentile interval of resamples that were drawn; those that are not finite are left out.

    Args:
        value: Of the sample itself.
        draws: Of each resample.
        n: Size of the sample.
        unit: What the sample consists of, in the plural.

    >>> estimate_of_draws(0.5, np.linspace(0, 1, 101), 20).text(".3f")
    '0.500 [0.025, 0.975]'
    """
    known = draws[np.isfinite(draws)]
    if not len(known) or math.isnan(value):
        return Estimate(value, math.nan, math.nan, n, unit)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high), n, unit)


def estimate_of_row(row: Mapping[Any, Any], n: int = 0, unit: str = "networks") -> Estimate:
    """The estimate in a table's row, from its columns value, low and high.

    Args:
        row: It may have a column ``n`` too.
        n: Size of the sample where the row does not say.
        unit: What the sample consists of, in the plural.

    >>> estimate_of_row({"value": 0.5, "low": 0.25, "high": 0.75, "n": 40}).text(sample=True)
    '0.50 [0.25, 0.75], 40 networks'
    """
    value, low, high = (float(row[key]) for key in ("value", "low", "high"))
    return Estimate(value, low, high, int(row.get("n", n)), unit)
