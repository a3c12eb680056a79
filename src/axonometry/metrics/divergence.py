r"""Divergence: how far apart two distributions are.

Jeffreys divergence J(P, Q) = KL(P|Q) + KL(Q|P) = E_P[ln p/q] - E_Q[ln p/q], in nats. Three ways to estimate it:

``"density-ratio"``, the default [our choice]: ln p/q itself is estimated, by a logistic regression that tells the two
samples apart, on z, z², and max(z - k, 0)² at five knots k, z being the values in units of their common spread. Each
value's ln p/q is that of a regression on the other nine tenths of the samples, so that equal distributions give 0 and
not what a curve makes of chance. For Gaussians ln p/q is a parabola, which the regression has exactly; it comes out too
small where one distribution has several peaks that the other lacks, or where a density jumps.

``"kernel"``: of two kernel densities, made to sum to 1 on one grid of 2048 points that reaches 3 bandwidths beyond the
samples, with no cell below 1e-12, which bounds J by 55.3. Beyond a sample's last value a kernel density falls faster
than what it estimates: J comes out too large, the more the smaller the samples.

``"ictai2021"``: the number of La Malfa et al. 2021 (arXiv 2110.02628) and their code, where it is called Shannon's: a
sum over 1000 points without the step dx and without normalising, 1000 over the range of the samples times J.

Mean and standard deviation over 200 pairs of samples (60 of 2,000 values, 20 of 10,000) of N(0, 1) and N(0, 4), whose
J is 1.125, and of N(0, 1) twice, whose J is 0 (``python -m benchmarks divergence``):

=======  ==============  ==============  ==============  ==============
values   ratio, 1.125    kernel, 1.125   ratio, 0        kernel, 0
=======  ==============  ==============  ==============  ==============
32       1.01 ± 0.57     2.04 ± 1.04     0.056 ± 0.131   0.239 ± 0.217
200      1.12 ± 0.26     1.74 ± 0.47     0.018 ± 0.025   0.056 ± 0.028
2,000    1.12 ± 0.10     1.51 ± 0.18     0.003 ± 0.004   0.011 ± 0.005
10,000   1.12 ± 0.06     1.42 ± 0.09     0.000 ± 0.001   0.003 ± 0.001
=======  ==============  ==============  ==============  ==============

Bias of the mean ratio with other pairs, at 32, 200, 2,000 and 10,000 values (``python -m benchmarks divergence-laws``):
+16, +9, +2 and -1 % of 1 for N(0, 1) and N(1, 1); -11, -6, -5 and -1 % of 0.736 for Laplace distributions around 0 and
1; -51, -49, -45 and -38 % of 0.323 for a mixture with a uniform distribution, whose density jumps: a smooth curve does
not follow jumps, and more values hardly help.

The spread is that of chance: beside a single value stands what :func:`divergence_null` says of relabelled halves.

Source: La Malfa et al. 2021 (arXiv 2110.02628) for the divergence as a measure of networks; the estimate is [our
choice].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from axonometry.annotations import Count, Seed
from axonometry.arguments import argument_errors
from axonometry.metrics.conventions import check_convention
from axonometry.metrics.density_ratio import ratio_divergence
from axonometry.metrics.distributions import as_sample, bandwidth, even_grid, kernel_density
from axonometry.statistics import Estimate

if TYPE_CHECKING:
    import pandas as pd
    from scipy.stats import gaussian_kde

DivergenceConvention = Literal["density-ratio", "kernel", "ictai2021"]
CONVENTIONS = ("density-ratio", "kernel", "ictai2021")
FLOOR = 1e-12
POINTS = 2048
_TRIES = 1000

Values = Tensor | np.ndarray


@argument_errors
def jeffreys_divergence(a: Values, b: Values, convention: DivergenceConvention = "density-ratio") -> float:
    """Jeffreys divergence of the distributions of two samples.

    Args:
        a: One sample, of any shape.
        b: The other.
        convention: ``"density-ratio"`` or ``"kernel"``: estimates of the divergence, in nats. ``"ictai2021"``: the
            unnormalised sum of the official code, infinite where a density underflows.

    Returns:
        A number >= 0, the same for (a, b) and (b, a); 0 for equal samples. Shifting or scaling both samples alike
        changes the divergence in nats only by rounding.

    Raises:
        ConfigurationError: There is no such convention.
        ValuesError: A sample holds a value that is not finite, or does not hold two different ones.

    >>> a, b = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    >>> round(jeffreys_divergence(a, b, "ictai2021"), 6), round(jeffreys_divergence(a, b, "kernel"), 4)
    (59.748768, 0.8162)
    >>> even = np.linspace(-2, 2, 200)
    >>> round(jeffreys_divergence(even, even + 0.5), 2)
    0.6
    """
    return float(divergence_matrix([a, b], convention).to_numpy()[0, 1])


@argument_errors
def divergence_matrix(
    samples: Mapping[str, Values] | Sequence[Values], convention: DivergenceConvention = "density-ratio"
) -> pd.DataFrame:
    """Jeffreys divergence between every two samples: layer by layer, or accuracy bin by accuracy bin.

    In the convention ``"kernel"`` each density is estimated and evaluated once, on one grid for all samples. With P the
    densities on the grid, r the row sums of P ln P: J[i, j] = r[i] + r[j] - (P ln P')[i, j] - (P ln P')[j, i].

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
    if convention == "density-ratio":
        matrix = _by_ratios(vectors)
    else:
        kernels = [kernel_density(vector) for vector in vectors]
        matrix = _by_kernels(vectors, kernels) if convention == "kernel" else _ictai2021(vectors, kernels)
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
    # crossed[i, j] = sum over the grid of p_i ln p_j, so that KL(p_i | p_j) = crossed[i, i] - crossed[i, j].
    crossed = p @ log.T
    own = np.diagonal(crossed)
    matrix = np.maximum(
        own[:, None] + own[None, :] - crossed - crossed.T, 0.0
    )  # Rounding leaves -1e-16 for equal rows.
    np.fill_diagonal(matrix, 0.0)
    return matrix


