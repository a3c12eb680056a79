"""Coverage by predicted third, exact shares, and intervals that are never of zero width."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, binomtest

from axonometry.predict.coverage import coverage_by_third, opened_ends
from axonometry.statistics import Estimate, share_estimate


def frame(n: int = 9) -> pd.DataFrame:
    predicted = np.linspace(0.1, 0.9, n)
    columns = {"run": [f"r{i}" for i in range(n)], "predicted": predicted, "truth": predicted + 0.1}
    return pd.DataFrame(columns).assign(features="curve", epochs=1, repeat=0, low=predicted - 0.05, high=predicted + 1)


def ends(one: Estimate) -> tuple[float, float, float]:
    return one.value, one.low, one.high


@pytest.mark.parametrize(("count", "n"), [(0, 7), (3, 7), (7, 7), (1, 1)])
def test_exact_shares_are_scipys(count: int, n: int) -> None:
    expected = binomtest(count, n).proportion_ci(0.9)
    assert ends(share_estimate(count, n, level=0.9)) == pytest.approx((count / n, expected.low, expected.high))


def test_an_exact_share_covers() -> None:
    n, p = 12, 0.8
    probabilities = binom.pmf(range(n + 1), n, p)
    covered = sum(q for k, q in enumerate(probabilities) if share_estimate(k, n).low <= p <= share_estimate(k, n).high)
    assert covered >= 0.95


def test_thirds_are_by_prediction_and_of_even_size() -> None:
    runs = frame(10)
    runs.loc[runs["predicted"] > 0.65, "high"] = runs["predicted"] + 0.05  # the truth lies above these
    found = coverage_by_third(runs.sample(frac=1, random_state=0))
    assert found["third"].tolist() == ["low", "middle", "high"]
    assert found["n"].tolist() == [4, 3, 3]
    assert found["covered"].tolist() == [1, 1, 0]
    assert found["width"].to_numpy() == pytest.approx([1.05, 1.05, 0.1])
    assert found["low"].iloc[0] == pytest.approx(share_estimate(4, 4).low)


def test_ends_count_as_inside() -> None:
    runs = frame(3).assign(low=lambda f: f["truth"], high=lambda f: f["truth"])
    assert coverage_by_third(runs)["covered"].tolist() == [1, 1, 1]


def test_only_the_first_repeat_counts_and_runs_without_an_interval_do_not() -> None:
    again = frame().assign(repeat=1, low=5.0, high=6.0)
    missing = frame(3).assign(run=["x", "y", "z"], low=np.nan, high=np.nan)
    found = coverage_by_third(pd.concat([frame(), again, missing]))
    assert found["n"].sum() == 9
    assert (found["covered"] == 1).all()


@pytest.mark.parametrize(("value", "low", "high"), [(1.0, 1 - 0.308, 1.0), (0.0, 0.0, 0.308), (0.5, 0.5, 0.808)])
def test_no_interval_of_zero_width(value: float, low: float, high: float) -> None:
    assert opened_ends(value, value, value, 10) == pytest.approx((low, high), abs=1e-3)


def test_other_intervals_stay() -> None:
    assert opened_ends(0.5, 0.4, 0.6, 10) == (0.4, 0.6)
    assert np.isnan(opened_ends(0.5, float("nan"), 0.6, 10)[0])
