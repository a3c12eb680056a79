"""How good predictions are, with bootstrap intervals: every score of many resamples at once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

SCORES = {
    "r2": "share of the variance that is predicted",
    "rmse": "root of the mean squared error",
    "tau": "Kendall's tau-b",
    "accuracy": "share of runs on the right side of the threshold",
    "auc": "area under the ROC curve for the side of the threshold",
}
"""The scores; all but ``rmse`` are the better the higher."""

Counts = Float[np.ndarray, "resamples rows"]
Numbers = Float[np.ndarray, " rows"]


def resamples(groups: Sequence[Hashable], number: int, seed: int) -> Counts:
    """How often each row counts in each resample: groups are drawn with replacement, and all their rows with them.

    The first resample is the sample itself.

    Args:
        groups: The group of each row.
        number: How many are drawn.
        seed: Of the draws.

    >>> resamples(["a", "a", "b"], 3, seed=0).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 2.0]]
    """
    places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    group_of = np.array([places[group] for group in groups])
    even = np.full(len(places), 1 / len(places))
    drawn = np.random.default_rng(seed).multinomial(len(places), even, size=number)
    return np.vstack([np.ones(len(group_of)), drawn[:, group_of]]).astype(float)


def scores(
    truth: Numbers, predicted: Numbers, counts: Counts, threshold: float
) -> Mapping[str, Float[np.ndarray, " resamples"]]:
    """All scores of all resamples; NaN where a resample has no variance or one class alone.

    Args:
        truth: The true values.
        predicted: What was predicted.
        counts: How often each row counts in each resample.
        threshold: From where on a run is good.

    >>> found = scores(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.1, 0.6, 0.4, 0.9]), np.ones((1, 4)), 0.5)
    >>> {name: round(float(values[0]), 3) for name, values in found.items()}
    {'r2': 0.36, 'rmse': 0.283, 'tau': 0.667, 'accuracy': 0.5, 'auc': 0.75}
    """
    total = counts.sum(axis=1)
    squared = counts @ np.square(truth - predicted)
    mean = counts @ truth / total
    variance = counts @ np.square(truth) - total * np.square(mean)
    good = truth >= threshold
    right = good == (predicted >= threshold)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "r2": np.where(variance > 1e-12, 1 - squared / variance, np.nan),
            "rmse": np.sqrt(squared / total),
            "tau": _tau(truth, predicted, counts),
            "accuracy": counts @ right.astype(float) / total,
            "auc": area_under_curve(good, predicted, counts),
        }


def _tau(truth: Numbers, predicted: Numbers, counts: Counts) -> Float[np.ndarray, " resamples"]:
    # Kendall's tau-b, (kept - turned) / √(pairs that differ in truth · pairs that differ in prediction), of all
    # resamples at once: a pair of rows that count a and b times is there a b times, and each pair twice, which cancels.
    signs = [np.sign(values[:, None] - values[None, :]) for values in (truth, predicted)]
    same = _pairs(counts, signs[0] * signs[1])
    untied = [_pairs(counts, np.abs(sign)) for sign in signs]
    return same / np.sqrt(untied[0] * untied[1])


def area_under_curve(good: np.ndarray, predicted: Numbers, counts: Counts) -> Float[np.ndarray, " resamples"]:
    """How often a good row is predicted above one that is not, ties counting half, in each resample.

    Args:
        good: Whether each row is of the class.
        predicted: What was predicted of it.
        counts: How often each row counts in each resample.

    >>> good, predicted = np.array([True, True, False]), np.array([3.0, 1.0, 2.0])
    >>> area_under_curve(good, predicted, np.array([[1.0, 1, 1], [3, 1, 2]]))
    array([0.5 , 0.75])
    """
    above = (np.sign(predicted[good][:, None] - predicted[~good][None, :]) + 1) / 2
    good_counts, bad_counts = counts[:, good], counts[:, ~good]
    return ((good_counts @ above) * bad_counts).sum(axis=1) / (good_counts.sum(axis=1) * bad_counts.sum(axis=1))


def _pairs(counts: Counts, of: Float[np.ndarray, "rows rows"]) -> Float[np.ndarray, " resamples"]:
    """The sum over pairs of rows, each as often as both count."""
    return ((counts @ of) * counts).sum(axis=1)
