"""Do intervals hold what they promise, for the runs that look bad as for those that look good?"""

from __future__ import annotations

import numpy as np
import pandas as pd

THIRDS = ("low", "middle", "high")
"""Of the runs, by their prediction."""


def coverage_by_third(predictions: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """How many final accuracies lie inside their intervals, by predicted third.

    The first repeat is looked at: a run is one sample.

    Args:
        predictions: Columns run, features, epochs, repeat, truth, predicted, low, high.
        level: Of the exact interval of the share (Clopper and Pearson 1934).

    Returns:
        A row a feature set, number of epochs and third: features, epochs, third, n, covered, low, high (the share with
        its interval), width (the mean one of the predictions' intervals). Runs without an interval are left out.

    >>> frame = pd.DataFrame({"run": list("abcdef"), "truth": [0.1, 0.1, 0.5, 0.5, 0.9, 0.9]})
    >>> frame = frame.assign(features="curve", epochs=1, repeat=0, predicted=frame["truth"])
    >>> found = coverage_by_third(frame.assign(low=0.0, high=0.8))
    >>> found[["third", "n", "covered"]].to_dict("list")
    {'third': ['low', 'middle', 'high'], 'n': [2, 2, 2], 'covered': [1.0, 1.0, 0.0]}
    """
    rows = []
    known = predictions[(predictions["repeat"] == predictions["repeat"].min()) & predictions["high"].notna()]
    for (features, epochs), part in known.groupby(["features", "epochs"], sort=False):
        place = (part["predicted"].rank(method="first").to_numpy() - 1) * len(THIRDS) // len(part)
        inside = ((part["truth"] >= part["low"]) & (part["truth"] <= part["high"])).to_numpy()
        width = (part["high"] - part["low"]).to_numpy()
        for number, third in enumerate(THIRDS):
            mine = place == number
            if mine.any():
                share = exact_share(int(inside[mine].sum()), int(mine.sum()), level)
                rows.append((features, epochs, third, int(mine.sum()), *share, float(width[mine].mean())))
    columns = ["features", "epochs", "third", "n", "covered", "low", "high", "width"]
    return pd.DataFrame(rows, columns=columns)


def exact_share(count: int, n: int, level: float = 0.95) -> tuple[float, float, float]:
    """A share with its exact interval, which is never of zero width.

    Args:
        count: How many of them.
        n: Of how many.
        level: Confidence level.

    Source: Clopper and Pearson 1934, by quantiles of the beta distribution.

    >>> [round(end, 3) for end in exact_share(10, 10)]
    [1.0, 0.692, 1.0]
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, count, n - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, n - count)) if count < n else 1.0
    return count / n, low, high


def opened_ends(value: float, low: float, high: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """The ends of an interval, opened where they are one: resamples of what never fails never fail either.

    A score that is the same in every resample is treated as a share of n that is 0 or all: the interval reaches as far
    as that of ``exact_share``, away from the value on the side where there is room.

    Args:
        value: The score.
        low: The low end.
        high: The high end.
        n: Independent samples.
        level: Of the interval.

    >>> [round(end, 3) for end in opened_ends(1.0, 1.0, 1.0, 24)], opened_ends(0.8, 0.7, 0.9, 24)
    ([0.858, 1.0], (0.7, 0.9))
    """
    if not np.isfinite(low + high) or high - low > 1e-9:
        return low, high
    reach = 1 - exact_share(n, n, level)[1]
    return (value - reach, value) if value > 0.5 else (value, value + reach)
