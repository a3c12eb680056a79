"""How often each number occurs in a tensor of at most 16 bits a number: all that can be said of its distribution.

Patterns of bits are counted, 65,536 of bfloat16, and put in the order of the numbers that they stand for::

    bfloat16 [1, 1, -2, -0, 0]  ->  patterns 0x0000 0x3F80 0x8000 0xC000, counted 1 2 1 1
                                ->  numbers  -2 0 1,                      counted 1 2 2

Counting takes about as long as adding the numbers up: nothing is sorted, and blocks stay in a core's cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from axonometry.checkpoints.element_types import Array, patterns

BLOCK = 2**16
"""Numbers that are worked on at a time: with what is made of them, half a megabyte."""
_FEW = 2**13
"""Numbers up to which sorting them takes less than going through all patterns."""


@dataclass(frozen=True)
class PatternCounts:
    """The counted numbers of a tensor.

    Attributes:
        values: Finite numbers that occur, rising; 0 and -0 are one.
        counts: How often each does.
        nan: Entries that are NaN.
        infinite: Entries that are infinite.
    """

    values: Array
    counts: Array
    nan: int
    infinite: int


def count_numbers(codes: Array, dtype: str) -> PatternCounts:
    """Count a tensor's numbers.

    >>> found = count_numbers(np.array([0x3F80, 0x3F80, 0xC000, 0x7FC0], np.uint16), "bfloat16")
    >>> found.values.tolist(), found.counts.tolist(), found.nan
    ([-2.0, 1.0], [1, 2], 1)

    Args:
        codes: The bits of the numbers, as unsigned integers along one axis.
        dtype: Torch's name of their type, of at most 16 bits.
    """
    values, rank = _numbers(dtype)
    there, counts = pattern_counts(codes, len(values))
    order = np.argsort(rank[there], kind="stable")
    found, counts = values[there[order]], counts[order]
    nan, infinite = int(counts[np.isnan(found)].sum()), int(counts[np.isinf(found)].sum())
    if nan or infinite:
        finite = np.isfinite(found)
        found, counts = found[finite], counts[finite]
    zero = np.flatnonzero(found == 0)
    # 0 and -0 are two patterns and one number.
    if len(zero) == 2:
        counts[zero[0]] += counts[zero[1]]
        found, counts = np.delete(found, zero[1]), np.delete(counts, zero[1])
    return PatternCounts(found + 0.0, counts, nan, infinite)  # -0 + 0 is 0


@cache
def _numbers(dtype: str) -> tuple[Array, Array]:
    """What each pattern stands for, and its place in the order of these numbers."""
    values = patterns(dtype)
    if values is None:
        raise TypeError(f"patterns of at most 16 bits are counted, not {dtype}")
    rank = np.empty(len(values), np.uint16)
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    return values, rank


def pattern_counts(codes: Array, size: int) -> tuple[Array, Array]:
    """The codes that occur, rising, and how often each does.

    >>> [found.tolist() for found in pattern_counts(np.array([3, 1, 3], np.uint8), 256)]
    [[1, 3], [1, 2]]

    Args:
        codes: Unsigned integers along one axis.
        size: A number above all of them.
    """
    if len(codes) <= _FEW:
        there, found = np.unique(codes, return_counts=True)
        return there.astype(np.intp), found.astype(np.int64)
    counts = np.zeros(size, np.int64)
    places = np.empty(BLOCK, np.intp)
    for begin in range(0, len(codes), BLOCK):
        block = codes[begin : begin + BLOCK]
        count_into(counts, block, places)
    there = np.flatnonzero(counts)
    return there, counts[there]


def count_into(counts: Array, codes: Array, places: Array) -> None:
    """Add a block's counts to those before it.

    Args:
        counts: How often each code occurred.
        codes: At most :data:`BLOCK` of them.
        places: Memory for as many indices, which is used anew for each block.
    """
    index = places[: len(codes)]
    np.copyto(index, codes)
    np.add.at(counts, index, 1)  # numpy.bincount makes a new table for each block, and takes a third more time


def known_numbers(dtype: str) -> Array:
    """The finite numbers of a type of at most 16 bits, rising.

    >>> known_numbers("float8_e4m3fn")[[0, -1]].tolist()
    [-448.0, 448.0]
    """
    return _known(dtype)


@cache
def _known(dtype: str) -> Array:
    """Sorted once, not for each of 20,000 tensors."""
    values, _ = _numbers(dtype)
    return np.unique(values[np.isfinite(values)])
