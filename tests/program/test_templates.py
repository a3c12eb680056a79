"""A value of which a call uses the type or the shape alone is no signal: what is cast is a coefficient or constant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.program.readings.live import live_batches
from axonometry.testing import check_adjoint

from .oracles import Net

L = 0.3
Cast = Callable[[Any, Tensor], Tensor]


CASTS: dict[str, Cast] = {
    "type_as": lambda n, h: n.l.type_as(h),
    "to": lambda n, h: n.l.to(h),
    "to_dtype": lambda n, h: n.l.to(h.dtype),
    "expand_as": lambda n, h: n.l.expand_as(h),
    "vector_expand_as": lambda n, h: n.v.expand_as(h),
    "view_as": lambda n, h: n.v.view_as(h[:1]),
    "reshape_as": lambda n, h: n.v.reshape_as(h[:1]),
    "broadcast": lambda n, h: torch.broadcast_tensors(n.l, h)[0],
    "broadcast_to": lambda n, h: n.l.broadcast_to(h.shape),
    "full_like": lambda n, h: torch.full_like(h, L),
    "new_full": lambda n, h: h.new_full((3,), L),
    "new_tensor": lambda n, h: h.new_tensor([L, L, L]),
    "ones_like": lambda n, h: torch.ones_like(h) * n.l.to(h.dtype),
    "new_ones": lambda n, h: h.new_ones(h.shape) * n.v,
    "zeros_like": lambda n, h: torch.zeros_like(h) + n.v,
    "new_zeros": lambda n, h: h.new_zeros(1) + n.v,
    "empty_like": lambda n, h: torch.empty_like(h).copy_(n.v),
    "new_empty": lambda n, h: h.new_empty(h.shape).fill_(L),
    "copy": lambda n, h: h.clone().copy_(n.v),
    "fill": lambda n, h: h.clone().fill_(L),
    "fill_tensor": lambda n, h: h.clone().fill_(n.l[0]),
    "zero": lambda n, h: h.clone().zero_() + n.v,
    "twice": lambda n, h: n.l.type_as(h).expand_as(h).reshape_as(h[None])[0],
}


def network(cast: Cast) -> Net:
    """``o(k - l * h)``, where l is cast by h."""
    parts = {name: nn.Linear(4, 3, bias=False) for name in "kh"} | {"o": nn.Linear(3, 2, bias=False)}

    def forward(n: Any, x: Tensor) -> Tensor:
        k, h = torch.relu(n.k(x)), torch.relu(n.h(x))
        return n.o(k - cast(n, h) * h)

    made = Net(forward, **parts).float()
    made.l, made.v = nn.Parameter(torch.tensor([L])), nn.Parameter(torch.full((1, 3), L))
    return made


@pytest.mark.parametrize("name", CASTS)
def test_a_cast_parameter_is_a_coefficient(name: str) -> None:
    module = network(CASTS[name])
    graph = ax.capture(module, torch.zeros(1, 4))
    rows = module.o.weight.detach().sum(1)
    torch.testing.assert_close((graph @ graph.ones())["o"], (1 - L) * rows)
    torch.testing.assert_close((graph.abs() @ graph.ones())["o"], (1 + L) * module.o.weight.detach().abs().sum(1))
    check_adjoint(graph)
    x = torch.randn(5, 4)
    live = torch.cat([batch.pre_activations["o"] for batch in live_batches(graph, x)])
    torch.testing.assert_close(live, module(x).detach())


@pytest.mark.parametrize("name", CASTS)
def test_a_cast_parameter_is_a_constant(name: str) -> None:
    """Added, it is a bias: it has no links, and what it is cast by has none through it."""
    parts = {name: nn.Linear(4, 3, bias=False) for name in "kh"} | {"o": nn.Linear(3, 2, bias=False)}
    module = Net(lambda n, x: n.o(n.k(x) + CASTS[name](n, n.h(x))), **parts).float()
    module.l, module.v = nn.Parameter(torch.tensor([L])), nn.Parameter(torch.full((1, 3), L))
    graph = ax.capture(module, torch.zeros(1, 4))
    assert [group.name for group in graph.groups] == ["input", "k", "o"]
    torch.testing.assert_close((graph @ graph.ones())["o"], module.o.weight.detach().sum(1))
    torch.testing.assert_close(graph.biases()["k"], torch.full((3,), L))


def test_differential_attention_has_an_adjoint() -> None:
    """The difference of two attentions, the second times a number that is computed from parameters and cast."""

    class Differential(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v, self.o = (nn.Linear(4, 4, bias=False) for _ in range(4))
            self.a, self.b = nn.Parameter(torch.randn(2)), nn.Parameter(torch.randn(2))

        def forward(self, x: Tensor) -> Tensor:
            q, k = (f(x).unflatten(-1, (2, 2)).transpose(1, 2) for f in (self.q, self.k))
            weights = (q @ k.transpose(-1, -2)).softmax(-1)
            factor = (torch.exp((self.a * self.b).sum(-1).float()) + 0.5).type_as(q)
            return self.o((weights[:, 0] - factor * weights[:, 1]) @ self.v(x))

    check_adjoint(ax.capture(Differential(), torch.zeros(1, 5, 4)))
