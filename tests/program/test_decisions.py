"""Decisions on integers are taken as the example has them; samples that decide otherwise are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import CaptureError, SamplesError
from axonometry.program import NeuralGraph
from axonometry.program.readings.live import live_batches
from axonometry.testing import check_adjoint


class Words(nn.Module):
    """Embedded ids, a function of both, and a linear map."""

    def __init__(self, function: Callable[[Any, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.table, self.out = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(self.function(self, ids, self.table(ids)))


def masked(n: Any, ids: Tensor, h: Tensor) -> Tensor:
    padding = ids == 0
    if not padding.any():
        return 3 * h
    return h.masked_fill(padding[..., None], 0.0)


def counted(n: Any, ids: Tensor, h: Tensor) -> Tensor:
    return h * int((ids > 4).sum())


def listed(n: Any, ids: Tensor, h: Tensor) -> Tensor:
    return sum((h * count for count in torch.bincount(ids[0], minlength=3).tolist()[:3]), 0.0 * h)


def marked(n: Any, ids: Tensor, h: Tensor) -> Tensor:
    mask = torch.zeros(h.shape[:2], dtype=torch.bool)
    mask[:, 1:] = ids[:, 1:] > 4
    return h[mask][None].sum(1) if mask.any() else h.sum(1)


def stretched(n: Any, ids: Tensor, h: Tensor) -> Tensor:
    length = ids.shape[1] + (ids < 9).long().prod(1)[0]
    return F.interpolate(h.transpose(1, 2), size=(length,)).transpose(1, 2)


def windows(n: Any, ids: Tensor, h: Tensor) -> Tensor:
    if (ids < 0).any().item():
        return h
    turned = h.transpose(1, 2)
    return turned.as_strided((len(h), 2, 2, 4), (h.stride(0), 4, 4, 1)).flatten(1, 2)


CASES = {f.__name__: f for f in (masked, counted, listed, marked, stretched, windows)}
OF_THE_BATCH = {"counted", "marked"}
"""What counts over the whole batch, which is then one sample."""
IDS = torch.tensor([[5, 6, 2]])


def captured(network: Words) -> NeuralGraph:
    whole = network.function.__name__ in OF_THE_BATCH
    return ax.capture(network, IDS, batch_axis=(None,) if whole else 0)


@pytest.mark.parametrize("name", CASES)
def test_the_network_is_the_one_that_the_example_takes(name: str) -> None:
    network = Words(CASES[name]).double()
    graph = captured(network)
    (batch,) = live_batches(graph, IDS[None] if name in OF_THE_BATCH else IDS)
    torch.testing.assert_close(batch.pre_activations["out"].flatten(), network(IDS).detach().flatten())
    check_adjoint(graph)


def test_other_integers_with_the_same_decisions_are_read() -> None:
    network = Words(masked).double()
    ids = torch.tensor([[1, 2, 3], [8, 8, 8], [4, 5, 7]])
    (batch,) = live_batches(ax.capture(network, IDS), ids)
    torch.testing.assert_close(batch.pre_activations["out"], network(ids).detach())


@pytest.mark.parametrize("name", ["masked", "counted", "listed", "marked"])
def test_other_decisions_are_refused_by_the_number_of_the_sample(name: str) -> None:
    graph = captured(Words(CASES[name]))
    ids = torch.cat([IDS, IDS, torch.zeros_like(IDS)])
    ids = ids[:, None] if name in OF_THE_BATCH else ids
    with pytest.raises(SamplesError, match="sample 2, whose integers decide otherwise"):
        list(live_batches(graph, ids, batch_size=2))


def test_a_padded_example_is_another_network() -> None:
    network, padded = Words(masked).double(), torch.tensor([[5, 0, 2]])
    one, other = ax.capture(network, IDS), ax.capture(network, padded)
    factor = one.strengths()[0]["table"] / network.table.weight.sum(0)
    torch.testing.assert_close(factor, torch.full((3, 4), 3.0).double())
    factor = other.strengths()[1]["table"] / network.out.weight.sum(0)
    torch.testing.assert_close(factor, torch.tensor([1.0, 0.0, 1.0]).double()[:, None].expand(3, 4))


def test_a_decision_on_a_signal_is_refused() -> None:
    network = Words(lambda n, ids, h: h if h.sum() > 0 else -h)
    with pytest.raises(CaptureError, match=r"a decision on a tensor's value at test_decisions\.py"):
        ax.capture(network, IDS)


def test_a_mask_that_signals_are_written_to_is_not_known() -> None:
    def written(n: Any, ids: Tensor, h: Tensor) -> Tensor:
        mask = torch.zeros(h.shape[:2])
        view = mask[:, 1:]
        mask[:, 1] = h[:, 1, 0]
        return h if view.sum() > 0 else -h

    with pytest.raises(CaptureError, match="a decision on a tensor's value"):
        ax.capture(Words(written), IDS)


def test_code_that_asks_whether_it_is_exported() -> None:
    def asks(n: Any, ids: Tensor, h: Tensor) -> Tensor:
        mask = None if torch.compiler.is_compiling() else torch.ones(ids.shape)
        return h * mask[..., None]

    network = Words(asks).double()
    (batch,) = live_batches(ax.capture(network, IDS), IDS)
    torch.testing.assert_close(batch.pre_activations["out"], network(IDS).detach())
    assert not torch.compiler.is_compiling()


def test_masks_that_are_changed_in_place() -> None:
    def changed(n: Any, ids: Tensor, h: Tensor) -> Tensor:
        mask = torch.ones(ids.shape, dtype=torch.long).mul_(ids).contiguous().to(torch.long)
        mask.sub_(4).clamp_(min=0)
        mask[:, 0] += 1
        return 3 * h if bool((mask > 0).any()) else h

    network = Words(changed).double()
    graph = ax.capture(network, torch.tensor([[5, 6, 2]]))
    (batch,) = live_batches(graph, torch.tensor([[1, 7, 8]]))
    torch.testing.assert_close(batch.pre_activations["out"], network(torch.tensor([[1, 7, 8]])).detach())


def test_how_many_are_drawn_may_follow_from_the_example() -> None:
    """As ViLT draws its patches: as many as the mask has ones, in a random order."""

    def drawn(n: Any, ids: Tensor, h: Tensor) -> Tensor:
        places = (ids > 0).all(0).nonzero()[:, 0]
        chosen = torch.multinomial(torch.ones(len(places)), (ids > 0).sum(1).max())
        return h[:, places[chosen]]

    network = Words(drawn)
    with pytest.raises(CaptureError, match=r"aten\.multinomial.*whose draws change the result"):
        ax.capture(network, torch.tensor([[5, 0, 2]]))
    graph = ax.capture(network, torch.tensor([[5, 0, 2]]), randomness="fix")
    assert {group.name: group.shape for group in graph.groups}["out"][0] == 2  # one result for each id that is not 0
    sent = (graph.T @ graph.ones())["table"]
    torch.testing.assert_close(sent, network.out.weight.sum(0) * torch.tensor([1.0, 0.0, 1.0])[:, None])


class Branching(nn.Module):
    """Two sides of one decision, and inside the first another."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.far = nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        def inner(v: Tensor) -> Tensor:
            return torch.cond(v.sum() > 9, lambda u: self.far(u), lambda u: self.left(u), (v,))  # noqa: PLW0108

        return torch.cond(x.sum() > 0, inner, lambda v: self.right(v), (x,))  # noqa: PLW0108


def test_samples_that_take_another_branch_than_the_example_are_refused() -> None:
    network = Branching()
    left, right, far = torch.ones(2, 3), -torch.ones(2, 3), 5 * torch.ones(2, 3)
    for example, own, others in ((left, "left", (right, far)), (right, "right", (left, far)), (far, "far", (left,))):
        graph = ax.capture(network, example[:1])
        (batch,) = live_batches(graph, 0.9 * example)
        torch.testing.assert_close(batch.pre_activations[own], getattr(network, own)(0.9 * example).detach())
        for other in others:
            with pytest.raises(SamplesError, match=r"branches of torch\.cond.*sample 2, which takes another one"):
                list(live_batches(graph, torch.cat([example, other])))
    with pytest.raises(SamplesError, match="stored weights, which have no module to ask"):
        next(live_batches(graph.at(network.state_dict()), far))
