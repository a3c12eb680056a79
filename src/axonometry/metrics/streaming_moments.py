"""Running statistics of the values that neurons take over many samples, in one pass and fixed memory.

Per neuron: power sums about a centre (the mean of the first samples seen), extremes, exact zeros. A block of samples is
summed about its own mean in the values' precision, at least float32, and carried over to the common centre in float64.
Worked: 1 and 3 arrive first. Their mean 2 is the centre, their distances -1 and 1 have the sums s1 = 0, s2 = 2. Then 5
and 7 arrive, distances 3 and 5: s1 = 8, s2 = 36. The mean is 2 + 8/4 = 4, the variance 36/4 - (8/4)² = 5. About 0 the
same would be 84/4 - 4²; with 10,001 10,003 ... in float32 that difference of squares has no digit left, while the
distances are what they were.

Per group: the same sums pooled over neurons give its moments exactly; a histogram over all bfloat16 numbers gives its
quantiles. Rounding to bfloat16 keeps the order of numbers, so a quantile of the rounded values is the true order
statistic, rounded: off by at most 2^-8 of its size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from axonometry.statistics import Moments

PATTERNS = 2**16
_BLOCK = {"cpu": 2**18}
"""Numbers in a block: so few that they stay in the processor's cache; on an accelerator every block costs launches."""
_BLOCK_ELSEWHERE = 2**26
_FAR, _NEAR = 1e8, 1e-9
"""Distances from the centre whose powers neither run over nor vanish in float32."""
_LOSS = 0.75
"""Where the squared mean is more than this share of the mean square, their difference, the variance, loses digits."""
TINY = 2.0**-125
"""Numbers smaller than this are 0 to the sketch."""
NEAR_BOUND = 0.01
"""A value is at a bound within this share of the range of its activation [our choice]."""
SATURATED = 0.95
"""A neuron is saturated where this share of the samples lies at one of its bounds [our choice]."""


Bounds = tuple[float | Tensor, float | Tensor]
"""Least and greatest value of an activation: of all neurons, or per neuron."""


