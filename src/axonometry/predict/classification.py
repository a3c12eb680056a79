"""Classification of networks: can those of several kinds be told apart by what is measured of them?

Each set of features is given to the same learners in the same folds, and is scored by the area under the ROC curve of
one class against the rest, the mean over classes: 0.5 says nothing, 1 all. Networks that share a group, such as their
hyper-parameters, are never on both sides of a fold, and resamples draw whole groups.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from axonometry.errors import PredictionError
from axonometry.predict.evaluation import EvaluationPlan, FitTask
from axonometry.predict.folds import fold_numbers
from axonometry.predict.scores import area_under_curve, resamples
from axonometry.statistics import Estimate, estimate_of_draws

if TYPE_CHECKING:
    import pandas as pd


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


@dataclass(frozen=True)
class Discrimination:
    """How well one set of features tells the classes of networks apart.

    Attributes:
        areas: The macro AUC of the sample, then of each resample of groups.
        n: Networks.
        classes: How many classes.
    """

    areas: np.ndarray
    n: int
    classes: int

    @property
    def auc(self) -> Estimate:
        """The macro AUC."""
        return estimate_of_draws(float(self.areas[0]), self.areas[1:], self.n, within=(0.0, 1.0))

    def minus(self, other: Discrimination) -> Estimate:
        """The difference of the two AUCs, on the same resamples.

        Args:
            other: Of the same networks, by another set of features or at another time.
        """
        gains = self.areas - other.areas
        return estimate_of_draws(float(gains[0]), gains[1:], self.n, within=(-1.0, 1.0))


def discriminate(
    networks: pd.DataFrame,
    features: Sequence[str],
    plan: EvaluationPlan,
    *,
    cached: Callable[..., pd.DataFrame] | None = None,
) -> Discrimination:
    """Tell the classes of networks apart by a set of features.

    Args:
        networks: A row a network; columns ``label`` (its class), ``group``, and the features.
        features: The columns that learners see.
        plan: Folds, learners and resamples.
        cached: Calls a function with its arguments, or finds what it returned before.

    Raises:
        PredictionError: There are fewer than two classes, or too few groups.
    """
    labels, groups = list(networks["label"]), list(networks["group"])
    values = networks[list(features)].to_numpy(dtype=float)
    arguments = (_predicted, values, tuple(features), labels, groups, plan)
    frame = cached(*arguments) if cached is not None else _predicted(*arguments[1:])
    areas = macro_auc(labels, frame.to_numpy(dtype=float), resamples(groups, plan.resamples, plan.seed))
    return Discrimination(areas, len(networks), len(set(labels)))


def _predicted(
    values: np.ndarray, _features: tuple[str, ...], labels: list[str], groups: list[str], plan: EvaluationPlan
) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(out_of_fold(values, labels, groups, plan)).add_prefix("class")
