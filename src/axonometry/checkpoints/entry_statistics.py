"""Exact statistics of a tensor in one or two passes over it, without sorting and without torch.

Numbers of 16 bits or fewer are counted by their pattern of bits: of bfloat16 there are 65,536, and the counts say all
that there is to know of how the numbers are distributed::

    bfloat16 [1, 1, -2]  ->  pattern 0x3F80 twice, 0xC000 once  ->  mean 0, quantiles, share of zeros, ...

Wider numbers take two passes (:mod:`~axonometry.checkpoints.wide_numbers`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from axonometry.checkpoints.element_types import Array, patterns
from axonometry.checkpoints.pattern_counts import count_numbers, known_numbers
from axonometry.checkpoints.wide_numbers import at_ranks, class_edges, count_zeros, wide_sums

PROBABILITIES = (0.01, 0.25, 0.5, 0.75, 0.99)
"""Of the quantiles."""


@dataclass(frozen=True)
class Distribution:
    """How often which numbers occur, as far as it was counted; edges rise.

    Attributes:
        edges: Upper ends of classes of numbers.
        counts: Finite numbers in each class: above the edge before, not above its own.
    """

    edges: Array
    counts: Array


@dataclass(frozen=True)
class EntryStatistics:
    """Statistics of a tensor's finite entries; NaN where there are none.

    Attributes:
        count: All entries.
        nan: Entries that are NaN.
        infinite: Entries that are infinite.
        zeros: Entries that are 0.
        mean: Mean.
        std: Population standard deviation.
        skewness: Third standardised moment; 0 where all are equal.
        kurtosis: Fourth standardised moment less 3; 0 where all are equal.
        minimum: Least.
        maximum: Greatest.
        norm: Root of the sum of squares.
        quantiles: At :data:`PROBABILITIES`, between neighbours in proportion, as ``numpy.quantile`` gives them.
        distribution: How often which numbers occur; None where it was dropped, since it may take a megabyte.
    """

    count: int
    nan: int
    infinite: int
    zeros: int
    mean: float
    std: float
    skewness: float
    kurtosis: float
    minimum: float
    maximum: float
    norm: float
    quantiles: tuple[float, ...]
    distribution: Distribution | None

    @property
    def nonfinite(self) -> int:
        """Entries that are no finite number."""
        return self.nan + self.infinite

    @property
    def finite(self) -> int:
        """Entries that are finite numbers."""
        return self.count - self.nonfinite


def entry_statistics(array: Array, dtype: str, probabilities: Sequence[float] = PROBABILITIES) -> EntryStatistics:
    """Count a tensor.

    >>> found = entry_statistics(np.array([1.0, 2, 3, 10], np.float32), "float32")
    >>> found.mean, found.quantiles[2], round(found.std, 4)
    (4.0, 2.5, 3.5355)

    Args:
        array: The numbers, as :func:`~axonometry.checkpoints.element_types.held_as` says. The real and the imaginary
            parts of complex numbers count as entries.
        dtype: Torch's name of their type.
        probabilities: Of the quantiles, each between 0 and 1.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    if patterns(dtype) is not None:
        return _of_patterns(flat, dtype, probabilities)
    if dtype.startswith("complex"):
        flat = flat.view(f"f{flat.itemsize // 2}")
    elif flat.dtype.kind in "iu":
        flat = flat.astype(np.float64)  # exact up to 2^53; weights are no larger whole numbers
    return _of_wide(flat, probabilities)


