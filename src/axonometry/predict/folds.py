"""Folds that never split a group, and intervals that follow from them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import ceil, floor

import numpy as np
from jaxtyping import Float, Int

from axonometry.errors import PredictionError
from axonometry.predict.ensemble import StackedEnsemble


def fold_numbers(groups: Sequence[Hashable], folds: int, seed: int) -> Int[np.ndarray, " rows"]:
    """The fold of each row, from 0: whole groups, in random order, each into the fold that has fewest rows so far.

    Args:
        groups: The group of each row.
        folds: How many folds.
        seed: Of the order.

    Raises:
        PredictionError: There are fewer groups than folds.

    Six runs of three configurations in two folds: the largest configuration fills one, the others share the other.

    >>> fold_numbers(["a", "a", "a", "b", "b", "c"], 2, seed=0).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    if len(places) < folds or folds < 2:
        came = f"{len(places)} groups for {folds} folds"
        raise PredictionError("two folds or more hold a group each", came, "Use more runs or fewer folds")
    group_of = np.array([places[group] for group in groups])
    sizes = np.bincount(group_of)
    order = np.random.default_rng(seed).permutation(len(sizes))
    # Large groups first, so that the folds end up even; stable, so that equal ones stay in random order.
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold_of_group, held = np.empty(len(sizes), dtype=int), np.zeros(folds)
    # The emptiest fold takes the next group: sizes 4 3 2 2 1 into two folds give 4 2 | 3 2 1, by rows 6 and 6.
    for group in order:
        fold_of_group[group] = held.argmin()
        held[held.argmin()] += sizes[group]
    return fold_of_group[group_of]


def needed_for(level: float) -> int:
    """The fewest runs whose residuals give an interval of a level.

    With n runs the low end is the floor(alpha (n + 1))-th smallest of n numbers, which has to be the first or a later
    one: n >= 1 / alpha - 1, with alpha = 1 - level.

    >>> needed_for(0.9), needed_for(0.95)
    (9, 19)
    """
    return ceil(round(1 / (1 - level) - 1, 9))


def cv_plus(
    ensemble: StackedEnsemble, by_fold: Float[np.ndarray, "folds rows targets"], level: float
) -> Float[np.ndarray, "rows 2"]:
    r"""The CV+ interval of each new row, for the first target.

    With R_i = \|y_i - mu_i(x_i)\|, where mu_i was fitted without the fold of row i, and alpha = 1 - level, the ends are
    the floor(alpha (n + 1))-th smallest of mu_i(x) - R_i and the ceil((1 - alpha) (n + 1))-th smallest of
    mu_i(x) + R_i. Where groups of rows are exchangeable and one row is drawn of each, the interval holds at least
    1 - 2 alpha of new values whatever the distribution, and close to 1 - alpha in practice.

    Four rows in two folds, whose models predict 0.5 and 0.7 for the new row, with residuals 0.1, 0.2 and 0.05, 0.3:
    the shifted predictions are 0.4, 0.3, 0.65, 0.4 downwards and 0.6, 0.7, 0.75, 1.0 upwards. At level 0.6 the ranks
    are floor(0.4 * 5) = 2 and ceil(0.6 * 5) = 3, which gives [0.4, 0.75]: the second smallest and the third smallest.

    Args:
        ensemble: What was fitted.
        by_fold: Each fold's predictions of the new rows.
        level: Expected share of new values inside the interval, in (0, 1).

    Returns:
        The low and the high end of each new row.

    Raises:
        PredictionError: The level is not between 0 and 1, or there are too few rows for it.

    Source: Barber, Candès, Ramdas, Tibshirani 2021, Predictive inference with the jackknife+, section 3.

    >>> targets, out_of_fold = np.array([[[1.1], [1.2], [2.05], [2.3]], [[1.0], [1.0], [2.0], [2.0]]])
    >>> ensemble = StackedEnsemble((), np.array([0, 0, 1, 1]), out_of_fold, targets)
    >>> cv_plus(ensemble, np.array([[[0.5]], [[0.7]]]), 0.6).round(6)
    array([[0.4 , 0.75]])
    """
    require_level(len(ensemble.targets), level)
    # Each training row i votes with its own fold's model: mu_i(x) - R_i and mu_i(x) + R_i. A jackknife around one
    # common model, mu(x) +- R_i, has no such guarantee: mu may lie nearer to the rows that it saw than to any new one.
    residuals = np.abs(ensemble.targets - ensemble.out_of_fold)[:, 0]
    centre = by_fold[ensemble.fold_of, :, 0]
    return ends_of(centre - residuals[:, None], centre + residuals[:, None], level)


def require_level(n: int, level: float) -> None:
    """Make sure that a level is one, and that n runs give an interval of it.

    Raises:
        PredictionError: It is not between 0 and 1, or there are too few runs.
    """
    if not 0 < level < 1:
        raise PredictionError("an interval's level lies between 0 and 1", str(level), "0.9 is usual")
    if n < needed_for(level):
        rule = f"an interval of level {level} needs {needed_for(level)} runs"
        raise PredictionError(rule, str(n), "Use more runs or a lower level")


def ends_of(
    low: Float[np.ndarray, "n rows"], high: Float[np.ndarray, "n rows"], level: float
) -> Float[np.ndarray, "rows 2"]:
    """The ends of CV+ intervals, of the votes of n training rows for the low and the high end of each new row.

    Args:
        low: Predictions less residuals.
        high: Predictions and residuals.
        level: Expected share of new values inside.

    >>> votes = np.array([[0.3], [0.4], [0.4], [0.65]]), np.array([[0.6], [0.7], [0.75], [1.0]])
    >>> ends_of(*votes, 0.6).tolist()  # the second smallest and the third smallest
    [[0.4, 0.75]]
    """
    # Ranks count from 1 in the source and from 0 here; rounding first keeps 0.1 * 20 = 2.0000000000000004 at 2.
    low_rank = floor(round((1 - level) * (len(low) + 1), 9)) - 1
    high_rank = ceil(round(level * (len(low) + 1), 9)) - 1
    ends = np.partition(low, low_rank, axis=0)[low_rank], np.partition(high, high_rank, axis=0)[high_rank]
    return np.stack(ends, axis=1)
