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
    return max(0.0, _divergence(a, b))


def thinned(ordered: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
    """At most :data:`LARGEST` of the order statistics, evenly spaced.

    >>> thinned(np.arange(3.0))
    array([0., 1., 2.])
    """
    if len(ordered) <= LARGEST:
        return ordered
    return ordered[np.linspace(0, len(ordered) - 1, LARGEST).round().astype(int)]


def _divergence(a: np.ndarray, b: np.ndarray) -> float:
    n, m = len(a), len(b)
    inputs, weights = _design(a, b)
    labels = np.repeat([1.0, 0.0], (n, m))
    count = min(FOLDS, n, m)
    # Both ways to draw the folds, so that a and b can change places.
    draws = [np.concatenate([_folds(n, count, seed), _folds(m, count, 1 - seed)]) for seed in (0, 1)]
    unseen = np.concatenate([folds[:, None] == np.arange(count) for folds in draws], axis=1)
    whole = _fitted(inputs, labels, weights[:, None], np.zeros((inputs.shape[1], 1)))
    found = _fitted(inputs, labels, weights[:, None] * ~unseen, np.repeat(whole, unseen.shape[1], axis=1))
    log_odds = np.einsum("vp,pf,vf->v", inputs, found, unseen, optimize=True) / len(draws)
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
    # Knots at the quantiles 1/6 to 5/6 of both samples together, each sample counting half: five places where ln p/q
    # may bend, where the values are.
    shares = np.arange(1, KNOTS + 1) / (KNOTS + 1)
    knots = np.interp(shares, np.cumsum(weights[order]), z[order])
    columns = np.stack([z, z * z, *(np.maximum(z - knot, 0) ** 2 for knot in knots)], axis=1)
    spread = np.sqrt(weights @ (columns - weights @ columns) ** 2)
    columns = columns / np.where(spread > 0, spread, 1.0)
    return np.concatenate([np.ones((len(z), 1)), columns], axis=1), weights * len(z)


def _fitted(inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Coefficients of penalised logistic regressions: Newton's steps, halved until they lead down.

    All regressions have the same inputs and labels, and differ in the weights of the values, so that a step of all is
    three matrix products: 20 regressions, one for each fold, cost about as much as three by themselves.

    Args:
        inputs: One row a value, one column a coefficient.
        labels: 1 for values of P, 0 for values of Q.
        weights: One column a regression; 0 for what it does not see.
        start: Where to begin: one column a regression.
    """
    penalty = np.concatenate([[1e-9], [RIDGE_PARABOLA] * 2, np.full(inputs.shape[1] - 3, RIDGE_KNOTS)])
    data = inputs, labels, weights, penalty
    products = np.einsum("vp,vq->pqv", inputs, inputs).reshape(-1, len(inputs))
    found, reached = start, _loss(start, *data)
    for _ in range(STEPS):
        chances = 1 / (1 + np.exp(-np.clip(inputs @ found, -500, 500)))
        slope = inputs.T @ (weights * (labels[:, None] - chances)) - penalty[:, None] * found
        curvature = (products @ (weights * chances * (1 - chances))).T.reshape(-1, len(penalty), len(penalty))
        # Newton's step of each regression. Where samples are far apart it may lead too far, and is halved until the
        # loss falls.
        step = np.linalg.solve(curvature + np.diag(penalty), slope.T[:, :, None])[:, :, 0].T
        next_loss = _loss(found + step, *data)
        tolerance = TOLERANCE * np.maximum(1.0, reached)
        while (up := next_loss > reached + tolerance).any():
            step = np.where(up, step / 2, step)
            next_loss = _loss(found + step, *data)
        found = found + step
        if np.all(reached - next_loss <= tolerance):
            return found
        reached = next_loss
    return found


def _loss(
    coefficients: np.ndarray, inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray, penalty: np.ndarray
) -> np.ndarray:
    """Of each regression; the penalty included."""
    log_odds = inputs @ coefficients
    fit = np.einsum("vf,vf->f", weights, np.logaddexp(0, log_odds) - labels[:, None] * log_odds)
    return fit + penalty @ coefficients**2 / 2
