"""The leading eigenvector of a large symmetric matrix without a negative entry, known by its products alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axonometry.errors import AxonometryError, ConvergenceError, WeightsError
from axonometry.metrics.lanczos import Vector, dense_eigenpair, krylov_eigenpair, largest_eigenpair
from axonometry.metrics.products import FEW, Flat
from axonometry.values import NodeValues

_BASIS = 8  # Vectors that Lanczos keeps: few, so that memory stays small and a warm start is noticed early.
_WHOLE, _SMALL = (
    32,
    2**17,
)  # Of a graph of so few neurons as many are kept as it takes: no product is spent on restarts.
_RESTARTS = 40
_SPREAD = 1e-3  # Share of the degrees in a given start: no part of the network begins at zero.


@dataclass(frozen=True)
class Eigenpair:
    """The largest eigenvalue of S = |A| + |A|' and its eigenvector.

    Attributes:
        value: λ, in the unit of the weights.
        vector: x, 0 or more, of unit Euclidean norm; zero outside the component where λ is reached.
        residual: ‖S x - λ x‖ / λ, of the vector before the last product smoothed it.
        products: How many products with S it took, those that found degrees and components counted in.
        outside: Linked neurons that are not in the leading component.
        isolated: Neurons without a link whose weight is not zero.
        degenerate: Whether another component has the same λ, so that x is one choice of many.
    """

    value: float
    vector: NodeValues
    residual: float
    products: int
    outside: int
    isolated: int
    degenerate: bool = False


@dataclass(frozen=True)
class _Found:
    value: float
    vector: Vector
    residual: float


def refuse_diverged(degrees: Vector, what: str, error: type[AxonometryError] = WeightsError) -> None:
    """Say that a network has diverged: its iteration would only say that it does not converge.

    Args:
        degrees: Products of the absolute links with ones.
        what: The measure.
        error: The kind of error; an iteration that cannot converge has its own.

    Raises:
        AxonometryError: A degree is NaN or infinite; of the kind ``error``.
    """
    if not math.isfinite(float(degrees.sum(dtype=np.float64))):
        raise error(
            f"{what} needs finite weights and degrees",
            f"{int((~np.isfinite(degrees)).sum()):,} neurons whose degree is not",
            "Look at link_weights(graph) for the layers where they are; the training has diverged",
        )


class Solver:
    """Finds the leading pair of one graph and counts the products."""

    def __init__(self, links: Flat, tol: float, what: str = "eigenvector centrality") -> None:
        self.links, self.tol, self.products = links, max(tol, 4 * float(np.finfo(links.kind).eps)), 0.0
        self.degrees = self.multiply(np.ones(links.size, links.kind))
        self.scale = float(self.degrees.max(initial=0.0))
        refuse_diverged(self.degrees, what)
        if self.scale == 0:
            raise WeightsError(f"{what} needs a link whose weight is not zero", "none", "")

    def multiply(self, x: Vector) -> Vector:
        """``S x``, counted."""
        self.products += 1
        return self.links.symmetric(x)

    def pair(self, start: Vector | None) -> Eigenpair:
        """Solve on the component of the largest degree, and on the rest as long as that could have a larger λ."""
        linked = self.degrees > 0
        inside = self.component(self.degrees)
        found = self.solve(inside, start)
        degenerate = False
        # The largest eigenvalue of weights that are not negative is at most the largest degree: components of smaller
        # degrees than the λ found need not be looked at.
        while (rest := linked & ~inside).any() and self.degrees[rest].max() >= found.value * (1 - self.tol):
            other = self.solve(rest, start)
            degenerate = abs(other.value - found.value) <= self.tol * found.value
            if degenerate or other.value < found.value:
                break
            inside = self.component(other.vector)
            found = self.solve(inside, other.vector)
        return Eigenpair(
            found.value,
            self.links.whole(found.vector),
            found.residual,
            math.ceil(self.products),
            int((linked & ~inside).sum()),
            int((~linked).sum()),
            degenerate,
        )

    def component(self, weight: Vector) -> NDArray[np.bool_]:
        """The nodes that hang together with the one of the largest weight."""
        inside, products = self.links.reach(int(weight.argmax()))
        self.products += products
        return inside

    def solve(self, inside: NDArray[np.bool_], start: Vector | None) -> _Found:
        """The leading pair of the links among some nodes that no link connects to others."""
        if self.links.matrix is not None and self.links.size <= FEW:
            return self.decomposed(self.links.matrix, inside)
        begin = np.where(inside, self.degrees, 0) / self.scale
        begin /= np.linalg.norm(begin)
        if start is not None:
            begin = np.where(inside, start, 0) + _SPREAD * begin
        value, vector = self.lanczos(inside, begin.astype(self.links.kind))
        return self.smoothed(value, np.where(inside, vector, 0))

    def lanczos(self, inside: NDArray[np.bool_], begin: Vector) -> tuple[float, Vector]:
        """The largest eigenvalue and its vector, by products with S divided by the largest degree."""
        # Divided by the largest degree all eigenvalues are at most 1, so that products of products stay in range.
        scale = self.links.kind.type(self.scale)

        def product(x: Vector) -> Vector:
            return np.where(inside, self.multiply(np.where(inside, x, 0)) / scale, 0)

        if len(begin) <= _SMALL:
            value, vector, close = krylov_eigenpair(product, begin, tol=self.tol / 2, most=_WHOLE)
            if close:
                return value * self.scale, vector
            begin = vector
        try:
            value, vector = largest_eigenpair(product, begin, tol=self.tol / 2, basis=_BASIS, restarts=_RESTARTS)
        except ConvergenceError as error:
            raise self.unconverged(str(error.__cause__)) from error
        return value * self.scale, vector

    def smoothed(self, value: float, vector: Vector) -> _Found:
        """One product more: it tells the residual, and averages rounding away where the vector is small."""
        vector = vector * np.sign(vector.sum(dtype=np.float64))
        negative = float(np.linalg.norm(np.minimum(vector, 0)))
        product = self.multiply(vector) / self.links.kind.type(value)
        residual = float(np.linalg.norm(product - vector))
        if residual > 4 * self.tol or negative > 1e-2:
            raise self.unconverged(f"a residual of {residual:.1e}, and {negative:.1e} of the vector below zero")
        smooth = np.abs(vector) + np.abs(product)
        return _Found(value, smooth / np.linalg.norm(smooth), residual)

    def unconverged(self, came: str) -> ConvergenceError:
        """The error that says how far it came."""
        return ConvergenceError(
            f"the leading eigenvector is found to a residual of {self.tol:.1e}",
            f"{came} after {math.ceil(self.products)} products",
            "Give a larger `tol`, or use weighted_degree: the two largest eigenvalues lie too close",
        )

    def decomposed(self, matrix: Vector, inside: NDArray[np.bool_]) -> _Found:
        """The same by a dense decomposition."""
        places = np.flatnonzero(inside)
        symmetric = (matrix + matrix.T)[np.ix_(places, places)] / self.scale
        value, part = dense_eigenpair(symmetric)
        vector = np.zeros(len(inside))
        vector[places] = np.abs(part)
        residual = float(np.linalg.norm(symmetric @ vector[places] / value - vector[places]))
        return _Found(value * self.scale, vector, residual)
