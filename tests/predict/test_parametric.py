"""Families of curves: each recovers its own exact curve, and two points are enough for an answer."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest

from axonometry.predict.parametric import FAMILIES, extrapolate, parametric_values

EXACT = {
    "power": lambda x: 0.85 - 0.7 * (x + 1) ** -1.3,
    "exponential": lambda x: 0.8 - 0.7 * exp(-0.35 * x),
    "inverse-log": lambda x: 0.95 - 0.6 / log(x + exp(1)),
    "janoschek": lambda x: 0.75 - 0.65 * exp(-0.2 * x**1.4),
}


def test_all_families_are_asked() -> None:
    assert set(EXACT) == set(FAMILIES)


@pytest.mark.parametrize("name", EXACT)
def test_an_exact_curve_is_recovered(name: str) -> None:
    seen = {x: EXACT[name](x) for x in range(8)}
    assert extrapolate(seen, 40)[name] == pytest.approx(EXACT[name](40), abs=3e-3)


@pytest.mark.parametrize("name", EXACT)
def test_another_family_does_not_recover_it(name: str) -> None:
    seen = {x: EXACT[name](x) for x in range(8)}
    errors = {other: abs(value - EXACT[name](40)) for other, value in extrapolate(seen, 40).items()}
    assert min(errors, key=errors.__getitem__) in {name, "janoschek"}  # of which the exponential is a case


def test_a_flat_curve_stays_and_the_ensemble_is_the_mean() -> None:
    flat = extrapolate({0: 0.1, 1: 0.1, 2: 0.1}, 10)
    assert list(flat.values()) == pytest.approx([0.1] * 5)
    found = extrapolate({0: 0.1, 1: 0.5, 2: 0.6}, 10)
    assert found["ensemble"] == pytest.approx(np.mean([found[name] for name in FAMILIES]))


def test_two_points_go_on_rising_and_stay_inside() -> None:
    for value in extrapolate({0: 0.1, 1: 0.4}, 10).values():
        assert 0.4 < value <= 1
    assert max(extrapolate({0: 0.1, 1: 0.9}, 1000).values()) <= 1


def test_too_little_is_nan_and_what_is_not_finite_is_left_out() -> None:
    assert np.isnan(list(extrapolate({0: 0.1}, 10).values())).all()
    assert np.isnan(list(extrapolate({0: 0.1, 1: float("nan")}, 10).values())).all()
    seen = {0: 0.1, 1: 0.3, 2: 0.4}
    assert extrapolate(seen | {3: float("nan")}, 10) == extrapolate(seen, 10)


def test_nothing_later_is_looked_at() -> None:
    seen = {0: 0.1, 1: 0.3, 2: 0.4}
    assert parametric_values(seen | {3: 0.9}, 10, 2) == parametric_values(seen, 10, 2)
    assert parametric_values(seen, None, 2) == parametric_values(seen, 20, 2)
    assert parametric_values(seen, 10, 2) != parametric_values(seen, 20, 2)
