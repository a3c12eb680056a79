"""Where planes stand: columns in lines like words of a text, each plane in axonometric projection.

Three axes are drawn with one length everywhere, so that nothing shrinks with distance: ``d``, the order of computation,
to the right; ``u``, across a plane, up to the right; ``v``, its height, straight up. A cell (row, column) of a plane at
``(x, y)``, its upper left corner, begins at ``(x + u column, y - lift column + cell row)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from axonometry.report.axonometric.scene import Plane, Scene

WIDTH = 1280.0
MARGIN = 36.0
LINE = 15.0
_LONGEST = 22
"""Columns of a line, at most."""


@dataclass(frozen=True)
class Spot:
    """The place of a plane.

    Attributes:
        plane: Its number in the scene.
        line: The line that it stands in.
        x: Left edge of the front slice.
        y: Upper end of the left edge.
        cell: Height of a cell.
        across: What a cell's width is to the right, and upwards.
        behind: What the next slice is to the left of the one in front of it.
        ghost: Whether it repeats the end of the line before.
    """

    plane: int
    line: int
    x: float
    y: float
    cell: float
    across: tuple[float, float]
    behind: float
    ghost: bool = False

    def point(self, row: float | int, column: float | int, depth: int = 0) -> tuple[float, float]:
        """Where (row, column), counted in cells, of a slice ``depth`` behind the front one is in the picture."""
        right, up = self.across
        return self.x + right * column - self.behind * depth, self.y - up * column + self.cell * row


@dataclass(frozen=True)
class Frame:
    """The places of all planes.

    Attributes:
        spots: In the order in which they are painted: what is in front comes later.
        lines: Number of lines.
        tops: For each line, the highest point of its planes.
        feet: For each line, the lowest.
        dense: Whether there is no room for a label below each plane.
    """

    spots: tuple[Spot, ...]
    lines: int
    tops: tuple[float, ...]
    feet: tuple[float, ...]
    dense: bool
    step: float


def frame_of(scene: Scene, top: float) -> Frame:
    """Give every plane its place.

    Args:
        scene: What is shown.
        top: Where the first line's arcs may begin.
    """
    columns = _columns(scene)
    lines = _lines(scene, columns)
    longest = max(len(line) for line in lines)
    scale = 1.0 if longest <= 8 and len(lines) == 1 else 0.78 if len(lines) == 1 else 0.62
    shapes = {p: _size(plane, scale, len(column)) for column in columns for p, plane in _of(scene, column)}
    widest = max(cell * scene.planes[p].grid[1] for p, cell in shapes.items())
    places = longest + (len(lines) > 1)
    slices = 6.0 * scale * max(len(plane.slices) - 1 for plane in scene.planes)
    room = WIDTH - 2 * MARGIN - min(0.5 * widest, 100) - slices
    step = min(190.0, room / max(1, places - 1))
    right = min(0.56, 0.82 * (step - (slices if longest > 3 else 0)) / widest)
    across = right, 0.55 * right + 0.02
    behind = 6.0 * scale
    spots: list[Spot] = []
    tops, feet = [], []
    y = top
    left = MARGIN + slices + (max(0.0, (room - step * (places - 1)) / 2) if len(lines) == 1 else 0.0)
    for number, line in enumerate(lines):
        placed = [lines[number - 1][-1], *line] if number else line
        shift = 0 if number or len(lines) == 1 else 1
        tall = max(_height(scene, column, shapes, across) for column in placed)
        arcs = _arc_room(scene, placed)
        middle = y + arcs + tall / 2
        for at, column in enumerate(placed):
            x = left + (at + shift) * step
            spots += _stacked(
                scene,
                column,
                shapes,
                (x, middle),
                Spot(0, number, 0.0, 0.0, 0.0, across, behind, bool(number) and at == 0),
            )
        tops.append(y + arcs)
        feet.append(y + arcs + tall)
        y += arcs + tall + 5.2 * LINE
    return Frame(tuple(spots), len(lines), tuple(tops), tuple(feet), len(lines) > 1 or step < 52, step)


def _columns(scene: Scene) -> list[list[int]]:
    columns: list[list[int]] = [[] for _ in range(max(scene.depth) + 1)]
    for plane, depth in enumerate(scene.depth):
        columns[depth].append(plane)
    return columns


def _of(scene: Scene, column: Sequence[int]) -> list[tuple[int, Plane]]:
    return [(p, scene.planes[p]) for p in column]


def _lines(scene: Scene, columns: list[list[int]]) -> list[list[list[int]]]:
    """Columns in lines of even length that break where a part of the network ends, if they can."""
    count = math.ceil(len(columns) / _LONGEST)
    if count == 1:
        return [columns]
    target = len(columns) / count
    lines, start = [], 0
    for number in range(1, count):
        wished = round(number * target)
        ends = range(max(start + 1, wished - 4), min(len(columns), wished + 5, start + _LONGEST + 1))
        end = min(ends, key=lambda e: (_together(scene, columns, e), abs(e - wished)))
        lines.append(columns[start:end])
        start = end
    return [*lines, columns[start:]]


def _together(scene: Scene, columns: list[list[int]], end: int) -> int:
    """How many modules the planes before and behind a place share."""
    before, behind = (scene.planes[columns[at][0]].group.name.split(".") for at in (end - 1, end))
    return next((i for i, (a, b) in enumerate(zip(before, behind)) if a != b), min(len(before), len(behind)))


def _size(plane: Plane, scale: float, beside: int) -> float:
    """Height of a cell: planes grow with the logarithm of their channels, and share a column's height."""
    rows = plane.grid[0]
    tall = (64 + 15 * math.log2(max(1, plane.group.n_channels))) * scale
    return min(min(tall, 215 * scale) / max(1.0, 0.62 * beside) / rows, 62 * scale)


def _extent(plane: Plane, cell: float, across: tuple[float, float]) -> float:
    return cell * (plane.grid[0] + across[1] * plane.grid[1])


def _height(scene: Scene, column: Sequence[int], shapes: dict[int, float], across: tuple[float, float]) -> float:
    return sum(_extent(plane, shapes[p], across) for p, plane in _of(scene, column)) + LINE * (len(column) - 1)


def _stacked(
    scene: Scene, column: Sequence[int], shapes: dict[int, float], middle: tuple[float, float], base: Spot
) -> list[Spot]:
    """The spots of a column's planes, one above the other around its middle."""
    across = base.across
    y = middle[1] - _height(scene, column, shapes, across) / 2
    spots = []
    for p, plane in _of(scene, column):
        cell, tall = shapes[p], _extent(plane, shapes[p], across)
        right, up = across[0] * cell, across[1] * cell
        spots.append(replace(base, plane=p, x=middle[0], y=y + up * plane.grid[1], cell=cell, across=(right, up)))
        y += tall + LINE
    return spots


def _arc_room(scene: Scene, line: Sequence[Sequence[int]]) -> float:
    inside = {p for column in line for p in column}
    spans = [abs(scene.depth[t] - scene.depth[s]) for s, t in scene.arcs if s in inside and t in inside]
    return (20.0 + 13.0 * min(max(spans), 5)) if spans else 8.0
