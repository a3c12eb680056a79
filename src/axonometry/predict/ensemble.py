"""Stacking: many learners in one prediction, each weighted by its errors on runs that it did not see.

Six runs in three folds, one view, two learners t and k::

    fold 0: {a, b}    t0 and k0 are fitted to c, d, e, f, and predict a, b
    fold 1: {c, d}    t1 and k1 are fitted to a, b, e, f, and predict c, d
    fold 2: {e, f}    t2 and k2 are fitted to a, b, c, d, and predict e, f

The weights of fold 0 are fitted to the predictions of c, d, e, f by the folds 1 and 2, so that a and b are predicted by
learners that did not see them, with weights that were not fitted to them: their errors, which become the interval, are
those of new runs. (A trace remains: t1 and k1 saw a and b before they predicted c and d. Without it, every fold would
need an ensemble of its own, and a fit would take as many times longer as there are folds.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from axonometry.predict.learners import Learner, fit_learner, kinds_of
from axonometry.predict.rank_gauss import Matrix, RankGaussTransformer


@dataclass(frozen=True)
class FoldModel:
    """The learners fitted to all runs outside one fold.

    Attributes:
        ranks: Per view, the rank transform of its columns.
        learners: Per view, one learner of each of its kinds.
        weights: The weight of each learner; they are at least 0 and add up to 1.
    """

    ranks: tuple[RankGaussTransformer, ...]
    learners: tuple[tuple[Learner, ...], ...]
    weights: Float[np.ndarray, " learners"]

    def predict_each(self, views: Sequence[Matrix]) -> Float[np.ndarray, "learners rows targets"]:
        """Every learner's predictions, from the columns of each view."""
        scored = [ranks.transform(view) for ranks, view in zip(self.ranks, views, strict=True)]
        pairs = zip(scored, self.learners, strict=True)
        return np.stack([learner.predict(scores) for scores, learners in pairs for learner in learners])

    def predict(self, views: Sequence[Matrix]) -> Float[np.ndarray, "rows targets"]:
        """The weighted prediction."""
        return np.tensordot(self.weights, self.predict_each(views), axes=1)


@dataclass(frozen=True)
class StackedEnsemble:
    """Learners of each view of the features, cross-fitted and combined.

    The runs are cut into folds that keep groups together. For each fold, learners of every view and kind are fitted
    to the other runs; the prediction of a new run is the mean over the folds. The learners' weights are found by
    least squares on predictions of runs that they did not see (stacking; Wolpert 1992, Breiman 1996 for weights of at
    least 0), where they add up to 1: a view that adds nothing gets no weight, so that a hundred features more do no
    harm where one decides already. For each fold the weights come from the runs of the other folds.

    Attributes:
        folds: What was learned outside each fold.
        fold_of: The fold of each training row.
        out_of_fold: The prediction of each training row by the fold's learners, which did not see it.
        targets: The training rows' targets.

    >>> x = np.linspace(0, 1, 12)[:, None]
    >>> ensemble = fit_ensemble([x], 2 * x, np.arange(12) % 3, trees=5)
    >>> [round(float(fold.weights.sum()), 6) for fold in ensemble.folds], ensemble.out_of_fold.shape
    ([1.0, 1.0, 1.0], (12, 1))
    """

    folds: tuple[FoldModel, ...]
    fold_of: Int[np.ndarray, " rows"]
    out_of_fold: Float[np.ndarray, "rows targets"]
    targets: Float[np.ndarray, "rows targets"]

    def by_fold(self, views: Sequence[Matrix]) -> Float[np.ndarray, "folds rows targets"]:
        """Each fold's predictions of new rows."""
        return np.stack([fold.predict(views) for fold in self.folds])

    def predict(self, views: Sequence[Matrix]) -> Float[np.ndarray, "rows targets"]:
        """Predictions of new rows."""
        return self.by_fold(views).mean(axis=0)

    def r2(self) -> float:
        """R2 of the training rows' predictions by learners that did not see them."""
        errors = np.square(self.targets - self.out_of_fold).sum()
        return float(1 - errors / max(np.square(self.targets - self.targets.mean(axis=0)).sum(), 1e-300))


