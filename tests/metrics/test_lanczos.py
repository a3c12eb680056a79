"""The one iteration for eigenvalues: against dense matrices, from any start, and where it cannot converge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from axonometry.errors import ConvergenceError
from axonometry.metrics.lanczos import dense_eigenpair, largest_eigenpair


def symmetric(n: int, seed: int = 0) -> np.ndarray:
    matrix = np.random.default_rng(seed).standard_normal((n, n))
    return matrix + matrix.T


@given(st.integers(3, 60), st.integers(0, 20), st.sampled_from([None, 8]))
def test_it_finds_what_a_whole_decomposition_finds(n: int, seed: int, basis: int | None) -> None:
    matrix = symmetric(n, seed)
    begin = np.random.default_rng(seed + 1).standard_normal(n)
    basis = None if basis is None else min(basis, n)
    value, vector = largest_eigenpair(lambda x: matrix @ x, begin, tol=1e-12, basis=basis, restarts=10_000)
    values, vectors = np.linalg.eigh(matrix)
    assert value == pytest.approx(values[-1], abs=1e-8 * abs(values).max())
    if values[-1] - values[-2] > 1e-2:
        assert abs(vector @ vectors[:, -1]) == pytest.approx(1, abs=1e-6)
    dense, whole = dense_eigenpair(matrix)
    assert dense == pytest.approx(values[-1])
    np.testing.assert_allclose(matrix @ whole, dense * whole, atol=1e-8 * abs(values).max())


def test_the_largest_is_not_the_largest_in_size() -> None:
    matrix = np.diag([-9.0, 1.0, 4.0, 2.0, 0.5])
    assert largest_eigenpair(lambda x: matrix @ x, np.ones(5), tol=1e-10)[0] == pytest.approx(4)
    assert dense_eigenpair(matrix)[0] == pytest.approx(4)


def test_only_the_symmetric_part_of_a_matrix_with_rounding_counts() -> None:
    assert dense_eigenpair(np.array([[0.0, 3.0], [1.0, 0.0]]))[0] == pytest.approx(2)


def test_the_arithmetic_is_in_the_starts_type_and_each_product_in_one_vector() -> None:
    shapes = []

    def multiply(x: np.ndarray) -> np.ndarray:
        shapes.append((x.shape, x.dtype))
        return np.arange(1, 31, dtype=np.float32) * x

    value, vector = largest_eigenpair(multiply, np.ones(30, np.float32), tol=1e-4)
    assert set(shapes) == {((30,), np.dtype(np.float32))}
    assert vector.dtype == np.float32
    assert value == pytest.approx(30, rel=1e-3)


def test_what_does_not_converge_says_after_how_many_products() -> None:
    matrix = symmetric(300)
    with pytest.raises(ConvergenceError, match=r"found to 1.0e-14; got .* after [1-9]\d* products.*lie too close"):
        largest_eigenpair(lambda x: matrix @ x, np.ones(300), tol=1e-14, basis=3, restarts=2)
