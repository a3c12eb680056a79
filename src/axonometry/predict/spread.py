r"""Intervals that are as wide as runs of the same kind are uncertain.

CV+ gives every run an interval of nearly the same width: dead runs, which are easy, get far more than they need, and
good ones less. Here each residual is taken relative to the spread that is expected at its prediction::

    predicted          0.10   0.11   0.12   0.60   0.70   0.75
    residual           0.00   0.01   0.01   0.10   0.20   0.10
    expected spread    0.01   0.01   0.01   0.13   0.13   0.13    the mean residual of the nearest predictions
    relative residual  0      1      1      0.8    1.5    0.8

A new run that is predicted at 0.11 gets an interval of hundredths, one at 0.7 of tenths, from the same relative ones.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from axonometry.predict.ensemble import StackedEnsemble
from axonometry.predict.folds import ends_of, require_level

NEIGHBOURS = 0.2
"""Share of the runs whose residuals give the spread at a prediction [our choice]; five at least."""
_SHRINK = 2.0  # so many runs of mean residual are added to the neighbours: no spread is 0 because five runs were exact

Numbers = Float[np.ndarray, " _"]


def expected_spread(at: Numbers, predicted: Numbers, residuals: Numbers) -> Numbers:
    """The mean absolute residual of the runs whose predictions are nearest, drawn a little towards that of all runs.

    Args:
        at: Predictions whose spread is asked for.
        predicted: Predictions of the runs that are known.
        residuals: Their absolute residuals.

    >>> predicted = np.array([0.1] * 10 + [0.7] * 10)
    >>> expected_spread(np.array([0.1, 0.7]), predicted, np.array([0.01] * 10 + [0.2] * 10)).round(3).tolist()
    [0.037, 0.173]
    """
    count = min(len(predicted), max(5, round(NEIGHBOURS * len(predicted))))
    nearest = np.argsort(np.abs(at[:, None] - predicted[None, :]), axis=1, kind="stable")[:, :count]
    total = residuals[nearest].sum(axis=1)
    found = (total + _SHRINK * residuals.mean()) / (count + _SHRINK)
    return np.where(found > 0, found, 1.0)  # where all residuals are 0, any spread says the same


def relative_cv_plus(
    ensemble: StackedEnsemble, by_fold: Float[np.ndarray, "folds rows targets"], level: float
) -> Float[np.ndarray, "rows 2"]:
    r"""The CV+ interval of residuals relative to the spread expected at each prediction, for the first target.

    With s_k the spread of the rows outside fold k, row i of fold k, and R_i its residual, the ends are the
    floor(alpha (n + 1))-th smallest of mu_k(x) - R_i s_k(mu_k(x)) / s_k(mu_k(x_i)) and the
    ceil((1 - alpha) (n + 1))-th smallest of the sums. Row i and a new row are treated alike by all that was learned
    outside the fold, which is what CV+ asks for: the coverage is that of :func:`axonometry.predict.folds.cv_plus`, and
    about the same for runs of low and of high prediction.

    Args:
        ensemble: What was fitted.
        by_fold: Each fold's predictions of the new rows.
        level: Expected share of new values inside the interval, in (0, 1).

    Returns:
        The low and the high end of each new row.

    Raises:
        PredictionError: The level is not between 0 and 1, or there are too few rows for it.

    Source: normalised residuals after Lei et al. 2018, Distribution-free predictive inference for regression, section
    5.2 [recalled]; CV+ as there; the spread by nearest predictions is [our choice].
    """
    targets, own = ensemble.targets[:, 0], ensemble.out_of_fold[:, 0]
    require_level(len(targets), level)
    residuals = np.abs(targets - own)
    low, high = (np.empty((len(targets), by_fold.shape[1])) for _ in range(2))
    for fold, predicted in enumerate(by_fold[:, :, 0]):
        inside = ensemble.fold_of == fold
        # Residual 0.1 of a run in this fold, where 0.13 is expected: 0.77 of the spread. A new run where 0.01 is
        # expected gets 0.0077 of reach from it.
        known = own[~inside], residuals[~inside]
        relative = residuals[inside] / expected_spread(own[inside], *known)
        reach = relative[:, None] * expected_spread(predicted, *known)
        low[inside], high[inside] = predicted - reach, predicted + reach
    return ends_of(low, high, level)
