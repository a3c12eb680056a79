"""The largest eigenvalue of a symmetric matrix that is known by its products alone, and its eigenvector.

One iteration for three matrices that are never built: the absolute links of a network
(:mod:`axonometry.metrics.solver`), the Gram matrix of a large kernel (:mod:`axonometry.metrics.spectrum`), and the
Hessian of a loss (:mod:`axonometry.metrics.basins.hessian`). It is ARPACK's implicitly restarted Lanczos method, by
scipy: a Krylov basis of a few vectors is built by products, compressed to its best part, and built again. Lanczos and
not power iteration: a layered network's matrix has -λ beside λ, between which a power iteration swings for ever.

Source: Lehoucq, Sorensen and Yang 1998, ARPACK users' guide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from axonometry.errors import ConvergenceError

Vector = NDArray[Any]
"""One floating number a node."""


def largest_eigenpair(
    multiply: Callable[[Vector], Vector],
    begin: Float[np.ndarray, " n"],
    *,
    tol: float,
    basis: int | None = None,
    restarts: int | None = None,
) -> tuple[float, Float[np.ndarray, " n"]]:
    """The (algebraically) largest eigenvalue of a symmetric matrix and its eigenvector, by products.

    Args:
        multiply: The product of the matrix with a vector.
        begin: Where to begin; its type is that of the arithmetic. Zero, or a vector orthogonal to the eigenvector,
            is no place to begin.
        tol: The eigenvalue's relative accuracy.
        basis: Vectors that are kept; scipy's choice (20) where None. Few keep memory small and notice a good start.
        restarts: How often the basis may be built; scipy's choice (10 n) where None.

    Returns:
        The eigenvalue, and its eigenvector of unit norm, up to its sign.

    Raises:
        ConvergenceError: The iteration did not reach the tolerance.

    >>> matrix = np.diag([3.0, 2.0, -5.0]) + 0.1
    >>> value, vector = largest_eigenpair(lambda x: matrix @ x, np.ones(3), tol=1e-12)
    >>> round(value, 6), abs(vector).round(3).tolist()
    (3.111396, [0.995, 0.1, 0.014])
    """
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    n, products = len(begin), 0

    def counted(x: Vector) -> Vector:
        nonlocal products
        products += 1
        return multiply(x.ravel())

    operator = LinearOperator(shape=(n, n), matvec=counted, dtype=begin.dtype)
    try:
        # "LA", the largest, and not "LM", the largest in size: of a bipartite layering -λ is as large in size as λ, and
        # which of the two came out would be chance.
        values, vectors = eigsh(operator, k=1, which="LA", v0=begin, ncv=basis, maxiter=restarts, tol=tol)
    except ArpackError as error:
        raise ConvergenceError(
            f"the largest eigenvalue is found to {tol:.1e}",
            f"{error} after {products} products",
            "Give a larger `tol`: the two largest eigenvalues lie too close",
        ) from error
    return float(values[0]), vectors[:, 0]


def krylov_eigenpair(
    multiply: Callable[[Vector], Vector], begin: Float[np.ndarray, " n"], *, tol: float, most: int
) -> tuple[float, Float[np.ndarray, " n"], bool]:
    """The same by Lanczos without restarts: it ends at the product that reaches the tolerance, and keeps all vectors.

    Args:
        multiply: The product of the matrix with a vector.
        begin: Where to begin.
        tol: The residual that is reached, relative to the eigenvalue.
        most: Products, at most.

    Returns:
        The eigenvalue, its eigenvector of unit norm up to its sign, and whether the tolerance was reached.

    Source: Lanczos 1950; the residual's estimate β |s| of Paige 1971.

    >>> matrix = np.diag([3.0, 2.0, -5.0]) + 0.1
    >>> value, vector, close = krylov_eigenpair(lambda x: matrix @ x, np.ones(3), tol=1e-12, most=9)
    >>> round(value, 6), abs(vector).round(3).tolist(), close
    (3.111396, [0.995, 0.1, 0.014], True)
    """
    from scipy.linalg import eigh_tridiagonal

    most = min(most, len(begin))
    basis, diagonal, beside = np.zeros((most, len(begin)), begin.dtype), np.zeros(most), np.zeros(most)
    basis[0] = begin / np.linalg.norm(begin)
    for place in range(most):
        found = multiply(basis[place])
        diagonal[place] = found @ basis[place]
        for _ in range(2):  # once is not enough in single precision
            found = found - (basis[: place + 1] @ found) @ basis[: place + 1]
        beside[place] = np.linalg.norm(found)
        value, mix = _last(eigh_tridiagonal(diagonal[: place + 1], beside[:place]))
        # β |s| is the length of A x - λ x for the x that these vectors make, which saves the product that would measure
        # it.
        close = bool(beside[place] * abs(mix[-1]) <= tol * abs(value))
        if close or place + 1 == most:
            break
        basis[place + 1] = found / beside[place]
    vector = mix.astype(begin.dtype) @ basis[: len(mix)]
    return value, vector / np.linalg.norm(vector), close


def _last(pairs: tuple[NDArray[Any], NDArray[Any]]) -> tuple[float, NDArray[Any]]:
    return float(pairs[0][-1]), pairs[1][:, -1]


def dense_eigenpair(matrix: Float[np.ndarray, "n n"]) -> tuple[float, Float[np.ndarray, " n"]]:
    """The same for a small matrix that is at hand, by a whole decomposition of its symmetric part.

    >>> value, vector = dense_eigenpair(np.array([[0.0, 2.0], [2.0, 0.0]]))
    >>> round(value, 6), abs(vector).round(6).tolist()
    (2.0, [0.707107, 0.707107])
    """
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return float(values[-1]), vectors[:, -1]
