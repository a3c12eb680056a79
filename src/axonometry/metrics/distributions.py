r"""Densities: how values are distributed, by Gaussian kernels.

f(x) = 1/n Σ_i N(x; x_i, h²) with Scott's bandwidth h = s n^(-1/5), s the sample standard deviation (ddof=1): scipy's
``gaussian_kde``, as in the code of La Malfa et al. 2021. A large sample is first spread over cells of h/8, each value
shared linearly between the two nearest cell centres, so that the cost of a density does not grow with the sample; that
adds at most h²/256 to the variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import Tensor

from axonometry.arguments import argument_errors
from axonometry.errors import ValuesError

if TYPE_CHECKING:
    from scipy.stats import gaussian_kde

EXACT = 1000
"""Samples up to this size are not binned."""
CELLS_PER_BANDWIDTH = 8
MARGIN = 3.0
"""How far a grid reaches beyond the sample, in bandwidths."""


@dataclass(frozen=True)
class Density:
    """A kernel density on a grid.

    Attributes:
        grid: Where it was evaluated.
        heights: The density there, in the inverse unit of the values.
        bandwidth: Standard deviation of the kernel.
        count: Size of the sample.

    >>> found = density(np.array([0.0, 1.0]), np.array([0.0, 0.5, 1.0]))
    >>> found.heights.round(3).tolist()
    [0.411, 0.466, 0.411]
    """

    grid: Float[np.ndarray, " points"]
    heights: Float[np.ndarray, " points"]
    bandwidth: float
    count: int


@argument_errors
def density(values: Tensor | np.ndarray, grid: np.ndarray | None = None) -> Density:
    """Gaussian kernel density of a sample.

    Args:
        values: The sample, of any shape and at least two different values.
        grid: Where to evaluate; by default 512 even steps, 3 bandwidths beyond the sample on both sides.

    Returns:
        The density; it integrates to 1 over all reals.

    Raises:
        ValuesError: A value is not finite, or there are not two different ones.

    >>> found = density(np.array([0.0, 1.0, 2.0]), grid=np.array([0.0, 1.0]))
    >>> found.heights.round(4), round(found.bandwidth, 4), found.count
    (array([0.2493, 0.3182]), 0.8027, 3)
    """
    sample = as_sample(values)
    kernels = kernel_density(sample)
    if grid is None:
        grid = even_grid([sample], [kernels], points=512)
    grid = np.asarray(grid, dtype=np.float64)
    return Density(grid, kernels(grid), bandwidth(kernels), len(sample))


def as_sample(values: Tensor | np.ndarray) -> Float[np.ndarray, " n"]:
    """The values as a float64 vector that a density can be estimated from.

    Raises:
        ValuesError: A value is not finite, or there are not two different ones.

    >>> as_sample(np.array([[1, 2], [3, 4]]))
    array([1., 2., 3., 4.])
    >>> as_sample(np.array([1.0, np.nan]))
    Traceback (most recent call last):
        ...
    axonometry.errors.ValuesError: a density is of finite values; got 1 of 2 NaN or infinite. Leave them out.
    """
    if isinstance(values, Tensor):
        values = values.detach().double().cpu().numpy()
    sample = np.asarray(values, dtype=np.float64).ravel()
    broken = int((~np.isfinite(sample)).sum())
    if broken:
        raise ValuesError(
            "a density is of finite values", f"{broken} of {len(sample)} NaN or infinite", "Leave them out"
        )
    if len(sample) < 2 or not sample.std() > 0:
        came = f"{len(sample)} values" if len(sample) < 2 else f"{len(sample)} times {sample[0]}"
        raise ValuesError("a density needs at least two different values", came, "A constant has no density")
    return sample


def kernel_density(sample: Float[np.ndarray, " n"]) -> gaussian_kde:
    """The kernel density of a sample as a function, binned where the sample is large.

    >>> kernels = kernel_density(np.array([0.0, 1.0, 2.0]))
    >>> float(kernels(1.0)[0].round(4))
    0.3182
    """
    from scipy.stats import gaussian_kde

    if len(sample) <= EXACT:
        return gaussian_kde(sample)
    scott = float(sample.std(ddof=1)) * len(sample) ** -0.2
    cells, weights = binned(sample, scott / CELLS_PER_BANDWIDTH)
    # scipy would take its bandwidth from the spread and the number of the cells; Scott's is that of the values, s
    # n^(-1/5).
    kernels = gaussian_kde(cells, bw_method=1.0, weights=weights)
    kernels.set_bandwidth(scott / bandwidth(kernels))
    return kernels


def bandwidth(kernels: gaussian_kde) -> float:
    """Standard deviation of the kernel.

    >>> round(bandwidth(kernel_density(np.array([0.0, 1.0, 2.0]))), 6), round(3**-0.2, 6)
    (0.802742, 0.802742)
    """
    return float(np.sqrt(kernels.covariance[0, 0]))


def binned(sample: Float[np.ndarray, " n"], width: float) -> tuple[np.ndarray, np.ndarray]:
    """Cell centres and weights of a sample whose values are each shared linearly between the two nearest centres.

    The weighted mean is the sample's. Cells without weight are left out; since the largest deviation is at most
    s sqrt(n), there are at most 2 sqrt(n) s / width of them.

    >>> centres, weights = binned(np.array([0.0, 0.25, 1.0]), width=1.0)
    >>> centres, weights
    (array([0., 1.]), array([1.75, 1.25]))
    """
    start = sample.min()
    place = (sample - start) / width
    left = place.astype(np.int64)
    share = place - left
    weights = np.bincount(left, 1 - share, minlength=left.max() + 2) + np.bincount(left + 1, share)
    filled = np.flatnonzero(weights)
    return start + filled * width, weights[filled]


def even_grid(
    samples: list[np.ndarray], kernels: list[gaussian_kde], *, points: int, margin: float = MARGIN
) -> Float[np.ndarray, " points"]:
    """An even grid over all samples, extended on both sides by ``margin`` times the largest bandwidth.

    >>> sample = np.array([0.0, 1.0, 2.0])
    >>> even_grid([sample], [kernel_density(sample)], points=3).round(4)
    array([-2.4082,  1.    ,  4.4082])
    """
    beyond = margin * max(map(bandwidth, kernels))
    return np.linspace(min(s.min() for s in samples) - beyond, max(s.max() for s in samples) + beyond, points)
