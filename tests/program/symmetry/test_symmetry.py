"""Exchanges of neurons leave outputs as they are, and are all that the layers' structure allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import AxonometryError, ConfigurationError, WeightsError
from axonometry.program.graph import NeuralGraph
from axonometry.program.symmetry import Permutations, permutations, permute
from tests.program.symmetry import networks_more  # noqa: F401 (it registers its networks)
from tests.program.symmetry.networks import NETWORKS, Function


def moved_weights(module: nn.Module) -> nn.Module:
    """Float64, with weights and statistics at which no two neurons are alike."""
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 2)
    return module


def made(name: str) -> tuple[nn.Module, Tensor, NeuralGraph, Permutations]:
    torch.manual_seed(0)
    module, example = NETWORKS[name]()
    module, example = moved_weights(module), example.double() if example.is_floating_point() else example
    graph = ax.capture(module, example)
    return module, example, graph, permutations(graph)


def sizes(found: Permutations) -> list[tuple[int, bool]]:
    return sorted((one.size, one.blocks) for one in found.classes.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_stay_as_they_are(name: str) -> None:
    module, example, graph, found = made(name)
    state = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    assert found.classes
    with torch.no_grad():
        before = module(example)
        for seed in range(3):
            new = permute(state, graph, found.random(seed))
            assert max(float((new[key] - state[key]).abs().max()) for key in state) > 0.1
            module.load_state_dict(new)
            torch.testing.assert_close(module(example), before, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["dense", "residual", "encoder", "LSTM"])
def test_an_exchange_is_undone_by_its_inverse(name: str) -> None:
    module, _, graph, found = made(name)
    state = module.state_dict()
    exchange = found.random(3)
    back = permute(permute(state, graph, exchange), graph, exchange.inverse())
    assert all(torch.equal(back[key], state[key]) for key in state)


def test_the_classes_of_a_residual_network() -> None:
    """The first convolution and the second of an identity block are one class, by the skip between them."""
    _, _, _, found = made("residual")
    assert sizes(found) == [(4, False), (4, False), (6, False), (6, False)]
    stream = next(one for one in found.classes.values() if ("0.weight", 0) in one.axes)
    assert {("1.c2.weight", 0), ("1.n2.running_var", 0), ("1.c1.weight", 1), ("2.c1.weight", 1)} < set(stream.axes)
    assert ("1.c1.weight", 0) not in stream.axes
    assert found["0.weight"] == (stream.name, None, None, None)
    assert found["5.bias"] == (None,)


def test_the_classes_behind_a_flatten() -> None:
    """Six channels of sixteen places each are six blocks of 16 columns."""
    _, _, _, found = made("flattened")
    assert sizes(found) == [(4, False), (6, False), (7, False)]
    exchange = found.random(1)
    columns, rows = exchange.order["c.weight", 1], exchange.order["b.weight", 0]
    assert columns.tolist() == [16 * channel + place for channel in rows for place in range(16)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("padded_shortcut", [(6, False)]),
        ("depthwise", [(2, False)] * 4 + [(4, True), (6, False)]),
        ("grouped", [(3, False)] * 4 + [(4, True)]),
        ("group_norms", [(2, False)] * 4 + [(4, True), (6, False), (6, False)]),
        ("divided_differently", [(2, False)] * 4),
        ("LSTM, projected", [(3, False), (6, False)]),
        ("LSTM, both ways", [(6, False)] * 4),
        ("concatenated", [(4, False), (4, False)]),
        ("grouped_transposed", [(2, False)] * 4 + [(4, True)]),
        ("depthwise_transposed", [(6, True)]),
        ("signals", [(2, False)] * 3 + [(3, True)]),
        ("upsampled", [(4, False), (5, False), (6, False)]),
        ("grouped_attention", [(2, True)] + [(3, False)] * 4 + [(8, False)]),
        ("one_key", [(3, False), (8, False)]),
        ("rotary", [(2, True), (4, False), (4, False), (8, False)]),
        ("grouped_rotary", [(2, True), (4, False), (4, False), (8, False)]),
        ("normed_queries", [(4, False), (4, False), (4, False), (8, False)]),
        ("crossed", [(2, True)] + [(4, False)] * 4 + [(6, False), (8, False), (8, False)]),
        ("tied_language_model", [(2, True)] + [(4, False)] * 4 + [(8, False), (12, False)]),
        ("gated_units", [(4, False), (6, False), (7, False)]),
        ("largest_of_three", [(3, False)] * 4 + [(4, True)]),
        ("of_length_one", [(5, False)]),
        ("by_a_transpose", [(5, False), (6, False), (7, False)]),
        ("plus_its_transpose", [(5, False)]),
    ],
)
def test_what_can_be_exchanged(name: str, expected: list[tuple[int, bool]]) -> None:
    assert sizes(made(name)[3]) == expected


def test_heads_move_as_blocks_and_coordinates_inside_them() -> None:
    """Two layers: four heads as blocks; inside each, two coordinates of queries with keys, two of values."""
    _, _, _, found = made("encoder")
    assert sizes(found) == [(2, False)] * 16 + [(4, True)] * 2 + [(8, False)] + [(16, False)] * 2
    heads = next(name for name, one in found.classes.items() if one.blocks and "layers.0" in name)
    assert sum(one.inside == heads for one in found.classes.values()) == 8


def test_groups_of_queries_move_with_their_keys() -> None:
    _, _, _, found = made("grouped_queries")
    assert sizes(found) == [(2, True), (3, False), (3, False), (3, False), (3, False), (12, False)]
    order = found.random(5).order
    queries = order["q.weight", 0].reshape(2, 2, 3) // 6
    assert all(len(np.unique(group)) == 1 for group in queries)


def test_what_an_operation_does_not_allow_is_fixed() -> None:
    """A cumulative sum over channels, a constant that differs from channel to channel."""

    def found(mix: Callable[[Tensor], Tensor]) -> Permutations:
        module = Function(lambda m, x: m.b(mix(m.a(x))), a=nn.Linear(3, 4), b=nn.Linear(4, 2))
        return permutations(ax.capture(module, torch.randn(1, 3)))

    assert not found(lambda h: h.cumsum(1)).classes
    assert not found(lambda h: h * torch.arange(4)).classes
    assert sizes(found(lambda h: h * torch.full((4,), 3.0))) == [(4, False)]


def test_a_network_without_hidden_neurons_has_no_symmetry() -> None:
    assert not permutations(ax.capture(nn.Linear(3, 2), torch.randn(1, 3))).classes


def test_a_layer_whose_inputs_are_its_outputs_is_one_class() -> None:
    """A matrix and its transpose, and a module that is called twice."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = torch.relu(m.a(x))
        h = torch.relu(m.w(torch.relu(m.w(h))) + h)
        return torch.nn.functional.linear(h, m.a.weight.t())

    module = moved_weights(Function(forward, a=nn.Linear(3, 5), w=nn.Linear(5, 5)))
    found = permutations(ax.capture(module, torch.randn(1, 3).double()))
    assert [(one.size, one.axes) for one in found.classes.values()] == [
        (5, (("a.bias", 0), ("a.weight", 0), ("w.bias", 0), ("w.weight", 0), ("w.weight", 1)))
    ]


