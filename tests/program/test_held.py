"""Tensors that modules keep outside their parameters: captured without where they are computed anew, else named."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axonometry as ax
from axonometry.program.readings.live import live_batches
from axonometry.testing import randomise

X = torch.randn(1, 5, 4)


class Cached(nn.Module):
    """Attention whose biases are indexed once, and kept in one of the ways that people keep them in."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.biases = nn.Linear(4, 12, bias=False), nn.Parameter(torch.randn(2, 5))
        places = torch.arange(5)
        self.register_buffer("index", (places[:, None] - places).abs(), persistent=False)
        self.weight = nn.Parameter(torch.randn(4, 4))

    def made(self) -> Tensor:
        return self.biases[:, self.index]

    def kept(self) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 2)).permute(2, 0, 3, 1, 4)
        weights = (q @ k.mT + self.kept()).softmax(-1)
        return F.linear((weights @ v).transpose(1, 2).flatten(2), self.weight)


class ByDevice(Cached):
    """LeViT and EfficientFormer in timm."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[str, Tensor] = {}

    def train(self, mode: bool = True) -> ByDevice:
        super().train(mode)
        if mode and self.cache:
            self.cache = {}
        return self

    def kept(self) -> Tensor:
        if self.training:
            return self.made()
        if "cpu" not in self.cache:
            self.cache["cpu"] = self.made()
        return self.cache["cpu"]


class InEvaluation(Cached):
    """TinyViT and LeViT by their authors: made when the module is told to evaluate."""

    def train(self, mode: bool = True) -> InEvaluation:
        super().train(mode)
        if mode and hasattr(self, "ab"):
            del self.ab
        elif not mode:
            self.ab = self.made()
        return self

    def kept(self) -> Tensor:
        return self.made() if self.training else self.ab


class Lazily(Cached):
    def kept(self) -> Tensor:
        if not hasattr(self, "ab"):
            self.ab = self.made()
        return self.ab


class FromNone(Cached):
    def __init__(self) -> None:
        super().__init__()
        self.ab: Tensor | None = None

    def kept(self) -> Tensor:
        if self.ab is None:
            self.ab = self.made()
        return self.ab


class InATuple(Cached):
    def __init__(self) -> None:
        super().__init__()
        self.ab: tuple[Tensor, Tensor] | None = None

    def kept(self) -> Tensor:
        if self.ab is None:
            self.ab = self.made(), self.biases * 2
        return self.ab[0]


class InAList(Cached):
    def __init__(self) -> None:
        super().__init__()
        self.ab: list[Tensor | None] = [None]

    def kept(self) -> Tensor:
        if self.ab[0] is None:
            self.ab[0] = self.made()
        return self.ab[0]


class AsAProperty(Cached):
    @cached_property
    def ab(self) -> Tensor:
        return self.made()

    def kept(self) -> Tensor:
        return self.ab


class FromTheStart(Cached):
    """What cannot be computed anew."""

    def __init__(self) -> None:
        super().__init__()
        self.ab = self.made().detach()

    def kept(self) -> Tensor:
        return self.ab


class FromTheStartInADictionary(FromTheStart):
    def __init__(self) -> None:
        super().__init__()
        self.tables = {"ab": self.made().detach()}

    def kept(self) -> Tensor:
        return self.tables["ab"]


ANEW = [ByDevice, InEvaluation, Lazily, FromNone, InATuple, InAList, AsAProperty]
Make = Callable[[], Cached]


def network(made: Make) -> nn.Sequential:
    return nn.Sequential(made(), nn.Linear(4, 2))


def used(module: nn.Module) -> nn.Module:
    module.eval()
    with torch.no_grad():
        module(X)
    return module


def attributes(module: nn.Module) -> dict[str, Any]:
    return {f"{path}.{name}": value for path, part in module.named_modules() for name, value in vars(part).items()}


@pytest.mark.parametrize("made", ANEW)
@pytest.mark.parametrize("state", ["fresh", "evaluated", "used"])
def test_what_is_computed_anew_is_no_constant(made: Make, state: str) -> None:
    module = network(made)
    module = used(module) if state == "used" else module.train(state == "fresh")
    before = attributes(module)
    contents = {name: value.copy() for name, value in before.items() if isinstance(value, (dict, list))}
    graph = ax.capture(module, X)
    after = attributes(module)
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert after[name] is value, name
        if name in contents:
            pairs = zip(contents[name], value, strict=True)
            assert all(a is b for a, b in pairs), name
            assert not isinstance(value, dict) or all(value[key] is contents[name][key] for key in value)
    claims = {claim.parameter: claim for claim in graph.coverage}
    assert claims["0.biases"].role != "unclaimed"
    assert not graph.program.constants - {"0.index"}


class Weights(nn.Module):
    """A weight that is computed once."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(2, 4))
        self.cache: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        if "weight" not in self.cache:
            self.cache["weight"] = self.small @ self.large
        return F.linear(x, self.cache["weight"])


