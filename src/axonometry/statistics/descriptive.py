"""Moments of many numbers at once: few passes over memory, float64 between blocks, nothing averaged in silently.

A block is small enough to stay in the processor's cache while its four power sums are taken, so that the numbers come
from memory once. Inside a block the arithmetic is float32 (float64 for float64 input and for few numbers); the sums of
the blocks are added in float64. Power sums lose digits where the mean is large beside the standard deviation, and they
overflow or vanish far from 1: such numbers are read again, centred and scaled. NaN and infinity show in the sums, so
that looking for them costs nothing where there are none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

_BLOCK = 2**19  # 2 MiB of float32: stays in a shared cache, and threads are not started too often.
_FEW = 2**14  # Up to here float64 costs nothing that anybody notices.
_BLOCK_ON_DEVICE = 2**25  # On an accelerator every block costs launches and waits.


@dataclass(frozen=True)
class Moments:
    """Population moments of the finite entries of a tensor, accumulated in float64.

    Attributes:
        count: Entries in all.
        nonfinite: How many of them are NaN or infinite; these enter no other statistic.
        mean: Arithmetic mean.
        median: Middle value, the mean of the middle two for an even count; NaN where it was not asked for.
        std: Population standard deviation (ddof=0).
        skewness: Third standardised moment; 0 for a constant tensor.
        kurtosis: Fourth standardised moment minus 3 (excess); 0 for a constant tensor.
        minimum: Least finite entry.
        maximum: Greatest finite entry.

    >>> moments(torch.tensor([0.0, 2.0, float("nan")]))
    Moments(count=3, nonfinite=1, mean=1.0, median=1.0, std=1.0, skewness=0.0, kurtosis=-2.0, minimum=0.0, maximum=2.0)
    """

    count: int
    nonfinite: int
    mean: float
    median: float
    std: float
    skewness: float
    kurtosis: float
    minimum: float
    maximum: float


def moments(values: Tensor, *, gain: Tensor | None = None, median: bool = True) -> Moments:
    """Population moments of a tensor's finite entries.

    With ``gain`` the moments are those of ``values * gain``, which is never stored.

    Args:
        values: Numbers of any shape and floating or integer type.
        gain: A factor that broadcasts to the shape of ``values``.
        median: Whether to look for the median too, which takes longer than all the rest.

    >>> m = moments(torch.tensor([1.0, 2.0, 3.0, 10.0]))
    >>> m.mean, m.median, round(m.std, 7), round(m.skewness, 7), round(m.kurtosis, 4)
    (4.0, 2.5, 3.5355339, 1.0182338, -0.7696)
    """
    values = values.detach()
    gain = None if gain is None else gain.detach().expand_as(values)
    half_or_single = values.is_floating_point() and values.dtype != torch.float64
    precision = torch.float32 if half_or_single and values.numel() > _FEW else torch.float64
    sums = _accurate_sums(values, gain, precision) or _accurate_sums(values, gain, torch.float64, finite_only=True)
    if sums is None:
        return Moments(values.numel(), values.numel(), *[math.nan] * 7)
    middle = _median(values, gain, precision) if median else math.nan
    nonfinite = values.numel() - sums.count
    return Moments(values.numel(), nonfinite, sums.mean, middle, *sums.shape(), sums.minimum, sums.maximum)


@dataclass(frozen=True)
class _PowerSums:
    """Sums of ((x - centre) / scale)^k for k = 1..4 over ``count`` numbers x, and the extremes of x."""

    count: int
    powers: tuple[float, ...]
    minimum: float
    maximum: float
    centre: float = 0.0
    scale: float = 1.0

    @property
    def mean(self) -> float:
        return self.centre + self.scale * self.powers[0] / self.count

    @property
    def constant(self) -> bool:
        return self.minimum == self.maximum

    def central(self) -> tuple[float, float, float, float]:
        """The mean and the central moments 2 to 4, all in the scaled unit."""
        # (x - m)^3 and (x - m)^4 written out and averaged. Of 0 and 2: m = 1, s2 = 2, s3 = 4, s4 = 8, so that the
        # variance is 2 - 1 = 1, the third moment 4 - 6 + 2 = 0, the fourth 8 - 16 + 12 - 3 = 1.
        m, s2, s3, s4 = [power / self.count for power in self.powers]
        return m, s2 - m * m, s3 - 3 * m * s2 + 2 * m**3, s4 - 4 * m * s3 + 6 * m * m * s2 - 3 * m**4

    def accurate(self, precision: torch.dtype) -> bool:
        """Whether little cancels (mean near the centre) and no power has over- or underflowed."""
        if not math.isfinite(self.powers[3]):
            return False
        mean, variance, _, _ = self.central()
        # Of n digits about log10(1 + mean² / variance) go in s2 - m²: at a quarter, a tenth of one. Beyond, the caller
        # sums again about the mean. The other bound keeps x^4, about the square of the variance, above the least float.
        return variance > torch.finfo(precision).tiny ** 0.4 and mean * mean <= variance / 4

    def shape(self) -> tuple[float, float, float]:
        """Standard deviation, skewness and excess kurtosis."""
        if self.constant:
            return 0.0, 0.0, 0.0
        _, variance, third, fourth = self.central()
        return self.scale * math.sqrt(variance), third / variance**1.5, fourth / variance**2 - 3


def _accurate_sums(
    values: Tensor, gain: Tensor | None, precision: torch.dtype, *, finite_only: bool = False
) -> _PowerSums | None:
    """Power sums from which the moments follow without loss; None where this precision cannot give them."""
    sums = _power_sums(_blocks(values, gain, precision, finite_only=finite_only))
    for _ in range(2):
        if sums.count == 0 or not (finite_only or math.isfinite(sums.powers[0])):
            return None
        if sums.constant:
            return replace(sums, powers=(0.0,) * 4, centre=sums.minimum)
        if sums.accurate(precision):
            return sums
        centre = sums.mean if math.isfinite(sums.powers[0]) else sums.minimum / 2 + sums.maximum / 2
        # The precision must hold the centre exactly: the difference to it is then rounded only once.
        centre = torch.tensor(centre, dtype=precision).item()
        scale = max(sums.maximum - centre, centre - sums.minimum)
        sums = _power_sums(_blocks(values, gain, precision, finite_only=finite_only), centre, scale)
    return sums if finite_only or sums.accurate(precision) else None


def _power_sums(blocks: Iterator[tuple[Tensor, Tensor]], centre: float = 0.0, scale: float = 1.0) -> _PowerSums:
    count, powers, minimum, maximum = 0, [0.0] * 4, math.inf, -math.inf
    for block, scratch in blocks:
        low, high = torch.aminmax(block)
        # min() and max() may pass over NaN; the power sums keep it.
        minimum, maximum = min(minimum, low.item()), max(maximum, high.item())
        x = block if scale == 1.0 and centre == 0.0 else block.sub(centre).div_(scale)
        square = torch.mul(x, x, out=scratch)
        powers[0] += x.sum().item()
        powers[1] += square.sum().item()
        powers[2] += torch.dot(x, square).item()
        # sum() adds pairwise, dot() does not: here, where all terms have one sign, its error would grow with the block.
        powers[3] += square.mul_(square).sum().item()
        count += block.numel()
    return _PowerSums(count, tuple(powers), minimum, maximum, centre, scale)


def _blocks(
    values: Tensor, gain: Tensor | None, precision: torch.dtype, *, finite_only: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """The numbers as vectors, not to be written to and gone with the next, each with scratch memory of its length."""
    parts = _parts(values, gain)
    largest = max((part.numel() for part, _ in parts), default=0)
    memory, scratch = (torch.empty(largest, dtype=precision, device=values.device) for _ in range(2))
    for part, part_gain in parts:
        block = _effective(part, part_gain, memory[: part.numel()])
        if finite_only:
            block = block[block.isfinite()]
        if block.numel():
            yield block, scratch[: block.numel()]


def _parts(values: Tensor, gain: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
    size = _BLOCK if values.device.type == "cpu" else _BLOCK_ON_DEVICE
    if values.numel() <= size:
        return [(values, gain)]
    if gain is None:
        # A tensor that is not contiguous is split along its first axis; a row longer than a block stays whole.
        values = values.view(-1) if values.is_contiguous() else values
        return [(part, None) for part in values.split(_rows(values, size))]
    return list(zip(values.split(_rows(values, size)), gain.split(_rows(values, size)), strict=True))


def _rows(values: Tensor, size: int) -> int:
    return max(1, size * values.shape[0] // max(1, values.numel()))


def _effective(part: Tensor, gain: Tensor | None, memory: Tensor) -> Tensor:
    """``part * gain`` as a vector of the memory's precision, in place where it is already there."""
    if gain is None and part.dtype == memory.dtype and part.is_contiguous():
        return part.view(-1)
    block = memory.view(part.shape)
    if gain is None:
        block.copy_(part)
    elif part.dtype == gain.dtype == memory.dtype:
        torch.mul(part, gain, out=block)
    else:  # Converted first: the product of two half floats is not a half float.
        block.copy_(part).mul_(gain.to(memory.dtype))
    return memory


def _median(values: Tensor, gain: Tensor | None, precision: torch.dtype) -> float:
    values = values.to(precision) if gain is None else values.to(precision) * gain.to(precision)
    finite = values[values.isfinite()].cpu().numpy()
    half = len(finite) // 2
    ordered = np.partition(finite, half)
    middle = float(ordered[half])
    return middle if len(finite) % 2 else (middle + float(ordered[:half].max())) / 2
