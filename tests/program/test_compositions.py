"""Networks drawn at random, against the matrices that were built along with them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from axonometry.program import NeuralGraph, capture
from axonometry.testing import MAPS, WeightMap, dense, structure

from .cases import mapped
from .compositions import built, plans


def agree(graph: NeuralGraph, expected: Callable[[WeightMap], Tensor]) -> None:
    """Random products of the graph and its mapped graphs against a matrix, both ways."""
    for weights, f in MAPS.items():
        A, operator = expected(f), mapped(graph, weights)
        x, y = (graph.zeros().map(torch.randn_like) for _ in range(2))
        forward, backward = operator.products(x, y)
        for found, wanted in (
            (forward.flatten(), A @ x.flatten()),
            (backward.flatten(), A.T @ y.flatten()),
            ((operator @ x).flatten(), A @ x.flatten()),
        ):
            torch.testing.assert_close(
                found,
                wanted,
                rtol=1e-9,
                atol=1e-9 * float(wanted.abs().max().clamp(min=1)),
                msg=lambda m, w=weights: f"{w}: {m}",
            )


@settings(max_examples=25)
@given(plans)
def test_random_networks(plan: list[object]) -> None:
    toy = built(plan)
    graph = capture(toy.module, *toy.inputs)
    assert {group.name: group.shape for group in graph.groups} == toy.groups
    order = tuple(group.name for group in graph.groups)
    agree(graph, lambda f: dense(toy, f, order))
    assert graph.n_links == int(dense(toy, structure, order).sum())
    assert not [claim for claim in graph.coverage if claim.role == "unclaimed"]
    total = (graph @ graph.ones()).sum()
    assert abs(total - (graph.T @ graph.ones()).sum()) <= 1e-9 * (graph.abs() @ graph.ones()).sum()


@settings(max_examples=6)
@given(plans, st.sampled_from([nn.Identity, nn.Dropout, nn.Sequential]))
def test_an_identity_layer_changes_nothing(plan: list[object], identity: type[nn.Module]) -> None:
    toy = built(plan)
    plain = capture(toy.module, *toy.inputs)
    padded = capture(
        nn.Sequential(identity(), *[part for layer in toy.module for part in (layer, identity())]), *toy.inputs
    )
    assert [group.shape for group in plain.groups] == [group.shape for group in padded.groups]
    torch.testing.assert_close((padded @ padded.ones()).flatten(), (plain @ plain.ones()).flatten())
    torch.testing.assert_close((padded.T @ padded.ones()).flatten(), (plain.T @ plain.ones()).flatten())
