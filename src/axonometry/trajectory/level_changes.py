"""Change points of a run: steps from which on its measures are about another level, with a calibrated rate of alarms.

Series are standardised and cut by PELT (least squares, the package ``ruptures``). Its penalty is what one more change
point must gain; it is drawn for the run at hand. Stationary series are made that have the run's autocorrelation and its
correlations between measures: a first-order autoregression of what is left beside the three best cuts, its residuals
drawn with replacement, all measures of a step together. The penalty is the gain that the best cut reaches in the share
``false_alarms`` of them. Of 60 stationary series of 100 steps with the autocorrelation 0, 0.5, 0.8 and 0.95, 1, 2, 1
and 3 were flagged (``python -m benchmarks change-points``).

Source: Killick et al. 2012 for PELT; the calibration is [our choice].
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from axonometry.errors import ConfigurationError, MissingExtraError, ValuesError

if TYPE_CHECKING:
    import pandas as pd

Series = Float[np.ndarray, "_ _"]
_DRAWS = 400
_LEAST = 12


def change_points(
    table: pd.DataFrame, *, false_alarms: float = 0.01, min_size: int = 3, seed: int = 0
) -> tuple[int, ...]:
    """The steps at which a run's measures come to another level.

    Args:
        table: A row a step, the steps as its index, a column a measure. Columns that never change, and those that have
            a number that is not finite, are left out.
        false_alarms: Of stationary runs, the share in which anything is found.
        min_size: Steps between two change points, at least.
        seed: Of the stationary series.

    Returns:
        The first step of each new level, in order; empty where there is none.

    Raises:
        ValuesError: There are fewer than 12 steps, or no column that changes.
        ConfigurationError: The share is not between 0 and 1.
        MissingExtraError: ruptures is not installed.

    >>> import pandas as pd
    >>> noise = np.random.default_rng(0).normal(size=60)
    >>> change_points(pd.DataFrame({"accuracy": noise + 8 * (np.arange(60) >= 40)}, index=range(0, 600, 10)))
    (400,)
    """
    if not 0 < false_alarms < 1:
        raise ConfigurationError("a rate of false alarms is between 0 and 1", repr(false_alarms), "Give 0.01")
    series = _standardised(table)
    if len(series) < max(_LEAST, 2 * min_size):
        raise ValuesError(f"change points are of {_LEAST} steps or more", f"{len(series)}", "Record more often")
    penalty = _penalty(series, false_alarms, min_size, np.random.default_rng(seed))
    ends = _cuts(series, penalty, min_size)
    return tuple(int(table.index[end]) for end in ends if end < len(series))


def measures_of(table: pd.DataFrame, names: Iterable[str] | None = None) -> pd.DataFrame:
    """A run's measures as :func:`change_points` takes them: ``run.metrics`` with a row a step.

    Args:
        table: Columns step, group, metric, statistic, value.
        names: Which measures; all by default.

    >>> import pandas as pd
    >>> rows = [(step, "fc", "node_strength", "std", float(step)) for step in (0, 5)]
    >>> measures_of(pd.DataFrame(rows, columns=["step", "group", "metric", "statistic", "value"])).index.tolist()
    [0, 5]
    """
    kept = table if names is None else table[table["metric"].isin(list(names))]
    kept = kept[~kept["statistic"].isin(("count", "nonfinite"))]
    return kept.pivot_table(index="step", columns=["metric", "group", "statistic"], values="value", dropna=False)


def _standardised(table: pd.DataFrame) -> Series:
    values = table.to_numpy(dtype=np.float64)
    values = values[:, np.isfinite(values).all(0)]
    spread = values.std(0) if values.size else np.zeros(0)
    moving = spread > 1e-12 * np.abs(values).max(0, initial=0) if values.size else np.zeros(0, bool)
    if not moving.any():
        raise ValuesError("change points are of measures that change", "none", "Choose other measures")
    return (values[:, moving] - values[:, moving].mean(0)) / spread[moving]


def _gains(series: Float[np.ndarray, "draws steps measures"], min_size: int) -> Float[np.ndarray, "draws cuts"]:
    """By how much each cut lowers the sum of squares: n k / (n + k) times the squared distance of the two means."""
    steps = series.shape[1]
    sums = series.cumsum(1)
    left = np.arange(min_size, steps - min_size + 1)
    first = sums[:, left - 1] / left[:, None]
    second = (sums[:, -1:] - sums[:, left - 1]) / (steps - left)[:, None]
    # Of 0 0 4 4 and min_size 1, the cuts behind 1, 2 and 3 values gain (8/3)² · 3/4 = 5.33, 4² · 1 = 16 and 5.33. The
    # sum of squares about the mean is 16, and behind the best cut none of it is left.
    return ((first - second) ** 2).sum(2) * (left * (steps - left) / steps)


def _penalty(series: Series, false_alarms: float, min_size: int, chance: np.random.Generator) -> float:
    # What the run would be without changes: its parts, each less its mean, are fitted by an autoregression of one step,
    # and 400 series are made of that slope and of residuals drawn anew. The penalty is the gain that the best cut of
    # such a series, which has no change, exceeds in `false_alarms` of them.
    parts = _halved(series, min_size)
    rest = np.concatenate([part - part.mean(0) for part in parts])
    squares = (rest[:-1] ** 2).sum(0)
    slope = np.divide((rest[1:] * rest[:-1]).sum(0), squares, out=np.zeros_like(squares), where=squares > 0)
    # Short series and the means that were taken off make autocorrelation look smaller than it is.
    slope = np.clip(slope + len(parts) * (1 + 4 * np.clip(slope, 0, 1)) / len(series), 0, 0.97)
    left = rest[1:] - slope * rest[:-1]
    left -= left.mean(0)
    # 50 steps to forget the start: at the largest slope, 0.97, a fifth of it is left by then.
    steps, warm = len(series), 50
    drawn = left[chance.integers(len(left), size=(_DRAWS, steps + warm))]
    made = np.empty_like(drawn)
    made[:, 0] = drawn[:, 0]
    for step in range(1, steps + warm):
        made[:, step] = slope * made[:, step - 1] + drawn[:, step]
    return float(np.quantile(_gains(made[:, warm:], min_size).max(1), 1 - false_alarms))


def _halved(series: Series, min_size: int) -> list[Series]:
    """Four parts or fewer, by the best cut of all, again and again: with two changes one cut would leave the other."""
    parts = [series]
    for _ in range(3):
        best = [_gains(part[None], min_size)[0] if len(part) >= 2 * min_size else np.zeros(1) for part in parts]
        which = int(np.argmax([gains.max() for gains in best]))
        if not best[which].max() > 0:
            break
        cut = int(best[which].argmax()) + min_size
        parts[which : which + 1] = [parts[which][:cut], parts[which][cut:]]
    return parts


def _cuts(series: Series, penalty: float, min_size: int) -> list[int]:
    try:
        import ruptures
    except ImportError:
        raise MissingExtraError.of("ruptures", "changes") from None
    found: list[int] = ruptures.Pelt(model="l2", min_size=min_size, jump=1).fit(series).predict(pen=penalty)
    return found