@argument_errors
def divergence_null(
    a: Values, b: Values, convention: DivergenceConvention = "density-ratio", *, draws: Count = 20, seed: Seed = 0
) -> Estimate:
    """What the divergence of two samples would be if they were of one distribution: of relabelled halves.

    The values of both are pooled, shuffled and parted as they were, ``draws`` times.

    Args:
        a: One sample, of any shape.
        b: The other.
        convention: As for :func:`jeffreys_divergence`.
        draws: How often.
        seed: Of the shuffling.

    Returns:
        The mean of the draws; ``low`` and ``high`` are their 2.5 % and 97.5 % quantiles, ``n`` their number. A
        divergence within them is none.

    Raises:
        ConfigurationError: There is no such convention.
        ValuesError: A sample holds a value that is not finite, or does not hold two different ones.

    >>> even = np.linspace(-2, 2, 100)
    >>> null = divergence_null(even, even + 0.5)
    >>> null.high < jeffreys_divergence(even, even + 0.5)
    True
    """
    first, second = as_sample(a), as_sample(b)
    pooled, source = np.concatenate([first, second]), np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        mixed = _relabelled(pooled, len(first), source)
        found.append(jeffreys_divergence(mixed[: len(first)], mixed[len(first) :], convention))
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(float(np.mean(found)), float(low), float(high), draws, "draws")


def _relabelled(pooled: np.ndarray, size: int, source: np.random.Generator) -> np.ndarray:
    """The values in another order, whose first ``size`` and whose others hold two different values each."""
    for _ in range(_TRIES):
        mixed = source.permutation(pooled)
        if np.ptp(mixed[:size]) > 0 and np.ptp(mixed[size:]) > 0:
            return mixed
    return pooled  # of few values that differ, in large samples


def _by_ratios(vectors: list[np.ndarray]) -> np.ndarray:
    matrix = np.zeros((len(vectors), len(vectors)))
    for i, a in enumerate(vectors):
        for j, b in enumerate(vectors[:i]):
            matrix[i, j] = matrix[j, i] = ratio_divergence(a, b)
    return matrix


def _by_kernels(vectors: list[np.ndarray], kernels: list[gaussian_kde]) -> np.ndarray:
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
