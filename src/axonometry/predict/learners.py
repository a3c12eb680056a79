"""The learners under every prediction: a forest of randomised trees, and kernel ridge regression for few columns."""

from __future__ import annotations

from typing import Literal

from axonometry.predict.forest import Forest
from axonometry.predict.kernel_ridge import KernelModel
from axonometry.predict.rank_gauss import Matrix

LearnerKind = Literal["trees", "kernel"]
Learner = Forest | KernelModel

KERNEL_COLUMNS = 64
"""A kernel measures distances over all columns alike: among hundreds it sees little, and costs most."""


def kinds_of(columns: int) -> tuple[LearnerKind, ...]:
    """The kinds of learners that a view of so many columns gets.

    >>> kinds_of(64), kinds_of(65)
    (('trees', 'kernel'), ('trees',))
    """
    return ("trees", "kernel") if columns <= KERNEL_COLUMNS else ("trees",)


def fit_learner(kind: LearnerKind, scores: Matrix, targets: Matrix, *, trees: int, seed: int) -> Learner:
    """A learner of a kind, fitted to training rows.

    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 9)[:, None]
    >>> fit_learner("kernel", x, 2 * x, trees=1, seed=0).predict(np.array([[0.5]])).round(2)
    array([[1.]])
    """
    if kind == "trees":
        return Forest.fit(scores, targets, trees=trees, seed=seed)
    return KernelModel.fit(scores, targets)
