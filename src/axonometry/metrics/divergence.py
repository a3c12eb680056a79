r"""Divergence: how far apart two distributions are.

Jeffreys divergence J(P, Q) = KL(P|Q) + KL(Q|P) = ∫ (p - q) ln(p / q) dx, in nats, of two kernel densities.

Source: La Malfa et al. 2021 (arXiv 2110.02628) and their code, where it is called Shannon's. The code sums over a grid
of 1000 points without the step dx and without normalising, so that its number is J times 1000 over the range of the two
samples: the convention ``"ictai2021"``. The default is our choice: both densities are made to sum to 1 on one grid of
2048 points that reaches 3 bandwidths beyond the samples, with no cell below 1e-12, which bounds J by 55.3. Beyond a
sample's last value a kernel density falls faster than what it estimates, so that J comes out too large where one sample
reaches far beyond the other: 1.22 for 300,000 draws of N(0, 1) and of N(0, 4), whose divergence is 1.125.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from axonometry.metrics.conventions import check_convention
from axonometry.metrics.distributions import as_sample, bandwidth, even_grid, kernel_density

if TYPE_CHECKING:
    import pandas as pd
    from scipy.stats import gaussian_kde

DivergenceConvention = Literal["normalised", "ictai2021"]
CONVENTIONS = ("normalised", "ictai2021")
FLOOR = 1e-12
POINTS = 2048

Values = Tensor | np.ndarray


def jeffreys_divergence(a: Values, b: Values, convention: DivergenceConvention = "normalised") -> float:
    """Jeffreys divergence of the kernel densities of two samples.

    Args:
        a: One sample, of any shape.
        b: The other.
        convention: ``"normalised"``: an estimate of the divergence, in nats. ``"ictai2021"``: the unnormalised sum of
            the official code, infinite where a density underflows.

    Returns:
        A number >= 0, the same for (a, b) and (b, a); 0 for equal samples. Shifting or scaling both samples alike
        changes the normalised divergence only by rounding.

    Raises:
        ConfigurationError: There is no such convention.
        ValuesError: A sample holds a value that is not finite, or does not hold two different ones.

    >>> a, b = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    >>> round(jeffreys_divergence(a, b, "ictai2021"), 6), round(jeffreys_divergence(a, b), 4)
    (59.748768, 0.8162)
    """
    return float(divergence_matrix([a, b], convention).to_numpy()[0, 1])


def divergence_matrix(
    samples: Mapping[str, Values] | Sequence[Values], convention: DivergenceConvention = "normalised"
) -> pd.DataFrame:
    """Jeffreys divergence between every two samples: layer by layer, or accuracy bin by accuracy bin.

    Each density is estimated once and, in the normalised convention, evaluated once, on one grid for all samples. With
    P the densities on the grid, r the row sums of P ln P: J[i, j] = r[i] + r[j] - (P ln P')[i, j] - (P ln P')[j, i].

    Args:
        samples: The samples, with or without names.
        convention: As for :func:`jeffreys_divergence`.

    Returns:
        A symmetric frame with a zero diagonal; rows and columns are the samples' names, or their numbers.

    Raises:
        ConfigurationError: There is no such convention.
        ValuesError: A sample holds a value that is not finite, or does not hold two different ones.

    >>> samples = {"first": np.array([0.0, 1.0, 2.0]), "second": np.array([1.0, 2.0, 3.0])}
    >>> divergence_matrix(samples, "ictai2021").round(3)
             first  second
    first    0.000  59.749
    second  59.749   0.000
    """
    import pandas as pd

    check_convention(convention, CONVENTIONS)
    names = list(samples) if isinstance(samples, Mapping) else list(range(len(samples)))
    vectors = [as_sample(v) for v in (samples.values() if isinstance(samples, Mapping) else samples)]
    kernels = [kernel_density(vector) for vector in vectors]
    matrix = _normalised(vectors, kernels) if convention == "normalised" else _ictai2021(vectors, kernels)
    return pd.DataFrame(matrix, index=names, columns=names)


def jeffreys(masses: Float[np.ndarray, "samples points"]) -> Float[np.ndarray, "samples samples"]:
    """Jeffreys divergence between every two rows of positive weights on one grid; each row is normalised and floored.

    >>> jeffreys(np.array([[1.0, 1.0], [1.0, 3.0]])).round(6)
    array([[0.      , 0.274653],
           [0.274653, 0.      ]])
    """
    if not len(masses):
        return np.zeros((0, 0))
    p = np.maximum(masses / masses.sum(axis=1, keepdims=True), FLOOR)
    log = np.log(p)
    crossed = p @ log.T
    own = np.diagonal(crossed)
    matrix = np.maximum(
        own[:, None] + own[None, :] - crossed - crossed.T, 0.0
    )  # Rounding leaves -1e-16 for equal rows.
    np.fill_diagonal(matrix, 0.0)
    return matrix


def _normalised(vectors: list[np.ndarray], kernels: list[gaussian_kde]) -> np.ndarray:
    if not vectors:
        return np.zeros((0, 0))
    grid = even_grid(vectors, kernels, points=POINTS)
    for kernel in kernels:  # A kernel narrower than a step could fall between two points.
        kernel.set_bandwidth(kernel.factor * max(1.0, (grid[1] - grid[0]) / bandwidth(kernel)))
    return jeffreys(np.stack([kernel(grid) for kernel in kernels]))


def _ictai2021(vectors: list[np.ndarray], kernels: list[gaussian_kde]) -> np.ndarray:
    matrix = np.zeros((len(vectors), len(vectors)))
    for i in range(len(vectors)):
        for j in range(i):
            low, high = min(vectors[i].min(), vectors[j].min()), max(vectors[i].max(), vectors[j].max())
            grid = np.arange(low, high, (high - low) / 1000)
            p, q = kernels[i](grid), kernels[j](grid)
            with np.errstate(divide="ignore", invalid="ignore"):
                terms = (p - q) * (np.log(p) - np.log(q))
            # Where both densities underflow there is nothing to compare; where one does, its logarithm is infinite.
            matrix[i, j] = matrix[j, i] = np.where((p == 0) & (q == 0), 0.0, terms).sum()
    return matrix
