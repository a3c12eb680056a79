"""Rules of one's own: for one overload, or for all of an operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from axonometry.errors import CaptureError
from axonometry.program import capture, rule
from axonometry.program.registry import find_rule


@torch.library.custom_op("axonometry_tests::twice_linear", mutates_args=())
def twice_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return 2 * F.linear(x, weight) + bias


@twice_linear.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.tensor([[1.0, -2.0]])), nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.axonometry_tests.twice_linear(x, self.weight, self.bias)


def test_a_rule_of_an_operator_is_one_of_all_its_overloads() -> None:
    operator = torch.ops.axonometry_tests.twice_linear

    @rule(operator, kind="synapse")
    def read(links, x, weight, bias):  # type: ignore[no-untyped-def]
        return links.plus(F.linear(x, links(weight) * links(2.0)), bias)

    assert all(find_rule(getattr(operator, name)) is not None for name in operator.overloads())
    graph = capture(Twice(), torch.zeros(1, 2))
    assert (graph @ graph.ones())["weight"].tolist() == [-2.0]
    assert (graph.abs() @ graph.ones())["weight"].tolist() == [6.0]


@torch.library.custom_op("axonometry_tests::gained_linear", mutates_args=())
def gained_linear(x: Tensor, weight: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    return F.linear(x, weight) * gain + bias


@gained_linear.register_fake
def _(x: Tensor, weight: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])


class Gained(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
        self.gain, self.bias = nn.Parameter(torch.tensor([2.0, -1.0])), nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.axonometry_tests.gained_linear(x, self.weight, self.gain, self.bias)


READINGS: dict[str, Callable[..., Any]] = {
    "gain through the links": lambda links, x, w, gain, b: links.plus(F.linear(x, links(w)) * links(gain), b),
    "gain times weight": lambda links, x, w, gain, b: links.plus(F.linear(x, links(w * gain[:, None])), b),
    "by the operation, which has no derivative": lambda links, x, w, gain, b: links.plus(
        torch.ops.axonometry_tests.gained_linear(x, links(w), links(gain), torch.zeros_like(b)), b
    ),
}


@pytest.mark.parametrize("reading", READINGS)
def test_what_a_rule_multiplies_links_with_is_no_bias(reading: str) -> None:
    rule(torch.ops.axonometry_tests.gained_linear, kind="synapse")(READINGS[reading])
    graph = capture(Gained(), torch.zeros(1, 2))
    assert {c.parameter: c.role for c in graph.coverage} == {"weight": "synapse", "gain": "synapse", "bias": "bias"}
    assert (graph @ graph.ones())["weight"].tolist() == [-2.0, -7.0]


def _raising(links: Any, x: Tensor, *rest: Tensor) -> Tensor:
    raise KeyError("no such layout")


def _of_another_shape(links: Any, x: Tensor, weight: Tensor, *rest: Tensor) -> Tensor:
    return F.linear(x, links(weight)).sum(-1)


def _without_a_result(links: Any, x: Tensor, *rest: Tensor) -> None:
    return None


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (
            _raising,
            r"without an error; got KeyError: 'no such layout' in the rule _raising \(test_rules.py, line \d+\) for",
        ),
        (_of_another_shape, r"of the operation's shape, \(1, 2\); got \(1,\) from the rule _of_another_shape"),
        (_without_a_result, r"of the operation's shape, \(1, 2\); got NoneType from the rule _without_a_result"),
    ],
)
@pytest.mark.parametrize("kind", ["synapse", "wiring", "sum"])
def test_errors_inside_a_rule_name_it(read: Callable[..., Any], message: str, kind: Any) -> None:
    rule(torch.ops.axonometry_tests.gained_linear, kind=kind)(read)
    with pytest.raises(CaptureError, match=message):
        capture(nn.Sequential(nn.Linear(2, 2), Gained(), nn.Linear(2, 1)), torch.zeros(1, 2))
