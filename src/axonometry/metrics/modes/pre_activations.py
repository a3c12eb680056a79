"""Pre-activations of many samples side by side: a row a neuron, as measures of order need them.

Order is a matter of all samples, so that it cannot be streamed. What is held is bounded: the network is read again for
as many layers, or neurons of a large layer, as fit into the memory that is granted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from axonometry.errors import SamplesError, ValuesError
from axonometry.metrics.labels import held
from axonometry.metrics.modes.order import Array
from axonometry.program.ir import Group
from axonometry.program.readings.live import live_batches, pre_activation_nodes, refuse_nonfinite
from axonometry.program.readings.samples import Samples, batches_of, input_axes

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

MEMORY = 2**30
"""Bytes of pre-activations that are held at a time where nothing else is asked for."""

By = Literal["channel", "neuron"]


@dataclass(frozen=True)
class Part:
    """Rows of one group that are held together.

    Attributes:
        group: The group.
        rows: Which of its rows.
        pre_activations: Of shape (rows, samples): by channel, samples and positions are both samples; by neuron,
            row-major inside the group.
        activations: Activations of the same shape, where they were asked for.
    """

    group: Group
    rows: slice
    pre_activations: Array
    activations: Array | None


def parts(
    graph: NeuralGraph, samples: Samples, groups: Mapping[str, bool], *, by: By, memory: int = MEMORY
) -> Iterator[Part]:
    """Pre-activations of all samples, some rows of some groups after the other.

    Args:
        graph: The network at one snapshot.
        samples: As for :func:`~axonometry.program.readings.live.live_batches`; an iterable of batches is taken
            into memory.
        groups: Names of groups, each with whether its activations are wanted too.
        by: Whether a row is a channel or a neuron.
        memory: Bytes that are held at a time; a single row is held whatever it takes.

    Raises:
        SamplesError: The samples do not fit, or one is not finite at some neuron.

    >>> from axonometry.testing import graph_of
    >>> samples = torch.tensor([[1.0], [2.0], [3.0]])
    >>> (part,) = parts(graph_of([[2.0]]), samples, {"0": False}, by="neuron")
    >>> part.group.name, part.pre_activations.tolist()
    ('0', [[2.0, 4.0, 6.0]])
    """
    samples = held(samples)
    n = count(graph, samples)
    known = {group.name: group for group in graph.groups}
    number = 8 * n if graph.dtype == torch.float64 else 4 * n
    shares = [
        share
        for name, both in groups.items()
        for share in _shares(known[name], both, memory // (2 * number if both else number), by)
    ]
    for some in _passes(shares, memory // number):
        yield from _read(graph, samples, n, some, by)


def count(graph: NeuralGraph, samples: Samples) -> int:
    """Number of samples.

    Raises:
        SamplesError: They do not fit what the module takes, or there are none.

    >>> from axonometry.testing import graph_of
    >>> count(graph_of([[2.0]]), [torch.zeros(3, 1), torch.zeros(2, 1)])
    5
    """
    inputs = input_axes(graph)
    alone = [axis.is_shared for axis in inputs]
    total = 0
    for batch in batches_of(samples, inputs, 2**62, torch.device("cpu")):
        total += next(len(x) for x, shared in zip(batch, alone, strict=True) if not shared(x))
    if not total:
        raise SamplesError("an order needs samples", "none", "Pass at least two samples")
    return total


def rows_of(values: Tensor, group: Group, by: By) -> Tensor:
    """A batch's values of a group as (rows, samples, positions).

    >>> from axonometry.testing import graph_of
    >>> group = graph_of([[1.0], [2.0]]).groups[1]
    >>> rows_of(torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]), group, "neuron").squeeze(2)
    tensor([[ 1.,  2.,  3.],
            [10., 20., 30.]])
    """
    size = len(values)
    if by == "neuron" or not group.shape:
        return values.reshape(size, -1).T.unsqueeze(2)
    channels = values.movedim(group.channel_axis + 1, 0)
    return channels.reshape(len(channels), size, -1)


def groups_of(graph: NeuralGraph, groups: Iterable[str] | None) -> list[str]:
    """Groups with pre-activations: those that are named, or all that are no inputs.

    Raises:
        ValuesError: There is no such group.

    >>> from axonometry.testing import graph_of
    >>> groups_of(graph_of([[1.0]], [[1.0]]), None)
    ['0', '2']
    """
    found = pre_activation_nodes(graph.program)
    roles = {group.name: group.role for group in graph.groups}
    if groups is None:
        return [name for name in found if roles[name] != "input"]
    groups = list(groups)
    for name in groups:
        if name not in found:
            raise ValuesError(
                "order is a matter of groups with pre-activations", repr(name), f"There are: {', '.join(found)}"
            )
    return groups


@dataclass(frozen=True)
class _Share:
    """Rows of a group that are read in one pass; its size in neurons, twice that where activations are held too."""

    group: Group
    rows: slice
    both: bool
    size: int


def _shares(group: Group, both: bool, neurons: int, by: By) -> Iterator[_Share]:
    """Rows of one group, so many that no more neurons than that are held, or one row."""
    rows = group.n_channels if by == "channel" else group.n_neurons
    each = group.n_neurons // rows
    step = max(1, neurons // each)
    for begin in range(0, rows, step):
        end = min(begin + step, rows)
        yield _Share(group, slice(begin, end), both, (end - begin) * each * (2 if both else 1))


def _passes(shares: list[_Share], neurons: int) -> Iterator[list[_Share]]:
    some: list[_Share] = []
    for share in shares:
        if some and sum(s.size for s in some) + share.size > neurons:
            yield some
            some = []
        some.append(share)
    if some:
        yield some


def _read(graph: NeuralGraph, samples: Samples, n: int, shares: list[_Share], by: By) -> Iterator[Part]:
    found: dict[int, Tensor] = {}
    activations: dict[int, Tensor] = {}
    for batch in live_batches(graph, samples, groups=dict.fromkeys(share.group.name for share in shares)):
        for place, share in enumerate(shares):
            _put(
                found,
                place,
                rows_of(batch.pre_activations[share.group.name], share.group, by)[share.rows],
                batch.start,
                n,
            )
            if share.both:
                _put(
                    activations,
                    place,
                    rows_of(batch.activations[share.group.name], share.group, by)[share.rows],
                    batch.start,
                    n,
                )
    for place, share in enumerate(shares):
        held = found.pop(place)
        if not bool(held.sum(dtype=torch.float64).isfinite()):
            for batch in live_batches(graph, samples):
                refuse_nonfinite(batch)
        both = activations.pop(place).flatten(1).numpy() if share.both else None
        yield Part(share.group, share.rows, held.flatten(1).numpy(), both)


def _put(held: dict[int, Tensor], place: int, rows: Tensor, start: int, n: int) -> None:
    if place not in held:
        dtype = torch.float64 if rows.dtype == torch.float64 else torch.float32
        held[place] = torch.empty(len(rows), n, rows.shape[2], dtype=dtype)
    held[place][:, start : start + rows.shape[1]] = rows