def test_the_graph_follows_the_parameters_and_not_what_was_kept() -> None:
    module = Weights()
    x = torch.randn(1, 4)
    module(x)
    graph = ax.capture(module, x)
    for _ in range(2):
        expected = (module.small @ module.large).detach().sum(1)
        torch.testing.assert_close((graph @ graph.ones())["small"], expected)
        with torch.no_grad():
            module.small.mul_(-2)
    assert {claim.role for claim in graph.coverage} == {"synapse"}


class Plain:
    """An object of the user's own, which may hold others."""


class InAnObject(Weights):
    """The product is kept in an object that the module has, one level deep or two."""

    def __init__(self, deep: bool) -> None:
        super().__init__()
        self.memory = Plain()
        self.memory.inner = Plain()  # type: ignore[attr-defined]
        self.holder = [self.memory.inner if deep else self.memory]  # type: ignore[attr-defined]

    def forward(self, x: Tensor) -> Tensor:
        (holder,) = self.holder
        if getattr(holder, "kept", None) is None:
            holder.kept = self.small @ self.large  # type: ignore[attr-defined]
        return F.linear(x, holder.kept)  # type: ignore[attr-defined]


@pytest.mark.parametrize("deep", [False, True])
def test_what_a_module_s_objects_keep_is_computed_anew(deep: bool) -> None:
    module = InAnObject(deep)
    x = torch.randn(1, 4)
    module(x)
    kept = module.holder[0].kept
    graph = ax.capture(module, x)
    with torch.no_grad():
        module.small.mul_(-2)
    torch.testing.assert_close((graph @ graph.ones())["small"], (module.small @ module.large).detach().sum(1))
    assert module.holder[0].kept is kept


@pytest.mark.parametrize("made", [FromTheStart, FromTheStartInADictionary])
def test_what_is_not_is_said(made: Make) -> None:
    claims = {claim.parameter: claim for claim in ax.capture(network(made), X).coverage}
    place = "0.ab" if made is FromTheStart else "0.tables['ab']"
    assert claims["0.biases"].role == "unclaimed"
    expected = f"the forward pass reads {place}, a tensor that the module holds outside its parameters"
    assert claims["0.biases"].reason == expected
    assert claims["0.weight"].role == "synapse"


def test_what_was_kept_of_other_weights_is_not_read() -> None:
    """A module that has been used before its weights were loaded computes with old biases; the graph has the new."""
    module = used(network(FromNone))
    randomise(module)
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    found = torch.cat([batch.pre_activations["1"] for batch in live_batches(ax.capture(module, x), x)])
    module[0].ab = None
    torch.testing.assert_close(found, module(x).detach())


def test_weights_that_are_merged_in_evaluation_stay_as_they_are() -> None:
    """As adapters of low rank do: told to evaluate, they add to the weight, once."""

    class Merges(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.low = nn.Parameter(torch.randn(2, 4)), nn.Parameter(torch.randn(2, 1))
            self.merged, self.table = False, torch.ones(2)

        def train(self, mode: bool = True) -> Merges:
            super().train(mode)
            if not mode and not self.merged:
                self.weight.data += self.low
                self.merged = True
            return self

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight if self.merged else self.weight + self.low) * self.table

    module = Merges()
    weight = module.weight.detach().clone()
    ax.capture(module, torch.randn(1, 4))
    assert torch.equal(module.weight, weight)
    assert not module.merged
