"""Stability selection: numbers that carry something are found, others are not; what is explained is of others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from axonometry.predict.stability import FIRST, STABLE, explained, ranked, stability


def table(networks: int = 60) -> pd.DataFrame:
    chance = np.random.default_rng(0)
    return pd.DataFrame(chance.normal(size=(networks, 20)), columns=[f"n{i}" for i in range(20)])


def test_numbers_that_carry_something_are_stable_and_no_others() -> None:
    numbers = table()
    target = numbers["n3"] - numbers["n7"] + 0.2 * numbers["n11"]
    found = stability(numbers, target, halves=40)
    assert set(found.index[:3]) == {"n3", "n7", "n11"}
    assert found.iloc[0] == 1
    assert (found > STABLE).sum() <= FIRST


def test_noise_explains_nothing() -> None:
    numbers = table()
    noise = pd.Series(np.random.default_rng(1).normal(size=60))
    assert np.mean(explained(numbers, noise, repeats=1)) < 0.2
    assert np.mean(explained(numbers, noise, few=True, repeats=1)) < 0.2  # chosen in each fold, not before


def test_few_explain_what_all_do() -> None:
    numbers = table()
    target = numbers["n3"] - numbers["n7"]
    assert np.mean(explained(numbers, target, few=True, repeats=1)) > 0.95


def test_ranks_are_normal_scores_and_what_is_missing_is_the_middle() -> None:
    found = ranked(pd.DataFrame({"a": [3.0, np.nan, 1e9, -5.0], "b": [1.0, 1.0, 1.0, 1.0]}))
    assert found["a"].tolist() == pytest.approx([0, 0, 0.967, -0.967], abs=1e-3)
    assert found["b"].tolist() == pytest.approx([0, 0, 0, 0], abs=1e-9)


def test_a_constant_number_is_never_chosen() -> None:
    numbers = table().assign(n0=1.0)
    assert stability(numbers, numbers["n1"], halves=5)["n0"] == 0
