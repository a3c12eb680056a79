"""The onset of grokking: planted bends are found where they are, and what stands still raises few alarms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ValuesError
from axonometry.trajectory import GrokkingOnset, grokking_onset, onset_series

pytest.importorskip("ruptures")
STEPS = np.arange(100)


def table(kurtosis: np.ndarray, norm: np.ndarray | None = None) -> pd.DataFrame:
    largest_first = 9 - STEPS / 100
    return pd.DataFrame({"kurtosis": kurtosis, "norm": largest_first if norm is None else norm}, index=10 * STEPS)


def bent(at: int, seed: int, height: float = 0.2) -> np.ndarray:
    """Falls by 0.005 a record, from the bend on it rises for 15 records by the height, then stands still."""
    noise = 0.005 * np.random.default_rng(seed).normal(size=100)
    return -0.005 * np.minimum(STEPS, at) + height * np.clip(STEPS - at, 0, 15) + noise


@pytest.mark.parametrize("at", [30, 50, 70])
def test_a_bend_is_found_within_two_slopes(at: int) -> None:
    for seed in range(3):
        found = grokking_onset(table(bent(at, seed)))
        # Both slopes are of 5 records; their difference is largest from where the later one is all behind the bend
        # to where the earlier one, 10 records before, touches it.
        assert found is not None
        assert 10 * (at + 4) <= found.step <= 10 * (at + 11)
        assert found.told == found.step + 100


def test_nothing_behind_the_step_at_which_it_is_told_is_used() -> None:
    whole = table(bent(40, 0))
    found = grokking_onset(whole)
    assert found is not None
    assert grokking_onset(whole.loc[: found.told]) == found
    assert grokking_onset(whole.loc[: found.told - 10]) is None


def test_what_lies_before_the_largest_norm_is_learning_by_heart() -> None:
    norm = 9.0 - np.abs(STEPS - 60) / 100
    assert grokking_onset(table(bent(20, 0), norm)) is None


def test_a_bend_down_is_none_and_a_line_without_noise_is_none() -> None:
    assert grokking_onset(table(-bent(50, 0)).iloc[:65]) is None  # behind, it stops to fall, which is a bend up
    assert grokking_onset(table(np.ones(100))) is None


def test_a_fall_that_grows_steeper_everywhere_is_none() -> None:
    noise = 1e-4 * np.random.default_rng(0).normal(size=100)
    assert grokking_onset(table(-((STEPS / 10) ** 2) + noise)) is None


@pytest.mark.slow
@pytest.mark.parametrize("slope", [0.0, 0.5, 0.9])
def test_at_most_one_of_twenty_stationary_series_is_flagged(slope: float) -> None:
    flagged = 0
    for seed in range(20):
        series = np.random.default_rng(seed).normal(size=160)
        for step in range(1, 160):
            series[step] += slope * series[step - 1]
        one = pd.DataFrame({"kurtosis": series[60:], "norm": 9 - STEPS / 100}, index=STEPS)
        flagged += grokking_onset(one) is not None
    assert flagged <= 1


@pytest.mark.slow
def test_series_of_a_run_are_the_moments_of_its_weights(tmp_path: object) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    with ax.Recorder(f"{tmp_path}/run", model, torch.zeros(1, 4), measures=["link_weights"]) as recorder:
        recorder.record(0)
    found = onset_series(ax.load(f"{tmp_path}/run"))
    first, last = (layer.weight.detach().double() for layer in (model[0], model[2]))
    centred = last - last.mean()
    kurtosis = centred.pow(4).mean() / centred.pow(2).mean() ** 2 - 3
    assert found.loc[0, "kurtosis"] == pytest.approx(float(kurtosis), rel=1e-5)
    assert found.loc[0, "norm"] == pytest.approx(float((first.square().sum() + last.square().sum()).sqrt()), rel=1e-5)


def test_tables_that_do_not_fit() -> None:
    with pytest.raises(ValuesError, match="columns kurtosis and norm; got no norm"):
        grokking_onset(pd.DataFrame({"kurtosis": STEPS}))
    with pytest.raises(ValuesError, match="finite numbers; got NaN"):
        grokking_onset(table(np.full(100, np.nan)))
    assert GrokkingOnset(1, 2) == GrokkingOnset(1, 2)
