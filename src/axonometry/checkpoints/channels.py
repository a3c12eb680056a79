"""Rows and columns of a weight tensor: which are dead, which stand out, and the largest singular value of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.floats import floats

LARGEST_SAFE = 1e15
"""Above it the square of a number is not added up in float32."""
TOLERANCE = 1e-6
CACHED = 2**17
"""Numbers that are worked on at a time."""


@dataclass(frozen=True)
class Channels:
    """The rows, or the columns, of a matrix.

    Attributes:
        count: How many there are.
        dead: Those of which every entry is 0.
        largest: Root mean square of the largest one over that of the median one; NaN where the median one is 0.
        place: The largest one's number.
    """

    count: int
    dead: int
    largest: float
    place: int


@dataclass(frozen=True)
class Spectrum:
    """Size of a matrix as a map.

    Attributes:
        norm: Its largest singular value (spectral norm).
        stable_rank: Its squared Frobenius norm over its squared spectral norm: 1 to the rank.
    """

    norm: float
    stable_rank: float


def is_matrix(shape: tuple[int, ...]) -> bool:
    """Whether a tensor has rows and columns: outputs along the first axis, inputs along the second."""
    return len(shape) > 1 and min(shape[:2]) > 1 and 0 not in shape


def rows_and_columns(array: Array, dtype: str, largest: float) -> tuple[Channels, Channels]:
    """Both, in one pass; the kernel of a convolution belongs to its row and its column.

    >>> rows, columns = rows_and_columns(np.array([[3.0, 0], [4, 0], [0, 0]]), "float64", 4.0)
    >>> rows.dead, columns.dead
    (1, 1)

    Args:
        array: Of the shape of a matrix (:func:`is_matrix`).
        dtype: Torch's name of its type.
        largest: Its greatest absolute value.
    """
    flat = np.ascontiguousarray(array).reshape(len(array), -1)
    paired = dtype == "bfloat16" and flat.shape[1] % 2 == 0 and largest < LARGEST_SAFE
    rows, columns = _squares_of_pairs(flat) if paired else (np.array([np.nan]), np.array([np.nan]))
    if not np.isfinite(rows.sum()):
        rows, columns = _squares(flat, dtype, np.float32 if largest < LARGEST_SAFE else np.float64)
    columns = columns.reshape(array.shape[1], -1)
    return _channels(rows, flat.shape[1]), _channels(columns.sum(1), len(flat) * columns.shape[1])


def _squares(matrix: Array, dtype: str, precision: type[np.floating]) -> tuple[Array, Array]:
    """Sums of squares of every row and of every column."""
    rows, columns = np.zeros(len(matrix)), np.zeros(matrix.shape[1])
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for part in _parts(matrix):
            block = floats(matrix[part], dtype).astype(precision, copy=False)
            square = block * block
            rows[part] = square.sum(1)
            columns += square.sum(0)
    return rows, columns


def _squares_of_pairs(matrix: Array) -> tuple[Array, Array]:
    """The same of bfloat16 in rows of even length, two of which are read as one whole number of 32 bits.

    ::

        uint32 of [a, b]  =  bits of b, bits of a  ->  float32 a = it << 16,  float32 b = it & 0xFFFF0000

    Turning each number into 32 bits first would take more time than all the rest. NaN and infinities are not left out.
    """
    pairs = matrix.view("<u4")
    rows, columns = np.zeros(len(matrix)), np.zeros((pairs.shape[1], 2))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for part in _parts(matrix):
            block = pairs[part]
            first, second = ((block << 16).view(np.float32), (block & 0xFFFF0000).view(np.float32))
            first *= first
            second *= second
            columns[:, 0] += first.sum(0)
            columns[:, 1] += second.sum(0)
            first += second
            rows[part] = first.sum(1)
    return rows, columns.reshape(-1)


def _parts(matrix: Array) -> Iterator[slice]:
    """So many rows that what is made of them stays in a core's cache."""
    step = max(1, CACHED // matrix.shape[1])
    return (slice(begin, begin + step) for begin in range(0, len(matrix), step))


def _channels(squares: Array, size: int) -> Channels:
    size_of = np.sqrt(squares / size)
    median = float(np.median(size_of))
    place = int(size_of.argmax())
    # a channel of numbers below 1e-23 has squares that are 0 in float32; it is as good as dead
    return Channels(
        len(squares), int((squares == 0).sum()), float(size_of[place]) / median if median else math.nan, place
    )


def spectrum(array: Array, dtype: str, norm: float) -> Spectrum:
    """The spectral norm by iteration on the smaller side's Gram matrix, within 1e-6 of its square.

    Args:
        array: Of the shape of a matrix; all other axes count as inputs.
        dtype: Torch's name of its type.
        norm: Its Frobenius norm.
    """
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    matrix = floats(array, dtype).reshape(len(array), -1)
    matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    size = matrix.shape[0]
    if size < 64 or not norm:
        value = float(np.linalg.norm(matrix.astype(np.float64), 2)) if norm else 0.0
        return Spectrum(value, norm**2 / value**2 if value else math.nan)
    gram = LinearOperator((size, size), matvec=lambda x: matrix @ (matrix.T @ x), dtype=matrix.dtype)
    start = np.random.default_rng(0).standard_normal(size).astype(matrix.dtype)
    try:
        (value,) = eigsh(gram, k=1, tol=TOLERANCE, v0=start, return_eigenvectors=False)
        largest = math.sqrt(max(float(value), 0))
    except ArpackError:  # no convergence: singular values that lie close together, or numbers near the type's ends
        largest = float(np.linalg.norm(matrix.astype(np.float64), 2))
    return Spectrum(largest, max(1.0, norm**2 / largest**2) if largest else math.nan)
