"""What an axonometric picture shows, before it has any place: planes of cells, the strongest links, arcs.

A plane is a group of the channel graph. Its cells are its channels, or several neighbouring channels each where there
are very many; a few channels of images are cut into patches. Steps of time, tokens and heads are slices, one behind the
other.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonometry.errors import ValuesError
from axonometry.report.axonometric.heads import heads_of

if TYPE_CHECKING:
    from axonometry.program import Group, NeuralGraph

CELLS = 6000
"""Cells of a picture, at most: half of what fits into 300 KB."""
LINKS = 1400
_SLICES = 6


@dataclass(frozen=True)
class Plane:
    """One group as a grid of cells.

    Attributes:
        group: The group of the channel graph.
        shape: The group's shape, with its steps of a loop in front.
        grid: Rows and columns of cells.
        patches: Each cell is cut into this many patches along each side.
        together: Channels that are one cell.
        slices: For each slice that is drawn, front first: the cells' values, of shape (cells, patches squared).
        n_slices: How many there are; the drawn ones are spread evenly among them.
        place: For each channel, its slice and its cell.
    """

    group: Group
    shape: tuple[int, ...]
    grid: tuple[int, int]
    patches: int
    together: int
    slices: tuple[Tensor, ...]
    n_slices: int
    place: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Link:
    """A link between two channels: planes by number, (slice, cell) in each, its norm with the sign of its sum."""

    source: int
    target: int
    start: tuple[int, int]
    end: tuple[int, int]
    weight: float


@dataclass(frozen=True)
class Scene:
    """Everything in a picture of one snapshot.

    Attributes:
        title: What is shown.
        planes: In the order of computation.
        depth: For each plane its column.
        links: The strongest ones between neighbouring columns.
        arcs: Pairs of planes with links over columns between them, and of planes that link to themselves.
        share: The drawn links' part of all between neighbouring columns.
    """

    title: str
    planes: tuple[Plane, ...]
    depth: tuple[int, ...]
    links: tuple[Link, ...]
    arcs: tuple[tuple[int, int], ...]
    share: float


def scene_of(graph: NeuralGraph, values: Mapping[str, Tensor], *, n_links: int | None = None, title: str = "") -> Scene:
    """The scene of one snapshot.

    Args:
        graph: The network at one snapshot.
        values: A tensor a group, of the group's shape or a value a channel.
        n_links: Links drawn between two groups, the strongest ones; by default as many as stay readable.
        title: What is shown.

    Raises:
        ValuesError: Values have another shape.
    """
    sums, norms = graph.channels("sum").blocks, graph.channels("norm").blocks
    members: dict[str, list[Group]] = defaultdict(list)
    for group in graph.groups:
        members[group.rolled or group.name].append(group)
    heads = heads_of(graph)
    most = max(16, CELLS // max(1, len(members)))
    planes = tuple(_plane(groups, values, heads, most) for groups in members.values())
    number = {name: at for at, name in enumerate(members)}
    pairs = [(number[source], number[target]) for target, source in norms]
    depth = _depths(len(planes), pairs)
    near = [key for key in norms if depth[number[key[0]]] - depth[number[key[1]]] == 1]
    count = n_links if n_links is not None else max(6, min(90, LINKS // max(1, len(near))))
    links: list[Link] = []
    for target, source in near:
        ends = number[source], number[target]
        links += _strongest(norms[target, source], sums[target, source], ends, planes, count)
    arcs = tuple(dict.fromkeys((s, t) for s, t in pairs if depth[t] - depth[s] != 1))
    total = sum(int((norms[key] != 0).sum()) for key in near)
    return Scene(title, planes, depth, tuple(links), arcs, len(links) / max(1, total))


def _plane(groups: Sequence[Group], values: Mapping[str, Tensor], heads: Mapping[str, Tensor], most: int) -> Plane:
    group = groups[0]
    parts = [_by_channel(g, values) for g in groups]  # (slices, channels, neurons of a channel)
    found = torch.cat(parts)
    images = len(group.shape) > 2 and group.channel_axis == 0
    channels, shape = group.n_channels, group.shape
    slices, place = _slices(found, None if images else heads.get(group.name))
    if len(groups) > 1:
        shape = (len(groups), *shape)
    inside = slices[0].shape[0]
    together = math.ceil(inside / most)
    cells = math.ceil(inside / together)
    patches = 1
    if images and channels <= 16:
        patches = max(1, min(14, math.isqrt(most // cells), *group.shape[-2:]))
        tiles = [_patches(part, group.shape[-2:], patches) for part in slices]
    else:
        tiles = [_gathered(part.mean(1), together, cells)[:, None] for part in slices]
    drawn = sorted({round(i * (len(tiles) - 1) / (_SLICES - 1)) for i in range(_SLICES)}) if len(tiles) > 1 else [0]
    slice_of = torch.tensor([min(range(len(drawn)), key=lambda i: abs(drawn[i] - s)) for s in range(len(tiles))])
    at = slice_of[place[0]], place[1] // together
    grid = _grid(cells, images)
    return Plane(group, shape, grid, patches, together, tuple(tiles[i] for i in drawn), len(tiles), at)


def _by_channel(group: Group, values: Mapping[str, Tensor]) -> Tensor:
    """Values of shape (slices, channels, neurons of a channel in a slice)."""
    given = values.get(group.name)
    given = values.get(group.rolled) if given is None else given
    if given is None:
        return torch.full((1, group.n_channels, 1), math.nan)
    value = torch.as_tensor(given).detach().float().cpu()
    if value.dim() == 0:
        return value.expand(1, group.n_channels, 1)
    if tuple(value.shape) == group.shape:
        rows = value.movedim(group.channel_axis, -1).reshape(-1, group.n_channels)
        steps = len(group.shape) > 1 and group.channel_axis == len(group.shape) - 1
        return rows[:, :, None] if steps else rows.T[None]
    if value.numel() == group.n_channels:
        return value.reshape(1, -1, 1)
    raise ValuesError(
        f"values of group {group.name!r} have the shape {group.shape}, or one a channel",
        str(tuple(value.shape)),
        "Leave the batch axis out",
    )


def _slices(found: Tensor, heads: Tensor | None) -> tuple[list[Tensor], tuple[Tensor, Tensor]]:
    """Slices, each of shape (channels of a slice, neurons of a channel), and each channel's slice and place in it."""
    channels = found.shape[1]
    if heads is None:
        first = torch.zeros(channels, dtype=torch.long)
        return list(found), (first, torch.arange(channels))
    whole = found.movedim(0, 2).flatten(2) if found.shape[0] > 1 else found[0][:, None]
    order = torch.argsort(heads, stable=True)
    counts = torch.bincount(heads)
    inside = torch.empty_like(order)
    inside[order] = torch.cat([torch.arange(int(n)) for n in counts])
    parts = torch.split(whole.flatten(1)[order], counts.tolist())
    return list(parts), (heads, inside)


