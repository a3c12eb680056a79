"""What weighs links without data: choices, experts that are picked in a loop, softmax over the edges of a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.program import capture

from .linear_oracle import Forward, check_reading, network, paths

X = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TOKENS = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
FROM, TO = torch.tensor([[0, 1, 2, 3, 0, 4, 4], [1, 2, 3, 0, 2, 2, 0]])
EXPERTS: dict[str, Callable[[], nn.Module]] = {
    "r": lambda: nn.Linear(3, 4),
    "e": lambda: nn.ModuleList(nn.Linear(3, 4) for _ in range(4)),
}
NAMES = [f"e.{n}" for n in range(4)]


def looped(s: Any, x: Tensor) -> Tensor:
    best, places = s.r(x).softmax(-1).topk(2)
    best = best / best.sum(-1, keepdim=True)
    return s.o(sum((best * (places == n)).sum(-1, keepdim=True) * e(x) for n, e in enumerate(s.e)))


def stacked(s: Any, x: Tensor, gates: Tensor) -> Tensor:
    return s.o((torch.stack([e(x) for e in s.e], 1) * gates[..., None]).sum(1))


def switch(s: Any, x: Tensor) -> Tensor:
    chances = s.r(x).softmax(-1)
    return stacked(s, x, F.one_hot(chances.argmax(-1), 4) * chances)


def switch_by_max(s: Any, x: Tensor) -> Tensor:
    largest, places = s.r(x).softmax(-1).max(-1)
    return s.o((torch.stack([e(x) for e in s.e], 1) * F.one_hot(places, 4)[..., None]).sum(1) * largest[:, None])


def where_largest(s: Any, x: Tensor) -> Tensor:
    chances = s.r(x).softmax(-1)
    return stacked(s, x, chances * (chances == chances.amax(-1, keepdim=True)))


def masked(s: Any, x: Tensor) -> Tensor:
    scores = s.r(x)
    return scores.softmax(-1) * torch.zeros_like(scores).scatter(1, scores.topk(2)[1], 1.0)


CHOICES: dict[str, tuple[Forward, float]] = {
    "a loop over experts": (looped, 1 / 4),
    "a probability at its place": (switch, 1 / 4),
    "the largest probability, afterwards": (switch_by_max, 1 / 4),
    "probabilities where they are the largest": (where_largest, 1 / 4),
    "ones at the two largest": (
        lambda s, x: stacked(s, x, torch.zeros_like(s.r(x)).scatter(1, s.r(x).topk(2)[1], 1.0)),
        1 / 2,
    ),
    "two one-hot vectors, added": (lambda s, x: stacked(s, x, F.one_hot(s.r(x).topk(2)[1], 4).sum(1)), 1 / 2),
    "probabilities where they are largest": (lambda s, x: stacked(s, x, masked(s, x)), 1 / 4),
    "these, divided by their sum": (
        lambda s, x: stacked(s, x, masked(s, x) / masked(s, x).sum(-1, keepdim=True)),
        1 / 4,
    ),
    "these, place by place": (
        lambda s, x: stacked(s, x, (s.r(x).softmax(-1)[:, None] * F.one_hot(s.r(x).topk(2)[1], 4)).sum(1)),
        1 / 4,
    ),
    "the smallest, by argsort": (lambda s, x: stacked(s, x, F.one_hot(s.r(x).argsort(-1)[:, 0], 4)), 1 / 4),
}


@pytest.mark.parametrize("name", CHOICES)
def test_experts_that_a_router_chooses_have_equal_shares(name: str) -> None:
    forward, share = CHOICES[name]
    net = network(forward, **EXPERTS)
    check_reading(net, X, lambda s, x: s.o(sum(e(x) for e in s.e) * share), NAMES)


def test_a_token_that_is_attended_to_by_argmax_is_any_of_them() -> None:
    net = network(lambda s, x: s.o(F.one_hot((s.b(x) @ s.b(x).mT).argmax(-1), 5).to(x) @ s.a(x)))
    check_reading(net, TOKENS, lambda s, x: s.o(s.a(x).mean(1, keepdim=True).expand(-1, 5, -1)), ["a"])


def score(s: Any, x: Tensor) -> Tensor:
    return (s.q(x)[:, TO] * s.b(x)[:, FROM]).sum(-1, keepdim=True)


def gathered(edges: Tensor) -> Tensor:
    return torch.zeros(len(edges), 5, edges.shape[-1], dtype=edges.dtype).index_add(1, TO, edges)


def stabilised(s: Any, x: Tensor) -> Tensor:
    e, places = score(s, x), TO[None, :, None].expand(len(x), -1, 1)
    largest = torch.full((len(x), 5, 1), -1e30, dtype=x.dtype).scatter_reduce(1, places, e, "amax")
    e = (e - largest[:, TO]).exp()
    return s.o(gathered(e / (gathered(e)[:, TO] + 1e-16) * s.a(x)[:, FROM]))


def numerator_first(s: Any, x: Tensor) -> Tensor:
    e = score(s, x).exp()
    return s.o(gathered(s.a(x)[:, FROM] * e / (gathered(e)[:, TO] + 1e-16)))


def divided_last(s: Any, x: Tensor) -> Tensor:
    e = score(s, x).exp()
    return s.o(gathered(s.a(x)[:, FROM] * e) / (gathered(e) + 1e-16))


def of_heads(s: Any, x: Tensor) -> Tensor:
    values, q, k = (h.unflatten(-1, (2, 2)) for h in (s.a(x)[:, FROM], s.q(x)[:, TO], s.b(x)[:, FROM]))
    e, places = (q * k).sum(-1).exp(), TO[None, :, None].expand(len(x), -1, 2)
    total = x.new_zeros(len(x), 5, 2).scatter_add_(1, places, e) + 1e-16
    return s.o(gathered((values * (e / total.index_select(1, TO))[..., None]).flatten(-2)))


@pytest.mark.parametrize("forward", [stabilised, numerator_first, divided_last, of_heads])
def test_softmax_over_the_edges_of_a_graph_is_attention(forward: Forward) -> None:
    members = torch.bincount(TO, minlength=5).clamp(min=1).double()

    def expected(s: Any, x: Tensor) -> Tensor:
        return s.o(gathered(s.a(x)[:, FROM] / members[TO][:, None]))

    check_reading(network(forward, q=lambda: nn.Linear(3, 4)), TOKENS, expected, ["a"])


def halves(s: Any, x: Tensor) -> Tensor:
    e = score(s, x).exp()
    return s.o(gathered(e / 2 / gathered(e)[:, TO] * s.a(x)[:, FROM]))


def halves_of_a_total(s: Any, x: Tensor) -> Tensor:
    e = score(s, x).exp()
    return s.o(gathered(e / (2 * gathered(e)[:, TO] + 1e-9) * s.a(x)[:, FROM]))


def halves_at_last(s: Any, x: Tensor) -> Tensor:
    e = score(s, x).exp()
    return s.o(gathered(s.a(x)[:, FROM] * e * 0.5) / (gathered(e) + 1e-9))


def halves_of_shares(s: Any, x: Tensor) -> Tensor:
    e = 3 * score(s, x).exp()  # the three is in both
    return s.o(gathered(0.5 * (e / gathered(e)[:, TO]) * s.a(x)[:, FROM]))


@pytest.mark.parametrize("forward", [halves, halves_of_a_total, halves_at_last, halves_of_shares])
def test_numbers_between_are_factors_of_the_shares(forward: Forward) -> None:
    members = torch.bincount(TO, minlength=5).clamp(min=1).double()

    def expected(s: Any, x: Tensor) -> Tensor:
        return s.o(gathered(s.a(x)[:, FROM] / members[TO][:, None]) / 2)

    check_reading(network(forward, q=lambda: nn.Linear(3, 4)), TOKENS, expected, ["a"])


def test_scores_and_totals_of_other_ranks_or_one_total_for_all() -> None:
    def of_one_graph(s: Any, x: Tensor) -> Tensor:
        e = (s.q(x)[TO] * s.b(x)[FROM]).sum(-1).exp()
        total = torch.zeros(5, dtype=x.dtype).index_add(0, TO, e)
        return s.o(gathered(((s.a(x)[FROM].T * e) / total[TO][None]).T[None])[0])

    def expected(s: Any, x: Tensor) -> Tensor:
        return s.o(gathered((s.a(x)[FROM] / torch.bincount(TO)[TO][:, None])[None])[0])

    net, x = network(of_one_graph, q=lambda: nn.Linear(3, 4)), TOKENS[0]
    wanted = torch.func.jacrev(lambda v: expected(net, v))(x).reshape(10, 15)
    torch.testing.assert_close(paths(capture(net, x, batch_axis=(None,)), "input", "o"), wanted)

    def by_one_total(s: Any, x: Tensor) -> Tensor:
        e = score(s, x).exp()
        return s.o(gathered(s.a(x)[:, FROM] * e) / gathered(e)[:, :1])

    graph = capture(network(by_one_total, q=lambda: nn.Linear(3, 4)), TOKENS)  # no share of any node: factors
    assert {"a", "b", "q"} <= set(next(s for s in graph.synapses if s.name == "o").sources)


def test_a_sum_that_is_divided_by_another_sum_is_no_attention() -> None:
    """The total is of other scores than those that are divided: a product of two signals, which links both."""
    net = network(lambda s, x: s.o(gathered(score(s, x).exp() / gathered(s.b(x)[:, FROM, :1].exp())[:, TO])), m=1)
    net.q = nn.Linear(3, 1).double()
    assert {"q", "b"} <= set(next(s for s in capture(net, TOKENS).synapses if s.name == "o").sources)
