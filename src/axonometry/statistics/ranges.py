"""The range that a number cannot leave, and the scale on which it has none: where its interval is made.

A share lies in (0, 1), a correlation or a difference of shares in (-1, 1), a ratio in (0, infinity). An interval of
plus or minus so much leaves these ranges; one that is made on the scale g and taken back does not:

    share          g = log(x / (1 - x))           logit
    correlation    g = log((1 + x) / (1 - x))     twice Fisher's z = artanh(x)
    ratio          g = log(x)
    any number     g = x
"""

from __future__ import annotations

import math

Range = tuple[float, float]
"""Least and greatest number that there can be."""
REALS: Range = (-math.inf, math.inf)


def to_scale(value: float, within: Range) -> float:
    """A number on the scale of its range: plus or minus infinity at its ends and beyond, NaN for NaN.

    >>> to_scale(0.5, (0.0, 1.0)), to_scale(math.e, (0.0, math.inf)), to_scale(0.5, (-1.0, 1.0)) / 2 == math.atanh(0.5)
    (0.0, 1.0, True)
    """
    low, high = within
    if within == REALS or math.isnan(value):
        return value
    if value <= low:
        return -math.inf
    if value >= high:
        return math.inf
    if math.isinf(low):  # numbers up to a greatest one: the mirror image of a ratio
        return -math.log(high - value)
    return math.log(value - low) - (0.0 if math.isinf(high) else math.log(high - value))


def from_scale(number: float, within: Range) -> float:
    """The inverse of :func:`to_scale`.

    >>> from_scale(0.0, (-1.0, 1.0)), from_scale(1.0, (0.0, math.inf)) == math.e, from_scale(-math.inf, (0.0, 1.0))
    (0.0, True, 0.0)
    """
    low, high = within
    if within == REALS or math.isnan(number):
        return number
    if math.isinf(low):
        return high - math.exp(-number)
    if math.isinf(high):
        return low + math.exp(number)
    return low + (high - low) * (0.5 + 0.5 * math.tanh(number / 2))


def slope(value: float, within: Range) -> float:
    """The derivative of the scale inside the range.

    >>> slope(0.5, (0.0, 1.0)), slope(2.0, (0.0, math.inf)), slope(7.0, REALS)
    (4.0, 0.5, 1.0)
    """
    if within == REALS:
        return 1.0
    low, high = within
    return (0.0 if math.isinf(low) else 1 / (value - low)) + (0.0 if math.isinf(high) else 1 / (high - value))


def never_differed(value: float, n: int, within: Range, level: float) -> Range:
    r"""The interval of a mean where all n members gave the same value: what can be said although nothing varied.

    Had more than a share q of the population another value, n members without one had a chance of less than
    :math:`(1 - q)^n = (1 - \mathit{level}) / 2`. The mean then lies between :math:`v - q (v - \mathit{low})` and
    :math:`v + q (\mathit{high} - v)`; for n of n cases that is the exact interval of a share. Without a finite range
    on one side there is no interval: NaN.

    Args:
        value: What all members gave.
        n: How many they are.
        within: The range of the number.
        level: Confidence level.

    >>> tuple(round(end, 3) for end in never_differed(1.0, 10, (0.0, 1.0), 0.95))
    (0.692, 1.0)
    """
    if n < 2 or math.isnan(value) or math.inf in (-within[0], within[1]):
        return math.nan, math.nan
    q = 1 - ((1 - level) / 2) ** (1 / n)
    return value - q * (value - within[0]), value + q * (within[1] - value)
