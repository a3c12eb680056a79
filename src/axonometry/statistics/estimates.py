"""Estimates: a number with its confidence interval and the size of the sample behind it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Confidence level of an interval unless another is asked for."""
DRAWS = 2000
"""Bootstrap resamples behind an interval."""


@dataclass(frozen=True)
class Estimate:
    """A number with its confidence interval and the size of the sample behind it.

    Attributes:
        value: The estimate; NaN where there is nothing to estimate it from.
        low: Low end of the interval; NaN where there is none.
        high: High end of the interval.
        n: Size of the sample.
        unit: What ``n`` counts, in the plural: "networks", "seeds".

    >>> estimate = Estimate(0.5, 0.25, 0.75, 40, "networks")
    >>> str(estimate), estimate.text(".0%")
    ('0.500 [0.250, 0.750]', '50% [25%, 75%]')
    """

    value: float
    low: float
    high: float
    n: int
    unit: str = ""

    def text(self, form: str = ".2f", *, sample: bool = False) -> str:
        """The value with its interval, ready to print; a dash where there is no value.

        Args:
            form: Format of each number.
            sample: Whether the sample's size follows.

        >>> Estimate(0.874, 0.83, 0.9, 12, "seeds").text()
        '0.87 [0.83, 0.90]'
        >>> Estimate(-0.5, float("nan"), float("nan"), 1, "seeds").text(".1f", sample=True)
        '−0.5, 1 seeds'
        """
        if math.isnan(self.value):
            return "–"
        value, low, high = (_signed(f"{one:{form}}") for one in (self.value, self.low, self.high))
        numbers = value if math.isnan(self.low) else f"{value} [{low}, {high}]"
        return numbers + (f", {self.n:,} {self.unit}".rstrip() if sample else "")

    def __str__(self) -> str:
        """The value with its interval to three digits, as tables show it."""
        return self.text(".3f")

    def __neg__(self) -> Estimate:
        """The estimate of the opposite number.

        >>> -Estimate(1.0, 0.5, 2.0, 3)
        Estimate(value=-1.0, low=-2.0, high=-0.5, n=3, unit='')
        """
        return Estimate(-self.value, -self.high, -self.low, self.n, self.unit)


def _signed(number: str) -> str:
    """A number with a minus sign; a zero has none."""
    return number.replace("-", "−") if number.strip("-0.") else number.removeprefix("-")


def mean_estimate(values: Iterable[float], *, level: float = LEVEL, unit: str = "") -> Estimate:
    """The mean with the interval of Student's t; NaN is left out, and one value alone has no interval.

    Args:
        values: One number for each member of the sample.
        level: Confidence level.
        unit: What the values are, in the plural.

    >>> mean_estimate([1.0, 2.0, 3.0], unit="seeds").text(sample=True)
    '2.00 [−0.48, 4.48], 3 seeds'
    """
    from scipy import stats

    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan, 0, unit)
    mean = float(known.mean())
    if len(known) < 2:
        return Estimate(mean, math.nan, math.nan, len(known), unit)
    half = float(stats.t.ppf((1 + level) / 2, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known)))
    return Estimate(mean, mean - half, mean + half, len(known), unit)


def bootstrap_estimate(
    samples: Sequence[NDArray[np.float64]],
    statistic: Callable[..., Any],
    *,
    paired: bool = False,
    level: float = LEVEL,
    seed: int = 0,
    unit: str = "",
) -> Estimate:
    """A statistic of one or more samples with its percentile bootstrap interval, :data:`DRAWS` resamples.

    Resamples without a value (a correlation where nothing varies) are left out. A sample of fewer than two members has
    no interval.

    Args:
        samples: One or more samples, each resampled by itself; with ``paired`` all with the same members.
        statistic: Called with one array a sample and ``axis=-1``: a resample a row.
        paired: Whether the samples describe the same members.
        level: Confidence level.
        seed: Seed of the resamples.
        unit: What the members are, in the plural.

    Source: Efron 1979, Bootstrap methods: another look at the jackknife; resampled by :func:`scipy.stats.bootstrap`.

    >>> estimate = bootstrap_estimate([np.arange(9.0)], np.mean)
    >>> estimate.value, round(estimate.low, 1), round(estimate.high, 1), estimate.n
    (4.0, 2.2, 5.6, 9)
    """
    from scipy.stats import DegenerateDataWarning, bootstrap

    value = float(statistic(*samples, axis=-1))
    n = len(samples[0]) if paired else sum(map(len, samples))
    if min(map(len, samples)) < 2 or math.isnan(value):
        return Estimate(value, math.nan, math.nan, n, unit)
    generator = np.random.default_rng(seed)
    with warnings.catch_warnings():
        # scipy warns of one resample without a value; only all of them leave nothing to take quantiles of.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            tuple(samples),
            statistic,
            n_resamples=DRAWS,
            vectorized=True,
            paired=paired,
            method="percentile",
            random_state=generator,
        )
    return estimate_of_draws(value, found.bootstrap_distribution, n, unit, level=level)


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


def estimate_of_draws(
    value: float, draws: np.ndarray, n: int, unit: str = "networks", *, level: float = LEVEL
) -> Estimate:
    """A statistic with the percentile interval of resamples that were drawn; those that are not finite are left out.

    Args:
        value: Of the sample itself.
        draws: Of each resample.
        n: Size of the sample.
        unit: What the sample consists of, in the plural.
        level: Confidence level.

    >>> estimate_of_draws(0.5, np.linspace(0, 1, 101), 20).text(".3f")
    '0.500 [0.025, 0.975]'
    """
    known = draws[np.isfinite(draws)]
    if not len(known) or math.isnan(value):
        return Estimate(value, math.nan, math.nan, n, unit)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
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
