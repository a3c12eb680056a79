"""Which learners a view gets, and that each is of its kind."""

from __future__ import annotations

import numpy as np

from axonometry.predict.forest import Forest
from axonometry.predict.kernel_ridge import KernelModel
from axonometry.predict.learners import KERNEL_COLUMNS, fit_learner, kinds_of


def test_kernels_are_for_few_columns() -> None:
    assert kinds_of(1) == kinds_of(KERNEL_COLUMNS) == ("trees", "kernel")
    assert kinds_of(KERNEL_COLUMNS + 1) == ("trees",)


def test_a_learner_of_each_kind() -> None:
    x, y = np.arange(8.0)[:, None], np.arange(8.0)[:, None]
    trees, kernel = (fit_learner(kind, x, y, trees=4, seed=1) for kind in ("trees", "kernel"))
    assert isinstance(trees, Forest)
    assert isinstance(kernel, KernelModel)
    assert len(trees.roots) == 4
    np.testing.assert_array_equal(trees.predict(x), Forest.fit(x, y, trees=4, seed=1).predict(x))
    assert (trees.predict(x) != Forest.fit(x, y, trees=4, seed=2).predict(x)).any()
