"""Classification of networks: predictions of unseen networks, and areas under ROC curves."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float

from axonometry.errors import PredictionError
from axonometry.predict.evaluation import EvaluationPlan, FitTask
from axonometry.predict.folds import fold_numbers
from axonometry.predict.scores import area_under_curve


def out_of_fold(
    features: Float[np.ndarray, "rows columns"],
    labels: Sequence[Hashable],
    groups: Sequence[Hashable],
    plan: EvaluationPlan | None = None,
) -> Float[np.ndarray, "rows classes"]:
    """How much each row looks like each class, by learners that saw no row of its group.

    The classes' indicators are predicted by least squares (forests and kernel ridge regression, combined by
    their errors on rows that they did not see), as in :class:`AccuracyPredictor`; the numbers are
    not calibrated probabilities.

    Args:
        features: A row a network.
        labels: The class of each row.
        groups: The group of each row; groups are never split between folds.
        plan: Folds, repeats (the predictions' mean), trees and seed.

    Returns:
        A column a class, the classes in the order of their first rows.

    Raises:
        PredictionError: There are fewer than two classes, or too few groups for the folds.

    >>> labels = ["relu", "tanh"] * 6
    >>> features = np.array([[float(label == "tanh")] for label in labels])
    >>> plan = EvaluationPlan(folds=3, inner_folds=2, trees=5)
    >>> out_of_fold(features, labels, range(12), plan).argmax(axis=1).tolist()
    [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
    """
    plan = plan or EvaluationPlan()
    targets = indicators(labels)
    found = np.zeros_like(targets)
    for repeat in range(plan.repeats):
        fold_of = fold_numbers(groups, plan.folds, plan.seed + repeat)
        for fold in range(plan.folds):
            new = fold_of == fold
            inside = [group for group, held in zip(groups, new, strict=True) if not held]
            task = FitTask((features[~new],), targets[~new], tuple(inside), (features[new],), plan)
            found[new] += task.fit().predict(task.test) / plan.repeats
    return found


def indicators(labels: Sequence[Hashable]) -> Float[np.ndarray, "rows classes"]:
    """1 in the column of each row's class, the classes in the order of their first rows.

    Raises:
        PredictionError: There are fewer than two classes.

    >>> indicators(["relu", "tanh", "relu"]).tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    classes = list(dict.fromkeys(labels))
    if len(classes) < 2:
        raise PredictionError("there are two classes or more to tell apart", str(len(classes)))
    return np.array([[float(label == one) for one in classes] for label in labels])


def macro_auc(
    labels: Sequence[Hashable],
    predicted: Float[np.ndarray, "rows classes"],
    counts: Float[np.ndarray, "resamples rows"],
) -> Float[np.ndarray, " resamples"]:
    """The mean over classes of the area under the ROC curve of one class against the rest, of all resamples.

    A half says that nothing is told apart. Of two classes, the two areas are taken from two columns, which agree where
    these add up to 1. A resample without a row of some class is NaN.

    Args:
        labels: The class of each row.
        predicted: Of :func:`out_of_fold`.
        counts: Of :func:`axonometry.predict.scores.resamples`.

    >>> macro_auc(["a", "a", "b"], np.array([[3.0, 0], [2, 1], [1, 2]]), np.ones((1, 3)))
    array([1.])
    """
    members = indicators(labels) > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        each = [area_under_curve(members[:, k], predicted[:, k], counts) for k in range(members.shape[1])]
    return np.mean(each, axis=0)
