"""Rules of one's own: for one overload, or for all of an operator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
