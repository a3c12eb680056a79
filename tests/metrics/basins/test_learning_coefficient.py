"""The local learning coefficient against known ones, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from axonometry.errors import ConfigurationError, ConvergenceError
from axonometry.metrics.basins.learning_coefficient import LangevinPlan, learning_coefficient

PLAN = LangevinPlan(chains=6, steps=300, burn_in=150, step_size=2e-3, pull=0.1)


class Weights(nn.Module):
    """Nothing but weights."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(values))


def quadratic(model: nn.Module) -> Tensor:
    return model.w.square().sum()


def test_a_quadratic_loss_has_half_a_coefficient_for_each_weight() -> None:
    found = learning_coefficient(Weights(*[0.0] * 8), quadratic, 1000, PLAN)
    strength = 1000 / math.log(1000) * 2
    assert found.value == pytest.approx(4 * strength / (strength + PLAN.pull), rel=0.15)
    assert found.n == 6


def test_weights_that_change_nothing_do_not_count() -> None:
    found = learning_coefficient(Weights(*[0.0] * 8), lambda m: m.w[:4].square().sum(), 1000, PLAN)
    assert found.value == pytest.approx(2, rel=0.2)


def test_a_product_is_more_degenerate_than_two_weights() -> None:
    """(w1 w2)² has the coefficient 1/2, where two weights of a quadratic loss have 1."""
    found = learning_coefficient(Weights(0.0, 0.0), lambda m: m.w.prod().square(), 1000, PLAN)
    assert found.value < 0.75


def test_the_network_is_left_as_it_was() -> None:
    model, seen = Weights(0.5, -0.5), torch.random.get_rng_state()
    learning_coefficient(model, lambda m: (m.w - torch.tensor([0.5, -0.5])).square().sum(), 100, PLAN)
    assert model.w.tolist() == [0.5, -0.5]
    assert model.w.grad is None
    assert torch.equal(seen, torch.random.get_rng_state())


def test_what_is_refused() -> None:
    with pytest.raises(ConvergenceError, match="weights at a minimum"):
        learning_coefficient(Weights(0.2), lambda m: m.w.square().sum(), 1000, LangevinPlan(step_size=2e-3))
    with pytest.raises(ConvergenceError, match="loss is finite"):
        learning_coefficient(Weights(0.1), lambda m: m.w.square().exp().sum(), 1000, LangevinPlan(step_size=10.0))
    with pytest.raises(ConvergenceError, match="have settled"):
        learning_coefficient(Weights(9.0), quadratic, 1000, LangevinPlan(burn_in=0, steps=60, step_size=1e-4))
    with pytest.raises(ConfigurationError, match="3 samples or more; got 2"):
        learning_coefficient(Weights(0.0), quadratic, 2)
    with pytest.raises(ConfigurationError, match="2 or more of 10 steps"):
        LangevinPlan(chains=1)
    with pytest.raises(ConfigurationError, match=r"above 0; got a step size of 0\.0"):
        LangevinPlan(step_size=0.0)
