"""Classes told apart: areas of features that say all or nothing, resamples of whole groups, differences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from axonometry.experiments import Context, Scale
from axonometry.predict.classification import Discrimination, discriminate, macro_auc, out_of_fold
from axonometry.predict.evaluation import EvaluationPlan
from axonometry.predict.scores import resamples

PLAN = EvaluationPlan(folds=3, inner_folds=2, trees=5, resamples=50)


def networks() -> pd.DataFrame:
    """Twelve networks, two a group: one feature is the class, one says nothing."""
    labels = ["relu", "tanh"] * 6
    group = [f"g{number // 2}" for number in range(12)]
    told = [float(label == "tanh") for label in labels]
    return pd.DataFrame({"label": labels, "group": group, "told": told, "nothing": 1.0})


def test_the_area_is_the_samples_and_its_interval_the_resamples() -> None:
    found = Discrimination(np.array([0.9, *np.linspace(0.0, 1.0, 101)]), 12, 2).auc
    assert (found.value, found.low, found.high, found.n) == pytest.approx((0.9, 0.025, 0.975, 12))


def test_a_difference_is_the_first_less_the_second_resample_by_resample() -> None:
    draws = np.linspace(0.0, 0.5, 101)
    first, second = (
        Discrimination(np.array([0.9, *(draws + 0.2)]), 12, 2),
        Discrimination(np.array([0.6, *(draws / 2)]), 12, 2),
    )
    gap = first.minus(second)
    assert (gap.value, gap.low, gap.high, gap.n) == pytest.approx((0.3, 0.20625, 0.44375, 12))


def test_resamples_are_of_whole_groups_by_the_plans_seed() -> None:
    some = networks().assign(noise=np.random.default_rng(1).normal(size=12))
    inputs = (some[["noise"]].to_numpy(), list(some["label"]), list(some["group"]))
    for plan in (PLAN, replace(PLAN, seed=7)):
        drawn = resamples(list(some["group"]), plan.resamples, plan.seed)
        expected = macro_auc(list(some["label"]), out_of_fold(*inputs, plan), drawn)
        np.testing.assert_array_equal(discriminate(some, ["noise"], plan).areas, expected)


def test_features_of_another_name_are_predicted_anew(tmp_path: Path) -> None:
    context = Context(Scale(lambda _: (), 1), 1, tmp_path)
    for name in ("told", "copy", "told"):
        discriminate(networks().assign(copy=networks()["told"]), [name], PLAN, cached=context.cached)
    assert len(list(tmp_path.iterdir())) == 2


def test_only_the_features_that_are_named_are_seen(tmp_path: Path) -> None:
    context = Context(Scale(lambda _: (), 1), 1, tmp_path)
    told = discriminate(networks(), ["told"], PLAN, cached=context.cached)
    assert (told.areas[0], told.n, told.classes) == (1.0, 12, 2)
    assert np.all(told.areas == 1.0)  # each group has both classes, so that no resample is without one
    assert len(told.areas) == 51
    assert len(list(tmp_path.iterdir())) == 1
    nothing = discriminate(networks(), ["nothing"], PLAN)
    assert nothing.auc.value == pytest.approx(0.5, abs=0.2)
    assert told.minus(nothing).value == pytest.approx(1.0 - nothing.auc.value)
