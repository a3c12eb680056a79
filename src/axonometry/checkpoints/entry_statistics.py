"""Exact statistics of a tensor in one or two passes over it, without sorting and without torch.

Numbers of 16 bits or fewer are counted by their pattern of bits: of bfloat16 there are 65,536, and the counts say all
that there is to know of how the numbers are distributed::

    bfloat16 [1, 1, -2]  ->  pattern 0x3F80 twice, 0xC000 once  ->  mean 0, quantiles, share of zeros, ...

Wider numbers are counted by their upper 16 bits, which rise with the number once those of negative ones are turned
round; a quantile's number is then looked for among the few that share its upper 16 bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from axonometry.checkpoints.element_types import Array, patterns

PROBABILITIES = (0.01, 0.25, 0.5, 0.75, 0.99)
"""Of the quantiles."""
BLOCK = 2**20
"""Numbers that are worked on at a time, so that what is made of them stays small."""


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
    flat = array.reshape(-1)
    table = patterns(dtype)
    if table is not None:
        return _of_patterns(flat, dtype, table, probabilities)
    if dtype.startswith("complex"):
        flat = flat.view(f"f{flat.itemsize // 2}")
    elif flat.dtype.kind in "iu":
        flat = flat.astype(np.float64)  # exact up to 2^53; weights are no larger whole numbers
    return _of_wide(flat, probabilities)


def _of_patterns(flat: Array, dtype: str, table: Array, probabilities: Sequence[float]) -> EntryStatistics:
    codes = flat.view(f"u{flat.itemsize}")
    counts = np.zeros(len(table), np.int64)
    for block in _blocks(codes):
        counts += np.bincount(block, minlength=len(table))
    there = np.isfinite(table) & (counts > 0)
    values, place = np.unique(table[there], return_inverse=True)  # 0 and -0 are one number
    weights = np.zeros(len(values), np.int64)
    np.add.at(weights, place, counts[there])
    n = int(weights.sum())
    ends = np.cumsum(weights)
    pick = [float(values[np.searchsorted(ends, rank, "right")]) for rank in _ranks(n, probabilities)]
    zeros = int(weights[values == 0].sum())
    nan, infinite = int(counts[np.isnan(table)].sum()), int(counts[np.isinf(table)].sum())
    share = weights / max(n, 1)
    mean = float(share @ values) if n else math.nan
    distances = values - mean
    powers = [float(share @ distances**k) for k in (2, 3, 4)]
    norm = math.sqrt(float(weights @ values**2))
    extremes = (float(values[0]), float(values[-1])) if n else (math.nan, math.nan)
    edges = Distribution(_middles(_known(dtype), values), weights)
    shape = _shape(mean, powers, extremes)
    return EntryStatistics(
        len(flat), nan, infinite, zeros, *shape, *extremes, norm, _between(pick, n, probabilities), edges
    )  # fmt: skip


@cache
def _known(dtype: str) -> Array:
    """The finite numbers of a type of at most 16 bits, in order; sorted once, not for each of 20,000 tensors."""
    table = patterns(dtype)
    return np.unique(table[np.isfinite(table)]) if table is not None else np.empty(0)


def _middles(known: Array, values: Array) -> Array:
    """For each number that occurs, the middle between it and its type's next one: there ends what is rounded to it."""
    after = np.searchsorted(known, values, "right")
    return (values + known[np.minimum(after, len(known) - 1)]) / 2


def _of_wide(flat: Array, probabilities: Sequence[float]) -> EntryStatistics:
    nan = infinite = zeros = n = 0
    total, squares = 0.0, 0.0
    low, high = math.inf, -math.inf
    counts = np.zeros(2**16, np.int64)
    for block in _blocks(flat):
        kept = block
        if not _is_finite(block):
            nan += int(np.isnan(block).sum())
            infinite += int(np.isinf(block).sum())
            kept = block[np.isfinite(block)]
        if not len(kept):
            continue
        n += len(kept)
        zeros += len(kept) - int(np.count_nonzero(kept))
        low, high = min(low, float(kept.min())), max(high, float(kept.max()))
        exact = kept.astype(np.float64)
        total += float(exact.sum())
        squares += float(exact @ exact)
        counts += np.bincount(_upper(kept), minlength=2**16)
    mean = total / n if n else math.nan
    powers = _central(flat, mean) / max(n, 1)
    ordered = counts[_ORDER]
    pick = _select(flat, ordered, _ranks(n, probabilities))
    extremes = (low, high) if n else (math.nan, math.nan)
    shape = _shape(mean, powers.tolist(), extremes)
    there = ordered > 0
    edges = Distribution(_upper_edges(flat.dtype)[there], ordered[there])
    return EntryStatistics(
        len(flat), nan, infinite, zeros, *shape, *extremes, math.sqrt(squares), _between(pick, n, probabilities), edges
    )  # fmt: skip


