"""The interactive picture: the same scene in three dimensions, without perspective, as a Plotly figure."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from axonometry.files import write_text
from axonometry.report import palette
from axonometry.report.axes import escape
from axonometry.report.axonometric.scene import Plane, Scene
from axonometry.report.axonometric.shades import WIDTHS, Shades, Widths
from axonometry.report.axonometric.vector import NEGATIVE, POSITIVE, Theme, picture_svg, told

Point = tuple[float, float, float]


class NetworkFigure(go.Figure):  # type: ignore[misc]
    """A picture of a network: a Plotly figure to turn, with :meth:`svg` for pages, papers and talks."""

    @classmethod
    def of(cls, scenes: Sequence[Scene], measure: str, *, across: bool = False) -> NetworkFigure:
        """The figure of one snapshot or of two.

        Args:
            scenes: One a snapshot.
            measure: What the colours are.
            across: Whether snapshots are side by side.
        """
        shades = Shades.of(part for scene in scenes for plane in scene.planes for part in plane.slices)
        widths = Widths.of(link.weight for scene in scenes for link in scene.links)
        figure = cls(layout={"template": palette.template(), "height": 620, "showlegend": False})
        figure._told = (tuple(scenes), measure, across)
        length = 1.15 * (1 + max(scenes[0].depth))
        for number, scene in enumerate(scenes):
            origin = (length * number, 0.0, 0.0) if across else (0.0, 0.0, -2.0 * number)
            _add_planes(figure, scene, origin, shades, measure if number == 0 else "")
            _add_links(figure, scene, origin, widths)
            _add_arcs(figure, scene, origin)
        blank = {"visible": False, "showbackground": False}
        figure.update_scenes(
            xaxis=blank, yaxis=blank, zaxis=blank, aspectmode="data", dragmode="orbit",
            camera={"projection": {"type": "orthographic"}, "eye": {"x": -0.65, "y": -2.1, "z": 0.8}},
        )  # fmt: skip
        return figure

    def svg(self, theme: Theme = "auto") -> str:
        """The drawing as SVG, without scripts.

        Args:
            theme: Light, dark, or as the reader's system or page is.
        """
        scenes, measure, across = self._told
        return str(picture_svg(scenes, measure, theme, across=across))

    def write_svg(self, file: str | os.PathLike[str], theme: Theme = "auto") -> Path:
        """Write :meth:`svg` to a file, complete or not at all.

        Args:
            file: Its path.
            theme: As for :meth:`svg`.

        Raises:
            WriteError: The file cannot be written.
        """
        write_text(Path(file), self.svg(theme))
        return Path(file)


def _corner(scene: Scene, plane: int, origin: Point) -> tuple[Point, float]:
    """The upper corner of a plane's front slice, and the size of its cells; a column is 1 high at most."""
    beside = [p for p, depth in enumerate(scene.depth) if depth == scene.depth[plane]]
    rows, columns = scene.planes[plane].grid
    channels = scene.planes[plane].group.n_channels
    size = min(0.5 + 0.045 * np.log2(channels + 1), 1.0) / len(beside)
    cell = min(size / max(rows, columns / 2), 0.28)
    up = (len(beside) - 1) / 2 - beside.index(plane)
    x, y, z = origin
    return (x + scene.depth[plane], y - columns * cell / 2, z + up * 1.1 / len(beside) + rows * cell / 2), cell


def _at(corner: Point, cell: float, row: float | int, column: float | int, depth: int = 0) -> Point:
    return corner[0] - 0.04 * depth, corner[1] + cell * column, corner[2] - cell * row


def _add_planes(figure: go.Figure, scene: Scene, origin: Point, shades: Shades, measure: str) -> None:
    points: list[Point] = []
    levels: list[int] = []
    feet, names = [], []
    for number, plane in enumerate(scene.planes):
        corner, cell = _corner(scene, number, origin)
        for depth in range(len(plane.slices)):
            squares, found = _squares(plane, corner, cell, depth, shades)
            points += squares
            levels += found
        feet.append(_at(corner, cell, plane.grid[0] + 0.06 / cell, plane.grid[1] / 2))
        names.append(escape(plane.group.name.split(".")[-1] if len(scene.planes) > 12 else plane.group.name))
    _add_mesh(figure, points, levels, shades)
    texts = [escape(told(plane)) for plane in scene.planes]
    x, y, z = np.array(feet).T
    scale = [(i / (len(shades.colours) - 1), colour) for i, colour in enumerate(shades.colours)]
    marker = {"size": 3, "color": [0.5] * len(feet), "cmin": 0, "cmax": 1, "colorscale": scale, "opacity": 0.01}
    if measure:
        places, numbers = zip(*shades.marks, strict=True)
        ticks = {"tickvals": places, "ticktext": [f"{value:.3g}" for value in numbers]}
        marker |= {"colorbar": {"title": {"text": measure}, "thickness": 12, "len": 0.6, **ticks}, "showscale": True}
    font = {"size": 11, "color": palette.TOKENS["ink"][0]}
    hover = {"hovertext": texts, "hoverinfo": "text", "textposition": "bottom center", "textfont": font}
    figure.add_scatter3d(x=x, y=y, z=z, mode="markers+text", text=names, marker=marker, **hover)