def test_every_name_of_a_tied_tensor_is_permuted() -> None:
    module = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7, bias=False))
    module[1].weight = module[0].weight
    graph = ax.capture(module, torch.tensor([[1, 2, 3]]))
    found = permutations(graph)
    assert found["1.weight"] == found["0.weight"] == (None, "0.weight[1]")
    new = permute(module.state_dict(), graph, found.random(0))
    assert torch.equal(new["0.weight"], new["1.weight"])
    assert not torch.equal(new["0.weight"], module.state_dict()["0.weight"])


def test_moments_of_an_optimizer_are_permuted_like_their_parameters() -> None:
    """Permuted, then trained on, is trained on, then permuted; the losses are the same to rounding."""
    module, example, graph, found = made("residual")
    twin = made("residual")[0]
    optimizers = [torch.optim.Adam(one.parameters(), 1e-2) for one in (module, twin)]

    def train(which: int, steps: int) -> list[float]:
        losses = []
        for _ in range(steps):
            loss = (module, twin)[which](example).square().sum()
            optimizers[which].zero_grad()
            loss.backward()
            optimizers[which].step()
            losses.append(float(loss.detach()))
        return losses

    train(0, 3), train(1, 3)
    exchange = found.random(2)
    twin.load_state_dict(permute(twin.state_dict(), graph, exchange))
    names = dict(twin.named_parameters())
    for moment in ("exp_avg", "exp_avg_sq"):
        moments = {name: optimizers[1].state[parameter][moment] for name, parameter in names.items()}
        for name, tensor in permute(moments, graph, exchange).items():
            optimizers[1].state[names[name]][moment] = tensor
    np.testing.assert_allclose(train(1, 4), train(0, 4), rtol=1e-9)