def fit_ensemble(
    views: Sequence[Matrix], targets: Matrix, fold_of: Int[np.ndarray, " rows"], *, trees: int = 40, seed: int = 0
) -> StackedEnsemble:
    """Fit the learners of every fold, then their weights.

    Args:
        views: The columns of each view.
        targets: A column a target.
        fold_of: The fold of each row, from 0.
        trees: How many in each forest.
        seed: Of the trees.

    >>> x = np.linspace(0, 1, 12)[:, None]
    >>> ensemble = fit_ensemble([x], 2 * x, np.arange(12) % 3, trees=5)
    >>> len(ensemble.folds), ensemble.predict([np.array([[0.5]])]).shape, ensemble.r2() > 0.9
    (3, (1, 1), True)
    """
    count = sum(len(kinds_of(view.shape[1])) for view in views)
    folds, each = [], np.empty((count, *targets.shape))
    for number in range(int(fold_of.max()) + 1):
        inside = fold_of == number
        fold = _fit_fold([view[~inside] for view in views], targets[~inside], trees=trees, seed=seed + number)
        each[:, inside] = fold.predict_each([view[inside] for view in views])
        folds.append(fold)
    # `each` holds no prediction by a learner that saw the row; leaving out the fold's own rows as well means that its
    # weights are not fitted to them, see the example above.
    weighted, out_of_fold = [], np.empty_like(targets)
    for number, fold in enumerate(folds):
        inside = fold_of == number
        weights = stacking_weights(each[:, ~inside], targets[~inside])
        weighted.append(replace(fold, weights=weights))
        out_of_fold[inside] = np.tensordot(weights, each[:, inside], axes=1)
    return StackedEnsemble(tuple(weighted), fold_of, out_of_fold, targets)


def stacking_weights(
    predictions: Float[np.ndarray, "learners rows targets"], targets: Matrix
) -> Float[np.ndarray, " learners"]:
    """Weights of at least 0 that add up to 1, with which the learners' predictions come nearest to the targets.

    Args:
        predictions: Of each learner.
        targets: What they should be.

    One learner is too high by 1 and another too low by 3; three quarters and a quarter of them cancel:

    >>> predictions = np.array([[[1.0], [2.0]], [[-3.0], [-2.0]]])
    >>> stacking_weights(predictions, np.array([[0.0], [1.0]])).round(6).tolist()
    [0.75, 0.25]
    """
    from scipy.optimize import nnls

    errors = (predictions - targets).reshape(len(predictions), -1)
    # Weights that add up to 1 make the combined error a combination of errors; a heavy row of ones holds them to it.
    # nnls keeps weights at or above 0 and knows no other side condition. A row of size h adds h² (sum - 1)² to the
    # squares, so that the sum differs from 1 by about (error / h)² = 1e-8, which the division below takes away.
    heavy = 1e4 * max(float(np.abs(errors).max()), 1e-9)
    matrix = np.vstack([errors.T, np.full(len(errors), heavy)])
    weights, _ = nnls(matrix, np.append(np.zeros(errors.shape[1]), heavy))
    return weights / weights.sum()


def _fit_fold(views: Sequence[Matrix], targets: Matrix, *, trees: int, seed: int) -> FoldModel:
    ranks = tuple(RankGaussTransformer.fit(view) for view in views)
    learners = tuple(
        tuple(
            fit_learner(kind, rank.transform(view), targets, trees=trees, seed=seed) for kind in kinds_of(view.shape[1])
        )
        for rank, view in zip(ranks, views, strict=True)
    )
    count = sum(map(len, learners))
    return FoldModel(ranks, learners, np.full(count, 1 / count))
