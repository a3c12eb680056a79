"""Do intervals hold what they promise, for the runs that look bad as for those that look good?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from axonometry.statistics import share_estimate
from axonometry.statistics.ranges import never_differed

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
        # Ranks 1 to 7 give 0 0 0 1 1 2 2: thirds as even as they can be, ties in the order of the rows.
        place = (part["predicted"].rank(method="first").to_numpy() - 1) * len(THIRDS) // len(part)
        inside = ((part["truth"] >= part["low"]) & (part["truth"] <= part["high"])).to_numpy()
        width = (part["high"] - part["low"]).to_numpy()
        for number, third in enumerate(THIRDS):
            mine = place == number
            if mine.any():
                share = share_estimate(int(inside[mine].sum()), int(mine.sum()), level=level)
                ends = share.value, share.low, share.high
                rows.append((features, epochs, third, share.n, *ends, float(width[mine].mean())))
    columns = ["features", "epochs", "third", "n", "covered", "low", "high", "width"]
    return pd.DataFrame(rows, columns=columns)


def opened_ends(value: float, low: float, high: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """The ends of an interval, opened where they are one: resamples of what never fails never fail either.

    A score that is the same in every resample is treated as a share of n that is 0 or all [our choice]: the interval
    reaches as far as :func:`axonometry.statistics.ranges.never_differed` says, on the side where there is room.

    Args:
        value: The score.
        low: The low end.
        high: The high end.
        n: Independent samples.
        level: Confidence level of the ends.

    >>> [round(end, 3) for end in opened_ends(1.0, 1.0, 1.0, 24)], opened_ends(0.8, 0.7, 0.9, 24)
    ([0.858, 1.0], (0.7, 0.9))
    """
    if not np.isfinite(low + high) or high - low > 1e-9:
        return low, high
    return never_differed(value, n, (value - 1, value) if value > 0.5 else (value, value + 1), level)
