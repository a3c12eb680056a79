"""Whether a number goes with accuracy over networks: rank correlations, areas under curves, and their intervals.

Networks are the sample: intervals come from drawing networks anew (percentile bootstrap, seeded), never from the
neurons or weights inside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from axonometry.statistics.estimates import DRAWS, Estimate, bootstrap_estimate, estimate_of_draws

Numbers = NDArray[np.float64]

Classes = tuple[Numbers, Numbers]

FEWEST = 3
"""Networks that a stratum must have to say anything about ranks inside it."""


def rank_correlation(x: Numbers, y: Numbers, strata: Sequence[object] | None = None, *, seed: int = 0) -> Estimate:
    """Spearman's rank correlation, over all networks or inside strata.

    With strata, ranks are taken inside each of them and centred, and all are correlated together: what is left of the
    association among networks that were trained alike. Networks are then drawn anew inside each stratum, and strata of
    fewer than 3 networks are left out.

    Args:
        x: A number of each network.
        y: Another one.
        strata: What each network belongs to; None for all in one.
        seed: Seed of the bootstrap.

    >>> rank_correlation(np.array([1.0, 2, 3, 4]), np.array([1.0, 4, 9, 16])).value
    1.0
    """
    kept = np.isfinite(x) & np.isfinite(y)
    labels = (
        np.unique([repr(s) for s in strata], return_inverse=True)[1] if strata is not None else np.zeros(len(x), int)
    )
    parts = [part for s in np.unique(labels) if len(part := np.flatnonzero(kept & (labels == s))) >= FEWEST]
    if not parts:
        return Estimate(np.nan, np.nan, np.nan, 0, "networks")
    generator = np.random.default_rng(seed)
    sums = np.zeros((3, DRAWS + 1))  # Of products and squares; the last column is the sample itself.
    # Centring inside each stratum before adding up is what takes the strata's own differences out: with (1, 1), (2, 2),
    # (3, 3) in one stratum and (8, -3), (9, -2), (10, -1) in another, all ranks together give ρ = -0.54, and those
    # inside give 1.
    for part in parts:
        drawn = np.concatenate([part[generator.integers(len(part), size=(DRAWS, len(part)))], part[None]])
        a, b = _centred_ranks(x[drawn]), _centred_ranks(y[drawn])
        sums += [(a * b).sum(1), (a * a).sum(1), (b * b).sum(1)]
    ratios = _ratio(sums[0], np.sqrt(sums[1] * sums[2]))
    return estimate_of_draws(float(ratios[-1]), ratios[:-1], sum(map(len, parts)), within=(-1.0, 1.0))


def partial_rank_correlation(
    x: Numbers, y: Numbers, given: Sequence[Numbers], *, seed: int = 0, draws: int = DRAWS
) -> Estimate:
    r"""What is left of Spearman's rank correlation beside other numbers.

    All are put into ranks, those of x and y are regressed on the others by least squares, and what is left of them is
    correlated. With one other number z it is :math:`(\rho_{xy} - \rho_{xz} \rho_{yz}) / \sqrt{(1 - \rho_{xz}^2)(1 -
    \rho_{yz}^2)}`.

    Args:
        x: A number of each network.
        y: Another one.
        given: The other numbers; networks that lack one are left out, and numbers that never differ.
        seed: Seed of the bootstrap.
        draws: Resamples of the bootstrap; fewer are quicker, and 0 give no interval.

    Source: Conover 1999, Practical nonparametric statistics, section 5.4.

    >>> ages = np.arange(12.0)
    >>> size, skill = ages + np.tile([0.0, 2.5], 6), ages + np.tile([0.0, 0.0, 2.5], 4)  # both grow with age alone
    >>> round(rank_correlation(size, skill).value, 2), round(partial_rank_correlation(size, skill, [ages]).value, 2)
    (0.89, -0.18)
    """
    whole = np.stack([x, y, *given], axis=1).astype(float)
    kept = whole[np.isfinite(whole).all(1)]
    n = len(kept)
    if n < FEWEST + len(given):
        return Estimate(np.nan, np.nan, np.nan, n, "networks")
    generator = np.random.default_rng(seed)
    drawn = np.concatenate([np.arange(n)[None], generator.integers(n, size=(draws, n))])
    values = _partial(_centred_ranks(column[drawn]) for column in kept.T)
    return estimate_of_draws(float(values[0]), values[1:], n, within=(-1.0, 1.0))


def _partial(ranks: Iterable[Float[np.ndarray, "draws n"]]) -> Float[np.ndarray, " draws"]:
    """The correlation of the first two beside the others, of all draws at once; NaN where the others say all."""
    x, y, *others = ranks
    if others:
        given = np.stack(others, axis=1)
        # Least squares by the pseudo-inverse of the Gram matrices, which leaves out what never differs and repeats.
        inverse = np.linalg.pinv(given @ given.transpose(0, 2, 1), rcond=1e-9, hermitian=True)
        left = [r - np.einsum("dk,dkn->dn", np.einsum("dkl,dln,dn->dk", inverse, given, r), given) for r in (x, y)]
    else:
        left = [x, y]
    sizes = [np.square(rest).sum(1) for rest in left]
    # where the others say all, what is left is rounding
    known = np.logical_and(*(size > 1e-9 * np.square(r).sum(1) for size, r in zip(sizes, (x, y), strict=True)))
    product = (left[0] * left[1]).sum(1)
    return np.divide(product, np.sqrt(sizes[0] * sizes[1]), out=np.full(len(product), np.nan), where=known)


def roc_area(low: Numbers, high: Numbers, *, seed: int = 0) -> Estimate:
    """Area under the ROC curve: how often a number of the high class exceeds one of the low class, ties counting half.

    Args:
        low: A number of each network of the low class.
        high: Of each network of the high class.
        seed: Seed of the bootstrap, which draws networks anew inside each class; a class of one has no interval.

    >>> roc_area(np.array([1.0, 2.0]), np.array([3.0, 4.0])).value
    1.0
    """
    low, high = low[np.isfinite(low)], high[np.isfinite(high)]
    if not len(low) or not len(high):
        return Estimate(np.nan, np.nan, np.nan, len(low) + len(high), "networks")
    return bootstrap_estimate([low, high], _area, seed=seed, unit="networks", within=(0.0, 1.0))


def spearman_brown(halves: Estimate) -> Estimate:
    """Reliability of a whole test from the correlation of its halves: 2 r / (1 + r) (Spearman 1910, Brown 1910).

    Args:
        halves: The correlation, of which the ends of the interval are taken along.

    >>> spearman_brown(Estimate(0.5, 0.25, 1.0, 60, "networks")).text(sample=True)
    '0.67 [0.40, 1.00], 60 networks'
    """
    value, low, high = (2 * r / (1 + r) if r > -1 else -np.inf for r in (halves.value, halves.low, halves.high))
    return replace(halves, value=value, low=low, high=high, within=(-np.inf, 1.0))


def sharper(first: Classes, second: Classes, *, seed: int = 0) -> Estimate:
    """How much farther from a half the area under the ROC curve is by one set of numbers than by another.

    Of each set the best number counts. Networks are drawn anew inside each class, the same ones for both sets.

    Args:
        first: Numbers of each network of the low and of the high class: a row a number, a column a network.
        second: Likewise, of the same networks.
        seed: Seed of the bootstrap.

    >>> low, high = np.zeros((1, 9)), np.ones((1, 9))
    >>> sharper((low, high), (np.arange(9.0)[None], np.arange(9.0)[None])).value  # an area of 1 against one of a half
    0.5
    """

    def gained(low: Numbers, high: Numbers, axis: int = -1) -> Any:
        places = low.astype(int), high.astype(int)
        best = [
            np.max([abs(_area(a[places[0]], b[places[1]], axis) - 0.5) for a, b in zip(*classes, strict=True)], axis=0)
            for classes in (first, second)
        ]
        return best[0] - best[1]

    members = [np.arange(float(classes.shape[1])) for classes in first]
    return bootstrap_estimate(members, gained, seed=seed, unit="networks", within=(-0.5, 0.5))


def rank_test(low: Numbers, high: Numbers) -> float:
    """Two-sided p of the Mann-Whitney test that two classes do not differ; NaN where one is empty.

    >>> round(rank_test(np.array([1.0, 2, 3, 4]), np.array([5.0, 6, 7, 8])), 4)  # 2 of the 70 ways to choose four
    0.0286
    """
    from scipy.stats import mannwhitneyu

    low, high = low[np.isfinite(low)], high[np.isfinite(high)]
    return float(mannwhitneyu(low, high).pvalue) if len(low) and len(high) else np.nan


def holm(p: Sequence[float]) -> list[float]:
    """P values adjusted for being several, by Holm's step-down method (Holm 1979); NaN stay and do not count.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=float)
    order = [int(i) for i in np.argsort(values) if not np.isnan(values[i])]
    adjusted = np.full(len(values), np.nan)
    greatest = 0.0
    for place, i in enumerate(order):
        # The least p is multiplied by all n, the next by n - 1...; a later one is never less than one before it: 0.03 *
        # 2 = 0.06 and then 0.04 * 1 = 0.04, which becomes 0.06.
        greatest = max(greatest, min(1.0, (len(order) - place) * values[i]))
        adjusted[i] = greatest
    return [float(value) for value in adjusted]


def _area(low: Numbers, high: Numbers, axis: int = -1) -> Numbers:
    """Mann and Whitney's count: the ranks of the high class among all, less what they are among themselves."""
    n_low, n_high = low.shape[-1], high.shape[-1]
    ranks = _ranks(np.atleast_2d(np.concatenate([low, high], axis=-1)))[:, n_low:].sum(axis=axis)
    # Worked: low 1 2, high 3 2. The ranks of high among 1 2 3 2 are 4 and 2.5, their sum 6.5; among themselves they
    # would be 1 and 2, sum 3. The rest, 3.5, counts the low ones below: 3 > 1, 3 > 2, 2 > 1, and half for 2 = 2. Of 2 x
    # 2 pairs that is an area of 0.875.
    areas: Numbers = (ranks / n_high - (n_high + 1) / 2) / n_low
    return areas.reshape(low.shape[:-1])


def _ranks(values: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, "draws n"]:
    from scipy.stats import rankdata

    ranks: NDArray[np.float64] = rankdata(values, axis=1)
    return ranks


def _centred_ranks(values: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, "draws n"]:
    return _ranks(values) - (values.shape[1] + 1) / 2


def _ratio(top: Numbers, bottom: Numbers) -> Numbers:
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
