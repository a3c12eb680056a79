"""The rank transform against its definition: the share of training rows below, equal ones in the middle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import ndtri

from axonometry.errors import PredictionError
from axonometry.predict.rank_gauss import RankGaussTransformer

VALUES = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=True, width=32))


def test_levels_by_hand() -> None:
    ranks = RankGaussTransformer.fit(np.array([[1.0], [2.0], [2.0], [4.0], [np.nan]]))
    # The levels 0, 1/4, 1/2, 3/4, 1 belong to NaN, 1, 2, 2, 4.
    levels = {np.nan: 0.0, 1.0: 0.25, 1.5: 0.375, 2.0: 0.625, 3.0: 0.875, 4.0: 1.0, 9.0: 1.0}
    scores = ranks.transform(np.array(list(levels))[:, None])[:, 0]
    np.testing.assert_allclose(scores, np.clip(ndtri(list(levels.values())), -2.5, 2.5), atol=1e-12)


@given(st.lists(VALUES, min_size=2, max_size=80), st.lists(VALUES, min_size=1, max_size=10))
def test_equal_to_interpolation_forwards_and_backwards(training: list[float], new: list[float]) -> None:
    values, wanted = np.array(training)[:, None], np.array(new)[:, None]
    ranks = RankGaussTransformer.fit(values)
    grid, levels = ranks.grid[:, 0], np.linspace(0, 1, len(ranks.grid))
    plain = np.where(np.isnan(wanted[:, 0]), -1e300, wanted[:, 0]).clip(-1e300, 1e300)
    both = np.interp(plain, grid, levels) + 1 - np.interp(-plain, -grid[::-1], levels)
    np.testing.assert_allclose(ranks.transform(wanted)[:, 0], np.clip(ndtri(both / 2), -2.5, 2.5), atol=1e-6)


def test_many_rows_are_each_row_alone() -> None:
    values = np.random.default_rng(0).normal(size=(200, 7)).round(1)
    ranks = RankGaussTransformer.fit(values)
    alone = np.vstack([ranks.transform(row[None]) for row in values])
    np.testing.assert_array_equal(ranks.transform(values), alone)


def test_quantiles_that_descend_are_refused() -> None:
    ranks = RankGaussTransformer(np.array([0], np.int32), np.array([[1.0], [0.0]]))
    with pytest.raises(PredictionError, match="quantiles belong to its columns"):
        ranks.check(1)
