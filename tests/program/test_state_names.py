"""Snapshots under the names that wrappers give, and values that are no tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from axonometry.errors import WeightsError
from axonometry.program import capture
from axonometry.program.weights.state_names import elsewhere, renamed, tensor_of


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))


@pytest.mark.parametrize(
    "wrapped",
    [
        *("module.{}", "_orig_mod.{}", "model.{}", "module._orig_mod.{}", "_orig_mod.module.{}", "model.module.{}"),
        *("_fsdp_wrapped_module.{}", "module.model._orig_mod.{}"),
    ],
)
def test_a_snapshot_of_the_wrapped_network(network: nn.Module, wrapped: str) -> None:
    graph = capture(network, torch.zeros(1, 2))
    state = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    found = graph.at({"n_averaged": torch.tensor(3), **{wrapped.format(name): state[name] for name in state}})
    other = graph.at(state)
    torch.testing.assert_close(found @ graph.ones(), other @ graph.ones(), atol=0, rtol=0)


def test_wrappers_in_the_middle_of_names(network: nn.Module) -> None:
    state = network.state_dict()
    parts = {name.replace(".", "._checkpoint_wrapped_module.", 1): tensor + 1 for name, tensor in state.items()}
    found = renamed({f"module.{name}": tensor for name, tensor in parts.items()}, list(state))
    assert list(found) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert all(torch.equal(found[name], state[name] + 1) for name in state)


def test_the_captured_network_may_be_the_wrapped_one(network: nn.Module) -> None:
    state = network.state_dict()
    found = renamed(state, [f"module.{name}" for name in state])
    assert list(found) == ["module.0.weight", "module.0.bias", "module.2.weight", "module.2.bias"]
    assert found["module.2.bias"] is state["2.bias"]


def test_two_networks_that_fit_are_not_chosen_from(network: nn.Module) -> None:
    state = network.state_dict()
    two = {f"{prefix}.{name}": tensor for prefix in ("model", "module") for name, tensor in state.items()}
    assert renamed(two, list(state)) is two
    with pytest.raises(WeightsError, match=r"none called '0.weight', but 'model.0.weight'"):
        capture(network, torch.zeros(1, 2)).at(two)


def test_names_as_they_are_needed_come_first(network: nn.Module) -> None:
    state = network.state_dict()
    both = {**{f"module.{name}": tensor + 1 for name, tensor in state.items()}, **state}
    assert renamed(both, list(state)) is both


def test_a_prefix_that_is_no_wrapper_is_named(network: nn.Module) -> None:
    graph, state = capture(network, torch.zeros(1, 2)), network.state_dict()
    words = r"none called '0.weight', but 'net.0.weight'. Take the prefix off the names: \{name.removeprefix\('net.'\)"
    with pytest.raises(WeightsError, match=words):
        graph.at({f"net.{name}": tensor for name, tensor in state.items()})
    came, remedy = elsewhere("0.weight", "none", {"state_dict": state, "epoch": 3})
    assert (came, remedy) == ("none, but a dictionary 'state_dict'", "Pass the dictionary inside: ['state_dict']")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        *((None, "'w' of type NoneType"), (3, "'w' of type int"), ([1.0], "'w' of type list")),
        *((np.array(["a"]), "'w' of type ndarray"), (torch.zeros(2, device="meta"), "'w' on the meta device")),
    ],
)
def test_values_that_are_no_tensors(value: Any, what: str) -> None:
    with pytest.raises(WeightsError, match=what):
        tensor_of("w", value)


def test_arrays_are_tensors() -> None:
    found = tensor_of("w", np.arange(6.0).reshape(2, 3).T)
    assert torch.equal(found, torch.tensor([[0.0, 3], [1, 4], [2, 5]], dtype=torch.float64))
    assert not tensor_of("w", nn.Parameter(torch.ones(2))).requires_grad
