"""What a sample could have shown: p values, power and smallest visible effects, read off an interval.

An interval of 95% is the sum of everything that was done to get it (scale, Student's t, bootstrap). Its distance to a
bound, in units of its own half width on its own scale, gives p; its half width alone says what the sample could have
seen. So one rule serves means, correlations, shares and bootstraps alike; of these p < 0.05 and *the interval excludes
the bound* are the same event, and smaller p are extrapolated from the interval by Student's or the normal distribution.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from axonometry.statistics.estimates import LEVEL, Estimate
from axonometry.statistics.ranges import REALS, Range, from_scale, to_scale

POWER = 0.8
"""How often an effect must be seen to count as one that a sample could have seen."""


def p_value(one: Estimate, bound: float = 0.0) -> float:
    """Two-sided p of the number being the bound; NaN without an interval.

    >>> round(p_value(Estimate(0.5, 0.0, 1.0, 40)), 3), round(p_value(Estimate(1.0, 0.5, 1.5, 40)), 6)
    (0.05, 8.9e-05)
    """
    end = one.low if one.value > bound else one.high
    within = _usable(one, one.value, end)
    at, reached, against = (to_scale(number, within) for number in (one.value, end, bound))
    if math.isnan(reached):
        return math.nan
    if at in {against, reached}:
        return 1.0 if at == against else 0.0
    ratio = abs((at - against) / (at - reached)) * _quantile(one)
    return 2 * float(_distribution(one.df).sf(ratio))


def power_at(one: Estimate, size: float, bound: float = 0.0) -> float:
    """How often samples as large and as scattered as this one exclude the bound, if the true number is ``size``.

    Args:
        one: What the sample found; its interval's width counts, its value does not.
        size: The number that is supposed.
        bound: What intervals have to exclude.

    >>> known = 2.776 / 5**0.5  # half of Student's interval of five numbers with standard deviation 1
    >>> round(power_at(Estimate(0.3, 0.3 - known, 0.3 + known, 5, df=4), 1.0), 2)  # 40 of 100
    0.4
    """
    within = _usable(one, bound, size, one.low, one.high)
    return _seen((to_scale(size, within) - to_scale(bound, within)) / _error(one, within), one)


def detectable(one: Estimate, bound: float = 0.0, *, below: bool = False) -> float:
    """The least number above the bound that such samples see in 80 of 100 cases, NaN where there is none.

    Args:
        one: What a sample found.
        bound: What intervals have to exclude to see it.
        below: Whether the greatest number below the bound is meant.

    >>> round(detectable(Estimate(0.1, -0.2, 0.4, 40)), 2)  # (1.96 + 0.84) standard errors of 0.3 / 1.96
    0.43
    """
    from scipy.optimize import brentq

    within = _usable(one, bound, one.low, one.high)
    error = _error(one, within)
    if math.isnan(error):
        return math.nan
    shift = float(brentq(lambda delta: _seen(delta, one) - POWER, 0.0, 100.0))
    found = from_scale(to_scale(bound, within) + (-shift if below else shift) * error, within)
    return found if one.within[0] <= found <= one.within[1] else math.nan


def _usable(one: Estimate, *numbers: float) -> Range:
    """The range whose scale all numbers are finite on; that of plain numbers where an end of the range is reached."""
    finite = all(math.isnan(number) or math.isfinite(to_scale(number, one.within)) for number in numbers)
    return one.within if finite else REALS


def _error(one: Estimate, within: Range) -> float:
    """The standard error on a scale: half the interval's width there, over the quantile that made it."""
    width = to_scale(one.high, within) - to_scale(one.low, within)
    return width / 2 / _quantile(one) if width > 0 else math.nan


def _seen(delta: float, one: Estimate) -> float:
    from scipy import stats

    if math.isnan(delta):
        return math.nan
    if not one.df:
        return float(stats.norm.sf(_quantile(one) - delta) + stats.norm.cdf(-_quantile(one) - delta))
    return float(stats.nct.sf(_quantile(one), one.df, abs(delta)))


@cache
def _distribution(df: int) -> Any:
    from scipy import stats

    return stats.t(df) if df else stats.norm


@cache
def _upper(df: int) -> float:
    return float(_distribution(df).ppf((1 + LEVEL) / 2))


def _quantile(one: Estimate) -> float:
    return _upper(one.df)
