"""Kernel ridge regression against its closed form, and the choice of kernel and penalty against refitting."""

from __future__ import annotations

import numpy as np
import pytest

from axonometry.errors import PredictionError
from axonometry.predict.kernel_ridge import LENGTHS, PENALTIES, KernelModel, least_left_out_error, left_out_errors


def kernel(a: np.ndarray, b: np.ndarray, length: float) -> np.ndarray:
    """By the definition, one pair at a time."""
    columns = a.shape[1]
    if np.isinf(length):
        return np.array([[x @ y / columns for y in b] for x in a])
    return np.array([[np.exp(-((x - y) ** 2).sum() / (length * columns)) for y in b] for x in a])


def sample(rows: int = 12, columns: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, columns)).astype(np.float32).astype(np.float64)
    return x, np.stack([np.sin(x[:, 0]), x @ np.arange(1.0, columns + 1)], axis=1) + random.normal(0, 0.1, (rows, 2))


@pytest.mark.parametrize("targets", [1, 2])
def test_predictions_are_the_closed_form(targets: int) -> None:
    x, y = sample()
    y, new = y[:, :targets], sample(5, seed=1)[0]
    model = KernelModel.fit(x, y)
    _, penalty = least_left_out_error(x, y - y.mean(axis=0))
    weights = np.linalg.solve(kernel(x, x, model.length) + penalty * np.eye(len(x)), y - y.mean(axis=0))
    expected = y.mean(axis=0) + kernel(new, x, model.length) @ weights
    np.testing.assert_allclose(model.predict(new), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("length", LENGTHS)
def test_the_error_without_a_row_is_that_of_a_fit_without_it(length: float) -> None:
    x, y = sample()
    full = kernel(x, x, length)
    found = left_out_errors(full, y)
    for penalty, error in zip(PENALTIES, found, strict=True):
        each = []
        for row in range(len(x)):
            rest = np.delete(np.arange(len(x)), row)
            weights = np.linalg.solve(full[np.ix_(rest, rest)] + penalty * np.eye(len(rest)), y[rest])
            each.append(y[row] - full[row, rest] @ weights)
        assert error == pytest.approx(np.square(each).mean(), rel=1e-8)


def test_the_choice_has_the_least_error_of_all() -> None:
    x, y = sample()
    y = y - y.mean(axis=0)
    errors = np.array([left_out_errors(kernel(x, x, length), y) for length in LENGTHS])
    place, number = np.unravel_index(errors.argmin(), errors.shape)
    assert least_left_out_error(x, y) == (LENGTHS[place], pytest.approx(PENALTIES[number]))


def test_a_linear_relation_takes_the_linear_kernel_and_a_curved_one_does_not() -> None:
    x = np.linspace(-2, 2, 30)[:, None]
    assert KernelModel.fit(x, 3 * x).length == np.inf
    assert KernelModel.fit(x, np.cos(3 * x)).length < np.inf


def test_constant_targets_are_predicted_as_they_are() -> None:
    x, _ = sample()
    np.testing.assert_array_equal(KernelModel.fit(x, np.full((12, 1), 0.7)).predict(x), 0.7)


def test_the_state_gives_the_same_model() -> None:
    x, y = sample()
    for targets in (y, x @ np.ones((3, 1))):  # a Gaussian kernel and the linear one
        model = KernelModel.fit(x, targets)
        again = KernelModel.restore(model.state(), 3)
        np.testing.assert_array_equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize("part", ["rows", "weights", "mean"])
def test_a_state_whose_sizes_do_not_fit_is_refused(part: str) -> None:
    x, y = sample()
    state = KernelModel.fit(x, y).state()
    with pytest.raises(PredictionError, match="sizes that do not"):
        KernelModel.restore({**state, part: state[part][:-1]}, 3)  # type: ignore[literal-required, typeddict-item]
    with pytest.raises(PredictionError, match="sizes that do not"):
        KernelModel.restore(state, 4)
