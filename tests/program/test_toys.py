"""Every toy network's graph against the matrix that was written down by hand."""

from __future__ import annotations

import pytest
import torch

from axonometry.program import NeuralGraph, capture
from axonometry.testing import MAPS, Toy, check_adjoint, check_against_dense, dense, matrix, randomise, structure
from axonometry.values import NodeValues

from .cases import CASES, SINGLE, captured, gathered, mapped, order

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")
every_toy = pytest.mark.parametrize("name", CASES)
TOGETHER = (
    "called_twice tied_modules pruned_by_mask weight_norm spectral_norm conv2d_everything conv_transpose2d_groups "
    "batch_norm_functional layer_norm instance_norm_with_statistics preactivation_block projection_shortcut "
    "learned_scale squeeze_and_excitation max_pool2d"
).split()


@every_toy
def test_structure(name: str) -> None:
    toy, graph = captured(name)
    check_groups(toy, graph)
    check_links(toy, graph)
    check_coverage(toy, graph)


def check_groups(toy: Toy, graph: NeuralGraph) -> None:
    """Names, shapes and roles; inputs come first."""
    found = {group.name: (tuple(group.shape), group.role) for group in graph.groups}
    expected = {group: (tuple(shape), toy.roles[group]) for group, shape in toy.groups.items()}
    assert len(found) == len(graph.groups), "names are unique"
    if toy.named:
        assert found == expected
    else:
        assert list(found.values()) == list(expected.values())
    assert graph.n_neurons == sum(torch.Size(shape).numel() for shape in toy.groups.values())
    inputs = [group.name for group in graph.groups if group.role == "input"]
    assert [group.name for group in graph.groups][: len(inputs)] == inputs


def check_links(toy: Toy, graph: NeuralGraph) -> None:
    """Every link is counted, at the synapse or wire that leads to its target; every path is a link."""
    assert graph.n_links == sum(bundle.n_links for bundle in (*graph.synapses, *graph.wires))
    if toy.counted:
        assert graph.n_links == int(dense(toy, structure).sum())
    if toy.named:
        assert {(b.target, source) for b in (*graph.synapses, *graph.wires) for source in b.sources} == set(toy.blocks)
    state = toy.module.state_dict()
    for synapse in graph.synapses:
        weight = graph.kernel(synapse.name).weight
        assert tuple(weight.shape) == tuple(synapse.shape)
        if synapse.parameter in state:
            assert sorted(synapse.shape) == sorted(state[synapse.parameter].shape)


def check_coverage(toy: Toy, graph: NeuralGraph) -> None:
    """Every parameter is claimed, biases as biases."""
    claims = {claim.parameter: claim.role for claim in graph.coverage}
    parameters = {key for key, _ in toy.module.named_parameters()}
    assert parameters <= set(claims)
    assert "unclaimed" not in claims.values()
    assert {claims[key] for key in parameters if key.endswith("bias")} <= {"bias", "normalisation"}


@every_toy
def test_matrix(name: str) -> None:
    """By random products, in which no wrong entry can hide; entry by entry for toys that stand alone."""
    toy, graph = captured(name)
    for weights, f in MAPS.items():
        expected, operator = dense(toy, f, order(toy, graph)), mapped(graph, weights)
        x, y = (graph.zeros().map(torch.randn_like) for _ in range(2))
        same(graph, operator @ x, expected @ x.flatten(), weights)
        same(graph, operator.T @ y, expected.T @ y.flatten(), f"{weights}, turned")
    if name in SINGLE:
        check_against_dense(graph, dense(toy, order=order(toy, graph)))


def same(graph: NeuralGraph, found: NodeValues, expected: torch.Tensor, label: str) -> None:
    """Compare group by group, so that a difference says where it is."""
    sizes = [group.n_neurons for group in graph.groups]
    for (group, values), wanted in zip(found.items(), expected.split(sizes), strict=True):
        torch.testing.assert_close(
            values.flatten(), wanted, rtol=1e-9, atol=1e-9, msg=lambda m, g=group: f"{label} at {g}: {m}"
        )


@every_toy
def test_adjoint_and_total_strength(name: str) -> None:
    check_adjoint(captured(name)[1], draws=1)


@every_toy
def test_scipy_matrix(name: str) -> None:
    toy, graph = captured(name)
    expected = dense(toy, order=order(toy, graph))
    sparse = graph.to_scipy()
    torch.testing.assert_close(torch.from_numpy(sparse.toarray()), expected)
    assert sparse.nnz <= graph.n_links, "zeros are not stored"


@pytest.mark.parametrize(
    "names", [TOGETHER, ["tied_autoencoder"], ["low_rank"], ["standardised_weight"], ["frozen_and_buffer_weight"]]
)
def test_another_snapshot_is_a_fresh_capture(names: list[str]) -> None:
    toy, twin = (gathered("all", tuple(names)) if len(names) > 1 else SINGLE[names[0]]() for _ in range(2))
    graph = capture(toy.module, *toy.inputs, pooling=toy.pooling)
    before = graph @ graph.ones()
    other = randomise(twin.module, seed=1)
    fresh, moved = capture(other, *toy.inputs, pooling=toy.pooling), graph.at(other.state_dict())
    for one, another in (
        (moved, fresh),
        (moved.T, fresh.T),
        (moved.abs(), fresh.abs()),
        (graph.square().at(other.state_dict()), fresh.square()),
    ):
        close(one @ graph.ones(), another @ graph.ones())
    close(moved.biases(), fresh.biases())
    assert moved.groups == graph.groups
    assert moved.synapses == graph.synapses
    close(graph @ graph.ones(), before)
    close(graph.at(toy.module.state_dict()) @ graph.ones(), before)


def close(found: NodeValues, expected: NodeValues) -> None:
    torch.testing.assert_close(found.flatten(), expected.flatten())


@pytest.mark.parametrize("name", ["convolution", "residual", "sums mean 1"])
def test_links_lead_from_earlier_to_later_groups(name: str) -> None:
    assert not matrix(captured(name)[1]).triu().any()


def test_there_is_a_toy_for_every_construct() -> None:
    assert len(SINGLE) >= 400
