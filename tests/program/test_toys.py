"""Every toy network's graph against the matrix that was written down by hand."""

from __future__ import annotations

import copy

import pytest
import torch

from axonometry.program import capture
from axonometry.testing import MAPS, check_adjoint, check_against_dense, dense, matrix, randomise, structure

from .cases import CASES, captured, mapped, order

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")
every_toy = pytest.mark.parametrize("name", CASES)


@every_toy
def test_groups(name: str) -> None:
    toy, graph = captured(name)
    found = {group.name: (tuple(group.shape), group.role) for group in graph.groups}
    expected = {group: (tuple(shape), toy.roles[group]) for group, shape in toy.groups.items()}
    assert len(found) == len(graph.groups), "names are unique"
    if toy.named:
        assert found == expected
    else:
        assert list(found.values()) == list(expected.values())
    assert graph.n_neurons == sum(torch.Size(shape).numel() for shape in toy.groups.values())
    inputs = [group.name for group in graph.groups if group.role == "input"]
    assert [group.name for group in graph.groups][: len(inputs)] == inputs, "inputs come first"
    assert all(group.channel_axis == 0 for group in graph.groups if len(group.shape) == 3 and name.startswith("conv"))


@every_toy
@pytest.mark.parametrize("weights", MAPS)
def test_matrix(name: str, weights: str) -> None:
    toy, graph = captured(name)
    check_against_dense(mapped(graph, weights), dense(toy, MAPS[weights], order(toy, graph)))


@every_toy
def test_adjoint_and_total_strength(name: str) -> None:
    check_adjoint(captured(name)[1])


@every_toy
def test_links_are_counted_one_by_one(name: str) -> None:
    toy, graph = captured(name)
    synapses_and_wires = sum(s.n_links for s in graph.synapses) + sum(w.n_links for w in graph.wires)
    assert graph.n_links == synapses_and_wires
    if toy.counted:
        assert graph.n_links == int(dense(toy, structure).sum())


@every_toy
def test_sources_and_targets_are_the_blocks(name: str) -> None:
    toy, graph = captured(name)
    if not toy.named:
        return
    claimed = {(s.target, source) for s in graph.synapses for source in s.sources}
    claimed |= {(w.target, source) for w in graph.wires for source in w.sources}
    assert claimed == set(toy.blocks)


@every_toy
def test_scipy_matrix(name: str) -> None:
    toy, graph = captured(name)
    sparse = graph.to_scipy()
    assert sparse.shape == (graph.n_neurons, graph.n_neurons)
    torch.testing.assert_close(torch.from_numpy(sparse.toarray()), dense(toy, order=order(toy, graph)))


@every_toy
def test_every_parameter_is_claimed(name: str) -> None:
    toy, graph = captured(name)
    claims = {claim.parameter: claim.role for claim in graph.coverage}
    parameters = {key for key, _ in toy.module.named_parameters()}
    assert parameters <= set(claims)
    assert "unclaimed" not in claims.values()
    for key, role in claims.items():
        if key.endswith("bias") and key in parameters:
            assert role in ("bias", "normalisation"), key


@every_toy
def test_another_snapshot_is_a_fresh_capture(name: str) -> None:
    toy, graph = captured(name)
    other = copy.deepcopy(toy.module)
    randomise(other, seed=1)
    fresh, moved = capture(other, *toy.inputs, pooling=toy.pooling), graph.at(other.state_dict())
    torch.testing.assert_close((moved @ moved.ones()).flatten(), (fresh @ fresh.ones()).flatten())
    torch.testing.assert_close((moved.T @ moved.ones()).flatten(), (fresh.T @ fresh.ones()).flatten())
    torch.testing.assert_close((moved.abs() @ moved.ones()).flatten(), (fresh.abs() @ fresh.ones()).flatten())
    torch.testing.assert_close((graph.at(toy.module.state_dict()) @ graph.ones()).flatten(), (graph @ graph.ones()).flatten())


@pytest.mark.parametrize("name", ["convolution", "called_twice", "resnet_block"])
def test_the_matrix_has_links_from_earlier_to_later_groups_only(name: str) -> None:
    assert not matrix(captured(name)[1]).triu().any()
