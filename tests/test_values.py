"""Node values: a mapping, group by group arithmetic, moments and frames."""

from __future__ import annotations

import pickle

import pytest
import torch

from axonometry.errors import AxonometryError, ValuesError
from axonometry.values import NodeValues, moments


@pytest.fixture
def values() -> NodeValues:
    return NodeValues({"conv": torch.arange(6.0).reshape(1, 2, 3), "head": torch.tensor([-1.0, 4.0])})


def test_is_a_mapping_in_the_order_of_the_groups(values: NodeValues) -> None:
    assert list(values) == ["conv", "head"]
    assert len(values) == 2
    assert "head" in values
    assert "tail" not in values
    assert values["head"].tolist() == [-1.0, 4.0]
    assert repr(values) == "NodeValues(conv: (1, 2, 3), head: (2,))"


def test_unknown_group_is_an_error_that_names_the_groups(values: NodeValues) -> None:
    with pytest.raises(ValuesError, match=r"name of a neuron group; got 'tail'\. The groups are: conv, head\."):
        values["tail"]


def test_later_changes_of_the_dictionary_do_not_reach_the_values() -> None:
    tensors = {"a": torch.ones(1)}
    values = NodeValues(tensors)
    tensors["b"] = torch.ones(1)
    assert list(values) == ["a"]


def test_arithmetic_works_group_by_group(values: NodeValues) -> None:
    other = values.map(torch.ones_like)
    assert (values + other)["head"].tolist() == [0.0, 5.0]
    assert (values - other)["head"].tolist() == [-2.0, 3.0]
    assert (1 + values * 2)["head"].tolist() == [-1.0, 9.0]
    assert (2 * values / 4)["head"].tolist() == [-0.5, 2.0]
    assert (-values)["head"].tolist() == [1.0, -4.0]
    assert values.abs()["head"].tolist() == [1.0, 4.0]
    assert (values * values)["head"].tolist() == [1.0, 16.0]


def test_other_groups_do_not_mix(values: NodeValues) -> None:
    with pytest.raises(ValuesError, match=r"same groups; got \['conv', 'head'\] and \['head'\]\. Take both from one"):
        values + NodeValues({"head": torch.zeros(2)})


def test_sums_are_accumulated_in_float64() -> None:
    values = NodeValues({"a": torch.tensor([1e8, 1.0, -1e8]), "b": torch.full((10,), 0.1)})
    assert values.sum() == pytest.approx(1.0 + 10 * float(torch.tensor(0.1)), rel=1e-12)
    assert values.dot(values) == pytest.approx(2e16 + 1.0 + 10 * float(torch.tensor(0.1)) ** 2, rel=1e-15)


def test_flatten_keeps_groups_and_rows_in_order(values: NodeValues) -> None:
    assert values.flatten().tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, -1.0, 4.0]


def test_moments_frame(values: NodeValues) -> None:
    frame = values.moments()
    assert list(frame.columns) == ["group", "statistic", "value"]
    table = frame.pivot(index="group", columns="statistic", values="value")
    assert table.loc["conv", "mean"] == 2.5
    assert table.loc["head", "median"] == 1.5
    assert table.loc["head", "std"] == 2.5
    assert table.loc["conv", "count"] == 6


def test_worked_moments() -> None:
    found = moments(torch.tensor([1.0, 2.0, 3.0, 10.0]))
    assert (found.mean, found.median) == (4.0, 2.5)
    assert found.std == pytest.approx(3.5355339)
    assert found.skewness == pytest.approx(1.0182338)
    assert found.kurtosis == pytest.approx(-0.7696)


def test_frame_has_a_row_a_neuron(values: NodeValues) -> None:
    frame = values.frame()
    assert frame["group"].tolist() == ["conv"] * 6 + ["head"] * 2
    assert frame["neuron"].tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    assert frame["value"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, -1.0, 4.0]


def test_frame_of_half_floats_that_need_gradients() -> None:
    values = NodeValues({"a": torch.ones(2, dtype=torch.bfloat16, requires_grad=True)})
    assert values.frame()["value"].tolist() == [1.0, 1.0]
    assert values.moments()["value"].isna().sum() == 0


def test_errors_say_rule_came_and_remedy_also_after_a_worker_process() -> None:
    error = ValuesError("a rule", "this", "Do that")
    assert str(error) == "a rule; got this. Do that."
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, AxonometryError)
    assert (str(again), again.rule, again.came, again.remedy) == (str(error), "a rule", "this", "Do that")
