"""What code keeps outside its module stays as it was, and is told where it is read in place of a parameter."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import axonometry as ax

X = torch.randn(1, 4)
KEPT: Tensor | None = None


class Caching(nn.Module):
    """Twice a parameter, computed once; a capture before the first pass must not leave tensors without values."""

    table: ClassVar[dict[str, Tensor]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.a, self.o = nn.Linear(4, 3, bias=False), nn.Linear(3, 2)
        self.p = nn.Parameter(torch.rand(3) + 0.5)

    def doubled(self) -> Tensor:
        return self.p * 2

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.a(x) * self.doubled())


class OfTheClass(Caching):
    def doubled(self) -> Tensor:
        if "p" not in self.table:
            self.table["p"] = self.p * 2
        return self.table["p"]


class OfAGlobal(Caching):
    def doubled(self) -> Tensor:
        global KEPT  # noqa: PLW0603 - what is tested
        if KEPT is None:
            KEPT = self.p * 2
        return KEPT


class OfAnObject(Caching):
    def __init__(self) -> None:
        super().__init__()
        self.held = SimpleNamespace(value=None)
        self.nested = {"x": [{}]}

    def doubled(self) -> Tensor:
        if self.held.value is None:
            self.held.value = self.nested["x"][0]["v"] = self.p * 2
        return (self.held.value + self.nested["x"][0]["v"]) / 2


class OfAClosure(Caching):
    def __init__(self) -> None:
        super().__init__()
        self.get = self._getter()

    def _getter(self) -> Callable[[], Tensor]:
        kept: Any = None

        def get() -> Tensor:
            nonlocal kept
            kept = self.p * 2 if kept is None else kept
            return kept

        return get

    def doubled(self) -> Tensor:
        return self.get()


class OfALruCache(Caching):
    @lru_cache  # noqa: B019 - what is tested
    def _computed(self) -> Tensor:
        return self.p * 2

    def doubled(self) -> Tensor:
        return self._computed() * _ones(3)


@lru_cache
def _ones(n: int) -> Tensor:
    return torch.ones(n)


class OfAList(Caching):
    def __init__(self) -> None:
        super().__init__()
        self.held: list[Tensor] = []

    def doubled(self) -> Tensor:
        if not self.held:
            self.held.append(self.p * 2)
        return self.held[0]


KINDS = [OfTheClass, OfAGlobal, OfAnObject, OfAClosure, OfALruCache, OfAList]


@pytest.fixture(autouse=True)
def _empty() -> None:
    sys.modules[__name__].KEPT = None  # type: ignore[attr-defined]
    Caching.table.clear()
    _ones.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_a_capture_leaves_no_tensors_behind(kind: type[Caching]) -> None:
    network = kind().eval()
    graph = ax.capture(network, X)
    assert all(claim.role != "unclaimed" for claim in graph.coverage)
    network(X).sum().backward()
    assert network.p.grad is not None
    torch.testing.assert_close(network(X), network.o(network.a(X) * network.p * 2))


@pytest.mark.parametrize("kind", [OfALruCache, OfAList, OfAnObject])
def test_what_was_computed_by_an_earlier_pass_is_computed_anew(kind: type[Caching]) -> None:
    network = kind().eval()
    with torch.no_grad():
        before = network(X)
        graph = ax.capture(network, X)
        network.p.mul_(3)
        assert torch.equal(network(X), before)  # the cache is there as it was
    links = (graph @ graph.ones())["a"] * (graph.T @ graph.ones())["a"]
    torch.testing.assert_close(links, (network.a.weight.sum(1) * network.p * 2 * network.o.weight.sum(0)).detach())


@pytest.mark.parametrize("kind", [OfTheClass, OfAGlobal, OfAClosure])
def test_where_it_cannot_be_the_reason_is_told(kind: type[Caching]) -> None:
    network = kind().eval()
    with torch.no_grad():
        network(X)
    (claim,) = [claim for claim in ax.capture(network, X).coverage if claim.role == "unclaimed"]
    assert claim.parameter == "p"
    assert "outside" in claim.reason


def test_names_of_a_file_that_hold_tensors_stay() -> None:
    held = X
    ax.capture(OfAGlobal().eval(), X)
    assert held is X
    assert KEPT is None


class Made(dict):
    """Makes a layer of each class that it is asked for, as Transformers' table of activations does."""

    asked = 0

    def __getitem__(self, name: str) -> nn.Module:
        Made.asked += 1
        return super().__getitem__(name)()

    def values(self) -> list[nn.Module]:  # type: ignore[override]
        return [self[name] for name in self]


LAYERS = Made(relu=nn.ReLU, tanh=nn.Tanh)


class Chosen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return x if LAYERS is None else self.inside(x)


def test_a_table_that_makes_its_entries_is_not_asked_for_them() -> None:
    ax.capture(Chosen(), torch.zeros(1, 2))
    assert Made.asked == 0
