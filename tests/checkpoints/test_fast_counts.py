"""What is counted and added up fast is what numpy finds slowly: NaN, infinities, -0, subnormals, odd sizes, strides."""

from __future__ import annotations

import numpy as np
import pytest

from axonometry.checkpoints.channels import rows_and_columns
from axonometry.checkpoints.element_types import Array, patterns
from axonometry.checkpoints.entry_statistics import PROBABILITIES, entry_statistics
from axonometry.checkpoints.floats import floats
from axonometry.checkpoints.initial import standard_normal
from axonometry.checkpoints.pattern_counts import BLOCK, count_numbers, pattern_counts

SIXTEEN = ("bfloat16", "float16")


def bits_of(dtype: str, size: int, *, finite: bool = False) -> Array:
    """All patterns of a type, many times and in disorder."""
    bits = np.random.default_rng(size).integers(0, 2**16, size).astype(np.uint16)
    return np.where(np.isfinite(patterns(dtype)[bits]), bits, 0).astype(np.uint16) if finite else bits


@pytest.mark.parametrize("dtype", SIXTEEN)
@pytest.mark.parametrize("size", [0, 1, 2**13, 2**13 + 1, BLOCK, BLOCK + 1, 3 * BLOCK + 77])
def test_every_pattern_is_counted(dtype: str, size: int) -> None:
    bits = bits_of(dtype, size)
    there, counts = pattern_counts(bits, 2**16)
    expected = np.unique(bits, return_counts=True)
    assert (there.tolist(), counts.tolist()) == tuple(part.tolist() for part in expected)
    numbers = patterns(dtype)[bits]
    values, often = np.unique(numbers[np.isfinite(numbers)] + 0.0, return_counts=True)
    found = count_numbers(bits, dtype)
    assert (found.values.tolist(), found.counts.tolist()) == (values.tolist(), often.tolist())
    assert (found.nan, found.infinite) == (int(np.isnan(numbers).sum()), int(np.isinf(numbers).sum()))
    assert not np.signbit(found.values[found.values == 0]).any()


@pytest.mark.parametrize("dtype", SIXTEEN)
def test_every_pattern_is_its_number_as_float32(dtype: str) -> None:
    table = patterns(dtype)
    every = np.arange(2**16, dtype=np.uint16)
    whole = floats(every, dtype)
    assert whole.dtype == np.float32
    assert np.array_equal(whole, np.where(np.isfinite(table), table, 0))
    finite = every[np.isfinite(table)]  # without broken numbers the bits are shifted, subnormal ones among them
    assert np.array_equal(floats(finite, dtype), table[finite])
    assert np.array_equal(np.signbit(floats(finite, dtype)), np.signbit(table[finite]))
    assert np.array_equal(floats(finite[::3], dtype), table[finite[::3]])


@pytest.mark.parametrize("shape", [(300, 64), (64, 300), (7, 5), (33, 10, 3), (16, 3, 3, 3)])
@pytest.mark.parametrize("kind", ["plain", "broken", "strided", "huge"])
def test_rows_and_columns_of_bfloat16_are_those_of_float64(shape: tuple[int, ...], kind: str) -> None:
    numbers = np.random.default_rng(1).standard_normal(shape).astype(np.float32) * (1e25 if kind == "huge" else 0.02)
    numbers[2], numbers[:, 1] = 0, 0
    bits = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    if kind == "broken":
        bits.reshape(-1)[:3] = (0x7FC0, 0x7F80, 0xFF80)
    if kind == "strided":
        bits = np.repeat(bits, 2, axis=-1)[..., ::2]
    exact = floats(bits, "bfloat16").astype(np.float64)
    found = rows_and_columns(bits, "bfloat16", float(np.abs(exact).max()))
    for channels, axes in zip(found, ((0,), (1,)), strict=True):
        sizes = np.sqrt((np.moveaxis(exact, axes, (0,)).reshape(exact.shape[axes[0]], -1) ** 2).mean(1))
        assert (channels.count, channels.dead) == (len(sizes), int((sizes == 0).sum()))
        assert channels.place == int(sizes.argmax())
        assert channels.largest == pytest.approx(sizes.max() / np.median(sizes), rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["drift", "zeros", "alike", "subnormal", "strided", "broken begin"])
def test_wide_numbers_are_numpys(dtype: type[np.floating], kind: str) -> None:
    x = np.random.default_rng(2).standard_normal(100_001).astype(dtype)
    if kind == "drift":  # the first block's mean is far from the whole one's
        x[: 2**15] += 1000
    if kind == "zeros":
        x[:90_000] = -0.0
    if kind == "alike":
        x[:] = np.where(x > 0, 1.0, 1 + 2**-20)
    if kind == "subnormal":
        x *= np.finfo(dtype).smallest_subnormal * 10
    if kind == "strided":
        x = x[::3]
    if kind == "broken begin":
        x[: 2**15] = np.nan
        x[-1] = np.inf
    found, y = entry_statistics(x, np.dtype(dtype).name), x[np.isfinite(x)].astype(np.float64)
    assert (found.finite, found.zeros) == (len(y), int((y == 0).sum()))
    assert (found.minimum, found.maximum) == (y.min(), y.max())
    assert found.quantiles == pytest.approx(np.quantile(y, PROBABILITIES), rel=1e-12, abs=0)
    assert found.mean == pytest.approx(y.mean(), rel=1e-9, abs=1e-12)
    if kind != "subnormal" or dtype is np.float32:
        assert found.std == pytest.approx(y.std(), rel=1e-9)
        assert found.norm == pytest.approx(np.linalg.norm(y), rel=1e-9)
        z = (y - y.mean()) / y.std()
        assert found.skewness == pytest.approx((z**3).mean(), rel=1e-6, abs=1e-6)
        assert found.kurtosis == pytest.approx((z**4).mean() - 3, rel=1e-6, abs=1e-6)


def test_the_normal_distribution_is_scipys() -> None:
    from scipy.special import ndtr

    x = np.linspace(-9, 9, 10_007)
    assert np.abs(np.interp(x, *standard_normal()) - ndtr(x)).max() < 1.3e-7
