"""Sums and chosen numbers of a tensor of 32 or 64 bits a number, in two passes and without sorting it.

Such numbers are counted by their upper 16 bits, which rise with the number once those of negative ones are turned
round::

    float32 1.0 = 0x3F80_0000, 1.001 = 0x3F80_20C5   ->  class 0x3F80, twice

The number at some rank is then looked for among the few that share its upper 16 bits. Powers are added up as distances
from the first block's mean, in float64, which loses no digit far from zero; where that mean was a bad guess they are
added up again from the right one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.pattern_counts import count_into

BLOCK = 2**15
"""Numbers that are worked on at a time, so that what is made of them stays in a core's cache."""
CLASSES = 2**16
_ORDER = np.concatenate([np.arange(CLASSES - 1, CLASSES // 2 - 1, -1), np.arange(CLASSES // 2)])
"""Upper 16 bits in the order of the numbers: those of negative ones fall, from 0xFFFF to 0x8000, then 0 to 0x7FFF."""
_NEAR = 0.01
"""Share of the variance that the square of a guessed mean's error may be."""


@dataclass(frozen=True)
class WideSums:
    """What the first pass tells of the finite numbers.

    Attributes:
        n: How many there are.
        nan: Entries that are NaN.
        infinite: Entries that are infinite.
        mean: Mean; NaN where there are none.
        powers: Mean second, third and fourth power of the distance from the mean.
        ordered: How many there are of each class, in the order of the numbers.
    """

    n: int
    nan: int
    infinite: int
    mean: float
    powers: tuple[float, float, float]
    ordered: Array


def wide_sums(flat: Array) -> WideSums:
    """Add a tensor up.

    >>> found = wide_sums(np.array([1.0, 2, 6, np.nan], np.float32))
    >>> found.mean, round(found.powers[0], 4), found.nan
    (3.0, 4.6667, 1)

    Args:
        flat: Floats of 32 or 64 bits along one axis.
    """
    counts, places = np.zeros(CLASSES, np.int64), np.empty(BLOCK, np.intp)
    guess, sums, lost, nan = _guess(flat), np.zeros(4), 0, 0
    for block in blocks(flat):
        kept, found = block, _powers(block, guess)
        if not np.isfinite(found).all():
            kept = block[np.isfinite(block)]
            nan += int(np.isnan(block).sum())
            lost += len(block) - len(kept)
            found = _powers(kept, guess)
        sums += found
        count_into(counts, upper_bits(kept), places)
    n = len(flat) - lost
    if not n:
        return WideSums(0, nan, lost - nan, math.nan, (math.nan,) * 3, counts[_ORDER])
    mean, powers = _about_the_mean(guess, sums / n)
    if (mean - guess) ** 2 > _NEAR * powers[0]:
        whole = sum((_powers(block[np.isfinite(block)], mean) for block in blocks(flat)), np.zeros(4))
        mean, powers = _about_the_mean(mean, whole / n)
    return WideSums(n, nan, lost - nan, mean, powers, counts[_ORDER])


def _guess(flat: Array) -> float:
    block = flat[:BLOCK]
    kept = block[np.isfinite(block)]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(kept.mean(dtype=np.float64)) if len(kept) else 0.0
    return mean if math.isfinite(mean) else 0.0


def _powers(block: Array, start: float) -> Array:
    """Sums of the first four powers of the distance from a number."""
    with np.errstate(over="ignore", invalid="ignore"):
        distance = block.astype(np.float64)
        distance -= start
        square = distance * distance
        cube, fourth = np.einsum("i,i->", square, distance), np.einsum("i,i->", square, square)
        return np.array([distance.sum(), square.sum(), cube, fourth])


def _about_the_mean(start: float, powers: Array) -> tuple[float, tuple[float, float, float]]:
    """Mean, and mean powers of the distance from it, from those of the distance from another number."""
    off, second, third, fourth = powers.tolist()
    with np.errstate(over="ignore", invalid="ignore"):
        return start + off, (
            max(second - off**2, 0.0),
            third - 3 * off * second + 2 * off**3,
            fourth - 4 * off * third + 6 * off**2 * second - 3 * off**4,
        )


def upper_bits(block: Array) -> Array:
    """The upper 16 bits of floats."""
    return block.view(np.uint16)[block.itemsize // 2 - 1 :: block.itemsize // 2]


def class_edges(dtype: np.dtype[np.floating]) -> Array:
    """The greatest number of each class, in the order of the numbers."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    bits = np.arange(CLASSES, dtype=unsigned) << unsigned.type(8 * dtype.itemsize - 16)
    bits[: CLASSES // 2] |= unsigned.type(2 ** (8 * dtype.itemsize - 16) - 1)  # positive ones rise with lower bits
    with np.errstate(invalid="ignore"):
        return bits.view(dtype).astype(np.float64)[_ORDER]


def count_zeros(flat: Array, ordered: Array) -> int:
    """How many numbers are 0, of which nothing but a class with numbers in it needs another pass."""
    if not ordered[CLASSES // 2 - 1 : CLASSES // 2 + 1].any():
        return 0
    return len(flat) - sum(int(np.count_nonzero(block)) for block in blocks(flat))


def at_ranks(flat: Array, ordered: Array, ranks: Sequence[int]) -> list[float]:
    """The finite numbers at some ranks, from 0 for the least: those of their classes are put in order.

    Args:
        flat: All numbers.
        ordered: How many finite ones are in each class, in the order of the numbers.
        ranks: Which are asked for.
    """
    if not ranks:
        return []
    # Classes with 3, 0 and 4 numbers end at 3, 3 and 7: rank 4 is in the third, and there number 4 - 3 = 1. If no
    # number of the first class is asked for, only the four of the third are kept, and number 1 of these is the one.
    ends = np.cumsum(ordered)
    places = np.searchsorted(ends, np.asarray(ranks, np.int64), "right")
    wanted = np.zeros(CLASSES, bool)
    wanted[_ORDER[places]] = True
    among = np.concatenate([_chosen(block, wanted) for block in blocks(flat)])
    # How many of those that were kept lie before a class is the sum of the kept classes before it.
    in_order = np.where(wanted[_ORDER], ordered, 0)
    before = np.concatenate([[0], np.cumsum(in_order)])
    here = [
        int(before[place] + rank - (ends[place] - ordered[place])) for place, rank in zip(places, ranks, strict=True)
    ]
    among.partition(sorted(set(here)))
    return [float(among[one]) for one in here]


def _chosen(block: Array, wanted: Array) -> Array:
    """The finite numbers of a block that are in the classes asked for."""
    chosen = block[wanted.take(upper_bits(block))]
    return chosen[np.isfinite(chosen)]


def blocks(flat: Array) -> Iterator[Array]:
    """A tensor in parts of :data:`BLOCK`."""
    for begin in range(0, len(flat), BLOCK):
        yield flat[begin : begin + BLOCK]
