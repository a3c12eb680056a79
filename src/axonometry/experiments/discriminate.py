"""Classification between conditions: can networks of several kinds be told apart by what is measured of them?

Each set of features is given to the same learners in the same folds, and is scored by the area under the ROC curve of
one class against the rest, the mean over classes: 0.5 says nothing, 1 all. Networks that share a group, such as their
hyper-parameters, are never on both sides of a fold, and resamples draw whole groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from axonometry.predict.classification import macro_auc, out_of_fold
from axonometry.predict.evaluation import EvaluationPlan
from axonometry.predict.scores import resamples
from axonometry.statistics import Estimate, estimate_of_draws

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.experiments.experiment import Context


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
        return estimate_of_draws(float(self.areas[0]), self.areas[1:], self.n)

    def minus(self, other: Discrimination) -> Estimate:
        """The difference of the two AUCs, on the same resamples.

        Args:
            other: Of the same networks, by another set of features or at another time.
        """
        return estimate_of_draws(float(self.areas[0] - other.areas[0]), self.areas[1:] - other.areas[1:], self.n)


def discriminate(
    networks: pd.DataFrame, features: Sequence[str], plan: EvaluationPlan, context: Context
) -> Discrimination:
    """Tell the classes of networks apart by a set of features.

    Args:
        networks: A row a network; columns ``label`` (its class), ``group``, and the features.
        features: The columns that learners see.
        plan: Folds, learners and resamples.
        context: Where predictions are cached.

    Raises:
        PredictionError: There are fewer than two classes, or too few groups.
    """
    values = networks[list(features)].to_numpy(dtype=float)
    labels, groups = list(networks["label"]), list(networks["group"])
    predicted = context.cached(_predicted, values, tuple(features), labels, groups, plan).to_numpy(dtype=float)
    areas = macro_auc(labels, predicted, resamples(groups, plan.resamples, plan.seed))
    return Discrimination(areas, len(networks), len(set(labels)))


def _predicted(
    values: np.ndarray, _features: tuple[str, ...], labels: list[str], groups: list[str], plan: EvaluationPlan
) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(out_of_fold(values, labels, groups, plan)).add_prefix("class")
