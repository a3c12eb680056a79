"""The two learners under every prediction, as plain arrays: a forest of randomised trees and a kernel machine.

scikit-learn grows the trees. What was grown is kept in arrays of our own, because a saved scikit-learn tree holds node
numbers that are followed unchecked: a file from a stranger could make it read anywhere. Here every number is checked
when a file is opened (:meth:`Forest.check`), and nothing but numbers is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float, Float32, Int32

from axonometry.errors import PredictionError

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesRegressor

Matrix = Float[np.ndarray, "_ _"]

_LEVELS = 64
_EDGE = 2.5  # how many standard deviations out the least and the greatest value are put
_LENGTHS = (0.5, 2.0, 8.0)
_PENALTIES = np.logspace(-3, 2, 11)
_SHARE, _MOST_TRIED = 0.2, 100  # of the columns, that a split is chosen from; more take longer and tell no more


@dataclass(frozen=True)
class RankGaussTransformer:
    """Each column by its rank among the training rows, laid on a normal law: no unit and no outlier matters.

    What is NaN, in training or later, counts as less than everything, so that networks that have diverged stand apart.

    Attributes:
        columns: Places of the columns that are used.
        grid: Their quantiles at even levels, a column each.
    """

    columns: Int32[np.ndarray, " used"]
    grid: Float[np.ndarray, "levels used"]

    @classmethod
    def of(cls, values: Matrix) -> RankGaussTransformer:
        """The ranks of training rows; columns that are constant are left out, but for one if all are."""
        ordered = np.sort(_ordered(values), axis=0)
        varies = np.flatnonzero(ordered[0] < ordered[-1])
        varies = varies if len(varies) else np.array([0])
        places = np.linspace(0, len(ordered) - 1, min(_LEVELS, len(ordered))).round().astype(int)
        return cls(varies.astype(np.int32), ordered[places][:, varies])

    def __call__(self, values: Matrix) -> Float[np.ndarray, "rows used"]:
        """Normal scores of rows."""
        from scipy.special import ndtri

        wanted, grid = _ordered(values)[:, self.columns], self.grid
        # All columns at once, level by level: of few rows, one call a column would cost more than what it finds.
        below, reached = np.zeros(wanted.shape, np.int16), np.zeros(wanted.shape, np.int16)
        for level in grid:
            below += level < wanted
            reached += level <= wanted
        # Where many training rows are equal, their rank is the middle one of the levels that they fill.
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


@dataclass(frozen=True)
class Forest:
    """Extremely randomised trees (Geurts et al. 2006), all their nodes in one list; a leaf is its own child.

    Attributes:
        roots: Each tree's first node.
        left: The next node where the column is at most the threshold.
        right: The next node elsewhere.
        column: What is compared.
        threshold: With what.
        value: What the node predicts.
        depth: The longest way from a root to a leaf.
    """

    roots: Int32[np.ndarray, " trees"]
    left: Int32[np.ndarray, " nodes"]
    right: Int32[np.ndarray, " nodes"]
    column: Int32[np.ndarray, " nodes"]
    threshold: Float[np.ndarray, " nodes"]
    value: Float[np.ndarray, "nodes targets"]
    depth: int

    @classmethod
    def grow(cls, scores: Matrix, targets: Matrix, *, trees: int, seed: int) -> Forest:
        """Trees grown on training rows."""
        from sklearn.ensemble import ExtraTreesRegressor

        share = min(max(1, round(_SHARE * scores.shape[1])), _MOST_TRIED)
        grown = ExtraTreesRegressor(trees, max_features=share, min_samples_leaf=2, random_state=seed)
        grown.fit(scores, targets if targets.shape[1] > 1 else targets[:, 0])
        return cls._of(grown)

    @classmethod
    def _of(cls, grown: ExtraTreesRegressor) -> Forest:
        trees = [estimator.tree_ for estimator in grown.estimators_]
        starts = np.cumsum([0, *(tree.node_count for tree in trees)])
        own = np.arange(starts[-1])
        leaf = np.concatenate([tree.children_left for tree in trees]) < 0
        shift = np.repeat(starts[:-1], np.diff(starts))
        left, right = (
            np.concatenate([getattr(tree, f"children_{side}") for tree in trees]) for side in ("left", "right")
        )
        return cls(
            roots=starts[:-1].astype(np.int32),
            left=np.where(leaf, own, left + shift).astype(np.int32),
            right=np.where(leaf, own, right + shift).astype(np.int32),
            column=np.where(leaf, 0, np.concatenate([tree.feature for tree in trees])).astype(np.int32),
            threshold=np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees])),
            value=np.concatenate([tree.value[:, :, 0] for tree in trees]),
            depth=max(tree.max_depth for tree in trees),
        )

    def __call__(self, scores: Matrix) -> Float[np.ndarray, "rows targets"]:
        """The mean of the trees' predictions."""
        rows = np.arange(len(scores))
        scores = scores.astype(np.float32)  # as scikit-learn compares
        node = np.broadcast_to(self.roots[:, None], (len(self.roots), len(rows)))
        for _ in range(self.depth):
            down = scores[rows, self.column[node]] <= self.threshold[node]
            node = np.where(down, self.left[node], self.right[node])
        return self.value[node].mean(axis=0)

    def check(self, columns: int) -> None:
        """Every number that is followed leads somewhere.

        Args:
            columns: How many there are to compare.

        Raises:
            PredictionError: One does not.
        """
        nodes, own = len(self.value), np.arange(len(self.value))
        lengths = {len(self.left), len(self.right), len(self.column), len(self.threshold)}
        ways = [self.left, self.right]
        if (
            lengths != {nodes}
            or any(bool(((way < own) | (way >= nodes)).any()) for way in ways)
            or bool(((self.column < 0) | (self.column >= columns)).any())
            or bool(((self.roots < 0) | (self.roots >= nodes)).any())
            or not (0 <= self.depth < max(nodes, 1) and len(self.roots))
        ):
            raise PredictionError("a saved forest's nodes lead down to its leaves", "one whose nodes do not")


