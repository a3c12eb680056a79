"""A small record of each tensor from which distances between many checkpoints follow, each checkpoint read once.

A tensor of n numbers is dealt out to k buckets, each number with a sign drawn once for all (Charikar, Chen and
Farach-Colton 2002)::

    s_j = sum over i with i mod k = j of r_i w_i,      r_i in {-1, 1}

The map is linear, so the record of a difference is the difference of the records, and the squared length of a record
is that of its tensor in the mean, within a relative error of about sqrt(2 / k)::

    154 steps of 70 million numbers: 43 GB read once, 11,781 distances from 154 records of a megabyte

Of at most k numbers the record is the numbers themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from axonometry.checkpoints.checkpoint import Checkpoint
from axonometry.checkpoints.element_types import Array, patterns
from axonometry.checkpoints.floats import floats
from axonometry.checkpoints.survey import numbers_of

BUCKETS = 509
"""Most numbers in a tensor's record; a prime, so that a column of a matrix does not fall into few buckets."""
RECORD = 2**17
"""Numbers in the record of a checkpoint of many tensors, about."""
_FEWEST = 17
_ROWS = 256
"""Rows of buckets that are added up in one go: 130,000 numbers, which a core's cache holds."""
_SIGNS = 2**20


@dataclass(frozen=True)
class TensorSketch:
    """What is kept of a tensor.

    Attributes:
        values: Its record.
        size: How many numbers it has.
        checksum: Of its bits; tensors of one record and one checksum are the same numbers.
        zeros: How many of its numbers are 0.
        nonfinite: How many are NaN or infinite; these count as 0 in the record.
        kind: Torch's name of their type.
    """

    values: Array
    size: int
    checksum: int
    zeros: int
    nonfinite: int
    kind: str = "float32"


def sketch_tensors(
    checkpoint: Checkpoint, names: Sequence[str], buckets: int, told: Callable[[str], None] | None = None
) -> dict[str, TensorSketch]:
    """The records of a checkpoint's tensors, one tensor in memory at a time.

    Args:
        checkpoint: The weights.
        names: Of the tensors.
        buckets: Most numbers in a record, as :func:`buckets_for` says; the same for all that are compared.
        told: Called with each tensor's name.
    """
    found = {}
    for name in names:
        array, kind, _ = numbers_of(checkpoint, name)
        found[name] = sketch(array, kind, buckets)
        if told is not None:
            told(name)
    return found


def buckets_for(tensors: int) -> int:
    """How many buckets tensors have so that the record of a checkpoint stays small.

    >>> buckets_for(100), buckets_for(20_000)
    (509, 17)
    """
    return min(BUCKETS, max(_FEWEST, RECORD // max(1, tensors) | 1))


def sketch(array: Array, kind: str, buckets: int = BUCKETS) -> TensorSketch:
    """The record of a tensor.

    >>> sketch(np.array([1.0, 0.0, np.nan], np.float32), "float32").values
    array([1., 0., 0.])

    Args:
        array: Its numbers, as :func:`~axonometry.checkpoints.element_types.held_as` says.
        kind: Torch's name of their type.
        buckets: Most numbers in the record.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    sums = np.zeros(min(buckets, flat.size))
    zeros = nonfinite = 0
    block = buckets * _ROWS
    for number, begin in enumerate(range(0, flat.size, block)):
        part = flat[begin : begin + block]
        x = floats(part, kind)
        none = x.size - int(np.count_nonzero(x))
        bad = _nonfinite(part, kind) if none else 0
        zeros, nonfinite = zeros + none - bad, nonfinite + bad
        if flat.size <= buckets:
            sums = x.astype(np.float64)
        else:
            sums += _dealt(x, number, buckets)
    return TensorSketch(sums, flat.size, _checksum(flat), zeros, nonfinite, kind)


def _dealt(x: Array, number: int, buckets: int) -> Array:
    """The bucket sums of a block of at most ``buckets * _ROWS`` numbers."""
    signs, offsets = _drawn()
    begin = int(offsets[number % len(offsets)])
    rows, rest = divmod(x.size, buckets)
    signed = x * signs[begin : begin + x.size]
    with np.errstate(over="ignore", invalid="ignore"):
        found = signed[: rows * buckets].reshape(rows, buckets).sum(0).astype(np.float64)
        if not np.isfinite(found).all():  # float32 is too narrow for the sum
            found = signed[: rows * buckets].reshape(rows, buckets).sum(0, dtype=np.float64)
    found[:rest] += signed[rows * buckets :]
    return found


@cache
def _drawn() -> tuple[Array, Array]:
    """Signs, and where in them each block begins: blocks that shared their signs would add up, not cancel."""
    drawn = np.random.default_rng(20020729)
    signs = (2 * drawn.integers(0, 2, _SIGNS, dtype=np.int8) - 1).astype(np.float32)
    return signs, drawn.integers(0, _SIGNS - BUCKETS * _ROWS, 2**16)


def _nonfinite(part: Array, kind: str) -> int:
    table = patterns(kind)
    if table is not None:
        return int(np.count_nonzero(~np.isfinite(table)[part.view(f"u{part.itemsize}")]))
    return 0 if part.dtype.kind in "iub" else int(np.count_nonzero(~np.isfinite(part)))


def _checksum(flat: Array) -> int:
    """The sum of the bits as whole numbers of 64 bits, and of those that are left."""
    raw = flat.view(np.uint8)
    whole = raw.size // 8 * 8
    with np.errstate(over="ignore"):
        return int(raw[:whole].view(np.uint64).sum(dtype=np.uint64)) + (int(raw[whole:].sum()) << 64)
