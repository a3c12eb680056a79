"""Statistics by counting agree with numpy's and scipy's on every type."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from axonometry.checkpoints.element_types import as_array
from axonometry.checkpoints.entry_statistics import PROBABILITIES, distance_from, entry_statistics

TYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
    *(torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool),
)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("size", [1, 2, 7, 1000, 2**20 + 3])
def test_every_statistic_is_numpys(dtype: torch.dtype, size: int) -> None:
    numbers = torch.randn(size, dtype=torch.float64)
    tensor = (numbers > 0 if dtype == torch.bool else numbers * (1 if dtype.is_floating_point else 20)).to(dtype)
    found, x = entry_statistics(*as_array(tensor)), tensor.double().numpy()
    assert (found.count, found.nonfinite, found.zeros) == (size, 0, int((x == 0).sum()))
    assert (found.minimum, found.maximum) == (x.min(), x.max())
    assert found.mean == pytest.approx(x.mean(), rel=1e-9, abs=1e-9)
    assert found.std == pytest.approx(x.std(), rel=1e-9)
    assert found.norm == pytest.approx(np.linalg.norm(x), rel=1e-9)
    assert found.quantiles == pytest.approx(np.quantile(x, PROBABILITIES), rel=1e-12, abs=1e-15)
    if x.std():
        assert found.skewness == pytest.approx(scipy.stats.skew(x), rel=1e-6, abs=1e-9)
        assert found.kurtosis == pytest.approx(scipy.stats.kurtosis(x), rel=1e-6, abs=1e-9)
    assert found.distribution.counts.sum() == size
    assert (np.diff(found.distribution.edges) > 0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_broken_numbers_are_counted_and_enter_nothing_else(dtype: torch.dtype) -> None:
    tensor = torch.tensor([1.0, math.nan, 3.0, math.inf, -math.inf, 0.0, -0.0]).to(dtype)
    found = entry_statistics(*as_array(tensor))
    assert (found.count, found.nan, found.infinite, found.zeros, found.finite) == (7, 1, 2, 2, 4)
    assert (found.mean, found.minimum, found.maximum, found.quantiles[2]) == (1.0, 0.0, 3.0, 0.5)
    only = entry_statistics(*as_array(torch.full((3,), math.nan).to(dtype)))
    assert only.nan == 3
    assert all(map(math.isnan, (only.mean, only.std, only.minimum, *only.quantiles)))
    assert entry_statistics(*as_array(torch.zeros(0, 3).to(dtype))).count == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_one_value_and_extreme_values(dtype: torch.dtype) -> None:
    same = entry_statistics(*as_array(torch.full((5000,), 0.1).to(dtype)))
    value = float(torch.tensor(0.1).to(dtype))
    assert (same.mean, same.std, same.skewness, same.kurtosis, same.quantiles[0]) == (value, 0.0, 0.0, 0.0, value)
    large = torch.tensor([3e38, 3e38, -3e38, 1.0]).to(dtype)
    found = entry_statistics(*as_array(large))
    assert found.nonfinite == 0
    assert found.maximum == float(large.double().max())
    assert found.quantiles == pytest.approx(np.quantile(large.double().numpy(), PROBABILITIES), rel=1e-12)


def test_far_from_zero_no_digit_is_lost() -> None:
    x = torch.randn(100_000, dtype=torch.float64) + 1e6
    found = entry_statistics(*as_array(x.float()))
    exact = x.float().double().numpy()
    assert found.std == pytest.approx(exact.std(), rel=1e-9)
    assert found.kurtosis == pytest.approx(scipy.stats.kurtosis(exact), rel=1e-5, abs=1e-5)


def test_complex_numbers_count_their_parts() -> None:
    found = entry_statistics(*as_array(torch.tensor([1 + 2j, 3 - 4j])))
    assert (found.count, found.mean, found.minimum, found.maximum) == (4, 0.5, -4.0, 3.0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_the_distance_from_a_formula_is_scipys(dtype: torch.dtype) -> None:
    x = torch.randn(20_000).to(dtype)
    found = distance_from(entry_statistics(*as_array(x)).distribution, scipy.stats.norm.cdf)
    exact = scipy.stats.kstest(torch.randn(1).double().numpy() * 0 + x.double().numpy(), "norm").statistic
    assert found < 1.63 / math.sqrt(len(x))
    assert found == pytest.approx(exact, abs=0.004)
    assert distance_from(entry_statistics(*as_array(x * 1.2)).distribution, scipy.stats.norm.cdf) > 0.03
