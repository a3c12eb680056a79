"""The numbers below the picture: what colours, widths, cells and arcs mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from axonometry.report.axonometric.layout import MARGIN, WIDTH
from axonometry.report.axonometric.scene import Scene
from axonometry.report.axonometric.shades import LEVELS, Shades, Widths
from axonometry.report.svg import element

if TYPE_CHECKING:
    from markupsafe import Markup

_BAR = 230.0


def words(text: str, x: float | int, y: float | int, kind: str, anchor: str = "middle") -> Markup:
    """A text in one of the picture's styles."""
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", class_=kind, text_anchor=anchor)


def legend_of(scene: Scene, shades: Shades, widths: Widths, measure: str, y: float) -> Markup:
    """The legend of all scenes of a picture.

    Args:
        scene: The first of them.
        shades: The scale of colours.
        widths: The scale of widths.
        measure: What the colours are.
        y: Where it begins.
    """
    line = element("path", d=f"M{MARGIN} {y:.0f}H{WIDTH - MARGIN}", class_="ax-l")
    x = MARGIN + _BAR + 56
    parts = [line, *_colours(shades, measure, MARGIN, y), *_links(scene, widths, x, y)]
    notes = _notes(scene)
    parts += [words(note, x + 306, y + 20 + 14 * i, "ax-m", "start") for i, note in enumerate(notes)]
    return element("g", *parts)


def _colours(shades: Shades, measure: str, x: float, y: float) -> list[Markup]:
    name, step = "d" if shades.diverging else "s", _BAR / LEVELS
    parts = [words(measure, x, y + 20, "ax-i ax-b", "start")]
    for i in range(LEVELS):
        place = {"x": f"{x + i * step:.2f}", "y": f"{y + 27:.0f}", "width": f"{step + 0.3:.2f}"}
        parts.append(element("rect", **place, height=8, class_=f"ax-{name}{i}"))
    for share, value in shades.marks:
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        parts.append(words(two_digits(value), x + share * _BAR, y + 47, "ax-m", anchor))
    return parts


def _links(scene: Scene, widths: Widths, x: float, y: float) -> list[Markup]:
    parts = [words(f"Strongest links, {_percent(scene.share)}", x, y + 20, "ax-i ax-b", "start")]
    for i, (level, value) in enumerate(widths.marks):
        at = x + i * 46
        for kind, up in (("p", 0), ("n", 5)):
            parts.append(element("path", d=f"M{at:.0f} {y + 29 + up:.0f}h34", class_=f"ax-{kind} ax-w{level}"))
        parts.append(words(two_digits(value), at + 17, y + 47, "ax-m"))
    x += 4 * 46 + 10
    return [*parts, words("positive", x, y + 33, "ax-m", "start"), words("negative", x, y + 47, "ax-m", "start")]


def _notes(scene: Scene) -> list[str]:
    together = max(plane.together for plane in scene.planes)
    notes = ["One cell is one channel or unit" + (f", or the mean of up to {together}" if together > 1 else "")]
    if scene.arcs:
        notes.append("Arcs are skips and recurrence")
    if any(plane.n_slices > 1 for plane in scene.planes):
        notes.append("Planes in a stack are steps, tokens or heads")
    return notes


def two_digits(value: float) -> str:
    """Two digits, which is what a colour can be read to.

    >>> two_digits(-0.3573), two_digits(1234.0)
    ('−0.36', '1,200')
    """
    if value == 0:
        return "0"
    rounded = round(value, 1 - math.floor(math.log10(abs(value))))
    text = f"{rounded:,.0f}" if abs(rounded) >= 10 else f"{rounded:.2g}"
    return text.replace("-", "−", 1) if rounded < 0 else text


def _percent(share: float) -> str:
    return "all" if share >= 0.9995 else f"{100 * share:.2g} %"