@dataclass(frozen=True)
class Kernel:
    """Kernel ridge regression; kernel and penalty are those of least leave-one-out error.

    Attributes:
        rows: The training rows' scores.
        weights: What each of them counts.
        mean: The targets' mean.
        length: Squared length of the Gaussian kernel over the number of columns; infinite for the linear kernel.
    """

    rows: Float32[np.ndarray, "training columns"]
    weights: Float[np.ndarray, "training targets"]
    mean: Float[np.ndarray, " targets"]
    length: float

    @classmethod
    def fitted(cls, scores: Matrix, targets: Matrix) -> Kernel:
        """The machine of training rows."""
        rows = scores.astype(np.float32)
        mean = targets.mean(axis=0)
        _, weights, length = min(
            (_ridge(_similarity(rows, rows, length), targets - mean, length) for length in (*_LENGTHS, np.inf)),
            key=lambda found: found[0],
        )
        return cls(rows, weights, mean, float(length))

    def __call__(self, scores: Matrix) -> Float[np.ndarray, "rows targets"]:
        """Predictions of rows."""
        return self.mean + _similarity(scores.astype(np.float32), self.rows, self.length) @ self.weights

    def check(self, columns: int) -> None:
        """The parts go together.

        Args:
            columns: How many the training rows have.

        Raises:
            PredictionError: They do not.
        """
        fits = self.rows.ndim == self.weights.ndim == 2 and len(self.rows) == len(self.weights)
        if not (fits and self.rows.shape[1] == columns and self.mean.shape == self.weights.shape[1:]):
            raise PredictionError("a saved kernel machine's parts have sizes that go together", "sizes that do not")


Kind = Literal["trees", "kernel"]


def fit_learner(kind: Kind, scores: Matrix, targets: Matrix, *, trees: int, seed: int) -> Forest | Kernel:
    """A learner of a kind, fitted to training rows."""
    if kind == "trees":
        return Forest.grow(scores, targets, trees=trees, seed=seed)
    return Kernel.fitted(scores, targets)


def _ordered(values: Matrix) -> Matrix:
    """The numbers with every NaN below all others."""
    return np.where(np.isnan(values), -np.inf, values).clip(-1e300, 1e300)


def _similarity(
    a: Float32[np.ndarray, "a k"], b: Float32[np.ndarray, "b k"], length: float
) -> Float[np.ndarray, "a b"]:
    products = (a @ b.T).astype(np.float64)
    columns = max(1, a.shape[1])
    if np.isinf(length):
        return products / columns
    squares = [np.square(part, dtype=np.float64).sum(axis=1) for part in (a, b)]
    distances = np.maximum(squares[0][:, None] + squares[1] - 2 * products, 0.0)
    return np.exp(-distances / (length * columns))


def _ridge(kernel: Matrix, targets: Matrix, length: float) -> tuple[float, Matrix, float]:
    """Least leave-one-out error over the penalties, the weights that have it, and the length they belong to."""
    values, vectors = np.linalg.eigh(kernel)
    turned = vectors.T @ targets
    found = []
    for penalty in _PENALTIES:
        inverse = 1 / (np.maximum(values, 0) + penalty)
        weights = vectors @ (inverse[:, None] * turned)
        # The residual of a row that was left out is its weight over the inverse's diagonal entry.
        left_out = weights / (np.square(vectors) @ inverse)[:, None]
        found.append((float(np.square(left_out).mean()), weights, length))
    return min(found, key=lambda entry: entry[0])
