"""Layer fluctuation: worked numbers, and no number where there is none."""

from __future__ import annotations

import math

import pytest
import torch

from axonometry.metrics import layer_fluctuation, node_strength
from axonometry.values import NodeValues
from tests.metrics.networks import example_a


@pytest.mark.parametrize("convention", ["links", "ictai2021"])
def test_example_a(convention: str) -> None:
    found = layer_fluctuation(example_a(), convention)
    assert list(found) == ["input", "0", "2"]
    assert found["input"] == pytest.approx(1.75)
    assert found["0"] == pytest.approx(
        2.6242459234 if convention == "ictai2021" else torch.tensor([5.0, 0, -1]).std(correction=0)
    )
    assert found["2"] == pytest.approx(0.75 if convention == "ictai2021" else 0.25)


def test_strengths_that_are_there_already_are_used() -> None:
    strengths = node_strength(example_a(), "ictai2021")
    assert layer_fluctuation(strengths) == layer_fluctuation(example_a(), "ictai2021")


def test_constant_strengths_and_single_neurons_do_not_fluctuate() -> None:
    values = NodeValues({"a": torch.full((3, 4), 0.1), "b": torch.tensor([7.0])})
    assert layer_fluctuation(values) == {"a": 0.0, "b": 0.0}


def test_adding_a_constant_changes_nothing() -> None:
    values = NodeValues({"a": torch.randn(1000).double()})
    assert layer_fluctuation(values + 100.0)["a"] == pytest.approx(layer_fluctuation(values)["a"])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_strength_that_is_not_finite_leaves_no_plausible_number(bad: float) -> None:
    found = layer_fluctuation(NodeValues({"a": torch.tensor([1.0, bad, 3.0]), "b": torch.tensor([1.0, 3.0])}))
    assert math.isnan(found["a"])
    assert found["b"] == 1.0
