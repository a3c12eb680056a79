"""Rows and columns of a weight tensor: which are dead, which stand out, and the largest singular value of the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from axonometry.checkpoints.element_types import Array, patterns

LARGEST_SAFE = 1e15
"""Above it the square of a number is not added up in float32."""
TOLERANCE = 1e-6


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


def floats(array: Array, dtype: str) -> Array:
    """Numbers as float32 (float64 as they are); what is not finite is 0."""
    if dtype == "bfloat16":
        found = (array.astype(np.uint32) << 16).view(np.float32)
    elif (table := patterns(dtype)) is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            found = table.astype(np.float32)[array.view(f"u{array.itemsize}")]
    elif dtype.startswith("complex"):
        found = np.abs(array)
    else:
        found = array if array.dtype.kind == "f" else array.astype(np.float64)
    if not np.isfinite(found.sum()):
        found = np.where(np.isfinite(found), found, 0)
    return found


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
    matrix = array.reshape(*array.shape[:2], -1)
    precision = np.float32 if largest < LARGEST_SAFE else np.float64
    rows, columns = np.zeros(len(matrix)), np.zeros(matrix.shape[1])
    step = max(1, 2**17 // max(1, matrix[0].size))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for begin in range(0, len(matrix), step):
            block = floats(matrix[begin : begin + step], dtype).astype(precision, copy=False)
            square = np.square(block).sum(2) if block.shape[2] > 1 else np.square(block[..., 0])
            rows[begin : begin + step] = square.sum(1)
            columns += square.sum(0)
    return _channels(rows, matrix[0].size), _channels(columns, len(matrix) * matrix.shape[2])


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
        array: Of the shape of a matrix; further axes count as inputs.
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
