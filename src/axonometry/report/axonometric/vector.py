"""The picture as SVG: one file without scripts, in the colours of the page that shows it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from axonometry.cell_text import number
from axonometry.report import palette
from axonometry.report.axonometric.labels import Label, labels_of, shape_text
from axonometry.report.axonometric.layout import LINE, MARGIN, WIDTH, Frame, Spot, frame_of
from axonometry.report.axonometric.legend import legend_of, words
from axonometry.report.axonometric.scene import Link, Plane, Scene
from axonometry.report.axonometric.shades import WIDTHS, Shades, Widths
from axonometry.report.svg import element

if TYPE_CHECKING:
    from markupsafe import Markup

Theme = Literal["auto", "light", "dark"]
POSITIVE, NEGATIVE = palette.DIVERGING[25], palette.DIVERGING[5]
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def picture_svg(scenes: Sequence[Scene], measure: str, theme: Theme = "auto", *, across: bool = False) -> Markup:
    """The picture as one SVG element.

    Args:
        scenes: One snapshot, or several with one scale of colours and one of widths.
        measure: What the colours are.
        theme: Light, dark, or as the reader's page or system is.
        across: Whether snapshots stand side by side, not one below the other.
    """
    shades = Shades.of(part for scene in scenes for plane in scene.planes for part in plane.slices)
    widths = Widths.of(link.weight for scene in scenes for link in scene.links)
    drawn, left, top, bottom = [], 0.0, 18.0, 0.0
    for scene in scenes:
        frame = frame_of(scene, top + 2 * LINE)
        labels = labels_of(scene, frame)
        foot = max([*frame.feet, *(label.y + LINE for label in labels)]) + 0.8 * LINE
        inside = [_title(scene, top), *_painted(scene, frame, shades, widths), *map(_label, labels)]
        drawn.append(element("g", *inside, transform=f"translate({left:.0f} 0)" if left else None))
        bottom = max(bottom, foot)
        left, top = (left + WIDTH, top) if across else (0.0, foot + LINE)
    full = WIDTH * (len(scenes) if across else 1)
    height = bottom + 62
    return element(
        "svg",
        element("title", f"{scenes[0].title}, coloured by {measure}"),
        _style(shades, theme),
        element("rect", class_="ax-back", width=f"{full:.0f}", height=f"{height:.0f}"),
        *drawn,
        legend_of(scenes[0], shades, widths, measure, bottom + 8),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {full:.0f} {height:.0f}",
        class_="ax-picture",
        role="img",
    )


def _style(shades: Shades, theme: Theme) -> Markup:
    """One class a colour; light and dark in one, where the reader decides."""
    name = "d" if shades.diverging else "s"
    rules = [
        f".ax-picture{{max-width:100%;height:auto;display:block;font-family:{_FONT};font-variant-numeric:tabular-nums}}",
        ".ax-picture text{font-size:12px}.ax-picture .ax-m{font-size:11px}.ax-picture .ax-h{font-size:15px}",
        ".ax-picture .ax-b{font-weight:600}.ax-a,.ax-l,.ax-p,.ax-n{fill:none}.ax-a{stroke-width:1.3}",
        ".ax-p,.ax-n{stroke-linecap:round;stroke-opacity:.45}.ax-l{stroke-width:1}",
        ".ax-seam{stroke-width:1.6;fill:none}",
        *(f".ax-w{i}{{stroke-width:{width}px}}" for i, width in enumerate(WIDTHS)),
    ]
    ink, muted, line, surface = (palette.TOKENS[name][0] for name in ("ink", "muted", "line", "surface"))
    fills = {"back": surface, "face": surface, "i": ink, "m": muted, "tip": muted, "none": line}
    strokes = {"face": line, "l": line, "a": muted, "p": POSITIVE, "n": NEGATIVE, "seam": surface}
    paints = [(f"ax-{key}", "fill", colour) for key, colour in fills.items()]
    paints += [(f"ax-{key}", "stroke", colour) for key, colour in strokes.items()]
    paints += [(f"ax-{name}{i}", "fill", colour) for i, colour in enumerate(shades.colours)]
    rules += [f".{key}{{{_paint(kind, colour, theme)}}}" for key, kind, colour in paints]
    if theme == "auto":
        rules.append("svg.ax-picture:root{color-scheme:light dark}")
    return element("style", "".join(rules))


def _paint(kind: str, light: str, theme: Theme) -> str:
    dark = palette.DARK[light]
    if theme == "auto":  # a program that knows no light-dark() takes the first
        return f"{kind}:{light};{kind}:light-dark({light},{dark})"
    return f"{kind}:{dark if theme == 'dark' else light}"


def _title(scene: Scene, top: float) -> Markup:
    name, _, rest = scene.title.partition(" · ")
    # One text of two parts: how wide the name comes out, only the reader's font knows.
    parts = (element("tspan", name, class_="ax-i ax-h ax-b"), element("tspan", rest, dx=10, class_="ax-m"))
    return element("text", *parts, x=f"{MARGIN:.1f}", y=f"{top + LINE:.1f}", text_anchor="start")


def _label(label: Label) -> Markup:
    parts = []
    if label.bracket is not None:
        left, right, y = label.bracket
        way = f"M{left:.1f} {y:.1f}v4H{right:.1f}v-4"
        parts.append(element("path", d=way, class_="ax-l"))
    if label.leader is not None:
        parts.append(element("path", d=f"M{label.x:.1f} {label.leader[0]:.1f}V{label.leader[1]:.1f}", class_="ax-l"))
    parts.append(words(label.name, label.x, label.y, "ax-i ax-b"))
    parts.append(words(label.below, label.x, label.y + LINE, "ax-m"))
    return element("g", *parts)


def _painted(scene: Scene, frame: Frame, shades: Shades, widths: Widths) -> list[Markup]:
    """Planes and links from what is behind to what is in front, then the arcs above them."""
    into: dict[int, list[Link]] = defaultdict(list)
    for link in scene.links:
        into[link.target].append(link)
    drawn: list[Markup] = []
    spots = sorted(frame.spots, key=lambda spot: (spot.line, spot.x, spot.plane))
    by_place = {(spot.line, spot.plane): spot for spot in spots}
    for spot in spots:
        if not spot.ghost:
            drawn += _links(into[spot.plane], by_place, spot, widths, scene)
        drawn.append(_plane(scene.planes[spot.plane], spot, shades))
    return drawn + _arcs(scene, by_place)


def _links(
    links: Sequence[Link], places: dict[tuple[int, int], Spot], end: Spot, widths: Widths, scene: Scene
) -> list[Markup]:
    ways: dict[tuple[int, bool], list[str]] = defaultdict(list)
    for link in links:
        start = places.get((end.line, link.source))
        if start is None:
            continue
        (x1, y1), (x2, y2) = (
            _centre(scene.planes[spot.plane], spot, place) for spot, place in ((start, link.start), (end, link.end))
        )
        key = widths.level(link.weight), link.weight > 0
        ways[key].append(f"M{x1:.0f} {y1:.0f}L{x2:.0f} {y2:.0f}")
    return [
        element("path", d="".join(parts), class_=f"ax-{'p' if positive else 'n'} ax-w{level}")
        for (level, positive), parts in sorted(ways.items())
    ]


def _centre(plane: Plane, spot: Spot, place: tuple[int, int]) -> tuple[float, float]:
    depth, cell = place
    row, column = divmod(cell, plane.grid[1])
    return spot.point(row + 0.5, column + 0.5, depth)


def _plane(plane: Plane, spot: Spot, shades: Shades) -> Markup:
    rows, columns = plane.grid
    parts: list[Markup] = [element("title", told(plane))]
    corners = [spot.point(r, c) for r, c in ((0, 0), (0, columns), (rows, columns), (rows, 0))]
    outline = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + "Z"
    if spot.ghost:
        return element("g", *parts, element("path", d=outline, class_="ax-a", stroke_dasharray="2 3"))
    name = "d" if shades.diverging else "s"
    for depth in range(len(plane.slices) - 1, 0, -1):
        (level,) = shades.levels(plane.slices[depth].nanmean()[None])
        shift = f"translate({-spot.behind * depth:.1f} 0)"
        kind = f"ax-{name}{level}" if level >= 0 else "ax-none"
        parts.append(element("path", d=outline, class_=f"ax-face {kind}", transform=shift))
    parts.append(element("path", d=outline, class_="ax-face"))
    # In units of a tenth of a patch a cell is an upright square; the matrix makes the parallelogram of it.
    unit = 1 / (10 * plane.patches)
    (right, up), down = spot.across, spot.cell
    matrix = f"matrix({right * unit:.4f} {-up * unit:.4f} 0 {down * unit:.4f} {spot.x:.1f} {spot.y:.1f})"
    parts.append(element("g", *_cells(plane, shades, name, max(right, 1.0)), transform=matrix))
    return element("g", *parts)


def _cells(plane: Plane, shades: Shades, name: str, width: float) -> list[Markup]:
    """One path a colour; between cells there is a gap where they are large enough to see it."""
    columns, patches = plane.grid[1], plane.patches
    gap = 1 if width / patches >= 2.6 else 0
    ways: dict[int, list[str]] = defaultdict(list)
    levels = shades.levels(plane.slices[0].flatten())
    for place, level in enumerate(levels):
        cell, patch = divmod(place, patches**2)
        (row, column), (down, right) = divmod(cell, columns), divmod(patch, patches)
        x, y = 10 * (column * patches + right), 10 * (row * patches + down)
        size = 10 - gap if patches == 1 else 10
        ways[level].append(f"M{x} {y}h{size}v{size}h-{size}z")
    drawn = [
        element("path", d="".join(parts), class_=f"ax-{name}{level}" if level >= 0 else "ax-none")
        for level, parts in sorted(ways.items())
    ]
    if patches > 1 and math.prod(plane.grid) > 1:
        drawn.append(_seams(plane))
    return drawn


def _seams(plane: Plane) -> Markup:
    """Lines between channels that are cut into patches."""
    rows, columns = plane.grid
    size = 10 * plane.patches
    ways = [f"M0 {size * r}h{size * columns}" for r in range(1, rows)]
    ways += [f"M{size * c} 0v{size * rows}" for c in range(1, columns)]
    return element("path", d="".join(ways), class_="ax-seam", vector_effect="non-scaling-stroke")


def told(plane: Plane) -> str:
    """What a plane is, in words."""
    front = plane.slices[0]
    known = front[~front.isnan()]
    words = [f"{plane.group.name}: {shape_text(plane.shape)}, {plane.group.role}"]
    if len(known):
        words.append(f"from {number(float(known.min()))} to {number(float(known.max()))}")
    if plane.together > 1:
        words.append(f"a cell is the mean of {plane.together} channels")
    if plane.n_slices > 1:
        words.append(f"{len(plane.slices)} of {plane.n_slices} slices")
    return "; ".join(words)


def _arcs(scene: Scene, places: dict[tuple[int, int], Spot]) -> list[Markup]:
    drawn = []
    for source, target in scene.arcs:
        for line in sorted({line for line, _ in places}):
            start, end = places.get((line, source)), places.get((line, target))
            if end is None or end.ghost:
                continue
            tip = element("title", f"{scene.planes[source].group.name} to {scene.planes[target].group.name}")
            if source == target:
                drawn.append(element("g", tip, *_loop(scene.planes[target], end)))
            elif start is not None:
                drawn.append(element("g", tip, *_arc(scene, start, end)))
            else:
                drawn.append(element("g", tip, *_stub(scene, end)))
    return drawn


def _top(plane: Plane, spot: Spot, share: float) -> tuple[float, float]:
    """A point on the upper edge of a plane."""
    x, y = spot.point(0, share * plane.grid[1])
    return x, y - 1


def _arc(scene: Scene, start: Spot, end: Spot) -> tuple[Markup, ...]:
    (x1, y1), (x2, y2) = (_top(scene.planes[s.plane], s, share) for s, share in ((start, 0.62), (end, 0.38)))
    span = abs(scene.depth[end.plane] - scene.depth[start.plane])
    between = min(y1, y2)
    peak = between - (16 + 13 * min(span, 5)) * 1.25
    way = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {peak:.1f} {x2:.1f} {peak:.1f} {x2:.1f} {y2:.1f}"
    return element("path", d=way, class_="ax-a"), _tip(x2, y2)


def _tip(x: float, y: float) -> Markup:
    return element("path", d=f"M{x:.1f} {y:.1f}l-3.2 -6.5h6.4z", class_="ax-tip")


def _loop(plane: Plane, spot: Spot) -> tuple[Markup, ...]:
    (x1, y1), (x2, y2) = _top(plane, spot, 0.9), _top(plane, spot, 0.1)
    peak = min(y1, y2) - 34
    way = f"M{x1:.1f} {y1:.1f}C{x1 + 16:.1f} {peak:.1f} {x2 - 16:.1f} {peak:.1f} {x2:.1f} {y2:.1f}"
    return element("path", d=way, class_="ax-a"), _tip(x2, y2)


def _stub(scene: Scene, end: Spot) -> tuple[Markup, ...]:
    """The end of an arc from a line above."""
    x, y = _top(scene.planes[end.plane], end, 0.38)
    way = f"M{x - 16:.1f} {y - 30:.1f}C{x - 4:.1f} {y - 30:.1f} {x:.1f} {y - 20:.1f} {x:.1f} {y:.1f}"
    return element("path", d=way, class_="ax-a", stroke_dasharray="2 3"), _tip(x, y)
