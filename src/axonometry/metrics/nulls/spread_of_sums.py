r"""How far the sums of a matrix's rows differ, beside those of the same entries shuffled: in closed form, no draws.

A row of n out of N entries with mean μ and variance σ² has, when all N are shuffled, a sum of mean n μ and variance
v = n σ² (N - n) / (N - 1). The R = N / n sums have one total, so that the expected square of their standard deviation
is v; the standard deviation itself is distributed as √(v χ² / (R - 1)) with R - 1 degrees of freedom, its variance less
by what the squares of the entries, which shuffling keeps, leave of it: (1 - 1/n) (N - 3 - κ) / (N - 1), κ the excess
kurtosis.

Worked: the entries 0, 0, 0, 1, 1, 1 in 2 rows of 3: σ² = 1/4, v = 3/4 * 3/5 = 0.45; of the 20 ways to place them 2 have
the sums 0 and 3 (standard deviation 1.5) and 18 the sums 1 and 2 (0.5): the mean square is (2 * 2.25 + 18 * 0.25) / 20
= 0.45.

Source: sampling without replacement, Cochran 1977, "Sampling Techniques", theorem 2.2; that a layer's strengths by
chance are such sums is [our choice].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from axonometry.arguments import argument_errors
from axonometry.statistics import Moments, moments

FEWEST_ROWS = 3
SPREADS = ("rows_spread", "rows_shuffled", "rows_z", "columns_spread", "columns_shuffled", "columns_z")
"""What :func:`weight_spreads` gives."""


class Spread(NamedTuple):
    """The standard deviation of sums, beside that of the same entries shuffled.

    Attributes:
        value: Of the sums, in the unit of the entries.
        shuffled: Its mean over all orders of the entries.
        z: How many standard deviations over all orders the value lies above that mean. Both are NaN of fewer than three
            sums, of sums of one entry and of equal entries: shuffling then changes nothing, or next to nothing.
    """

    value: float
    shuffled: float
    z: float


def spread_of_sums(sums: Tensor, entries: Moments) -> Spread:
    """The spread of the sums of a matrix's rows, beside that of its entries shuffled.

    Args:
        sums: A number a row: its entries added up. All rows have as many entries.
        entries: The moments of all entries.

    >>> import torch
    >>> matrix = torch.tensor([[1.0, 1.0], [0.0, 0.0], [-1.0, -1.0]])  # rows as far apart as can be
    >>> found = spread_of_sums(matrix.sum(1), moments(matrix))
    >>> round(found.value, 3), round(found.shuffled, 3), round(found.z, 1)
    (1.633, 0.915, 2.2)
    """
    value, rows, size = moments(sums, median=False).std, sums.numel(), entries.count
    n = size / rows if rows else 0
    if rows < FEWEST_ROWS or n < 2 or not entries.std or entries.nonfinite:
        return Spread(value, math.nan, math.nan)
    free = rows - 1
    root = math.sqrt(n * (size - n) / (size - 1)) * entries.std
    # The mean of the square root of χ² / free, which is a little less than 1.
    mean = math.sqrt(2 / free) * math.exp(math.lgamma((free + 1) / 2) - math.lgamma(free / 2))
    left = (1 - 1 / n) * max(0.0, size - 3 - entries.kurtosis) / (size - 1)
    deviation = root * math.sqrt((1 - mean**2) * left)
    return Spread(value, root * mean, (value - root * mean) / deviation if deviation else math.nan)


@argument_errors
def weight_spreads(weight: Tensor, entries: Moments | None = None) -> dict[str, float]:
    """How far the sums of a weight's rows differ, and those of its columns, beside what that is by chance.

    Of a linear layer or a convolution a row is an output, and its sum what the weights send into it; a column is an
    input, and its sum what they send on.

    Args:
        weight: A matrix or kernel; what has fewer than two axes has no rows, and gives NaN.
        entries: Its moments, where they are known.

    Returns:
        By the names in :data:`SPREADS`, as :class:`Spread`.

    >>> found = weight_spreads(torch.tensor([[1.0, 1.0], [0.0, 0.0], [-1.0, -1.0]]))
    >>> round(found["rows_z"], 1), found["columns_spread"]
    (2.2, 0.0)
    """
    if weight.dim() < 2 or not weight.numel() or not weight.is_floating_point():
        return dict.fromkeys(SPREADS, math.nan)
    entries = entries or moments(weight, median=False)
    kernel = tuple(range(2, weight.dim()))
    dtype = torch.promote_types(weight.dtype, torch.float32)
    found = [spread_of_sums(weight.sum((axis, *kernel), dtype=dtype), entries) for axis in (1, 0)]
    return dict(zip(SPREADS, (*found[0], *found[1]), strict=True))
