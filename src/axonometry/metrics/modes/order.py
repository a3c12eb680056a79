r"""Pairs of samples that a function keeps in order, turns round or makes equal, for many neurons at once.

Of P samples with inputs h and values y, a pair is *comparable* where h ≠ h', *concordant* where (h - h')(y - y') > 0
and *discordant* where (h - h')(y - y') < 0. All pairs are counted without being looked at one by one: sorted by h (and
by y among equal h), discordant pairs are the inversions of y (Knight 1966), and with T the number of tied pairs

    comparable = C(P, 2) - T_h,    concordant = C(P, 2) - T_h - T_y + T_hy - discordant.

Worked: h = 1 2 3 4 with y = 3 1 2 2. Three inversions, each led by the 3: discordant = 3. One tie in y (2, 2), none in
h: of C(4, 2) = 6 comparable pairs concordant = 6 - 0 - 1 + 0 - 3 = 2, the pairs (1, 2) and (1, 2). A pair that is tied
in both is taken off twice, with T_h and with T_y, so that T_hy puts it back once.

For a non-decreasing y of h there are no inversions and T_hy = T_h, so that concordant = C(P, 2) - T_y: for ReLU with m
samples at h ≤ 0 and no other ties, C(P, 2) - C(m, 2).

Everything here works on rows, a row a neuron, in numpy: its sort is the fastest at hand on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[[Array], Array]
"""An elementwise function."""

_BLOCK = 2**19  # Numbers that are worked on at a time: they and what is made of them stay in the processor's cache.
_SIDE = 128  # Pairs inside a block of so many are compared one with the other, many rows at a time.


@dataclass(frozen=True)
class PairCounts:
    """Numbers of pairs of samples, one of each a row.

    Attributes:
        comparable: Pairs with different h.
        concordant: Pairs that y keeps in order.
        discordant: Pairs whose order y turns round.

    >>> pair_counts(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 1.0, 0.0]]))
    PairCounts(comparable=array([3]), concordant=array([0]), discordant=array([2]))
    """

    comparable: Array
    concordant: Array
    discordant: Array


def pair_counts(h: Array, y: Array | Function) -> PairCounts:
    """Count pairs in every row, in P log P.

    Args:
        h: What is put in order, of shape (rows, P).
        y: Their values, of the same shape, or the elementwise function that gives them; with a function nothing but
            values is sorted.

    >>> h = np.array([[0.1, 0.9, 0.4, -0.3, 0.7, -0.8]])
    >>> pair_counts(h, lambda x: np.maximum(x, 0))
    PairCounts(comparable=array([15]), concordant=array([14]), discordant=array([0]))
    >>> pair_counts(h, np.abs(h))
    PairCounts(comparable=array([15]), concordant=array([10]), discordant=array([5]))
    """

    def count(rows: slice) -> PairCounts:
        if callable(y):
            ordered = np.sort(h[rows], axis=1)
            return _counted(ordered, y(ordered))
        order = np.argsort(h[rows], axis=1)
        return _counted(np.take_along_axis(h[rows], order, 1), np.take_along_axis(y[rows], order, 1))

    parts = by_rows(count, h.shape)
    names = ("comparable", "concordant", "discordant")
    return PairCounts(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def by_rows(function: Callable[[slice], Any], shape: tuple[int, ...]) -> list[Any]:
    """Call a function with blocks of rows, as many at a time as torch has threads; results in order.

    >>> numbers = np.arange(6.0).reshape(3, 2)
    >>> by_rows(lambda rows: numbers[rows].sum(1), numbers.shape)
    [array([1., 5., 9.])]
    """
    step = max(1, _BLOCK // max(1, shape[1]))
    blocks = [slice(begin, min(begin + step, shape[0])) for begin in range(0, max(1, shape[0]), step)]
    threads = min(torch.get_num_threads(), len(blocks))
    if threads < 2:
        return [function(block) for block in blocks]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, blocks))


def all_pairs(n: int) -> int:
    """C(n, 2).

    >>> all_pairs(4)
    6
    """
    return n * (n - 1) // 2


def tied_pairs(same: Array) -> Array:
    """Pairs of equal elements in every sorted row.

    Args:
        same: Whether each element but the first equals the one in front of it, of shape (rows, P - 1).

    >>> tied_pairs(np.array([[True, True, False], [False, True, False]]))
    array([3, 1])
    """
    rows, steps = same.shape
    found = np.zeros(rows, np.int64)
    at = np.flatnonzero(same)
    if len(at):
        # A row has one `same` less than it has elements. Counting places as if it had as many leaves a gap between
        # rows, so that a run never continues into the next: rows 110 | 010 have places 0 1 | 5, not 0 1 | 4.
        at += at // steps
        # Where the gap to the place before is more than one, a run begins; k equal neighbours are k + 1 equal elements,
        # which are k (k + 1) / 2 pairs.
        begins = np.flatnonzero(np.diff(at, prepend=-2) > 1)
        lengths = np.diff(begins, append=len(at))
        np.add.at(found, at[begins] // (steps + 1), lengths * (lengths + 1) // 2)
    return found


def mean_ranks(same: Array) -> Array:
    """Ranks 1 to P of every sorted row, equal elements having the mean of theirs.

    Args:
        same: Whether each element but the first equals the one in front of it, of shape (rows, P - 1).

    >>> mean_ranks(np.array([[False, True, True]]))  # of 1 3 3 3
    array([[1., 3., 3., 3.]])
    """
    rows, n = len(same), same.shape[1] + 1
    # Worked: of 1 3 3 3 the last three begin at place 1 and are 3 long; they have the rank 1 + (3 + 1) / 2 = 3, the
    # mean of 2, 3, 4. All runs of all rows are written at once; nothing is written where all elements differ.
    found = np.tile(np.arange(1.0, n + 1), (rows, 1))
    begins = np.ones((rows, n), bool)
    np.logical_not(same, out=begins[:, 1:])
    at = np.flatnonzero(begins)
    lengths = np.diff(at, append=begins.size)
    several = lengths > 1
    at, lengths = at[several], lengths[several]
    places = np.repeat(at - np.concatenate([[0], lengths.cumsum()[:-1]]), lengths) + np.arange(lengths.sum())
    found.reshape(-1)[places] = np.repeat(at % n + (lengths + 1) / 2, lengths)
    return found


def inversions(permutations: Array) -> Array:
    """In every row the number of pairs i < j with p[i] > p[j].

    Rows are halved by value until they are short; each element that stands behind larger ones of the other half is
    counted by its place. Short rows are cut into blocks by place and by value: pairs in different blocks of both kinds
    are counted from a table, the others are compared.

    Args:
        permutations: Each row a permutation of 0 .. P - 1, of shape (rows, P).

    >>> inversions(np.array([[2, 0, 1], [0, 1, 2], [2, 1, 0]]))
    array([2, 0, 3])
    """
    rows, n = permutations.shape
    if n <= _SIDE * _SIDE:
        return _by_blocks(permutations)
    # Worked: 2 0 3 1. The values below 2 stand at the places 1 and 3. A small value at place j has j elements in front;
    # less the small ones among these (0 for the first, 1 for the second, C(half, 2) in all), the rest is larger:
    # 1 + 3 - 1 = 3 inversions across the halves. Inside the halves, 0 1 and 2 3, there is none.
    half = n // 2
    low = permutations < half
    places = (np.flatnonzero(low) % n).reshape(rows, half)
    across = places.sum(1) - all_pairs(half)
    upper = permutations[~low].reshape(rows, n - half) - half
    return across + inversions(permutations[low].reshape(rows, half)) + inversions(upper)


def _counted(h: Array, y: Array) -> PairCounts:
    """Counts of rows that are in the order of h."""
    n = h.shape[1]
    same_h = h[:, 1:] == h[:, :-1]
    y = _settled(same_h, y)
    both = same_h & (y[:, 1:] == y[:, :-1])
    falls = (y[:, 1:] < y[:, :-1]).any(1)
    discordant = np.zeros(len(h), np.int64)
    if falls.any():
        places = np.argsort(y[falls], axis=1, kind="stable")  # quick where there are few rising and falling runs
        discordant[falls] = inversions(places)
        y[falls] = np.take_along_axis(y[falls], places, 1)
    tied_h, tied_y, tied = tied_pairs(same_h), tied_pairs(y[:, 1:] == y[:, :-1]), tied_pairs(both)
    # Of all pairs: those with equal h are not comparable; of the others, those with equal y are neither kept nor
    # turned. Pairs that tie in both were taken off twice. Of h = 1 1 2, y = 5 5 5: 3 pairs, tied_h 1, tied_y 3, tied 1,
    # so comparable 2 and concordant 2 - 3 + 1 - 0 = 0.
    comparable = all_pairs(n) - tied_h
    return PairCounts(comparable, comparable - tied_y + tied - discordant, discordant)


def _settled(same_h: Array, y: Array) -> Array:
    """A copy of y in rising order among equal h, where it is no inversion.

    h = 1 1 2 with y = 5 3 4: the first two are not comparable, and 5 before 3 must not count. In the order 3 5 4 one
    inversion is left, that of 5 and 4, which is a discordant pair indeed.
    """
    y = y.copy()
    begins = np.ones(y.shape, bool)
    np.logical_not(same_h, out=begins[:, 1:])
    tied = ~begins
    tied[:, :-1] |= same_h
    at = np.flatnonzero(tied)
    values = y.reshape(-1)[at]
    y.reshape(-1)[at] = values[np.lexsort((values, begins.reshape(-1)[at].cumsum()))]
    return y


def _by_blocks(p: Array) -> Array:
    """Inversions of rows of at most 2^14: O(P^1.5) comparisons of small integers, many at a time."""
    rows, n = p.shape
    if n < 2:
        return np.zeros(rows, np.int64)
    side = min(_SIDE, 2 ** (int(n - 1).bit_length() // 2 + 1))
    blocks = -(-n // side)
    # A pair of elements shares its block of places, or its block of values, or neither (or both).
    # Worked with side 2: 2 0 | 3 1 has the values' blocks 1 0 | 1 0. `near` compares inside blocks of places: (2, 0)
    # and (3, 1). `alike` compares the places of values that share a block, by block: none of (0, 1), (2, 3) is turned
    # round (equal blocks are not larger: those pairs are `near` ones). What shares neither is counted from a table of
    # how many elements each pair of blocks has: (2, 1). Three in all.
    values = np.empty((rows, blocks * side), np.int16)
    values[:, :n], values[:, n:] = p, np.arange(n, blocks * side)  # what is added is in order and behind all
    row = np.arange(rows)[:, None]
    places = np.empty_like(values)
    places[row, values] = np.arange(blocks * side, dtype=np.int16)
    near = _compared(values.reshape(rows, blocks, side))
    alike = _compared((places // np.int16(side)).reshape(rows, blocks, side))
    cell = values // np.int16(side) + blocks * (np.arange(blocks * side) // side) + blocks * blocks * row
    table = np.bincount(cell.reshape(-1), minlength=rows * blocks * blocks).reshape(rows, blocks, blocks)
    larger = table.sum(2, keepdims=True) - table.cumsum(2)  # of this block of places, in later blocks of values
    before = larger.cumsum(1) - larger
    return near + alike + (before * table).sum((1, 2))


def _compared(blocks: Array) -> Array:
    """Pairs i < j of one block with b[i] > b[j], summed over the blocks of each row of (rows, blocks, side)."""
    side = blocks.shape[2]
    columns = np.ascontiguousarray(np.moveaxis(blocks, 2, 0))
    larger = np.zeros(columns.shape, np.uint8)  # a block is short enough for its counts to fit
    for apart in range(1, side):
        larger[apart:] += (columns[:-apart] > columns[apart:]).view(np.uint8)
    return larger.sum((0, 2), dtype=np.int64)
