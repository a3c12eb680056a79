"""Labels that never lie on each other: below planes, staggered, or one for each part of the network."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from axonometry.report.axonometric.layout import LINE, Frame, Spot
from axonometry.report.axonometric.scene import Scene

_LEVELS = 2


@dataclass(frozen=True)
class Label:
    """One label: a name and what is below it, centred at ``x``; a bracket from ``left`` to ``right`` above it.

    Attributes:
        x: Middle.
        y: Baseline of the name.
        name: In bold.
        below: In a second line.
        bracket: Its ends and its height.
        leader: The upper and the lower end of a line from the plane to the label.
    """

    x: float
    y: float
    name: str
    below: str
    bracket: tuple[float, float, float] | None = None
    leader: tuple[float, float] | None = None


_NARROW, _USUAL, _CAPITAL, _WIDE = 0.34, 0.6, 0.74, 0.92
"""Widths of bold letters, relative to their size."""


def text_width(text: str, size: float | int = 12) -> float:
    """About how wide a text is, on the safe side for system fonts.

    >>> round(text_width("conv1"), 1)
    36.0
    """
    return (
        sum(_NARROW if c in "il.,:|'" else _WIDE if c in "mwMW" else _CAPITAL if c.isupper() else _USUAL for c in text)
        * size
    )


def labels_of(scene: Scene, frame: Frame) -> list[Label]:
    """All labels of a picture.

    Args:
        scene: What is shown.
        frame: Where it stands.
    """
    found = None if frame.dense else _below_planes(scene, frame)
    return _of_parts(scene, frame) if found is None else found


def _below_planes(scene: Scene, frame: Frame) -> list[Label] | None:
    """A label for each column in two levels; None where they have no room."""
    ends = [-1e9] * _LEVELS
    labels = []
    names = _short_names(scene)
    for column in _columns_of(frame.spots):
        plane = scene.planes[column[0].plane]
        x, foot = _foot(scene, column[0]), max(_lowest(scene, spot) for spot in column)
        name = names[column[0].plane] if len(column) == 1 else ", ".join(names[s.plane] for s in column)
        below = shape_text(plane.shape)
        half = max(text_width(name), text_width(below, 11)) / 2 + 5
        level = next((i for i in range(_LEVELS) if x - half > ends[i]), None)
        if level is None or x - half < 0:
            return None
        ends[level] = x + half
        y = frame.feet[0] + LINE * (1.3 + 2.5 * level)
        leader = (foot + 4, y - LINE) if level else None
        labels.append(Label(x, y, name, below, None, leader))
    return labels


def _of_parts(scene: Scene, frame: Frame) -> list[Label]:
    """Brackets below neighbouring planes of one module, at the deepest level that has room for their names."""
    labels = []
    for line in range(frame.lines):
        columns = [c for c in _columns_of(frame.spots) if c[0].line == line and not c[0].ghost]
        for depth in (4, 3, 2, 1):
            parts = _parts(scene, columns, depth)
            made = [_bracket(scene, frame, part, name) for name, part in parts]
            crowded = sum(not _fits(a, b) for a, b in itertools.pairwise(made))
            if depth == 1 or 4 * crowded <= len(made):
                labels += _staggered(made)
                break
    return labels


def _parts(scene: Scene, columns: Sequence[Sequence[Spot]], depth: int) -> list[tuple[str, list[Sequence[Spot]]]]:
    names = _without_common(scene)
    parts: list[tuple[str, list[Sequence[Spot]]]] = []
    for column in columns:
        path = names[column[0].plane].split(".")
        name = ".".join(path[: min(depth, max(1, len(path) - 1))]) if len(path) > 1 else path[0]
        if parts and parts[-1][0] == name:
            parts[-1][1].append(column)
        else:
            parts.append((name, [column]))
    # A plane that is alone in its module is called by its own name: transformer.wte, and not transformer.
    return [(names[of[0][0].plane] if len(of) == 1 else name, of) for name, of in parts]


def _bracket(scene: Scene, frame: Frame, part: Sequence[Sequence[Spot]], name: str) -> Label:
    first, last = part[0][0], part[-1][0]
    line = first.line
    left, right = first.x - 2, last.x + last.across[0] * scene.planes[last.plane].grid[1] + 2
    right = max(left + 12, min(right, last.x + frame.step - 10))
    y = frame.feet[line] + 6
    sizes = [scene.planes[spot.plane].group.n_channels for column in part for spot in column]
    ends = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,}–{max(sizes):,}"
    return Label((left + right) / 2, y + 1.25 * LINE, name, ends, (left, right, y))


def _half(label: Label) -> float:
    return max(text_width(label.name), text_width(label.below, 11)) / 2 + 4


def _fits(a: Label, b: Label) -> bool:
    return a.x + _half(a) <= b.x - _half(b)


def _staggered(labels: list[Label]) -> list[Label]:
    """Labels that still meet stand lower, and those without room at all are shortened from their beginning."""
    placed: list[Label] = []
    end = -1e9
    for at, label in enumerate(labels):
        room = (labels[at + 1].x if at + 1 < len(labels) else 1e9) - max(end, 0)
        name = label.name
        while len(name) > 2 and (label.x - text_width(name) / 2 - 4 < end or text_width(name) > room + 30):
            name = "…" + name[2:] if name.startswith("…") else "…" + name[1:]
        if label.x - text_width(name) / 2 < end:
            name = ""
        below = label.below if label.x - text_width(label.below, 11) / 2 >= end and name else ""
        end = max(end, label.x + max(text_width(name), text_width(below, 11)) / 2 + 4) if name else end
        placed.append(Label(label.x, label.y, name, below, label.bracket))
    return placed


def _columns_of(spots: Sequence[Spot]) -> list[list[Spot]]:
    columns: dict[tuple[int, float], list[Spot]] = {}
    for spot in spots:
        columns.setdefault((spot.line, spot.x), []).append(spot)
    return list(columns.values())


def _foot(scene: Scene, spot: Spot) -> float:
    return spot.x + spot.across[0] * scene.planes[spot.plane].grid[1] / 2


def _lowest(scene: Scene, spot: Spot) -> float:
    return spot.y + spot.cell * scene.planes[spot.plane].grid[0]


def _without_common(scene: Scene) -> list[str]:
    """Names without the modules that all hidden planes are in."""
    names = [plane.group.name for plane in scene.planes]
    paths = [name.split(".") for name, plane in zip(names, scene.planes, strict=True) if plane.group.role != "input"]
    common = 0
    while len(paths) > 1 and all(len(p) > common + 1 and p[common] == paths[0][common] for p in paths):
        common += 1
    prefix = ".".join(paths[0][:common]) + "." if common else ""
    return [name.removeprefix(prefix) for name in names]


def _short_names(scene: Scene) -> list[str]:
    return [name if len(name) <= 22 else "…" + name[-21:] for name in _without_common(scene)]


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape in words.

    >>> shape_text((6, 24, 24)), shape_text(())
    ('6 × 24 × 24', '1')
    """
    return " × ".join(f"{size:,}" for size in shape) or "1"
