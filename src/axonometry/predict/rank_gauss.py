"""The rank transform before every learner: columns by rank, as normal scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int32

from axonometry.errors import PredictionError

Matrix = Float[np.ndarray, "_ _"]

_LEVELS = 64
_EDGE = 2.5  # how many standard deviations out the least and the greatest value are put


@dataclass(frozen=True)
class RankGaussTransformer:
    """Each column by its rank among the training rows, as normal scores: units and outliers do not matter.

    NaN, in training or later, counts as less than everything, so that networks that have diverged stand apart.

    Attributes:
        columns: Places of the columns that are used.
        grid: Their quantiles at even levels, a column each.

    >>> transformer = RankGaussTransformer.fit(np.array([[1.0], [10.0], [100.0]]))
    >>> transformer.transform(np.array([[1.0], [10.0], [1e6]]))[:, 0].tolist()
    [-2.5, 0.0, 2.5]
    """

    columns: Int32[np.ndarray, " used"]
    grid: Float[np.ndarray, "levels used"]

    @classmethod
    def fit(cls, values: Matrix) -> RankGaussTransformer:
        """The quantiles of training rows; constant columns are left out, but for the first where all are constant.

        >>> transformer = RankGaussTransformer.fit(np.array([[5.0, 1.0], [5.0, 3.0], [5.0, 9.0]]))
        >>> transformer.columns.tolist(), transformer.grid[:, 0].tolist()
        ([1], [1.0, 3.0, 9.0])
        """
        ordered = np.sort(_ordered(values), axis=0)
        varies = np.flatnonzero(ordered[0] < ordered[-1])
        # A view keeps one column at least: its learners are fitted to something, and their number is known beforehand.
        varies = varies if len(varies) else np.array([0])
        places = np.linspace(0, len(ordered) - 1, min(_LEVELS, len(ordered))).round().astype(int)
        return cls(varies.astype(np.int32), ordered[places][:, varies])

    def transform(self, values: Matrix) -> Float[np.ndarray, "rows used"]:
        """Normal scores of rows: the normal quantile of each value's level among the training rows, within +-2.5.

        >>> transformer = RankGaussTransformer.fit(np.array([[1.0], [3.0], [9.0]]))
        >>> transformer.transform(np.array([[0.0], [3.0], [6.0], [np.nan]]))[:, 0].round(3).tolist()
        [-2.5, 0.0, 0.674, -2.5]
        """
        from scipy.special import ndtri

        wanted, grid = _ordered(values)[:, self.columns], self.grid
        # All columns at once, level by level: of few rows, one call a column would cost more than what it finds.
        below, reached = np.zeros(wanted.shape, np.int16), np.zeros(wanted.shape, np.int16)
        for level in grid:
            below += level < wanted
            reached += level <= wanted
        # Of the grid 1, 2, 2, 4 the value 2 has one level below it and reaches three: it fills the levels 1 and 2 and
        # stands at their middle, (1 + 3 - 1) / 2 = 1.5. The value 3 reaches three and has three below: it lies halfway
        # between the levels 2 and 3, at (3 + 3 - 1) / 2 = 2.5, plus its place between 2 and 4 less one half.
        places = (below + reached - 1) / 2
        between = (below == reached) & (below > 0) & (below < len(grid))
        rows, columns = np.nonzero(between)
        under, over = (grid[reached[rows, columns] - step, columns] for step in (1, 0))
        places[rows, columns] += (wanted[rows, columns] - under) / (over - under) - 0.5
        return np.clip(ndtri(places.clip(0, len(grid) - 1) / (len(grid) - 1)), -_EDGE, _EDGE)

    def check(self, columns: int) -> None:
        """The columns are there, and every one has its quantiles, which ascend.

        Args:
            columns: How many the view has.

        Raises:
            PredictionError: It is not so.
        """
        places = self.columns
        if (
            places.ndim != 1
            or self.grid.shape[1:] != places.shape
            or len(self.grid) < 2
            or bool(((places < 0) | (places >= columns)).any())
            or not bool((np.diff(self.grid, axis=0) >= 0).all())
        ):
            raise PredictionError("a saved predictor's quantiles belong to its columns", "others")


def _ordered(values: Matrix) -> Matrix:
    """The numbers with every NaN below all others."""
    return np.where(np.isnan(values), -np.inf, values).clip(-1e300, 1e300)
