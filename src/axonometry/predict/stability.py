"""Which few of many numbers carry what is known of another one: sparse selection, and how stable it is.

Of many random halves of the networks the lasso's path says which numbers enter first; a number's stability is the share
of halves in which it is among the first few. Two numbers that say the same share the halves, so that both may look
unstable: numbers that are alike are put into one cluster first, of which the one nearest to the others stands for all.

Source: Meinshausen and Bühlmann 2010, Stability selection: with q numbers a half, of p, and a threshold π, at most
q² / ((2 π - 1) p) are chosen wrongly in the mean.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from jaxtyping import Float

from axonometry.predict._optional import require_extra

require_extra()

from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.linear_model import RidgeCV, lars_path  # noqa: E402

FIRST, HALVES, STABLE = 5, 100, 0.6
"""Numbers that a half chooses; halves; the share of halves from which on a number is called stable."""
PENALTIES = tuple(10.0**power for power in range(-2, 4))


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """Every column as normal scores of its ranks, so that no scale and no outlier decides; NaN is the middle.

    >>> ranked(pd.DataFrame({"a": [1.0, 100.0, 10.0]}))["a"].round(3).tolist()
    [-0.967, 0.967, 0.0]
    """
    from scipy.stats import norm

    shares = (table.rank() - 0.5) / table.notna().sum()
    scores = pd.DataFrame(norm.ppf(shares), index=table.index, columns=table.columns)
    return scores.fillna(0.0)


def stability(table: pd.DataFrame, target: pd.Series, *, halves: int = HALVES, seed: int = 0) -> pd.Series:
    """The share of random halves in which each column is among the first :data:`FIRST` of the lasso's path.

    Args:
        table: A row a network, a column a number; as :func:`ranked` gives it.
        target: What is to be known of each network.
        halves: How many halves are drawn.
        seed: Of the halves.

    Returns:
        By column, the most stable first.

    >>> chance = np.random.default_rng(0)
    >>> table = pd.DataFrame(chance.normal(size=(80, 12)), columns=list("abcdefghijkl"))
    >>> target = table["c"] - table["h"] + 0.3 * chance.normal(size=80)
    >>> stability(table, target).head(2).to_dict()
    {'c': 1.0, 'h': 1.0}
    """
    x, y = table.to_numpy(dtype=float), target.to_numpy(dtype=float)
    chance, counts = np.random.default_rng(seed), np.zeros(x.shape[1])
    for _ in range(halves):
        some = chance.choice(len(y), len(y) // 2, replace=False)
        counts[_first(x[some], y[some])] += 1
    return pd.Series(counts / halves, index=table.columns).sort_values(ascending=False, kind="stable")


def explained(
    table: pd.DataFrame, target: pd.Series, *, few: bool = False, folds: int = 5, repeats: int = 10, seed: int = 0
) -> list[float]:
    """R² of ridge regression on networks that were not learned from, one for each fold of each repeat.

    Args:
        table: As for :func:`stability`.
        target: Likewise.
        few: Whether each fold chooses its :data:`FIRST` most stable columns anew, from what it learns from alone.
        folds: Folds of a repeat.
        repeats: How often the networks are cut into folds.
        seed: Of the cuts.

    >>> chance = np.random.default_rng(0)
    >>> table = pd.DataFrame(chance.normal(size=(60, 4)))
    >>> float(np.mean(explained(table, table[0] + table[1], repeats=2))) > 0.95
    True
    """
    x, y, chance, found = table.to_numpy(dtype=float), target.to_numpy(dtype=float), np.random.default_rng(seed), []
    for _ in range(repeats):
        parts = np.array_split(chance.permutation(len(y)), folds)
        for place, test in enumerate(parts):
            train = np.concatenate([part for other, part in enumerate(parts) if other != place])
            columns = np.arange(x.shape[1])
            if few and len(columns) > FIRST:
                # Chosen from what the fold learns from: columns chosen on all networks would have seen those that are
                # predicted.
                best = stability(table.iloc[train], target.iloc[train], halves=HALVES // 5, seed=seed)
                columns = table.columns.get_indexer(best.index[:FIRST])
            model = RidgeCV(PENALTIES).fit(x[train][:, columns], y[train])
            spread = np.square(y[test] - y[train].mean()).sum()
            missed = np.square(y[test] - model.predict(x[test][:, columns])).sum()
            found.append(float(1 - missed / spread) if spread > 0 else np.nan)
    return found


def _first(x: Float[np.ndarray, "n columns"], y: Float[np.ndarray, " n"]) -> np.ndarray:
    """The columns that enter the lasso's path first; a constant one never does."""
    spread = x.std(0)
    usable = np.flatnonzero(spread > 0)
    standard = (x[:, usable] - x[:, usable].mean(0)) / spread[usable]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of columns that are alike, one enters
        active = lars_path(standard, y - y.mean(), method="lar", max_iter=FIRST)[1]
    return usable[np.asarray(active, dtype=int)[:FIRST]]
