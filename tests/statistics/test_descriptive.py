"""Moments against float64 oracles, on benign and on nasty numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from torch import Tensor

from axonometry.statistics import Moments, descriptive, moments


def oracle(values: Tensor) -> Moments:
    """The moments in extended precision, by their definitions."""
    x = values.double().numpy().ravel().astype(np.longdouble)
    finite = x[np.isfinite(x)]
    d = finite - finite.mean()
    variance = (d * d).mean()
    constant = finite.min() == finite.max()
    return Moments(
        count=x.size,
        nonfinite=x.size - finite.size,
        mean=float(finite.mean()),
        median=float(np.median(finite)),
        std=float(np.sqrt(variance)),
        skewness=0.0 if constant else float((d**3).mean() / variance**1.5),
        kurtosis=0.0 if constant else float((d**4).mean() / variance**2 - 3),
        minimum=float(finite.min()),
        maximum=float(finite.max()),
    )


def assert_close(found: Moments, expected: Moments, tolerance: float) -> None:
    """Relative closeness: the mean in units of the spread, kurtosis as the ratio m4/m2^2 that it comes from."""
    assert (found.count, found.nonfinite) == (expected.count, expected.nonfinite)
    spread = expected.std + abs(expected.mean) * 1e-9
    assert found.mean == pytest.approx(expected.mean, abs=tolerance * spread)
    assert found.std == pytest.approx(expected.std, rel=tolerance)
    assert found.skewness == pytest.approx(expected.skewness, rel=tolerance, abs=tolerance)
    assert found.kurtosis + 3 == pytest.approx(expected.kurtosis + 3, rel=tolerance)
    # A product with a gain may have been rounded to float32.
    assert found.median == pytest.approx(expected.median, rel=1e-6)
    assert found.minimum == pytest.approx(expected.minimum, rel=1e-6)
    assert found.maximum == pytest.approx(expected.maximum, rel=1e-6)


MANY = 600_000  # More than one block.
SAMPLES = {
    "gaussian": lambda: torch.randn(MANY),
    "shifted": lambda: torch.randn(MANY) * 0.1 + 10,
    "far shifted": lambda: torch.randn(MANY) + 1000,
    "tiny": lambda: torch.rand(MANY) * 1e-12,
    "denormal squares": lambda: torch.rand(MANY) * 1e-30,
    "fourth powers overflow": lambda: torch.randn(MANY) * 1e15,
    "skewed": lambda: torch.randn(MANY).exp(),
    "one outlier": lambda: torch.cat([torch.randn(MANY), torch.tensor([1e4])]),
    "one outlier a million times the rest": lambda: torch.cat([torch.randn(1000) * 1e-6, torch.tensor([1.0])]),
    "not contiguous": lambda: torch.randn(1000, 700, dtype=torch.float64).t(),
    "float64 shifted": lambda: torch.randn(MANY, dtype=torch.float64) * 1e-3 + 1e5,
    "float64 huge": lambda: torch.randn(1000, dtype=torch.float64) * 1e200,
    "float64 tiny": lambda: torch.randn(1000, dtype=torch.float64) * 1e-200,
    "integers": lambda: torch.randint(-5, 100, (1000, 7)),
    "two": lambda: torch.tensor([1.0, -1.0]),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_agrees_with_the_definitions(name: str) -> None:
    values = SAMPLES[name]()
    assert_close(moments(values), oracle(values), 1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shift", [0.0, 10.0])
def test_half_precision_is_accumulated_exactly(dtype: torch.dtype, shift: float) -> None:
    values = (torch.randn(MANY) * 0.1 + shift).to(dtype)
    assert_close(moments(values), oracle(values), 1e-5)


def test_float8_is_read() -> None:
    values = torch.randn(1000).to(torch.float8_e4m3fn)
    assert_close(moments(values), oracle(values), 1e-5)


@pytest.mark.parametrize("shape", [(7,), (600, 3, 3), (2, 2, 270_000), (2, 0)])
@pytest.mark.parametrize("axis", [0, 1])
def test_gain_multiplies_along_its_axis(shape: tuple[int, ...], axis: int) -> None:
    axis = min(axis, len(shape) - 1)
    gain = torch.randn([size if i == axis else 1 for i, size in enumerate(shape)])
    for values in (torch.randn(shape), torch.randn(shape[::-1]).permute(*range(len(shape) - 1, -1, -1))):
        found = moments(values, gain=gain)
        if values.numel():
            # The product itself is rounded to float32, and so are the extremes.
            assert_close(found, oracle(values * gain), 1e-5)
        else:
            assert found.count == 0


def test_gain_of_half_precision_is_not_rounded_to_half() -> None:
    values, gain = torch.randn(100, 5).bfloat16(), torch.rand(100, 1).bfloat16()
    assert_close(moments(values, gain=gain), oracle(values.double() * gain.double()), 1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_nonfinite_entries_are_counted_and_left_out(bad: float, dtype: torch.dtype) -> None:
    values = torch.randn(1000).to(dtype)
    broken = values.clone()
    broken[::100] = bad
    found = moments(broken)
    assert found.nonfinite == 10
    assert_close(found, oracle(broken), 1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_without_a_finite_entry_there_are_no_moments(bad: float) -> None:
    found = moments(torch.full((5,), bad))
    assert (found.count, found.nonfinite) == (5, 5)
    assert all(math.isnan(getattr(found, name)) for name in ("mean", "median", "std", "skewness", "minimum", "maximum"))


def test_empty_tensor() -> None:
    found = moments(torch.empty(0, 3))
    assert (found.count, found.nonfinite) == (0, 0)
    assert math.isnan(found.mean)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e38, 1e-42])
def test_constant_has_no_spread_and_no_shape(value: float) -> None:
    found = moments(torch.full((1001,), value))
    exact = torch.tensor(value).item()
    assert found == Moments(1001, 0, exact, exact, 0.0, 0.0, 0.0, exact, exact)


def test_scalar_and_one_neuron() -> None:
    assert moments(torch.tensor(2.0)).mean == 2.0
    assert moments(torch.tensor([2.0]), gain=torch.tensor([0.5])).mean == 1.0


def test_values_and_gradients_are_left_alone() -> None:
    values = torch.randn(100, requires_grad=True)
    before = values.detach().clone()
    moments(values, gain=torch.rand(100))
    moments(values + 10)
    assert torch.equal(values, before)
    assert values.grad is None


def test_median_only_when_asked() -> None:
    assert math.isnan(moments(torch.arange(5.0), median=False).median)
    assert moments(torch.tensor([3.0, 1.0, 2.0, 10.0])).median == 2.5


def test_scipy_agrees() -> None:
    values = torch.randn(5000).exp()
    x = values.double().numpy()
    found = moments(values)
    assert found.skewness == pytest.approx(stats.skew(x), rel=1e-6)
    assert found.kurtosis == pytest.approx(stats.kurtosis(x), rel=1e-6)


@given(
    hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(-1e3, 1e3, width=32),
    st.floats(0.125, 64, width=32),
)
def test_any_numbers_shift_and_scale(x: np.ndarray, shift: float, scale: float) -> None:
    values = torch.from_numpy(x).double() * scale + shift
    found, expected = moments(values), oracle(values)
    if expected.std > 1e-9 * max(abs(expected.minimum), abs(expected.maximum)):  # Else the oracle itself is rounding.
        assert_close(found, expected, 1e-5)
    assert moments(-values).mean == pytest.approx(-found.mean, rel=1e-12)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    values, gain = torch.randn(301, 17) + 3, torch.rand(301, 1)
    whole = moments(values, gain=gain)
    monkeypatch.setattr(descriptive, "_BLOCK", 64)
    assert_close(moments(values, gain=gain), whole, 1e-6)
