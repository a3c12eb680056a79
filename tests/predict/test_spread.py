"""Intervals relative to the expected spread: their formula by a loop, and their coverage on data of uneven noise."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
import pytest

from axonometry.errors import PredictionError
from axonometry.predict.ensemble import StackedEnsemble, fit_ensemble
from axonometry.predict.folds import cv_plus, fold_numbers
from axonometry.predict.spread import expected_spread, relative_cv_plus


def random_ensemble(n: int = 30, folds: int = 3, seed: int = 0) -> StackedEnsemble:
    random = np.random.default_rng(seed)
    own = random.uniform(size=(n, 1))
    return StackedEnsemble((), np.arange(n) % folds, own, own + random.normal(size=(n, 1)) * own)


def spread_by_loop(at: float, predicted: list[float], residuals: list[float]) -> float:
    count = min(len(predicted), max(5, round(len(predicted) / 5)))
    order = sorted(range(len(predicted)), key=lambda i: (abs(at - predicted[i]), i))[:count]
    total = sum(residuals[i] for i in order) + 2 * sum(residuals) / len(residuals)
    return total / (count + 2)


def test_the_formula_by_a_loop() -> None:
    ensemble, level = random_ensemble(), 0.8
    by_fold = np.random.default_rng(1).uniform(size=(3, 4, 1))
    found = relative_cv_plus(ensemble, by_fold, level)
    own, y = ensemble.out_of_fold[:, 0], ensemble.targets[:, 0]
    for row in range(4):
        lows, highs = [], []
        for i in range(30):
            k = ensemble.fold_of[i]
            others = [j for j in range(30) if ensemble.fold_of[j] != k]
            known = [own[j] for j in others], [abs(y[j] - own[j]) for j in others]
            mu = by_fold[k, row, 0]
            reach = abs(y[i] - own[i]) / spread_by_loop(own[i], *known) * spread_by_loop(mu, *known)
            lows.append(mu - reach)
            highs.append(mu + reach)
        assert found[row, 0] == pytest.approx(sorted(lows)[floor(0.2 * 31) - 1])
        assert found[row, 1] == pytest.approx(sorted(highs)[ceil(0.8 * 31 - 1e-9) - 1])


def test_where_all_spreads_are_alike_it_is_cv_plus() -> None:
    ensemble = random_ensemble()
    even = StackedEnsemble((), ensemble.fold_of, ensemble.out_of_fold, ensemble.out_of_fold + 0.1)
    by_fold = np.random.default_rng(1).uniform(size=(3, 4, 1))
    np.testing.assert_allclose(relative_cv_plus(even, by_fold, 0.9), cv_plus(even, by_fold, 0.9))


def test_exact_predictions_give_intervals_without_width() -> None:
    exact = StackedEnsemble((), np.arange(20) % 2, np.ones((20, 1)), np.ones((20, 1)))
    np.testing.assert_allclose(relative_cv_plus(exact, np.full((2, 1, 1), 0.3), 0.9), [[0.3, 0.3]])


@pytest.mark.parametrize(("level", "words"), [(1.0, "between 0 and 1"), (0.99, "needs 99 runs; got 30")])
def test_levels(level: float, words: str) -> None:
    with pytest.raises(PredictionError, match=words):
        relative_cv_plus(random_ensemble(), np.zeros((3, 1, 1)), level)


def test_the_spread_follows_the_predictions() -> None:
    predicted = np.linspace(0, 1, 50)
    found = expected_spread(np.array([0.0, 1.0]), predicted, predicted)
    assert found[0] < 0.2 < 0.7 < found[1]


@pytest.mark.slow
def test_coverage_of_uneven_noise_is_about_the_level_in_each_third() -> None:
    """Noise of .01 on the left and .15 on the right: 90 % on both, where CV+ covers all of the left and less right."""

    def draw(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        x = random.uniform(0, 1, (n, 1))
        return x, x[:, 0] + random.normal(size=n) * np.where(x[:, 0] < 0.5, 0.01, 0.15)

    inside: dict[str, list[np.ndarray]] = {"relative": [], "even": []}
    places, widths = [], []
    for seed in range(8):
        random = np.random.default_rng(seed)
        (x, y), (new, truth) = draw(random, 80), draw(random, 200)
        ensemble = fit_ensemble([x], y[:, None], fold_numbers(range(80), 5, seed), trees=5)
        by_fold = ensemble.by_fold([new])
        for name, ends in (("relative", relative_cv_plus), ("even", cv_plus)):
            low, high = ends(ensemble, by_fold, 0.9).T
            inside[name].append((low <= truth) & (truth <= high))
        places.append(new[:, 0])
        low, high = relative_cv_plus(ensemble, by_fold, 0.9).T
        widths.append(high - low)
    place, width = np.concatenate(places), np.concatenate(widths)
    left, right = place < 0.4, place > 0.6
    relative, even = (np.concatenate(inside[name]) for name in ("relative", "even"))
    for side in (left, right):
        assert 0.84 < relative[side].mean() < 0.99
    assert even[left].mean() > 0.98
    assert even[right].mean() < relative[right].mean() - 0.02
    assert width[left].mean() < width[right].mean() / 3
