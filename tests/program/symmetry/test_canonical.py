"""Copies of a network, permuted and rescaled, have one canonical form, and it computes the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import axonometry as ax
from axonometry.errors import WeightsError
from tests.program.symmetry.networks import Function
from tests.program.symmetry.test_symmetry import made, moved_weights

State = dict[str, Tensor]


def rescaled(graph: ax.NeuralGraph, state: State) -> State:
    """Every unit that may be scaled, scaled by a factor of its own from 0.3 to 3."""
    generator = torch.Generator().manual_seed(8)
    state = {name: tensor.clone() for name, tensor in state.items()}
    for one in ax.program.scales(graph):
        n = len(next(iter(one.incoming.values())))
        factors = (torch.rand(n, generator=generator, dtype=torch.float64) * 2.2 - 1.1).exp()
        for axes, by in ((one.incoming, factors), (one.outgoing, 1 / factors)):
            for (name, axis), places in axes.items():
                for unit, some in enumerate(places):
                    for place in some.tolist():
                        state[name].select(axis, place).mul_(by[unit])
    return state


@pytest.mark.parametrize("name", ["dense", "flattened", "residual", "depthwise", "encoder", "LSTM", "grouped_queries"])
def test_copies_have_one_form(name: str) -> None:
    module, example, graph, found = made(name)
    state = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    form = ax.canonical(graph, state)
    for seed in range(3):
        copy = ax.permute(rescaled(graph, state), graph, found.random(seed))
        other = ax.canonical(graph, copy)
        for key in form:
            torch.testing.assert_close(other[key], form[key], rtol=1e-10, atol=1e-12)
        again = ax.canonical(graph, form)
        assert all(torch.allclose(again[key], form[key], rtol=1e-12, atol=1e-14) for key in form)
    with torch.no_grad():
        before = module(example)
        module.load_state_dict(form)
        torch.testing.assert_close(module(example), before, rtol=0, atol=1e-11)


def test_units_that_may_be_scaled() -> None:
    """Behind a flatten, a batch norm's gain and shift; not in front of tanh, a norm, or a residual sum."""

    def axes(name: str) -> list[tuple[Any, Any]]:
        graph = made(name)[2]
        return [(sorted(one.incoming), sorted(one.outgoing)) for one in ax.program.scales(graph)]

    assert axes("dense") == [([("0.bias", 0), ("0.weight", 0)], [("2.weight", 1)])]
    assert axes("flattened") == [
        ([("n.bias", 0), ("n.weight", 0)], [("b.weight", 1)]),
        ([("b.bias", 0), ("b.weight", 0)], [("c.weight", 1)]),
        ([("c.bias", 0), ("c.weight", 0)], [("d.weight", 1)]),
    ]
    assert axes("residual") == [
        ([("1.n1.bias", 0), ("1.n1.weight", 0)], [("1.c2.weight", 1)]),
        ([("2.n1.bias", 0), ("2.n1.weight", 0)], [("2.c2.weight", 1)]),
    ]
    ffn = [("e.layers.{}.linear1.bias", 0), ("e.layers.{}.linear1.weight", 0)], [("e.layers.{}.linear2.weight", 1)]
    assert axes("encoder") == [tuple([(n.format(i), k) for n, k in part] for part in ffn) for i in range(2)]


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.b(F.gelu(m.a(x))),
        lambda m, x: m.b(F.relu(m.a(x)) + 1),
        lambda m, x: m.b(F.relu(m.a(x)).softmax(1)),
        lambda m, x: m.b(F.relu(m.a(x))) + F.relu(m.a(x)).sum(1, keepdim=True),
        lambda m, x: m.b(F.relu(m.a(x)) * torch.sigmoid(m.a(x))),
        lambda m, x: m.b(F.relu(m.a(x))) + m.b(torch.tanh(m.a(2 * x))),  # weights that are used twice
        lambda m, x: F.relu(m.a(x)) @ m.b.weight.t(),
    ],
)
def test_what_is_not_homogeneous_has_no_scale(forward: Any) -> None:
    torch.manual_seed(0)
    module, x = moved_weights(Function(forward, a=nn.Linear(3, 4), b=nn.Linear(4, 2))), torch.randn(2, 3).double()
    assert not ax.program.scales(ax.capture(module, x))


def test_weights_that_are_used_twice_in_one_way_are_scaled() -> None:
    torch.manual_seed(0)
    module = moved_weights(
        Function(lambda m, x: m.b(F.relu(m.a(x))) + m.b(F.relu(m.a(2 * x))), a=nn.Linear(3, 4), b=nn.Linear(4, 2))
    )
    x = torch.randn(2, 3).double()
    graph = ax.capture(module, x)
    (one,) = ax.program.scales(graph)
    assert list(one.outgoing) == [("b.weight", 1)]
    with torch.no_grad():
        before = module(x)
        module.load_state_dict(ax.canonical(graph, module.state_dict()))
        torch.testing.assert_close(module(x), before, rtol=0, atol=1e-12)


def test_a_unit_without_weights_stays() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).double()
    with torch.no_grad():
        net[0].weight[1], net[0].bias[1] = 0, 0
    graph = ax.capture(net, torch.zeros(1, 2).double())
    assert all(bool(tensor.isfinite().all()) for tensor in ax.canonical(graph, net.state_dict()).values())


def test_a_state_that_does_not_fit_is_refused() -> None:
    module, _, graph, _ = made("dense")
    with pytest.raises(WeightsError, match=r"'0.weight' has the shape \(4, 3\) in the captured network"):
        ax.canonical(graph, module.state_dict() | {"0.weight": torch.zeros(3, 3)})