def test_a_state_that_does_not_fit_is_refused() -> None:
    _, _, graph, found = made("dense")
    with pytest.raises(WeightsError, match=r"'0.weight' has the shape \(4, 3\) in the captured network"):
        permute({"0.weight": torch.zeros(3, 3)}, graph, found.random(0))


def test_a_state_without_anything_that_moves_is_refused() -> None:
    """Names that do not fit are not passed over in silence; moments of some parameters are exchanged by themselves."""
    module, _, graph, found = made("dense")
    state, exchange = module.state_dict(), found.random(0)
    with pytest.raises(WeightsError, match=r"got none called '0.weight', but 'net.0.weight'. Take the prefix off"):
        permute({f"net.{name}": tensor for name, tensor in state.items()}, graph, exchange)
    with pytest.raises(AxonometryError, match=r"but a dictionary 'model'|a mapping from texts to tensors"):
        permute({"model": state}, graph, exchange)  # type: ignore[dict-item]
    part = permute({"0.bias": state["0.bias"]}, graph, exchange)
    assert torch.equal(part["0.bias"], permute(state, graph, exchange)["0.bias"])


def test_a_permutation_of_another_network_is_refused() -> None:
    module, _, graph, _ = made("dense")
    other = made("residual")[3].random(0)
    with pytest.raises(ConfigurationError, match=r"one of another, with \d entries along axis \d of .*anew"):
        permute(module.state_dict(), graph, other)
    with pytest.raises(ConfigurationError, match=r"a permutation is of the captured network"):
        permute(module.state_dict(), graph, made("LSTM")[3].random(0))


def test_what_has_to_be_removed_with_a_neuron() -> None:
    """A residual network without channel 2 of its stream, and without one inside each block, computes something."""
    module, _, _, found = made("residual")
    stream = found["0.weight"][0]
    assert stream is not None
    gone = found.dependencies(stream)[2]
    assert {name: places.tolist() for (name, _), places in gone.items()}.keys() >= {"0.weight", "1.c1.weight"}
    assert all(places.tolist() == [2] for places in gone.values())
    state = dict(module.state_dict())
    for (name, axis), places in gone.items():
        keep = torch.tensor([i for i in range(state[name].shape[axis]) if i not in places])
        state[name] = state[name].index_select(axis, keep)
    assert state["0.weight"].shape[0] == state["2.c1.weight"].shape[1] == state["1.n2.running_var"].shape[0] == 3


def test_blocks_are_removed_with_what_stands_in_them() -> None:
    _, _, _, found = made("encoder")
    heads = next(name for name, one in found.classes.items() if one.blocks and "layers.0" in name)
    axis = ("e.layers.0.self_attn.in_proj_weight", 0)
    rows = [head[axis].tolist() for head in found.dependencies(heads)]
    assert sorted(rows) == [[2 * h, 2 * h + 1, 8 + 2 * h, 9 + 2 * h, 16 + 2 * h, 17 + 2 * h] for h in range(4)]
    with pytest.raises(ConfigurationError, match="a class has a name of `classes`; got 'heads'"):
        found.dependencies("heads")


def test_a_specification_has_whole_axes_alone() -> None:
    """The class behind a flatten keeps positions, which Git Re-Basin has no word for; heads are blocks."""
    _, _, _, found = made("flattened")
    spec = found.specification()
    assert [len(axes) for axes in spec.perm_to_axes.values()] == [7, 3]
    assert spec.axes_to_perm["b.weight"] == (None, found["b.weight"][1], None, None)
    assert spec.axes_to_perm["c.weight"] == (found["c.weight"][0], None)
    encoder = made("encoder")[3]
    assert not any(encoder.classes[name].blocks for name in encoder.specification().perm_to_axes)
