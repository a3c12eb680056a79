"""Estimates: a number with its confidence interval and the size of the sample behind it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axonometry.statistics.ranges import REALS, Range, from_scale, never_differed, slope, to_scale

LEVEL = 0.95
"""Confidence level of an interval unless another is asked for."""
DRAWS = 2000
"""Bootstrap resamples behind an interval."""


@dataclass(frozen=True)
class Estimate:
    """A number with its confidence interval and the size of the sample behind it.

    Attributes:
        value: The estimate; NaN where there is nothing to estimate it from.
        low: Low end of the interval; NaN where there is none.
        high: High end of the interval.
        n: Size of the sample.
        unit: What ``n`` counts, in the plural: "networks", "seeds".
        within: The range that the number cannot leave, which gives the scale of its interval: (0, 1) of a share, (-1,
            1) of a correlation, (0, infinity) of a ratio.
        df: Degrees of freedom of an interval of Student's t; 0 for one that is not.

    >>> estimate = Estimate(0.5, 0.25, 0.75, 40, "networks")
    >>> str(estimate), estimate.text(".0%")
    ('0.500 [0.250, 0.750]', '50% [25%, 75%]')
    """

    value: float
    low: float
    high: float
    n: int
    unit: str = ""
    within: Range = REALS
    df: int = 0

    def text(self, form: str = ".2f", *, sample: bool = False) -> str:
        """The value with its interval, ready to print; a dash where there is no value.

        Args:
            form: Format of each number.
            sample: Whether the sample's size follows.

        An interval that is narrower than the last digit is written with up to three more.

        >>> Estimate(0.9998, 0.9996, 1.0, 60).text()
        '0.9998 [0.9996, 1.0000]'
        >>> Estimate(0.874, 0.83, 0.9, 12, "seeds").text()
        '0.87 [0.83, 0.90]'
        >>> Estimate(-0.5, float("nan"), float("nan"), 1, "seeds").text(".1f", sample=True)
        '−0.5, 1 seeds'
        """
        if math.isnan(self.value):
            return "–"
        value, low, high = _digits(self, form)
        numbers = value if math.isnan(self.low) else f"{value} [{low}, {high}]"
        return numbers + (f", {self.n:,} {self.unit}".rstrip() if sample else "")

    def __str__(self) -> str:
        """The value with its interval to three digits, as tables show it."""
        return self.text(".3f")

    def __neg__(self) -> Estimate:
        """The estimate of the opposite number.

        >>> -Estimate(1.0, 0.5, 2.0, 3)
        Estimate(value=-1.0, low=-2.0, high=-0.5, n=3, unit='', within=(-inf, inf), df=0)
        """
        low, high = self.within
        return replace(self, value=-self.value, low=-self.high, high=-self.low, within=(-high, -low))


def _digits(one: Estimate, form: str) -> list[str]:
    ends = (one.value, one.low, one.high)
    before, point, kind = form.partition(".")
    forms = (f"{before}.{int(kind[:-1]) + more}{kind[-1]}" for more in range(4)) if point else iter([form])
    for usable in forms:
        written = [_signed(f"{end:{usable}}") for end in ends]
        if written[1] != written[2] or not one.high - one.low > 1e-9:
            return written
    return written


def _signed(number: str) -> str:
    """A number with a minus sign; a zero has none."""
    return number.replace("-", "−") if number.strip("-0.") else number.removeprefix("-")


def mean_estimate(values: Iterable[float], *, level: float = LEVEL, unit: str = "", within: Range = REALS) -> Estimate:
    r"""The mean with the interval of Student's t; NaN is left out, and one value alone has no interval.

    Where numbers have a range, the interval is made on the scale on which they have none, g (log, or the logit, of
    which Fisher's z is half), by the delta method: :math:`g^{-1}(g(m) \pm t\, s\, g'(m) / \sqrt n)`. Values that do not
    differ have the interval of :func:`axonometry.statistics.ranges.never_differed`.

    Args:
        values: One number for each member of the sample.
        level: Confidence level.
        unit: What the values are, in the plural.
        within: The range of the numbers.

    >>> mean_estimate([1.0, 2.0, 3.0], unit="seeds").text(sample=True)
    '2.00 [−0.48, 4.48], 3 seeds'
    >>> mean_estimate([0.90, 0.99, 0.96], within=(0.0, 1.0)).text()  # Student's own would reach 1.06
    '0.95 [0.63, 1.00]'
    """
    from scipy import stats

    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan, 0, unit, within)
    mean = float(known.mean())
    if len(known) < 2:
        return Estimate(mean, math.nan, math.nan, len(known), unit, within)
    half = float(stats.t.ppf((1 + level) / 2, len(known) - 1) * stats.sem(known))
    made = Estimate(mean, math.nan, math.nan, len(known), unit, within, len(known) - 1)
    if not np.ptp(known) > 1e-12 * max(1.0, abs(mean)) or to_scale(mean, within) in {-math.inf, math.inf}:
        return _never_differed(made, level)
    # The slope of the scale at the mean turns the half width into the scale's unit: for logits 1 / (m (1 - m)).
    at, steep = to_scale(mean, within), slope(mean, within)
    low, high = (from_scale(at + side * half * steep, within) for side in (-1, 1))
    return replace(made, low=low, high=high)


def share_estimate(happened: int, n: int, *, level: float = LEVEL, unit: str = "") -> Estimate:
    """The share of cases in which something happens, with its exact interval (Clopper and Pearson 1934).

    Args:
        happened: In how many cases.
        n: Of how many.
        level: Confidence level.
        unit: What the cases are, in the plural.

    >>> share_estimate(10, 10).text(), share_estimate(3, 3).text()  # the low end is 0.025 ** (1 / n)
    ('1.00 [0.69, 1.00]', '1.00 [0.29, 1.00]')
    """
    from scipy.stats import binomtest

    if not n:
        return Estimate(math.nan, math.nan, math.nan, 0, unit, (0.0, 1.0))
    found = binomtest(happened, n).proportion_ci(level, "exact")
    return Estimate(happened / n, float(found.low), float(found.high), n, unit, (0.0, 1.0))


def ratio_estimate(first: Mapping[int, float], second: Mapping[int, float], unit: str = "seeds") -> Estimate:
    """The geometric mean over seeds of a positive number of the first condition over that of the second.

    Args:
        first: The number by seed; seeds that only one condition has, or that are not above 0, are left out.
        second: Likewise.
        unit: What the keys are, in the plural.

    >>> ratio_estimate({0: 2.0, 1: 8.0}, {0: 1.0, 1: 2.0}).text()[:4]  # of 2 and 4
    '2.83'
    """
    pairs = [(first[seed], second[seed]) for seed in first if seed in second]
    logs = mean_estimate((math.log(a / b) for a, b in pairs if a > 0 and b > 0), unit=unit)
    value, low, high = (math.exp(one) for one in (logs.value, logs.low, logs.high))
    return replace(logs, value=value, low=low, high=high, within=(0.0, math.inf))


def repeated_folds_estimate(
    scores: Iterable[float],
    folds: int,
    n: int,
    *,
    unit: str = "networks",
    within: Range = REALS,
    level: float = LEVEL,
) -> Estimate:
    r"""The mean score over repeated folds with refits, its interval corrected for the overlap of what was learned from.

    Scores of folds share most of the members that were learned from; their variance is too small by a factor that the
    share of test members gives: :math:`s^2 (1/k + 1/(\mathit{folds} - 1))` over k scores with k - 1 degrees of freedom
    (Nadeau and Bengio 2003, Machine Learning 52, equation 8; for repeated folds Bouckaert and Frank 2004).

    Args:
        scores: One for each fold of each repeat.
        folds: Folds of a repeat.
        n: Members of the sample.
        unit: What these are, in the plural.
        within: The range of a score.
        level: Confidence level.

    >>> repeated_folds_estimate([0.7, 0.8, 0.9, 0.8], folds=2, n=40).text()
    '0.80 [0.51, 1.09]'
    """
    known = [score for score in scores if not math.isnan(score)]
    plain = mean_estimate(known, unit=unit, level=level)
    # On the scale of plain numbers first: Student's half width, times the root of the ratio of the two variances.
    wider = math.sqrt(1 + len(known) / (folds - 1))
    if math.isnan(plain.low):
        return _never_differed(replace(plain, n=n, within=within), level)
    at, steep = to_scale(plain.value, within), slope(plain.value, within)
    low, high = (from_scale(at + wider * (end - plain.value) * steep, within) for end in (plain.low, plain.high))
    return replace(plain, low=low, high=high, n=n, within=within)


def _never_differed(one: Estimate, level: float) -> Estimate:
    low, high = never_differed(one.value, one.n, one.within, level)
    return replace(one, low=low, high=high, df=0)


def bootstrap_estimate(  # noqa: PLR0913 - of what, how drawn, and what the number is
    samples: Sequence[NDArray[np.float64]],
    statistic: Callable[..., Any],
    *,
    paired: bool = False,
    level: float = LEVEL,
    seed: int = 0,
    unit: str = "",
    within: Range = REALS,
) -> Estimate:
    """A statistic of one or more samples with its percentile bootstrap interval, :data:`DRAWS` resamples.

    Resamples without a value (a correlation where nothing varies) are left out. A sample of fewer than two members has
    no interval.

    Args:
        samples: One or more samples, each resampled by itself; with ``paired`` all with the same members.
        statistic: Called with one array a sample and ``axis=-1``: a resample a row.
        paired: Whether the samples describe the same members.
        level: Confidence level.
        seed: Seed of the resamples.
        unit: What the members are, in the plural.
        within: The range of the statistic.

    Source: Efron 1979, Bootstrap methods: another look at the jackknife; resampled by :func:`scipy.stats.bootstrap`.

    >>> estimate = bootstrap_estimate([np.arange(9.0)], np.mean)
    >>> estimate.value, round(estimate.low, 1), round(estimate.high, 1), estimate.n
    (4.0, 2.2, 5.6, 9)
    """
    from scipy.stats import DegenerateDataWarning, bootstrap

    value = float(statistic(*samples, axis=-1))
    n = len(samples[0]) if paired else sum(map(len, samples))
    if min(map(len, samples)) < 2 or math.isnan(value):
        return Estimate(value, math.nan, math.nan, n, unit, within)
    generator = np.random.default_rng(seed)
    with warnings.catch_warnings():
        # scipy warns of one resample without a value; only all of them leave nothing to take quantiles of.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            tuple(samples),
            statistic,
            n_resamples=DRAWS,
            vectorized=True,
            paired=paired,
            method="percentile",
            random_state=generator,
        )
    return estimate_of_draws(value, found.bootstrap_distribution, n, unit, level=level, within=within)


def paired_estimate(
    first: Mapping[int, float], second: Mapping[int, float], unit: str = "seeds", *, within: Range = REALS
) -> Estimate:
    """The mean over seeds of a number of the first condition less that of the second, seed by seed.

    Args:
        first: The number by seed; seeds that only one condition has are left out.
        second: Likewise.
        unit: What the keys are, in the plural.
        within: The range of the difference: (-1, 1) of two accuracies.

    >>> paired_estimate({0: 0.9, 1: 0.8, 2: 0.5}, {0: 0.5, 1: 0.4}).value
    0.4
    """
    return mean_estimate((first[seed] - second[seed] for seed in first if seed in second), unit=unit, within=within)


def estimate_of_draws(
    value: float,
    draws: np.ndarray,
    n: int,
    unit: str = "networks",
    *,
    level: float = LEVEL,
    within: Range = REALS,
) -> Estimate:
    """A statistic with the percentile interval of resamples that were drawn; those that are not finite are left out.

    Draws that do not differ have the interval of :func:`axonometry.statistics.ranges.never_differed`.

    Args:
        value: Of the sample itself.
        draws: Of each resample.
        n: Size of the sample.
        unit: What the sample consists of, in the plural.
        level: Confidence level.
        within: The range of the statistic.

    >>> estimate_of_draws(1.0, np.ones(9), 60, within=(0.0, 1.0)).text()  # areas that are 1 in each resample
    '1.00 [0.94, 1.00]'
    >>> estimate_of_draws(0.5, np.linspace(0, 1, 101), 20).text(".3f")
    '0.500 [0.025, 0.975]'
    """
    known = draws[np.isfinite(draws)]
    made = Estimate(value, math.nan, math.nan, n, unit, within)
    if not len(known) or math.isnan(value):
        return made
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    if not high - low > 1e-12 * max(1.0, abs(value)):
        return _never_differed(made, level)
    return replace(made, low=float(low), high=float(high))


def estimate_of_row(row: Mapping[Any, Any], n: int = 0, unit: str = "networks", *, within: Range = REALS) -> Estimate:
    """The estimate in a table's row, from its columns value, low and high.

    Args:
        row: It may have a column ``n`` too.
        n: Size of the sample where the row does not say.
        unit: What the sample consists of, in the plural.
        within: The range of the number.

    >>> estimate_of_row({"value": 0.5, "low": 0.25, "high": 0.75, "n": 40}).text(sample=True)
    '0.50 [0.25, 0.75], 40 networks'
    """
    value, low, high = (float(row[key]) for key in ("value", "low", "high"))
    return Estimate(value, low, high, int(row.get("n", n)), unit, within)
