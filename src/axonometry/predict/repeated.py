r"""Scores over repeated folds with refits, with intervals that know that the folds share their training runs.

Ten repeats of five folds are fifty values, but two folds of one repeat learn from three quarters of the same runs, and
so do two repeats: the variance of their mean is not s^2 / 50. Nadeau and Bengio's correction adds what is shared::

    variance of the mean = (1 / 50 + runs predicted / runs learned from) s^2 = (0.02 + 0.25) s^2
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from axonometry.predict.coverage import opened_ends
from axonometry.predict.scores import scores
from axonometry.statistics import repeated_folds_estimate

BOUNDS = {"r2": (-np.inf, 1.0), "rmse": (0.0, np.inf), "tau": (-1.0, 1.0), "accuracy": (0.0, 1.0), "auc": (0.0, 1.0)}
"""What a score can be."""


def scores_by_fold(part: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The scores of every fold of every repeat: a row a fold, a column a score.

    R2 is taken against the variance of all runs, so that its mean over even folds is that of all runs together; a fold
    has too few for a variance of its own. AUC and tau are NaN in a fold that has one class or one value alone.

    Args:
        part: Predictions of one feature set and number of epochs: repeat, fold, truth, predicted.
        threshold: From which accuracy on a run is good.
    """
    variance = float(part.drop_duplicates("run")["truth"].var(ddof=0))
    rows = {}
    for place, fold in part.groupby(["repeat", "fold"]):
        truth, predicted = fold["truth"].to_numpy(dtype=float), fold["predicted"].to_numpy(dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = scores(truth, predicted, np.ones((1, len(truth))), threshold)
        rows[place] = {name: float(values[0]) for name, values in found.items()}
        rows[place]["r2"] = 1 - float(np.square(truth - predicted).mean()) / variance if variance > 1e-12 else np.nan
    return pd.DataFrame.from_dict(rows, orient="index")


def corrected_interval(values: np.ndarray, folds: int, level: float = 0.95) -> tuple[float, float, float]:
    """The mean of a score over repeated folds, with the interval of the corrected resampled t-test.

    Args:
        values: One a fold of each repeat; what is not finite is left out.
        folds: Folds of a repeat: 1 / (folds - 1) is the runs predicted over those learned from.
        level: Confidence level.

    Source: :func:`axonometry.statistics.repeated_folds_estimate`.

    Of 10 values with a standard deviation of 0.1, uncorrected: 0.5 +- 2.26 * 0.1 / sqrt(10) = 0.072.

    >>> values = np.array([0.4, 0.6] * 5) * 1.0
    >>> [round(end, 3) for end in corrected_interval(values, folds=5)]
    [0.5, 0.359, 0.641]
    """
    known = values[np.isfinite(values)]
    found = repeated_folds_estimate(known, folds, len(known), level=level)
    if len(known) > 1 and np.isnan(found.low):  # values that do not differ
        return found.value, found.value, found.value
    return found.value, found.low, found.high


def reference_at(reference: str, epochs: int) -> str:
    """What the other sets are compared with: before training, the number of parameters.

    >>> reference_at("curve", 1), reference_at("curve", 0)
    ('curve', 'parameters')
    """
    return reference if epochs else "parameters"


def repeated_tables(
    predictions: pd.DataFrame, threshold: float, reference: str, level: float = 0.95
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of repeated folds and their differences to a reference in the same folds, with corrected intervals.

    Args:
        predictions: Columns run, features, epochs, repeat, fold, truth, predicted.
        threshold: From which accuracy on a run is good.
        reference: The feature set that the others are compared with.
        level: Of the intervals.

    Returns:
        As ``Evaluation.scores`` and ``Evaluation.differences``.
    """
    each = {
        (str(part["features"].iloc[0]), int(part["epochs"].iloc[0])): scores_by_fold(part, threshold)
        for _, part in predictions.groupby(["features", "epochs"], sort=False)
    }
    facts = _Facts(int(predictions["fold"].nunique()), int(predictions["run"].nunique()), level)
    found, differences = [], []
    for (features, epochs), values in each.items():
        found += _rows((features, epochs), values, facts, bounded=True)
        compared = reference_at(reference, epochs)
        other = each.get((compared, epochs))
        if other is not None and features != compared:
            differences += _rows((features, epochs), (values - other).dropna(how="all"), facts, bounded=False)
    columns = ["features", "epochs", "score", "value", "low", "high"]
    return pd.DataFrame(found, columns=columns), pd.DataFrame(differences, columns=columns)


@dataclass(frozen=True)
class _Facts:
    folds: int
    n: int
    level: float


def _rows(
    place: tuple[str, int], values: pd.DataFrame, facts: _Facts, *, bounded: bool
) -> list[tuple[str, int, str, float, float, float]]:
    rows = []
    for name, (least, most) in BOUNDS.items():
        value, low, high = corrected_interval(values[name].to_numpy(dtype=float), facts.folds, facts.level)
        if bounded:
            low, high = opened_ends(value, max(low, least), min(high, most), facts.n, level=facts.level)
        rows.append((*place, name, value, low, high))
    return rows