def _of_patterns(flat: Array, dtype: str, probabilities: Sequence[float]) -> EntryStatistics:
    found = count_numbers(flat.view(f"u{flat.itemsize}"), dtype)
    values, counts = found.values, found.counts
    n = int(counts.sum())
    ends = np.cumsum(counts)
    # Counts 2 and 3 end at 2 and 5: the ranks 0 and 1 are the first number, 2 to 4 the second.
    picked = values[np.searchsorted(ends, ranks_of(n, probabilities), "right")].tolist()
    share = counts / max(n, 1)
    mean = float(share @ values) if n else math.nan
    distances = values - mean
    squares = distances * distances
    powers = [float(share @ squares), float(share @ (squares * distances)), float(share @ (squares * squares))]
    extremes = (float(values[0]), float(values[-1])) if n else (math.nan, math.nan)
    return EntryStatistics(
        count=len(flat),
        nan=found.nan,
        infinite=found.infinite,
        zeros=int(counts[values == 0].sum()),
        **_moments(mean, powers, extremes),
        norm=math.sqrt(float(counts @ (values * values))),
        quantiles=_between(picked, n, probabilities),
        distribution=Distribution(_middles(known_numbers(dtype), values), counts),
    )


def _middles(known: Array, values: Array) -> Array:
    """For each number that occurs, the middle between it and its type's next one: there ends what is rounded to it."""
    after = np.searchsorted(known, values, "right")
    return (values + known[np.minimum(after, len(known) - 1)]) / 2


def _of_wide(flat: Array, probabilities: Sequence[float]) -> EntryStatistics:
    found = wide_sums(flat)
    n = found.n
    ends = (0, n - 1) if n else ()
    picked = at_ranks(flat, found.ordered, [*ends, *ranks_of(n, probabilities)])
    extremes = (picked[0], picked[1]) if n else (math.nan, math.nan)
    there = found.ordered > 0
    with np.errstate(over="ignore", invalid="ignore"):
        norm = math.sqrt(n * (found.powers[0] + found.mean**2)) if n else 0.0
    return EntryStatistics(
        count=len(flat),
        nan=found.nan,
        infinite=found.infinite,
        zeros=count_zeros(flat, found.ordered),
        **_moments(found.mean, found.powers, extremes),
        norm=norm,
        quantiles=_between(picked[2:], n, probabilities),
        distribution=Distribution(class_edges(flat.dtype)[there], found.ordered[there]),
    )


def _moments(mean: float, powers: Sequence[float], extremes: tuple[float, float]) -> dict[str, float]:
    """Everything from mean to maximum, from central moments 2, 3 and 4."""
    variance, third, fourth = powers
    if math.isnan(mean):
        values = (math.nan,) * 4
    elif extremes[0] == extremes[1]:
        values = (extremes[0], 0.0, 0.0, 0.0)
    # Extremes differ, but squares of their distance are below the least float, or above the largest.
    elif not variance > 0 or math.isinf(variance):
        values = (mean, math.sqrt(max(variance, 0)), math.nan, math.nan)
    else:
        values = (mean, math.sqrt(variance), third / variance**1.5, fourth / variance**2 - 3)
    names = ("mean", "std", "skewness", "kurtosis", "minimum", "maximum")
    return dict(zip(names, (*values, *extremes), strict=True))


# quantiles ------------------------------------------------------------------------------------------------------------


def ranks_of(n: int, probabilities: Sequence[float]) -> list[int]:
    """For each probability the two neighbours between which its quantile lies; none where there are no numbers."""
    places = [(n - 1) * p for p in probabilities] if n else []
    return [rank for place in places for rank in (math.floor(place), min(math.ceil(place), n - 1))]


def _between(picked: Sequence[float], n: int, probabilities: Sequence[float]) -> tuple[float, ...]:
    if not n:
        return (math.nan,) * len(probabilities)
    found = []
    for number, p in enumerate(probabilities):
        low, high = picked[2 * number : 2 * number + 2]
        place = (n - 1) * p
        found.append(low if low == high else low + (high - low) * (place - math.floor(place)))
    return tuple(found)


def distance_from(found: Distribution, cumulative: Callable[[Array], Array]) -> float:
    """The largest distance of a counted distribution from one in a formula (Kolmogorov and Smirnov's statistic).

    Args:
        found: The counts.
        cumulative: The share of numbers up to each of some values.
    """
    total = found.counts.sum()
    if not total:
        return math.nan
    # At the edges both are exact; the last edge holds all that is counted, and a formula may have more beyond.
    shares = np.cumsum(found.counts) / total
    return float(np.abs(shares - cumulative(found.edges)).max())
