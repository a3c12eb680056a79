"""Scores of many resamples at once: against scipy and scikit-learn, and numbers worked by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.metrics import r2_score, roc_auc_score

from axonometry.predict.scores import SCORES, area_under_curve, resamples, scores

ONE = np.ones((1, 4))


def test_scores_are_those_of_scipy_and_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(size=50).round(1)
    predicted = (truth + random.normal(0, 0.2, 50)).round(1)
    counts = resamples([n // 2 for n in range(50)], 3, 0)
    found = scores(truth, predicted, counts, 0.5)
    for number, count in enumerate(counts.astype(int)):
        t, p = np.repeat(truth, count), np.repeat(predicted, count)
        assert found["r2"][number] == pytest.approx(r2_score(t, p))
        assert found["tau"][number] == pytest.approx(kendalltau(t, p).statistic)
        assert found["auc"][number] == pytest.approx(roc_auc_score(t >= 0.5, p))
        assert found["accuracy"][number] == pytest.approx(((t >= 0.5) == (p >= 0.5)).mean())
    assert (counts[0] == 1).all()
    assert all((pair[0] == pair[1]).all() for pair in pairwise(counts.T[:2]))


def test_scores_by_hand() -> None:
    truth, predicted = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.1, 0.6, 0.4, 0.9])
    found = scores(truth, predicted, ONE, 0.5)
    assert set(found) == set(SCORES)
    # Squares of the errors add up to 0.16 + 0.16; the variance's to 0.16 + 0.09 + 0.09 + 0.16.
    assert found["r2"][0] == pytest.approx(1 - 0.32 / 0.5)
    assert found["rmse"][0] == pytest.approx(np.sqrt(0.08))
    # Of six pairs one is the wrong way round.
    assert found["tau"][0] == pytest.approx((5 - 1) / 6)
    assert found["accuracy"][0] == pytest.approx(0.5)
    # Of four pairs of a good and a bad one, 0.4 against 0.6 is the wrong way round.
    assert found["auc"][0] == pytest.approx(0.75)


def test_predicting_the_mean_is_worth_0_and_ties_count_half() -> None:
    truth = np.array([0.1, 0.2, 0.8, 0.9])
    found = scores(truth, np.full(4, truth.mean()), ONE, 0.5)
    assert found["r2"][0] == pytest.approx(0)
    assert found["auc"][0] == 0.5
    assert np.isnan(found["tau"][0])


def test_an_accuracy_on_the_threshold_is_good() -> None:
    found = scores(np.array([0.5, 0.4]), np.array([0.5, 0.6]), np.ones((1, 2)), 0.5)
    assert found["accuracy"][0] == 0.5
    assert found["auc"][0] == 0


def test_a_resample_without_variance_or_of_one_class_has_no_score() -> None:
    counts = np.array([[1.0, 1, 1], [0, 3, 0], [0, 2, 1]])
    found = scores(np.array([0.1, 0.7, 0.9]), np.array([0.2, 0.8, 0.7]), counts, 0.5)
    assert np.isfinite([values[0] for values in found.values()]).all()
    assert np.isnan([found[name][1] for name in ("r2", "tau", "auc")]).all()
    assert np.isfinite(found["r2"][2])
    assert np.isnan(found["auc"][2])


def test_the_area_of_a_resample_counts_pairs() -> None:
    good, predicted = np.array([True, True, False]), np.array([3.0, 1.0, 2.0])
    counts = np.array([[1.0, 1, 1], [3, 1, 2]])
    # One of two pairs is right; counted three times it is six of eight.
    np.testing.assert_allclose(area_under_curve(good, predicted, counts), [0.5, 0.75])


def test_resamples_draw_whole_groups_with_replacement() -> None:
    groups = ["a", "a", "b", "c", "c", "c"]
    counts = resamples(groups, 2000, 0)
    assert counts.shape == (2001, 6)
    np.testing.assert_array_equal(counts[0], 1)
    assert (counts[:, 0] == counts[:, 1]).all()
    assert (counts[:, 3] == counts[:, 5]).all()
    assert (counts[1:, [0, 2, 3]].sum(axis=1) == 3).all()  # three groups each time
    # A count is binomial, of 3 draws with chance 1/3: mean 1, variance 2/3; within five standard errors.
    assert counts[1:, 0].mean() == pytest.approx(1, abs=5 * np.sqrt(2 / 3 / 2000))
    assert counts[1:, 0].var() == pytest.approx(2 / 3, abs=0.1)
    np.testing.assert_array_equal(counts, resamples(groups, 2000, 0))
    assert (counts != resamples(groups, 2000, 1)).any()
