"""The logarithm of the ratio of two densities, by a logistic regression that tells their samples apart.

Where a value x comes from P or from Q with equal chance, ln(p(x) / q(x)) is the log odds that it came from P: what a
logistic regression estimates. With samples of N(0, 1) and N(1, 1)::

    ln p/q = 1/2 - x:  log odds 0.5 at x = 0, -0.5 at x = 1;  mean over P 0.5, over Q -0.5, their difference J = 1

The regression is on z and z², which is all that two Gaussians need, and on max(z - k, 0)² at five knots k for whatever
else there is. Each value's log odds are those of a regression that did not see it: of the data that it was fitted to, a
curve makes more than is there, and J of equal distributions would come out above 0.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

KNOTS, FOLDS = 5, 10
RIDGE_PARABOLA, RIDGE_KNOTS = 1.0, 0.5
"""Penalties on the squared coefficients, against a total weight of n + m; chosen by the table in ``divergence`` and by
three other pairs of densities."""
LARGEST = 20_000
"""Values of a sample that the regression sees; of more, so many evenly spaced order statistics."""
STEPS, TOLERANCE = 100, 1e-12

Vector = Float[np.ndarray, " n"]


def ratio_divergence(a: Float[np.ndarray, " a"], b: Float[np.ndarray, " b"]) -> float:
    """Jeffreys divergence, the mean of ln p/q over P less that over Q; at least 0.

    Args:
        a: A sample of P, at least two different values.
        b: A sample of Q.

    >>> even = np.linspace(-2, 2, 200)
    >>> round(ratio_divergence(even, even + 0.5), 2), ratio_divergence(even, even)
    (0.6, 0.0)
    """
    a, b = thinned(np.sort(a)), thinned(np.sort(b))
    if np.array_equal(a, b):
        return 0.0
    # Both ways to draw the folds, so that a and b can change places.
    return max(0.0, (_divergence(a, b, (0, 1)) + _divergence(a, b, (1, 0))) / 2)


def thinned(ordered: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
    """At most :data:`LARGEST` of the order statistics, evenly spaced.

    >>> thinned(np.arange(3.0))
    array([0., 1., 2.])
    """
    if len(ordered) <= LARGEST:
        return ordered
    return ordered[np.linspace(0, len(ordered) - 1, LARGEST).round().astype(int)]


def _divergence(a: np.ndarray, b: np.ndarray, seeds: tuple[int, int]) -> float:
    n, m = len(a), len(b)
    inputs, weights = _design(a, b)
    labels = np.repeat([1.0, 0.0], (n, m))
    count = min(FOLDS, n, m)
    folds = np.concatenate([_folds(size, count, seed) for size, seed in zip((n, m), seeds, strict=True)])
    log_odds = np.empty(n + m)
    for fold in range(count):
        seen = folds != fold
        log_odds[~seen] = inputs[~seen] @ _fitted(inputs[seen], labels[seen], weights[seen])
    return float(log_odds[:n].mean() - log_odds[n:].mean())


def _folds(n: int, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng([n, seed]).permutation(n) % count


def _design(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The regression's columns and weights; each sample weighs the same, however many values it has."""
    weights = np.concatenate([np.full(len(a), 0.5 / len(a)), np.full(len(b), 0.5 / len(b))])
    values = np.concatenate([a, b])
    centre = weights @ values
    z = (values - centre) / np.sqrt(weights @ (values - centre) ** 2)
    order = np.lexsort((weights, z))  # equal values in an order of their own, whichever sample comes first
    shares = np.arange(1, KNOTS + 1) / (KNOTS + 1)
    knots = np.interp(shares, np.cumsum(weights[order]), z[order])
    columns = np.stack([z, z * z, *(np.maximum(z - knot, 0) ** 2 for knot in knots)], axis=1)
    spread = np.sqrt(weights @ (columns - weights @ columns) ** 2)
    columns = columns / np.where(spread > 0, spread, 1.0)
    return np.concatenate([np.ones((len(z), 1)), columns], axis=1), weights * len(z)


def _fitted(inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficients of the penalised logistic regression: Newton's steps, halved until they lead down."""
    penalty = np.concatenate([[1e-9], [RIDGE_PARABOLA] * 2, np.full(inputs.shape[1] - 3, RIDGE_KNOTS)])
    data = inputs, labels, weights, penalty
    found = np.zeros(inputs.shape[1])
    reached = _loss(found, *data)
    for _ in range(STEPS):
        chances = 1 / (1 + np.exp(-np.clip(inputs @ found, -500, 500)))
        slope = inputs.T @ (weights * (labels - chances)) - penalty * found
        curvature = (inputs.T * (weights * chances * (1 - chances))) @ inputs + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        while (next_loss := _loss(found + step, *data)) > reached and np.abs(step).max() > TOLERANCE:
            step = step / 2
        found = found + step
        if reached - next_loss <= TOLERANCE * max(1.0, reached):
            return found
        reached = next_loss
    return found


def _loss(
    coefficients: np.ndarray, inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray, penalty: np.ndarray
) -> float:
    log_odds = inputs @ coefficients
    fit = weights @ (np.logaddexp(0, log_odds) - labels * log_odds)
    return float(fit + penalty @ coefficients**2 / 2)
