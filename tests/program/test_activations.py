"""Carriers pass their input unchanged, whichever way they are written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from axonometry.program import capture
from axonometry.testing import check_against_dense

from .oracles import Net, zeros
from .toys_activations import BY_HAND, FUNCTIONS, METHODS, MODULES

WRITTEN = {f"{kind} {name}": f for kind, table in {"F": FUNCTIONS, "method": METHODS, "by hand": BY_HAND}.items() for name, f in table.items()}


def check(net: Net) -> None:
    """input -> first -> out and nothing else, both ways and in absolute value."""
    graph = capture(net, *zeros(3))
    assert [(group.name, group.role) for group in graph.groups] == [("input", "input"), ("first", "hidden"), ("out", "output")]
    assert graph.n_links == 20
    for f, mapped in {abs: graph.abs(), torch.Tensor.detach: graph}.items():
        expected = torch.zeros(9, 9, dtype=torch.float64)
        expected[3:7, :3], expected[7:, 3:7] = f(net.first.weight.detach()), f(net.out.weight.detach())
        check_against_dense(mapped, expected)


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    net = Net(lambda n, x: n.out(n.act(n.first(x))), first=nn.Linear(3, 4), act=MODULES[name](), out=nn.Linear(4, 2))
    check(net)
    roles = {claim.parameter: claim.role for claim in capture(net, *zeros(3)).coverage}
    assert roles.get("act.weight", "activation") == "activation"


@pytest.mark.parametrize("name", WRITTEN)
def test_function(name: str) -> None:
    act: Callable[[Tensor], Tensor] = WRITTEN[name]
    check(Net(lambda n, x: n.out(act(n.first(x))), first=nn.Linear(3, 4), out=nn.Linear(4, 2)))


@pytest.mark.parametrize("name", ["by hand gelu_tanh", "by hand swish", "by hand leaky_where", "F torch.exp"])
def test_function_of_the_input_and_of_the_output(name: str) -> None:
    act: Callable[[Tensor], Tensor] = WRITTEN[name]
    net = Net(lambda n, x: act(n.out(act(x))), out=nn.Linear(3, 2))
    expected = torch.zeros(5, 5, dtype=torch.float64)
    expected[3:, :3] = net.out.weight.detach()
    check_against_dense(capture(net, *zeros(3)), expected)


def test_a_learned_slope_inside_the_activation_is_an_activation_parameter() -> None:
    net = Net(
        lambda n, x: n.out((h := n.first(x)) * torch.sigmoid(n.beta * h)),
        first=nn.Linear(3, 4),
        beta=nn.Parameter(torch.zeros(())),
        out=nn.Linear(4, 2),
    )
    check(net)
    assert {claim.parameter: claim.role for claim in capture(net, *zeros(3)).coverage}["beta"] == "activation"


def test_activations_in_a_row() -> None:
    check(Net(lambda n, x: n.out(torch.tanh(BY_HAND["gelu_erf"](BY_HAND["swish"](n.first(x)).relu()))), first=nn.Linear(3, 4), out=nn.Linear(4, 2)))


def test_a_multiple_of_an_activation_is_a_coefficient() -> None:
    net = Net(lambda n, x: n.out(3 * torch.nn.functional.gelu(n.first(x))), first=nn.Linear(3, 4), out=nn.Linear(4, 2))
    expected = torch.zeros(9, 9, dtype=torch.float64)
    expected[3:7, :3], expected[7:, 3:7] = net.first.weight.detach(), 3 * net.out.weight.detach()
    check_against_dense(capture(net, *zeros(3)), expected)