def _patches(part: Tensor, size: tuple[int, ...], patches: int) -> Tensor:
    """Means over patches of each channel's image: shape (channels, patches squared)."""
    if part.shape[1] != math.prod(size):
        return part.mean(1, keepdim=True).expand(-1, patches**2)
    image = part.reshape(part.shape[0], 1, -1, size[-1])
    return torch.nn.functional.adaptive_avg_pool2d(image, patches).flatten(1)


def _gathered(values: Tensor, together: int, cells: int) -> Tensor:
    """Means of neighbouring channels; the last cell may have fewer.

    >>> _gathered(torch.tensor([1.0, 3.0, 5.0]), 2, 2)
    tensor([2., 5.])
    """
    full = torch.full((cells * together,), math.nan)
    full[: len(values)] = values
    return full.reshape(cells, together).nanmean(1)


def _grid(cells: int, images: bool) -> tuple[int, int]:
    """Rows and columns: images in a square, units in a column or in a block three times as high as wide.

    >>> _grid(16, True), _grid(10, False), _grid(120, False)
    ((4, 4), (10, 1), (20, 6))
    """
    if not images and cells <= 16:
        return cells, 1
    columns = math.ceil(math.sqrt(cells)) if images else max(2, round(math.sqrt(cells / 3)))
    return math.ceil(cells / columns), columns


def _depths(count: int, pairs: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """For each plane the longest way from an input to it."""
    sources = defaultdict(list)
    for source, target in pairs:
        if source < target:
            sources[target].append(source)
    depth: list[int] = []
    for plane in range(count):
        depth.append(1 + max((depth[s] for s in sources[plane]), default=-1))
    return tuple(depth)


def _strongest(norm: Tensor, total: Tensor, ends: tuple[int, int], planes: Sequence[Plane], count: int) -> list[Link]:
    """The strongest links of a block of shape (target channels, source channels), one between two cells."""
    source, target = ends
    flat = norm.detach().flatten().float().nan_to_num(0.0, 0.0)
    weights, places = torch.topk(flat, min(count, flat.numel()))
    rows, columns = (places // norm.shape[1]).cpu(), (places % norm.shape[1]).cpu()
    signs = total.flatten()[places].sign().tolist()
    (in_slice, in_cell), (out_slice, out_cell) = planes[target].place, planes[source].place
    links: dict[tuple[int, int, int, int], Link] = {}
    for weight, row, column, sign in zip(weights.tolist(), rows.tolist(), columns.tolist(), signs, strict=True):
        start = int(out_slice[column]), int(out_cell[column])
        end = int(in_slice[row]), int(in_cell[row])
        if weight > 0:
            links.setdefault((*start, *end), Link(source, target, start, end, weight if sign >= 0 else -weight))
    return list(links.values())
