"""A forest of randomised trees as plain arrays.

scikit-learn grows the trees. They are kept in arrays because a saved scikit-learn tree holds node numbers that are
followed unchecked: a forged file could make it read anywhere in memory. Here every number is checked when a file is
opened (:meth:`Forest.check`), and the file holds nothing but numbers.

A tree that asks ``x0 <= 3`` and then predicts 0.2 or 0.8 has three nodes::

    node       0    1    2
    left       1    1    2      a leaf is its own child, so that a walk of `depth` steps ends in a leaf
    right      2    1    2
    threshold  3    0    0
    value    0.5  0.2  0.8
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int32

from axonometry.errors import PredictionError
from axonometry.predict.rank_gauss import Matrix

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesRegressor

_SHARE, _MOST_TRIED = 0.2, 100  # of the columns, that a split is chosen from; more take longer and tell no more


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

    >>> leaf = Forest(*[np.array([0], np.int32)] * 4, np.zeros(1), np.array([[0.25]]), 0)  # one node
    >>> leaf.predict(np.zeros((2, 1))).ravel().tolist()
    [0.25, 0.25]
    """

    roots: Int32[np.ndarray, " trees"]
    left: Int32[np.ndarray, " nodes"]
    right: Int32[np.ndarray, " nodes"]
    column: Int32[np.ndarray, " nodes"]
    threshold: Float[np.ndarray, " nodes"]
    value: Float[np.ndarray, "nodes targets"]
    depth: int

    @classmethod
    def fit(cls, scores: Matrix, targets: Matrix, *, trees: int, seed: int) -> Forest:
        """Trees grown on training rows; a leaf holds two rows or more.

        Args:
            scores: Training rows.
            targets: A column a target.
            trees: How many.
            seed: Of the splits.

        >>> forest = Forest.fit(np.arange(4.0)[:, None], np.array([[0.0], [0.0], [1.0], [1.0]]), trees=1, seed=1)
        >>> len(forest.roots), forest.predict(np.array([[0.0], [3.0]])).shape
        (1, (2, 1))
        """
        from sklearn.ensemble import ExtraTreesRegressor

        share = min(max(1, round(_SHARE * scores.shape[1])), _MOST_TRIED)
        grown = ExtraTreesRegressor(trees, max_features=share, min_samples_leaf=2, random_state=seed)
        grown.fit(scores, targets if targets.shape[1] > 1 else targets[:, 0])
        return cls.from_scikit_learn(grown)

    @classmethod
    def from_scikit_learn(cls, grown: ExtraTreesRegressor) -> Forest:
        """The same trees in arrays; predictions are equal to the last digit."""
        trees = [estimator.tree_ for estimator in grown.estimators_]
        starts = np.cumsum([0, *(tree.node_count for tree in trees)])
        own = np.arange(starts[-1])
        leaf = np.concatenate([tree.children_left for tree in trees]) < 0
        # scikit-learn numbers each tree's nodes from 0. In one list the second tree begins behind the first: with 3 and
        # 5 nodes, node 1 of tree 1 is node 4.
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

    def predict(self, scores: Matrix) -> Float[np.ndarray, "rows targets"]:
        """The mean of the trees' predictions."""
        rows = np.arange(len(scores))
        scores = scores.astype(np.float32)  # as scikit-learn compares
        # All rows go down all trees at once, a level a step; who has arrived stays, since a leaf is its own child. A
        # deep tree costs the others steps that change nothing, which is still far less than a walk in Python.
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
        # Links only to the node itself or to later ones: then no walk goes round in a circle, whatever a file says, and
        # one of `depth` steps ends.
        nodes, own = len(self.value), np.arange(len(self.value))
        lengths = {len(self.left), len(self.right), len(self.column), len(self.threshold)}
        ways = [self.left, self.right]
        if (
            lengths != {nodes}
            or any(bool(((way < own) | (way >= nodes)).any()) for way in ways)
            or bool(((self.column < 0) | (self.column >= columns)).any())
            or bool(((self.roots < 0) | (self.roots >= nodes)).any())
            or not (0 <= self.depth < max(nodes, 1) and len(self.roots))
            or not self._ends_in_leaves()
        ):
            raise PredictionError("a saved forest's nodes lead down to its leaves", "one whose nodes do not")

    def _ends_in_leaves(self) -> bool:
        """Whether every way of ``depth`` steps ends in a leaf; a value on the way is no prediction."""
        here = np.unique(self.roots)
        for _ in range(self.depth):
            below = np.unique(np.concatenate([self.left[here], self.right[here]]))
            if np.array_equal(below, here):
                break
            here = below
        return bool((self.left[here] == here).all() and (self.right[here] == here).all())
