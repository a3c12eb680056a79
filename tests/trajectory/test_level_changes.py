"""Change points: planted ones are found, and stationary runs raise few alarms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from axonometry.errors import ConfigurationError, ValuesError
from axonometry.trajectory import change_points, measures_of

pytest.importorskip("ruptures")


def stationary(seed: int, steps: int = 100, slope: float = 0.5, measures: int = 4) -> np.ndarray:
    """Autocorrelated series that share half of their noise."""
    chance = np.random.default_rng(seed)
    noise = chance.normal(size=(steps + 50, measures)) + chance.normal(size=(steps + 50, 1))
    for step in range(1, len(noise)):
        noise[step] += slope * noise[step - 1]
    return noise[50:]


@pytest.mark.parametrize("slope", [0.0, 0.5, 0.8])
def test_at_most_one_of_twenty_stationary_runs_is_flagged(slope: float) -> None:
    flagged = [bool(change_points(pd.DataFrame(stationary(seed, slope=slope)))) for seed in range(20)]
    assert sum(flagged) <= 1


@pytest.mark.parametrize("at", [30, 70])
def test_a_planted_change_is_found_within_two_percent(at: int) -> None:
    for seed in range(5):
        series = stationary(seed) + 6 * (np.arange(100) >= at)[:, None]
        found = change_points(pd.DataFrame(series, index=np.arange(100) * 5))
        assert any(abs(step / 5 - at) <= 2 for step in found)


def test_two_levels_and_columns_that_say_nothing() -> None:
    level = np.select([np.arange(90) < 30, np.arange(90) < 60], [0.0, 9.0], 3.0)
    noise = np.random.default_rng(0).normal(size=90)
    table = pd.DataFrame({"a": level + noise, "same": 1.0, "lost": np.where(np.arange(90) == 5, np.nan, noise)})
    assert change_points(table) == (30, 60)
    assert change_points(table, seed=1) == (30, 60)


def test_what_has_no_change_points() -> None:
    with pytest.raises(ValuesError, match="12 steps or more; got 5"):
        change_points(pd.DataFrame({"a": np.arange(5.0)}))
    with pytest.raises(ValuesError, match="of measures that change; got none"):
        change_points(pd.DataFrame({"a": np.ones(50)}))
    with pytest.raises(ConfigurationError, match="between 0 and 1; got 2"):
        change_points(pd.DataFrame({"a": np.arange(50.0)}), false_alarms=2.0)


def test_the_measures_of_a_run_as_a_table() -> None:
    rows = [(s, g, "m", t, float(s)) for s in (0, 1) for g in ("a", "b") for t in ("mean", "count")]
    table = measures_of(pd.DataFrame(rows, columns=["step", "group", "metric", "statistic", "value"]), ["m"])
    assert table.shape == (2, 2)


def test_a_table_without_measures_is_refused() -> None:
    with pytest.raises(ValuesError, match="measures that change; got none"):
        change_points(pd.DataFrame(index=range(20)))
    with pytest.raises(ValuesError, match="measures that change; got none"):
        change_points(pd.DataFrame({"a": []}))
