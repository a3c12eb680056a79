"""Where curves of accuracy over the amplitude of noise fall to a threshold, and between which amplitudes that lies.

All curves are measured at the same draws of noise at every amplitude, and drawn as straight lines over the logarithm of
the amplitude.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

CONFIDENCE = 0.95
_QUANTILE = 0.5 + CONFIDENCE / 2

Curve = Float[np.ndarray, "amplitudes groups"]


@dataclass(frozen=True)
class Curves:
    """Accuracy of groups of samples over amplitudes, a column a group; sorted down each column.

    Attributes:
        amplitudes: s, ascending, above 0; columns may differ.
        accuracy: Mean over draws and samples.
        low: Lower end of its interval over draws of the noise, for these samples.
        high: Upper end.
        low_all: Lower end of the interval over draws and samples, for other samples drawn like these.
        high_all: Upper end.
    """

    amplitudes: Curve
    accuracy: Curve
    low: Curve
    high: Curve
    low_all: Curve
    high_all: Curve

    def row(self, place: int) -> Curves:
        """One amplitude of each group."""
        return Curves(*(column[place : place + 1] for column in vars(self).values()))

    def where(self, chosen: Bool[np.ndarray, " groups"], other: Curves) -> Curves:
        """These of the chosen groups, the other's of the rest."""
        return Curves(
            *(
                np.where(chosen, mine, theirs)
                for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)
            )
        )


def joined_curves(parts: Sequence[Curves]) -> Curves:
    """All amplitudes, sorted.

    >>> one, two = (Curves(*[np.array([[s]])] * 6) for s in (2.0, 1.0))
    >>> joined_curves([one, two]).amplitudes.ravel()
    array([1., 2.])
    """
    columns = [np.concatenate(same) for same in zip(*(vars(part).values() for part in parts), strict=True)]
    order = np.argsort(columns[0], axis=0, kind="stable")
    return Curves(*(np.take_along_axis(column, order, axis=0) for column in columns))


def point(
    amplitudes: Float[np.ndarray, " groups"],
    shares: Float[np.ndarray, "draws groups"],
    spread: Float[np.ndarray, " groups"],
    sizes: Float[np.ndarray, " groups"],
) -> Curves:
    r"""Accuracy at one amplitude a group, with 95% intervals.

    Over draws, a group's accuracies :math:`a_m` are independent: mean ± Student's t times their standard error. Where
    all draws agree, and for a single sample, whose are 0 or 1, Wilson's interval over all trials serves. Over samples
    too, the variance of the samples' own accuracies, divided by their number, is added to that of the mean over draws
    [our choice]; it counts a little of the noise twice.

    Args:
        amplitudes: s of each group.
        shares: Accuracy of each group in each draw.
        spread: Variance (ddof=1) over a group's samples of their accuracy over draws; 0 for a single one.
        sizes: Samples in each group.

    >>> found = point(np.array([0.5]), np.array([[0.8], [0.6]]), np.array([0.1]), np.array([10.0]))
    >>> [float(end[0, 0].round(4)) for end in (found.accuracy, found.low, found.high)]
    [0.7, 0.0, 1.0]
    """
    from scipy.stats import t

    draws = len(shares)
    mean = shares.mean(axis=0)
    variance = shares.var(axis=0, ddof=1) / draws
    half = t.ppf(_QUANTILE, draws - 1) * np.sqrt(variance)
    half_all = t.ppf(_QUANTILE, draws - 1) * np.sqrt(variance + spread / sizes)
    wilson_low, wilson_high = wilson(mean, draws * sizes)
    single = sizes == 1
    alike = single | (variance == 0)
    low, high = np.where(alike, wilson_low, mean - half), np.where(alike, wilson_high, mean + half)
    low_all, high_all = np.minimum(low, mean - half_all), np.maximum(high, mean + half_all)
    ends = [np.clip(end, 0.0, 1.0) for end in (low, high)]
    ends += [np.where(single, np.nan, np.clip(end, 0.0, 1.0)) for end in (low_all, high_all)]
    return Curves(*(row[None] for row in (amplitudes, mean, *ends)))


def wilson(
    share: Float[np.ndarray, " n"], draws: int | Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Wilson's 95% interval of a probability that was met with this share in so many draws.

    >>> [float(end.round(4)[0]) for end in wilson(np.array([0.5]), 100)]
    [0.4038, 0.5962]
    """
    from scipy.special import ndtri

    z2 = ndtri(_QUANTILE) ** 2
    middle = (share + z2 / (2 * draws)) / (1 + z2 / draws)
    half = np.sqrt(z2 * (share * (1 - share) / draws + z2 / (4 * draws**2))) / (1 + z2 / draws)
    return middle - half, middle + half


def first_crossing(amplitudes: Curve, curve: Curve, threshold: float) -> Float[np.ndarray, " groups"]:
    """The first amplitude at which each column is at or below the threshold, interpolated in the logarithm.

    Returns:
        Infinity where a column stays above, the least amplitude where it begins below, NaN where it is NaN.

    >>> amplitudes, curve = np.array([[1.0], [10.0], [100.0]]), np.array([[1.0], [0.75], [0.25]])
    >>> first_crossing(amplitudes, curve, 0.5).round(4)
    array([31.6228])
    """
    below = curve <= threshold
    place = below.argmax(axis=0)
    column = np.arange(curve.shape[1])
    before = np.maximum(place - 1, 0)
    above_by, falls = curve[before, column] - threshold, curve[before, column] - curve[place, column]
    # From 0.75 at 10 to 0.25 at 100, a half is met half way: above_by 0.25 of falls 0.5, and half way from 10 to 100 in
    # logarithms is 31.6.
    part = np.where(place > 0, above_by / np.where(falls > 0, falls, 1.0), 0.0)
    start, stop = np.log(amplitudes[before, column]), np.log(amplitudes[place, column])
    crossing = np.where(below.any(axis=0), np.exp(start + part * (stop - start)), math.inf)
    return np.where(np.isnan(curve).all(axis=0), math.nan, crossing)
