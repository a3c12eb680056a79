"""An exchange that was planted is found back, and a network of another seed comes nearer."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations as orders
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import AxonometryError, NonfiniteError, SamplesError, WeightsError
from tests.program.symmetry.networks import NETWORKS
from tests.program.symmetry.test_symmetry import made, moved_weights

State = dict[str, Tensor]


def distance(a: State, b: State, names: list[str]) -> float:
    return float(sum((a[name] - b[name]).square().sum() for name in names)) ** 0.5


@pytest.mark.parametrize("name", NETWORKS)
def test_a_planted_exchange_is_found_back(name: str) -> None:
    module, _, graph, found = made(name)
    state = module.state_dict()
    for seed in range(3):
        other = ax.permute(state, graph, found.random(seed))
        aligned = ax.permute(other, graph, ax.align(graph, state, other))
        assert all(torch.equal(aligned[key], state[key]) for key in state)


@pytest.mark.parametrize("name", ["flattened", "residual", "encoder", "LSTM", "grouped_queries"])
def test_a_network_of_another_seed_comes_nearer_and_computes_the_same(name: str) -> None:
    module, example, graph, _ = made(name)
    torch.manual_seed(1)
    other = moved_weights(NETWORKS[name]()[0])
    parameters = [key for key, _ in module.named_parameters()]
    a, b = module.state_dict(), {key: tensor.clone() for key, tensor in other.state_dict().items()}
    aligned = ax.permute(b, graph, ax.align(graph, a, b))
    assert distance(a, aligned, parameters) < 0.98 * distance(a, b, parameters)
    with torch.no_grad():
        before = other(example)
        other.load_state_dict(aligned)
        torch.testing.assert_close(other(example), before, rtol=0, atol=1e-12)


def test_the_best_exchange_of_one_layer_is_found() -> None:
    """One hidden layer is one linear assignment: no exchange of its 5 neurons comes nearer, of all 120."""
    torch.manual_seed(2)
    nets = [nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)) for _ in range(2)]
    a, b = (net.state_dict() for net in nets)
    graph = ax.capture(nets[0], torch.zeros(1, 3))
    aligned = ax.permute(b, graph, ax.align(graph, a, b))

    def exchanged(order: tuple[int, ...]) -> State:
        rows = list(order)
        return {"0.weight": b["0.weight"][rows], "0.bias": b["0.bias"][rows], "2.weight": b["2.weight"][:, rows]}

    names = ["0.weight", "0.bias", "2.weight"]
    best = min(distance(a, exchanged(order), names) for order in orders(range(5)))
    assert distance(a, aligned, names) == pytest.approx(best)


def test_heads_are_matched_by_what_stands_in_them() -> None:
    """Heads that change places, and coordinates inside one of them: the exchange found is the one that was made."""
    module, _, graph, found = made("encoder")
    state = module.state_dict()
    planted = found.random(11)
    back = ax.align(graph, state, ax.permute(state, graph, planted))
    axis = ("e.layers.0.self_attn.in_proj_weight", 0)
    np.testing.assert_array_equal(planted.order[axis][back.order[axis]], np.arange(24))


USES: dict[str, Callable[[ax.NeuralGraph, State, State], object]] = {
    "align, first": lambda graph, state, bad: ax.align(graph, bad, state),
    "align, second": ax.align,
    "canonical": lambda graph, state, bad: ax.canonical(graph, bad),
    "activations": lambda graph, state, bad: ax.program.align_activations(graph, state, bad, torch.ones(2, 3).double()),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {}, "got no tensor of that name. Take it from model.state_dict"),
        (lambda state: {f"net.{k}": t for k, t in state.items()}, "but 'net.*.weight'. Take the prefix off the names"),
        (lambda state: {"state_dict": state}, r"got .*Pass the dictionary inside|mapping from texts to tensors"),
        (lambda state: state | {"0.weight": state["0.weight"].t()}, r"\(4, 3\) in the captured network; got \(3, 4\)"),
        (lambda state: state | {"0.weight": state["0.weight"] * torch.nan}, "'0.weight' with 12 of 12 entries NaN"),
        (lambda state: state | {"2.bias": state["2.bias"] / 0}, "'2.bias' with 5 of 5 entries NaN or infinite"),
        (
            lambda state: state | {"0.weight": state["0.weight"].long()},
            "real numbers; got '0.weight' of type torch.int64",
        ),
        (lambda state: state | {"0.weight": state["0.weight"] * 1j}, "got '0.weight' of type torch.complex128"),
        (lambda state: state | {"0.weight": state["0.weight"].to("meta")}, "got '0.weight' on the meta device"),
        (
            lambda state: state | {"0.weight": state["0.weight"].to_sparse()},
            "got '0.weight' of layout torch.sparse_coo",
        ),
    ],
)
def test_weights_by_which_no_neuron_is_told_are_refused(use: str, change: Any, message: str) -> None:
    module, _, graph, _ = made("dense")
    state = module.state_dict()
    with pytest.raises(AxonometryError, match=message) as caught:
        USES[use](graph, state, change(state))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_states_of_a_wrapped_network(prefix: str) -> None:
    """Each use takes and gives the names that wrappers have saved; the exchange is the one of the bare names."""
    module, _, graph, found = made("flattened")
    state = module.state_dict()
    wrapped = {prefix + name: tensor for name, tensor in state.items()}
    exchange = found.random(2)
    moved = ax.permute(state, graph, exchange)
    for bare, whole in (
        (moved, ax.permute(wrapped, graph, exchange)),
        (ax.canonical(graph, state), ax.canonical(graph, wrapped)),
    ):
        assert whole.keys() == wrapped.keys()
        assert all(torch.equal(whole[prefix + name], tensor) for name, tensor in bare.items())
    samples = torch.randn(20, 1, 12, 12, generator=torch.Generator().manual_seed(1)).double()
    for back in (
        ax.align(graph, wrapped, moved),
        ax.program.align_activations(
            graph, wrapped, {prefix + name: tensor for name, tensor in moved.items()}, samples
        ),
    ):
        assert all(torch.equal(ax.permute(moved, graph, back)[name], state[name]) for name in state)


def test_activations_are_those_of_the_state_and_not_of_the_captured_network() -> None:
    """Without running statistics a state says nothing about what the network computes."""
    module, _, graph, _ = made("flattened")
    state, samples = module.state_dict(), torch.randn(4, 1, 12, 12).double()
    lacking = {name: tensor for name, tensor in state.items() if name != "n.running_var"}
    with pytest.raises(
        WeightsError, match=r"every parameter and buffer of the network; got none called 'n.running_var'"
    ):
        ax.program.align_activations(graph, state, lacking, samples)
    with pytest.raises(SamplesError, match=r"vary over samples; got one sample. Pass two or more"):
        ax.program.align_activations(graph, state, state, samples[:1])
    with pytest.raises(NonfiniteError, match="got sample 2, whose pre-activation is NaN"):
        ax.program.align_activations(
            graph, state, state, torch.tensor([0, 0, torch.nan, 0]).double()[:, None, None, None].expand(4, 1, 12, 12)
        )


def test_states_that_do_not_fit_are_refused() -> None:
    module, _, graph, _ = made("dense")
    state = module.state_dict()
    with pytest.raises(WeightsError, match=r"'0.weight' has the shape \(4, 3\).*got no tensor of that name"):
        ax.align(graph, state, {key: tensor for key, tensor in state.items() if key != "0.weight"})
    with pytest.raises(WeightsError, match=r"'2.bias' has the shape \(5,\).*got \(6,\)"):
        ax.align(graph, state | {"2.bias": torch.zeros(6)}, state)


@pytest.mark.parametrize("name", ["dense", "flattened", "residual", "encoder", "concatenated"])
def test_a_planted_exchange_is_found_back_by_activations(name: str) -> None:
    module, example, graph, found = made(name)
    state, samples = (
        module.state_dict(),
        torch.randn(40, *example.shape[1:], generator=torch.Generator().manual_seed(1)),
    )
    other = ax.permute(state, graph, found.random(3))
    aligned = ax.permute(other, graph, ax.program.align_activations(graph, state, other, samples.double()))
    assert all(torch.equal(aligned[key], state[key]) for key in state)


def test_activations_match_units_that_weights_do_not() -> None:
    """A unit with twice its incoming and half its outgoing weights says the same, twice as loudly."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2)).double()
    graph, state, order = ax.capture(net, torch.zeros(1, 3).double()), net.state_dict(), [3, 0, 5, 1, 4, 2]
    factors = torch.tensor([8.0, 0.1, 3.0, 0.2, 30.0, 1.0], dtype=torch.float64)
    rows = {"0.weight": state["0.weight"] * factors[:, None], "0.bias": state["0.bias"] * factors}
    other = {name: tensor[order] for name, tensor in rows.items()}
    other |= {"2.weight": (state["2.weight"] / factors)[:, order], "2.bias": state["2.bias"]}
    samples = torch.randn(60, 3, dtype=torch.float64)
    found = ax.program.align_activations(graph, state, other, samples).order["0.weight", 0]
    assert [order[place] for place in found] == list(range(6))
