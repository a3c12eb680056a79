"""What is fitted for one number of known epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from axonometry.predict.ensemble import StackedEnsemble
from axonometry.predict.feature_sets import columns_for
from axonometry.predict.folds import cv_plus
from axonometry.predict.spread import relative_cv_plus


@dataclass(frozen=True)
class HorizonModel:
    """What was fitted for one number of known epochs.

    Attributes:
        views: Places of the columns that each view looks at.
        ensemble: What was learned.
        relative: Whether intervals are as wide as runs of such a prediction are uncertain
            (:func:`axonometry.predict.spread.relative_cv_plus`), rather than those of CV+ alone, as version 0.1 had.
    """

    views: tuple[Int[np.ndarray, " _"], ...]
    ensemble: StackedEnsemble
    relative: bool = True

    def look(self, values: Float[np.ndarray, "rows columns"]) -> list[Float[np.ndarray, "rows _"]]:
        """The columns of each view."""
        return [values[:, view] for view in self.views]

    def predict(self, values: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows targets"]:
        """The targets of new rows."""
        return self.ensemble.predict(self.look(values))

    def interval(self, values: Float[np.ndarray, "rows columns"], level: float) -> Float[np.ndarray, "rows 3"]:
        """The first target of new rows, with the low and high end of its interval.

        Raises:
            PredictionError: There were too few training rows for the level.
        """
        by_fold = self.ensemble.by_fold(self.look(values))
        ends = relative_cv_plus if self.relative else cv_plus
        return np.hstack([by_fold.mean(axis=0)[:, :1], ends(self.ensemble, by_fold, level)])

    @property
    def n_columns(self) -> int:
        """How many columns are looked at."""
        return len(np.unique(np.concatenate(self.views)))


def view_indices(
    columns: Sequence[str | int], features: str, epochs: int, *, named: bool
) -> dict[int, tuple[Int[np.ndarray, " _"], ...]]:
    """By number of known epochs, the places of the columns of each view; one view of all columns that say nothing.

    Args:
        columns: Their names, or numbers.
        features: The feature set.
        epochs: The most that are known.
        named: Whether the columns are features by name, of which a set can be chosen.

    Raises:
        PredictionError: There is no such set, or no column of it.

    >>> views = view_indices(["accuracy@2", "accuracy@1"], "curve", 2, named=True)
    >>> {epochs: [view.tolist() for view in of] for epochs, of in views.items()}
    {1: [[1]], 2: [[0, 1]]}
    """
    if not named:
        return {epochs: (np.arange(len(columns)),)}
    place = {str(name): number for number, name in enumerate(columns)}
    return {
        known: tuple(np.array([place[name] for name in view]) for view in columns_for(place, features, known))
        for known in range(1, epochs + 1)
    }