@dataclass
class StreamingMoments:
    """What is kept of one group's values while samples stream by.

    Attributes:
        bounds: Least and greatest value that the activation can take, where it is bounded.
        count: Samples seen.
        centre: Per neuron, where the power sums are taken about, in float64.
        powers: Sums of (x - centre)^k for k = 1..4, shape (4, neurons), in float64.
        minimum: Per neuron.
        maximum: Per neuron.
        zeros: Per neuron, the number of samples at which the value is exactly 0.
        low: Per neuron, the number of samples at the lower bound.
        high: Per neuron, the number of samples at the upper bound.
        histogram: Number of values at each bfloat16 number, by its bits as a signed integer, plus 2^15.
        specks: Per neuron, a number that is next to nothing, added before values are counted: equal zeros in a row
            would all wait for the same count to be written.

    >>> tally = StreamingMoments()
    >>> tally.add(torch.tensor([[1.0], [3.0]])), tally.add(torch.tensor([[5.0], [7.0]]))
    (True, True)
    >>> tally.mean().item(), tally.variance().item()
    (4.0, 5.0)
    """

    bounds: Bounds | None = None
    count: int = 0
    centre: Tensor = field(default_factory=lambda: torch.empty(0))
    powers: Tensor = field(default_factory=lambda: torch.empty(0))
    minimum: Tensor = field(default_factory=lambda: torch.empty(0))
    maximum: Tensor = field(default_factory=lambda: torch.empty(0))
    zeros: Tensor = field(default_factory=lambda: torch.empty(0))
    low: Tensor = field(default_factory=lambda: torch.empty(0))
    high: Tensor = field(default_factory=lambda: torch.empty(0))
    histogram: Tensor = field(default_factory=lambda: torch.empty(0))
    specks: Tensor = field(default_factory=lambda: torch.empty(0))

    def add(self, values: Tensor) -> bool:
        r"""Count more samples in.

        Args:
            values: Of shape (samples, \*shape of the group).

        Returns:
            Whether all values are finite; where not, the tally is of no more use.
        """
        rows = values.detach().reshape(len(values), -1)
        rows = rows if rows.dtype == torch.float64 else rows.float()
        if not self.count:
            self._begin(rows)
        rounded = torch.empty(rows.shape, dtype=torch.bfloat16, device=rows.device)
        size = max(1, _BLOCK.get(rows.device.type, _BLOCK_ELSEWHERE) // max(1, rows.shape[1]))
        blocks = [self._block(x, to) for x, to in zip(rows.split(size), rounded.split(size), strict=True)]
        lows, highs, sums = (torch.stack(parts) for parts in zip(*blocks, strict=True))
        low, high, total = lows.amin(0), highs.amax(0), sums.sum(0, dtype=torch.float64)
        count, powers = self.count + len(rows), self.powers + total[:4]
        # The first samples may have been no good centre: a neuron that was 0 at first and 1,000 ± 1 ever since. Then
        # squares of the mean distance make up nearly all of the mean square, and the block is summed again in float64,
        # about its own mean. The same where distances are so far or so near that their 4th powers leave float32.
        width = torch.maximum(high - self.centre, self.centre - low).max()
        lost = (powers[0] * powers[0] > _LOSS * count * powers[1]).any()
        least, finite, width, lost = torch.stack([low.min(), (high - low).isfinite().all(), width, lost]).tolist()
        if not finite and not bool((low.isfinite() & high.isfinite()).all()):
            return False
        if lost or not (width == 0 or _NEAR < width < _FAR):
            powers = self.powers + sum(_careful(x.double(), self.centre) for x in rows.split(size))
        self.count, self.powers = count, powers
        self.minimum, self.maximum = torch.minimum(self.minimum, low), torch.maximum(self.maximum, high)
        self.zeros += total[4]
        if self.bounds is not None:
            self.low += total[5]
            self.high += total[6]
        self._sketch(rounded.view(torch.int16).reshape(-1), signed=least < 0)
        return True

    def _block(self, x: Tensor, rounded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Extremes and sums per neuron of some samples: four powers about the centre, zeros, values at the bounds."""
        rounded.copy_(x + self.specks)
        distance = x - self.centre.to(x.dtype)
        power = distance * distance
        sums = [distance.sum(0), power.sum(0), distance.mul_(power).sum(0), power.mul_(power).sum(0)]
        sums.append(torch.eq(x, 0, out=power).sum(0))
        if self.bounds is not None:
            lower, upper = self.bounds
            margin = NEAR_BOUND * (upper - lower)
            sums.append(torch.le(x, lower + margin, out=power).sum(0))
            sums.append(torch.ge(x, upper - margin, out=power).sum(0))
        return x.amin(0), x.amax(0), torch.stack(sums)

    def join(self, other: StreamingMoments) -> None:
        """Count in the samples of another tally of the same neurons."""
        # Both tallies have a centre of their own, their first samples' mean; sums about different centres cannot be
        # added.
        self.powers += _rebased(other.powers, other.centre - self.centre, other.count)
        self.minimum = torch.minimum(self.minimum, other.minimum)
        self.maximum = torch.maximum(self.maximum, other.maximum)
        for name in ("count", "zeros", "low", "high", "histogram"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def _sketch(self, patterns: Tensor, *, signed: bool) -> None:
        """Count values that are rounded to bfloat16, by their bits; those of non-negative numbers need no widening.

        The bits of bfloat16 are those of a sign, 8 of exponent, 7 of fraction. Read as an integer they rise with the
        number: 1.0 is 0x3F80 = 16,256, the next larger number 1.0078 is 16,257. Negative numbers have the sign's bit,
        -2^15 in an integer of 16, and fall instead: -1.0 is -16,512, and -1.0078, which is less, is -16,511.
        """
        if signed:
            self.histogram += torch.bincount(patterns.to(torch.int32).add_(2**15), minlength=PATTERNS)
        else:
            self.histogram[2**15 :] += torch.bincount(patterns, minlength=2**15)

    def _begin(self, rows: Tensor) -> None:
        neurons, device = rows.shape[1], rows.device
        # exact where a neuron does not change, so that its distances are 0
        self.centre = torch.minimum(torch.maximum(rows.mean(0), rows.amin(0)), rows.amax(0)).double()
        self.powers = torch.zeros(4, neurons, dtype=torch.float64, device=device)
        self.minimum = torch.full((neurons,), math.inf, dtype=torch.float64, device=device)
        self.maximum = torch.full((neurons,), -math.inf, dtype=torch.float64, device=device)
        self.zeros, self.low, self.high = (torch.zeros(neurons, dtype=torch.float64, device=device) for _ in range(3))
        self.histogram = torch.zeros(PATTERNS, dtype=torch.int64, device=device)
        self.specks = TINY / 2 * (1 + torch.arange(neurons, device=device) % 16 / 16)

    def variance(self) -> Tensor:
        """Per neuron, the population variance; exactly 0 where the value never changes."""
        mean = self.powers[0] / self.count
        variance = (self.powers[1] / self.count - mean * mean).clamp_min(0)
        return torch.where(self.minimum == self.maximum, torch.zeros_like(variance), variance)

    def mean(self) -> Tensor:
        """Per neuron, the mean, between the extremes also after rounding."""
        return torch.clamp(self.centre + self.powers[0] / self.count, self.minimum, self.maximum)

    def saturated(self) -> Tensor:
        """Per neuron, whether nearly all samples lie at the same bound of the activation."""
        return torch.maximum(self.low, self.high) >= SATURATED * self.count

    def pooled(self) -> Moments:
        """Moments over samples and neurons; the median is the sketch's."""
        numbers = self.count * len(self.centre)
        minimum, maximum = float(self.minimum.min()), float(self.maximum.max())
        (median,) = self.quantiles((0.5,))
        centre = float(self.centre.mean())
        sums = (_rebased(self.powers, self.centre - centre, self.count).sum(1) / numbers).tolist()
        mean = centre + sums[0]
        if minimum == maximum:
            return Moments(numbers, 0, minimum, median, 0.0, 0.0, 0.0, minimum, maximum)
        m1, m2, m3, m4 = sums
        variance = m2 - m1 * m1
        third, fourth = m3 - 3 * m1 * m2 + 2 * m1**3, m4 - 4 * m1 * m3 + 6 * m1 * m1 * m2 - 3 * m1**4
        skewness, kurtosis = third / variance**1.5, fourth / variance**2 - 3
        return Moments(numbers, 0, mean, median, math.sqrt(variance), skewness, kurtosis, minimum, maximum)

    def quantiles(self, probabilities: Sequence[float]) -> list[float]:
        """Order statistics over samples and neurons: the least value that a share p of all values does not exceed.

        Args:
            probabilities: Between 0 and 1; 0 is the minimum.

        Returns:
            One value for each, off by at most 2^-8 of its size (numbers below 2^-125 are 0); the extremes are exact.
        """
        patterns = torch.arange(-(2**15), 2**15, dtype=torch.int16)
        numbers = patterns.view(torch.bfloat16).double()
        numbers[numbers.abs() < TINY] = 0
        # In the order of the numbers: from -NaN over -1.0078, -1.0 to -0.0, whose patterns fall, then from 0.0 upwards.
        order = torch.cat([torch.arange(2**15 - 1, -1, -1), torch.arange(2**15, 2**16)])
        cumulated = self.histogram.cpu()[order].cumsum(0)
        ranks = [max(1, math.ceil(p * float(cumulated[-1]))) for p in probabilities]
        places = torch.searchsorted(cumulated, torch.tensor(ranks))
        minimum, maximum = float(self.minimum.min()), float(self.maximum.max())
        # Rank 1 is the minimum, the last rank the maximum, and these are known exactly: rounding to bfloat16 would lose
        # 2^-8.
        exact = {1: minimum, int(cumulated[-1]): maximum}
        rounded = numbers[order][places].clamp(minimum, maximum).tolist()
        return [exact.get(rank, value) for rank, value in zip(ranks, rounded, strict=True)]


def _careful(x: Tensor, centre: Tensor) -> Tensor:
    """Sums over axis 0 of (x - centre)^k for k = 1..4, by way of x's own mean."""
    mean = x.mean(0)
    distance = x - mean
    return _rebased(torch.stack([(distance**k).sum(0) for k in range(1, 5)]), mean - centre, len(x))


def _rebased(sums: Tensor, shift: Tensor, count: int) -> Tensor:
    """Power sums of y + shift from those of y, for ``count`` numbers y: (y + a)^k written out and summed.

    5 and 7 about 6 have s1 = 0, s2 = 2. About 2, where a = 4: s1 = 0 + 2 * 4 = 8, s2 = 2 + 2 * 4 * 0 + 2 * 16 = 34,
    which is 3² + 5².
    """
    s1, s2, s3, s4 = sums
    a, a2 = shift, shift * shift
    return torch.stack(
        [
            s1 + count * a,
            s2 + 2 * a * s1 + count * a2,
            s3 + 3 * a * s2 + 3 * a2 * s1 + count * a2 * a,
            s4 + 4 * a * s3 + 6 * a2 * s2 + 4 * a2 * a * s1 + count * a2 * a2,
        ]
    )