def _central(flat: Array, mean: float) -> Array:
    """Sums of the second, third and fourth power of the distance from the mean, over finite numbers."""
    sums = np.zeros(3)
    with np.errstate(over="ignore", invalid="ignore"):
        for block in _blocks(flat):
            distance = block.astype(np.float64) - mean
            if not _is_finite(block):
                distance = distance[np.isfinite(block)]
            square = distance * distance
            sums += (square.sum(), float(square @ distance), float(square @ square))
    return sums


def _shape(mean: float, powers: Sequence[float], extremes: tuple[float, float]) -> tuple[float, float, float, float]:
    """Mean, standard deviation, skewness and excess kurtosis from central moments 2, 3 and 4."""
    if math.isnan(mean):
        return (math.nan,) * 4
    if extremes[0] == extremes[1]:
        return extremes[0], 0.0, 0.0, 0.0
    variance, third, fourth = powers
    if not variance > 0 or math.isinf(variance):
        return mean, math.sqrt(max(variance, 0)), math.nan, math.nan
    return mean, math.sqrt(variance), third / variance**1.5, fourth / variance**2 - 3


# quantiles ------------------------------------------------------------------------------------------------------------

_ORDER = np.concatenate([np.arange(2**16 - 1, 2**15 - 1, -1), np.arange(2**15)])
"""Upper 16 bits in the order of the numbers: those of negative ones fall, from 0xFFFF to 0x8000, then 0 to 0x7FFF."""
_PLACE = np.argsort(_ORDER).astype(np.int32)


def _upper(block: Array) -> Array:
    """The upper 16 bits of floats."""
    return block.view(np.uint16)[block.itemsize // 2 - 1 :: block.itemsize // 2]


def _upper_edges(dtype: np.dtype[np.floating]) -> Array:
    """The greatest number with each pattern of upper 16 bits, in the order of the numbers."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    bits = np.arange(2**16, dtype=unsigned) << unsigned.type(8 * dtype.itemsize - 16)
    bits[: 2**15] |= unsigned.type(2 ** (8 * dtype.itemsize - 16) - 1)  # positive numbers rise with their lower bits
    with np.errstate(invalid="ignore"):
        return bits.view(dtype).astype(np.float64)[_ORDER]


def _select(flat: Array, ordered: Array, ranks: Sequence[int]) -> list[float]:
    """The numbers of some ranks (from 0): those that share their upper bits are sorted."""
    ends = np.cumsum(ordered)
    places = np.searchsorted(ends, np.asarray(ranks, np.int64), "right")
    wanted = np.zeros(2**16, bool)
    wanted[places] = True
    parts: list[Array] = []
    if ranks:
        for block in _blocks(flat):
            chosen = block[wanted[_PLACE[_upper(block)]]]
            parts.append(chosen[np.isfinite(chosen)])
    among = np.sort(np.concatenate(parts)) if parts else np.empty(0)
    # How many of those that were kept lie before a class is the sum of the kept classes before it.
    before = np.concatenate([[0], np.cumsum(np.where(wanted, ordered, 0))])
    return [
        float(among[before[place] + rank - (ends[place] - ordered[place])])
        for place, rank in zip(places, ranks, strict=True)
    ]


def _ranks(n: int, probabilities: Sequence[float]) -> list[int]:
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


def _is_finite(block: Array) -> bool:
    """Whether a block's numbers are all finite, as far as their sum shows: where it overflows, they are looked at."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(block.sum()))


def _blocks(flat: Array) -> Iterator[Array]:
    for begin in range(0, len(flat), BLOCK):
        yield flat[begin : begin + BLOCK]


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
