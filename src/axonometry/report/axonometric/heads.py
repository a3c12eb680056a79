"""Which channels of a group belong to which head of an attention: channel numbers are sent the way that values go.

A fused projection of queries, keys and values with two heads of two has twelve channels, and libraries differ in their
order. So none is assumed: the numbers ``0 ... 11`` go through the program's own views and slices, and those that arrive
in head 1 of the queries, ``[2, 3]``, belong to head 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx

from axonometry.program.fx_utils import first_value, shape_of
from axonometry.program.rolling.following import Follower
from axonometry.program.rules.attention import shares_of

if TYPE_CHECKING:
    from axonometry.program import Group, NeuralGraph


def heads_of(graph: NeuralGraph) -> dict[str, Tensor]:
    """By group that attention is computed of, the head of each of its channels; without groups that cannot be told.

    Args:
        graph: Any captured network.

    >>> layer = torch.nn.TransformerEncoderLayer(4, 2, 4, batch_first=True).eval()
    >>> from axonometry.program import capture
    >>> heads_of(capture(layer, torch.zeros(1, 3, 4)))["self_attn"].tolist()
    [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]
    """
    varying = graph.program.varying
    attentions = [n for n in graph.program.graph.nodes if n in varying and shares_of(n) is not None]
    if not attentions:
        return {}
    follow = Follower(graph.program, graph.state)
    starts = {follow.start(group.name): group for group in graph.groups}
    found: dict[str, Tensor] = {}
    for node in attentions:
        parts: dict[str, list[tuple[Tensor, int]]] = {}
        for operand in (n for n in node.all_input_nodes if n in varying and len(shape_of(n)) >= 4):
            way = _way(operand, starts)
            arrived = None if way is None else _sent(starts[way[0]], way)
            if way is not None and arrived is not None:
                parts.setdefault(starts[way[0]].name, []).append((arrived, int(shape_of(operand)[-3])))
        sizes = {group.name: group.n_channels for group in starts.values()}
        for name, arrivals in parts.items():
            heads = _heads(arrivals, sizes[name])
            if heads is not None:
                found[name] = heads
    return found


def _way(node: fx.Node, starts: Mapping[fx.Node, object]) -> list[fx.Node] | None:
    """The calls from a group's sums to a value that is a rearrangement of them; None where there is no such way."""
    way = [node]
    while way[-1] not in starts:
        tensors = [n for n in way[-1].all_input_nodes if isinstance(first_value(n), (Tensor, list, tuple))]
        if not tensors:
            return None
        way.append(tensors[0])
    return way[::-1]


def _sent(group: Group, way: list[fx.Node]) -> Tensor | None:
    """The numbers of the group's channels at the end of the way; None where one of its calls is no rearrangement."""
    start = shape_of(way[0])
    axis = len(start) - len(group.shape) + group.channel_axis
    ahead = (1,) * axis + (-1,) + (1,) * (len(start) - axis - 1)
    value = torch.arange(group.n_channels).reshape(ahead).expand(start)
    for before, node in itertools.pairwise(way):
        others = [n for n in node.all_input_nodes if n is not before]
        if others:  # a gain or a rotation by position: what it makes has the places of its first operand
            if not isinstance(value, Tensor) or tuple(shape_of(node)) != tuple(value.shape):
                return None
            continue
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), {before: value}.__getitem__)
        try:
            value = node.target(*args, **kwargs)  # type: ignore[operator]
        except (RuntimeError, TypeError):
            return None
    return value if isinstance(value, Tensor) and value.dim() >= 4 and not value.is_floating_point() else None


def _heads(arrivals: list[tuple[Tensor, int]], channels: int) -> Tensor | None:
    """The head of every channel, where each is in one head and there are two or more."""
    head = torch.full((channels,), -1)
    for numbers, count in arrivals:
        rows = numbers.flatten(0, -4)[0][:, 0]  # (heads, tokens, size): the first token's
        if count < 2 or rows.shape[0] != count:
            return None
        head[rows.flatten()] = torch.arange(count).repeat_interleave(rows.shape[1])
    # Keys that serve several heads of queries arrive in the last of them: 1 and 3 of four are two heads, 0 and 1.
    return torch.unique(head, return_inverse=True)[1] if bool((head >= 0).all()) else None
