"""Many learners in one prediction, each scored on runs that it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from axonometry.predict.learners import Forest, Kernel, Kind, Matrix, RankGaussTransformer, fit_learner

KERNEL_COLUMNS = 64
"""A kernel machine measures distances over all columns alike: among hundreds it sees little, and costs most."""


def kinds_of(columns: int) -> tuple[Kind, ...]:
    """The kinds of learners that a view of so many columns gets."""
    return ("trees", "kernel") if columns <= KERNEL_COLUMNS else ("trees",)


@dataclass(frozen=True)
class Fold:
    """What was learned from all runs outside one fold.

    Attributes:
        ranks: Per view, how its columns are ranked.
        learners: Per view, one learner of each of its kinds.
        weights: What each learner counts; they are at least 0 and add up to 1.
    """

    ranks: tuple[RankGaussTransformer, ...]
    learners: tuple[tuple[Forest | Kernel, ...], ...]
    weights: Float[np.ndarray, " learners"]

    def each(self, views: Sequence[Matrix]) -> Float[np.ndarray, "learners rows targets"]:
        """Every learner's predictions, from the columns of each view."""
        scored = [ranks(view) for ranks, view in zip(self.ranks, views, strict=True)]
        pairs = zip(scored, self.learners, strict=True)
        return np.stack([learner(scores) for scores, learners in pairs for learner in learners])

    def __call__(self, views: Sequence[Matrix]) -> Float[np.ndarray, "rows targets"]:
        """The weighted prediction."""
        return np.tensordot(self.weights, self.each(views), axes=1)


@dataclass(frozen=True)
class Ensemble:
    """Learners of each view of the features, cross-fitted and combined.

    The runs are cut into folds that keep groups together. For each fold, learners of every view and kind are fitted
    to the other runs; the prediction of a new run is the mean over the folds. How much a learner counts is found by
    least squares on predictions of runs that it did not see (stacking; Wolpert 1992, Breiman 1996 for the weights that
    are at least 0), where they add up to 1: a view that adds nothing gets no weight, so that a hundred features more
    do no harm where one decides already. For each fold the weights come from the runs of the other folds.

    Attributes:
        folds: What was learned outside each fold.
        fold_of: The fold of each training row.
        out_of_fold: The prediction of each training row by the fold's learners, which did not see it.
        targets: The training rows' targets.
    """

    folds: tuple[Fold, ...]
    fold_of: Int[np.ndarray, " rows"]
    out_of_fold: Float[np.ndarray, "rows targets"]
    targets: Float[np.ndarray, "rows targets"]

    def by_fold(self, views: Sequence[Matrix]) -> Float[np.ndarray, "folds rows targets"]:
        """Each fold's predictions of new rows."""
        return np.stack([fold(views) for fold in self.folds])

    def __call__(self, views: Sequence[Matrix]) -> Float[np.ndarray, "rows targets"]:
        """Predictions of new rows."""
        return self.by_fold(views).mean(axis=0)

    def r2(self) -> float:
        """R2 of the training rows' predictions by learners that did not see them."""
        errors = np.square(self.targets - self.out_of_fold).sum()
        return float(1 - errors / max(np.square(self.targets - self.targets.mean(axis=0)).sum(), 1e-300))


def fit_ensemble(
    views: Sequence[Matrix], targets: Matrix, fold_of: Int[np.ndarray, " rows"], *, trees: int = 40, seed: int = 0
) -> Ensemble:
    """Fit the learners.

    Args:
        views: The columns of each view.
        targets: A column a target.
        fold_of: The fold of each row, from 0.
        trees: How many in each forest.
        seed: Of the trees.
    """
    count = sum(len(kinds_of(view.shape[1])) for view in views)
    folds, each = [], np.empty((count, *targets.shape))
    for number in range(int(fold_of.max()) + 1):
        inside = fold_of == number
        fold = _fit_fold([view[~inside] for view in views], targets[~inside], trees=trees, seed=seed + number)
        each[:, inside] = fold.each([view[inside] for view in views])
        folds.append(fold)
    weighted = []
    for number, fold in enumerate(folds):
        others = fold_of != number
        weighted.append(Fold(fold.ranks, fold.learners, stacking_weights(each[:, others], targets[others])))
    out_of_fold = np.empty_like(targets)
    for number, fold in enumerate(weighted):
        inside = fold_of == number
        out_of_fold[inside] = np.tensordot(fold.weights, each[:, inside], axes=1)
    return Ensemble(tuple(weighted), fold_of, out_of_fold, targets)


def stacking_weights(
    predictions: Float[np.ndarray, "learners rows targets"], targets: Matrix
) -> Float[np.ndarray, " learners"]:
    """Weights of at least 0 that add up to 1, with which the learners' predictions come nearest to the targets."""
    from scipy.optimize import nnls

    errors = (predictions - targets).reshape(len(predictions), -1)
    # Weights that add up to 1 make the combined error a combination of errors; a heavy row of ones holds them to it.
    heavy = 1e4 * max(float(np.abs(errors).max()), 1e-9)
    matrix = np.vstack([errors.T, np.full(len(errors), heavy)])
    weights, _ = nnls(matrix, np.append(np.zeros(errors.shape[1]), heavy))
    return weights / weights.sum()


def _fit_fold(views: Sequence[Matrix], targets: Matrix, *, trees: int, seed: int) -> Fold:
    ranks = tuple(RankGaussTransformer.of(view) for view in views)
    learners = tuple(
        tuple(fit_learner(kind, rank(view), targets, trees=trees, seed=seed) for kind in kinds_of(view.shape[1]))
        for rank, view in zip(ranks, views, strict=True)
    )
    count = sum(map(len, learners))
    return Fold(ranks, learners, np.full(count, 1 / count))
