"""Toys of places named by numbers: scattering, adding and writing by index; spelled out place by place."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from axonometry.testing import Block, Toy, WeightMap

from .oracles import Net, linear, number, toy, zeros
from .toys_wiring import wired

TARGETS = [2, 0, 2, 3]
"""Where each of four rows is sent to, among five."""
ROWS = torch.tensor(TARGETS)


def sent(x: Tensor, f: WeightMap, how: Callable[[list[Tensor], WeightMap], Tensor]) -> Tensor:
    """Five rows, each made of the rows that are sent to it."""
    empty = torch.zeros_like(x[:, 0])
    rows = [[x[:, i] for i in range(4) if TARGETS[i] == place] for place in range(5)]
    return torch.stack([how(members, f) if members else empty for members in rows], 1)


def added(members: list[Tensor], _: WeightMap) -> Tensor:
    return torch.stack(members).sum(0)


def averaged(members: list[Tensor], f: WeightMap) -> Tensor:
    return torch.stack(members).sum(0) * f(number(1 / len(members)))


def shared_with_old(members: list[Tensor], f: WeightMap) -> Tensor:
    return torch.stack(members).sum(0) * f(number(1 / (len(members) + 1)))


def block(how: Callable[[list[Tensor], WeightMap], Tensor]) -> Block:
    return lambda x, f: sent(x, f, how)


def spread(x: Tensor) -> Tensor:
    return ROWS[None, :, None].expand(len(x), 4, x.shape[2])


def empty(x: Tensor) -> Tensor:
    return x.new_zeros(len(x), 5, x.shape[2])


def reduced(how: str, included: bool) -> Callable[[Tensor], Tensor]:
    return lambda x: empty(x).scatter_reduce(1, spread(x), x, how, include_self=included)


def index_reduced(x: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it beta
        return empty(x).index_reduce(1, ROWS, x, "mean", include_self=False)


wired("scatter_add", (4, 2), lambda x: empty(x).scatter_add(1, spread(x), x), block(added))
wired("index_add", (4, 2), lambda x: empty(x).index_add(1, ROWS, x), block(added))
wired("index_add_in_place", (4, 2), lambda x: empty(x).index_add_(1, ROWS, x), block(added))
wired(
    "index_add_scaled",
    (4, 2),
    lambda x: empty(x).index_add(1, ROWS, x, alpha=-3),
    lambda x, f: sent(x, f, added) * f(number(-3.0)),
)
wired("index_put_accumulated", (4, 2), lambda x: put(x, accumulate=True), block(added))
wired("scatter_reduce_sum", (4, 2), reduced("sum", True), block(added))
wired("scatter_reduce_mean", (4, 2), reduced("mean", False), block(averaged))
wired("scatter_reduce_mean_with_old", (4, 2), reduced("mean", True), block(shared_with_old))
wired("scatter_reduce_largest", (4, 2), reduced("amax", False), block(averaged))
wired("scatter_reduce_product", (4, 2), reduced("prod", False), block(added))
wired(
    "index_reduce_mean",
    (4, 2),
    index_reduced,
    block(averaged),
)


def put(x: Tensor, accumulate: bool = False) -> Tensor:
    return empty(x).transpose(0, 1).contiguous().index_put((ROWS,), x.transpose(0, 1), accumulate).transpose(0, 1)


ONCE = torch.tensor([3, 1])


def replaced(x: Tensor, rows: dict[int, int | None]) -> Tensor:
    """Rows of x, some in the place of others; None where a constant has been written."""
    return torch.stack(
        [torch.zeros_like(x[:, 0]) if rows.get(i, i) is None else x[:, rows.get(i, i)] for i in range(4)], 1
    )


wired(
    "index_put_over_the_signal",
    (4, 2),
    lambda x: x.transpose(0, 1).index_put((ONCE,), x[:, :2].transpose(0, 1)).transpose(0, 1),
    lambda x, f: replaced(x, {3: 0, 1: 1}),
)
wired(
    "index_put_of_a_constant",
    (4, 2),
    lambda x: x.transpose(0, 1).index_put((ONCE,), x.new_ones(2, 1, 2)).transpose(0, 1),
    lambda x, f: replaced(x, {3: None, 1: None}),
)
wired("index_copy", (4, 2), lambda x: x.index_copy(1, ONCE, x[:, :2]), lambda x, f: replaced(x, {3: 0, 1: 1}))
wired("index_fill", (4, 2), lambda x: x.index_fill(1, ONCE, 7.0), lambda x, f: replaced(x, {3: None, 1: None}))
wired(
    "scatter_a_number",
    (4, 2),
    lambda x: x.scatter(1, ONCE[None, :, None].expand(len(x), 2, 2), 7.0),
    lambda x, f: replaced(x, {3: None, 1: None}),
)
wired(
    "scatter_rows",
    (4, 2),
    lambda x: x.scatter(1, ONCE[None, :, None].expand(len(x), 2, 2), x[:, :2]),
    lambda x, f: replaced(x, {3: 0, 1: 1}),
)
wired(
    "masked_scatter",
    (4, 2),
    lambda x: x.masked_scatter(torch.tensor([False, True, False, True])[None, :, None].expand_as(x), x[:, 2:]),
    lambda x, f: replaced(x, {1: 2, 3: 3}),
)
wired(
    "diagonal_scatter",
    (3, 3),
    lambda x: torch.diagonal_scatter(x, x[:, 0], dim1=1, dim2=2),
    lambda x, f: torch.stack(
        [torch.stack([x[:, 0, i] if i == j else x[:, i, j] for j in range(3)], 1) for i in range(3)], 1
    ),
)


@toy
def graph_convolution() -> Toy:
    """Messages along the edges of a fixed graph, a linear map of each node's sum: what torch_geometric writes."""
    edges = torch.tensor([[0, 1, 2, 0], [1, 2, 0, 2]])

    def forward(n: nn.Module, x: Tensor) -> Tensor:
        messages = n.message(x)[:, edges[0]]
        return n.out(torch.relu(torch.zeros_like(n.own(x)).index_add(1, edges[1], messages) + n.own(x)))

    net = Net(forward, message=nn.Linear(2, 2), own=nn.Linear(2, 2), out=nn.Linear(2, 1))

    def sums(x: Tensor) -> Tensor:
        received = [torch.zeros_like(x[:, 0]) for _ in range(3)]
        for source, target in edges.T.tolist():
            received[target] = received[target] + x[:, source]
        return torch.stack(received, 1)

    blocks = {
        ("message", "input"): linear(net.message),
        ("own", "input"): linear(net.own),
        ("own", "message"): lambda x, f: sums(x),
        ("out", "own"): linear(net.out),
    }
    groups = {"input": (3, 2), "message": (3, 2), "own": (3, 2), "out": (3, 1)}
    return Toy("graph_convolution", net, zeros(3, 2), groups, blocks)