def _add_mesh(figure: go.Figure, points: Sequence[Point], levels: Sequence[int], shades: Shades) -> None:
    """Each cell as two triangles of its four corners."""
    x, y, z = np.array(points, np.float32).T
    first = 4 * np.arange(len(levels))
    colours = [palette.TOKENS["line"][0] if level < 0 else shades.colours[level] for level in levels]
    corners = {name: np.concatenate([first + a, first + b]) for name, a, b in (("i", 0, 0), ("j", 1, 2), ("k", 2, 3))}
    flat = {"hoverinfo": "skip", "flatshading": True, "lighting": {"ambient": 1, "diffuse": 0}}
    figure.add_mesh3d(x=x, y=y, z=z, facecolor=colours * 2, **corners, **flat)


def _squares(plane: Plane, corner: Point, cell: float, depth: int, shades: Shades) -> tuple[list[Point], list[int]]:
    """Four corners a cell, and the cells' colours; what is behind another slice is one square of its mean."""
    if depth:
        rows, columns = plane.grid
        corners = [_at(corner, cell, r, c, depth) for r, c in ((0, 0), (0, columns), (rows, columns), (rows, 0))]
        return corners, shades.levels(plane.slices[depth].nanmean()[None])
    levels = shades.levels(plane.slices[depth].nanmean(1))
    points = []
    for place in range(len(levels)):
        row, column = divmod(place, plane.grid[1])
        points += [
            _at(corner, cell, row + r, column + c, depth) for r, c in ((0, 0), (0, 0.92), (0.92, 0.92), (0.92, 0))
        ]
    return points, levels


def _add_links(figure: go.Figure, scene: Scene, origin: Point, widths: Widths) -> None:
    lines: dict[tuple[int, bool], list[Point | None]] = defaultdict(list)
    for link in scene.links:
        ends = []
        for plane, (depth, cell) in ((link.source, link.start), (link.target, link.end)):
            corner, size = _corner(scene, plane, origin)
            row, column = divmod(cell, scene.planes[plane].grid[1])
            ends.append(_at(corner, size, row + 0.5, column + 0.5, depth))
        lines[widths.level(link.weight), link.weight > 0] += [*ends, None]
    for (level, positive), points in sorted(lines.items()):
        _add_line(figure, points, POSITIVE if positive else NEGATIVE, 1.4 * WIDTHS[level])


def _add_arcs(figure: go.Figure, scene: Scene, origin: Point) -> None:
    points: list[Point | None] = []
    for source, target in scene.arcs:
        (start, one), (end, two) = (_corner(scene, plane, origin) for plane in (source, target))
        a = _at(start, one, 0, scene.planes[source].grid[1] * 0.6)
        b = _at(end, two, 0, scene.planes[target].grid[1] * 0.4)
        tall = 0.16 + 0.06 * min(abs(scene.depth[target] - scene.depth[source]), 5)
        for share in np.linspace(0, 1, 13):
            x, y, z = ((1 - share) * p + share * q for p, q in zip(a, b, strict=True))
            points.append((x, y, z + tall * float(np.sin(np.pi * share))))
        points.append(None)
    if points:
        _add_line(figure, points, palette.TOKENS["muted"][0], 2.0)


def _add_line(figure: go.Figure, points: Sequence[Point | None], colour: str, width: float) -> None:
    x, y, z = np.array([(math.nan,) * 3 if point is None else point for point in points], np.float32).T
    line = {"color": colour, "width": width}
    figure.add_scatter3d(x=x, y=y, z=z, mode="lines", line=line, opacity=0.6, hoverinfo="skip")
