"""Kernel ridge regression: scikit-learn's, with the kernel and the penalty of least leave-one-out error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from jaxtyping import Float, Float32
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import pairwise_kernels

from axonometry.errors import PredictionError
from axonometry.predict.rank_gauss import Matrix

LENGTHS = (0.5, 2.0, 8.0, float("inf"))
"""Squared lengths of the Gaussian kernel over the number of columns; infinite for the linear kernel."""
PENALTIES = np.logspace(-3, 2, 11)


class KernelState(TypedDict):
    """What a file holds of a model: the training rows, their dual coefficients, the targets' mean, the length."""

    rows: Float32[np.ndarray, "training columns"]
    weights: Float[np.ndarray, "training targets"]
    mean: Float[np.ndarray, " targets"]
    length: float


@dataclass(frozen=True)
class KernelModel:
    """scikit-learn's kernel ridge regression of centred targets.

    Attributes:
        ridge: The fitted :class:`sklearn.kernel_ridge.KernelRidge`.
        mean: The targets' mean.
        length: Of :data:`LENGTHS`.
    """

    ridge: KernelRidge
    mean: Float[np.ndarray, " targets"]
    length: float

    @classmethod
    def fit(cls, scores: Matrix, targets: Matrix) -> KernelModel:
        """The model of training rows.

        Args:
            scores: Training rows.
            targets: A column a target.

        >>> x = np.linspace(-1, 1, 9)[:, None]
        >>> KernelModel.fit(x, 2 * x).predict(np.array([[0.5]])).round(2)
        array([[1.]])
        """
        # Rounded to float32 before the fit, so that a file of half the size loses nothing.
        rows = scores.astype(np.float32).astype(np.float64)
        mean = targets.mean(axis=0)
        length, penalty = least_left_out_error(rows, targets - mean)
        return cls(_ridge(length, rows.shape[1], penalty).fit(rows, targets - mean), mean, length)

    def predict(self, scores: Matrix) -> Float[np.ndarray, "rows targets"]:
        """Predictions of rows."""
        return self.mean + self.ridge.predict(scores)

    def state(self) -> KernelState:
        """What :meth:`restore` takes."""
        rows = self.ridge.X_fit_.astype(np.float32)
        return {"rows": rows, "weights": self.ridge.dual_coef_, "mean": self.mean, "length": self.length}

    @classmethod
    def restore(cls, state: KernelState, columns: int) -> KernelModel:
        """The model of a state.

        Args:
            state: Of :meth:`state`.
            columns: How many the training rows have.

        Raises:
            PredictionError: Its parts have sizes that do not go together.
        """
        rows, weights, mean = state["rows"], state["weights"], state["mean"]
        fits = rows.ndim == weights.ndim == 2 and len(rows) == len(weights)
        if not (fits and rows.shape[1] == columns and mean.shape == weights.shape[1:]):
            raise PredictionError(
                "a saved kernel ridge regression's parts have sizes that go together", "sizes that do not"
            )
        ridge = _ridge(state["length"], columns, 1.0)  # the penalty is in the weights
        ridge.X_fit_, ridge.dual_coef_, ridge.n_features_in_ = rows.astype(np.float64), weights, columns
        return cls(ridge, mean, state["length"])


def least_left_out_error(rows: Matrix, targets: Matrix) -> tuple[float, float]:
    """The length and the penalty with the least mean squared leave-one-out error.

    Args:
        rows: Training rows.
        targets: Centred targets, a column each.

    Returns:
        One of :data:`LENGTHS` and one of :data:`PENALTIES`.

    >>> rows = np.linspace(-1, 1, 9)[:, None]
    >>> least_left_out_error(rows, 2 * rows)  # a straight line: the linear kernel, hardly any penalty
    (inf, 0.001)
    """
    errors = {
        (length, float(penalty)): error
        for length in LENGTHS
        for penalty, error in zip(PENALTIES, left_out_errors(_kernel(rows, length), targets), strict=True)
    }
    return min(errors, key=lambda choice: errors[choice])


def left_out_errors(kernel: Matrix, targets: Matrix) -> Float[np.ndarray, " penalties"]:
    """The mean squared error of each row predicted from all others, for every penalty.

    With G = (K + penalty I)^-1, the error of row i without itself is (G y)_i / G_ii: no model is fitted n times. One
    eigendecomposition K = V diag(v) V' gives G for all penalties.

    Args:
        kernel: Of the training rows.
        targets: Centred targets, a column each.

    Source: Rifkin and Lippert 2007, Notes on regularized least squares, section 3.

    >>> left_out_errors(np.eye(2), np.array([[1.0], [-1.0]])).round(6)[0]  # rows that know nothing of each other
    np.float64(1.0)
    """
    # Why (G y)_i / G_ii: leave row i out, and let y_i be what the others predict for it. The fit to all rows with this
    # y_i is the fit without row i, whose residual at i is 0 = penalty * (G y)_i. Moving y_i back by the error e adds e
    # G_ii.
    values, vectors = np.linalg.eigh(kernel)
    turned = vectors.T @ targets
    errors = []
    for penalty in PENALTIES:
        # Rounding makes the least eigenvalues of a kernel a little negative; with a small penalty 1 / (v + penalty)
        # would flip.
        inverse = 1 / (np.maximum(values, 0) + penalty)
        weights = vectors @ (inverse[:, None] * turned)
        left_out = weights / (np.square(vectors) @ inverse)[:, None]
        errors.append(float(np.square(left_out).mean()))
    return np.array(errors)


def _choices(length: float, columns: int) -> dict[str, Any]:
    """scikit-learn's names. The linear kernel is that of degree 1: scaled by the columns, so that penalties compare."""
    if np.isinf(length):
        return {"kernel": "polynomial", "degree": 1, "coef0": 0, "gamma": 1 / max(1, columns)}
    return {"kernel": "rbf", "gamma": 1 / (length * max(1, columns))}


def _ridge(length: float, columns: int, penalty: float) -> KernelRidge:
    return KernelRidge(alpha=penalty, **_choices(length, columns))


def _kernel(rows: Matrix, length: float) -> Matrix:
    choices = _choices(length, rows.shape[1])
    return pairwise_kernels(rows, metric=choices.pop("kernel"), **choices)
