"""Carriers in special places; the toys of toys_activations.py have each of them between two layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from axonometry.program import NeuralGraph, capture
from axonometry.testing import check_against_dense

from .oracles import Net, zeros
from .toys_activations import BY_HAND


def check(net: Net, factor: float = 1.0) -> NeuralGraph:
    """input -> first -> out, the second with a factor."""
    graph = capture(net, *zeros(3))
    expected = torch.zeros(9, 9, dtype=torch.float64)
    expected[3:7, :3], expected[7:, 3:7] = net.first.weight.detach(), factor * net.out.weight.detach()
    check_against_dense(graph, expected)
    assert graph.n_links == 20
    return graph


@pytest.mark.parametrize("name", ["gelu_tanh", "swish", "leaky_where"])
def test_of_the_input_and_of_the_output(name: str) -> None:
    act = BY_HAND[name]
    net = Net(lambda n, x: act(n.out(act(x))), out=nn.Linear(3, 2))
    expected = torch.zeros(5, 5, dtype=torch.float64)
    expected[3:, :3] = net.out.weight.detach()
    check_against_dense(capture(net, *zeros(3)), expected)


def test_a_learned_slope_is_an_activation_parameter() -> None:
    net = Net(
        lambda n, x: n.out(n.act((h := n.first(x)) * torch.sigmoid(n.beta * h))),
        first=nn.Linear(3, 4),
        beta=nn.Parameter(torch.zeros(())),
        act=nn.PReLU(4),
        out=nn.Linear(4, 2),
    )
    roles = {claim.parameter: claim.role for claim in check(net).coverage}
    assert roles["beta"] == roles["act.weight"] == "activation"


def test_activations_in_a_row() -> None:
    row = lambda h: torch.tanh(BY_HAND["gelu_erf"](BY_HAND["swish"](h).relu()))  # noqa: E731
    check(Net(lambda n, x: n.out(row(n.first(x))), first=nn.Linear(3, 4), out=nn.Linear(4, 2)))


def test_a_multiple_of_an_activation_is_a_coefficient() -> None:
    check(
        Net(lambda n, x: n.out(3 * torch.nn.functional.gelu(n.first(x))), first=nn.Linear(3, 4), out=nn.Linear(4, 2)),
        3.0,
    )
