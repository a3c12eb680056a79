"""A drawing of a network's graph as SVG: groups from left to right, with the links between them."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from axonometry.report import palette
from axonometry.report.svg import element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from axonometry.program.ir import Group, Synapse, Wire

_BAR, _TALLEST, _LINE = 16, 130, 15


@dataclass(frozen=True)
class _Box:
    """The position of a group: its column, the middle of its bar, and the bar's height."""

    group: Group
    column: int
    x: float
    y: float
    height: float

    @property
    def top(self) -> float:
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height / 2


@dataclass
class _Bundle:
    """All links between two groups."""

    links: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str, links: int) -> None:
        self.links += links
        self.names.append(f"{name}: {links:,} links")


def graph_svg(groups: Sequence[Group], synapses: Sequence[Synapse], wires: Sequence[Wire] = ()) -> Markup:
    """The graph as an SVG element.

    A bar's height grows with the logarithm of its group's neurons. Groups next to each other are linked by bands,
    others by arcs over the groups between; both carry the number of their links.

    Args:
        groups: Neuron groups in the order of the forward pass.
        synapses: Parametric maps between them.
        wires: Links without a parameter.

    Returns:
        The element, every user's name in it escaped; its colours follow the page's theme.
    """
    bundles: dict[tuple[str, str], _Bundle] = defaultdict(_Bundle)
    for synapse in synapses:
        for source in synapse.sources:
            bundles[source, synapse.target].add(f"{synapse.name} ({synapse.kind})", synapse.n_links)
    for wire in wires:
        for source in wire.sources:
            bundles[source, wire.target].add(wire.kind, wire.n_links)
    boxes = _place(groups, list(bundles))
    links = [
        _link(boxes[source], boxes[target], bundle)
        for (source, target), bundle in bundles.items()
        if source in boxes and target in boxes
    ]
    top = min([box.top for box in boxes.values()] + [height for _, height in links], default=0.0) - 2 * _LINE
    bottom = max((box.bottom for box in boxes.values()), default=0.0) + 3 * _LINE
    width = max((box.x for box in boxes.values()), default=0.0) + 70
    summary = f"{len(groups)} neuron groups and {len(synapses)} synapses, from left to right"
    bars = (_bar(box, max(b.column for b in boxes.values())) for box in boxes.values())
    return element(
        "svg",
        element("title", summary),
        *(drawn for drawn, _ in links),
        *bars,
        viewBox=f"0 {top:.0f} {width:.0f} {bottom - top:.0f}",
        width=f"{width:.0f}",
        height=f"{bottom - top:.0f}",
        role="img",
        font_size=12,
        font_family="inherit",
    )


def _place(groups: Sequence[Group], edges: list[tuple[str, str]]) -> dict[str, _Box]:
    """A column for each depth (longest path from an input), groups of one depth below each other."""
    depth: dict[str, int] = {}
    sources = defaultdict(list)
    for source, target in edges:
        sources[target].append(source)
    for group in groups:
        depth[group.name] = 1 + max((depth.get(source, -1) for source in sources[group.name]), default=-1)
    most = max((group.n_neurons for group in groups), default=1)
    columns = 1 + max(depth.values(), default=0)
    step = min(max(1000 / columns, 118), 230)
    filled: dict[int, float] = {}
    boxes = {}
    for group in groups:
        column = depth[group.name]
        height = 14 + (_TALLEST - 14) * math.log1p(group.n_neurons) / math.log1p(max(most, 1))
        y = filled[column] + height / 2 if column in filled else 0.0
        filled[column] = y + height / 2 + 4 * _LINE
        boxes[group.name] = _Box(group, column, 60.0 + step * column, y, height)
    return boxes


def _link(start: _Box, end: _Box, bundle: _Bundle) -> tuple[Markup, float]:
    """A band or an arc between two groups, and its height."""
    between = abs(end.column - start.column) - 1
    tip = element("title", "\n".join([f"{start.group.name} to {end.group.name}", *bundle.names]))
    x1, x2, middle = start.x + _BAR / 2, end.x - _BAR / 2, (start.x + end.x) / 2
    if between < 1:
        path = f"M{x1:.1f} {start.top:.1f}L{x2:.1f} {end.top:.1f}V{end.bottom:.1f}L{x1:.1f} {start.bottom:.1f}Z"
        line = element("path", d=path, fill="var(--muted)", fill_opacity=".16")
        height, text = start.top, (start.y + end.y) / 2 + 4
    else:
        peak = min(start.top, end.top) - 26 - 22 * min(between, 5)
        path = (
            f"M{start.x:.1f} {start.top:.1f}C{start.x:.1f} {peak:.1f} {end.x:.1f} {peak:.1f} {end.x:.1f} {end.top:.1f}"
        )
        line = element("path", d=path, fill="none", stroke="var(--muted)", stroke_opacity=".6", stroke_width="1.5")
        text = height = 0.25 * min(start.top, end.top) + 0.75 * peak - 5
    count = _words(short_count(bundle.links), middle, text, fill="var(--muted)")
    return element("g", tip, line, count), height


def _bar(box: _Box, deepest: int) -> Markup:
    group = box.group
    light = palette.shade("depth", box.column / max(deepest, 1))
    shape = " × ".join(str(size) for size in group.shape) or "1"
    bar = element(
        "rect",
        x=f"{box.x - _BAR / 2:.1f}",
        y=f"{box.top:.1f}",
        width=_BAR,
        height=f"{box.height:.1f}",
        rx=4,
        style=f"fill: light-dark({light}, {palette.DARK[light]})",
    )
    return element(
        "g",
        element("title", f"{group.name}: {group.n_neurons:,} neurons, {group.role}"),
        bar,
        _words(_end(group.name), box.x, box.bottom + _LINE, font_weight=600, fill="var(--ink)"),
        _words(shape, box.x, box.bottom + 2 * _LINE, fill="var(--muted)"),
    )


def _words(text: str, x: float, y: float, **attributes: object) -> Markup:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor="middle", **attributes)


def short_count(count: int) -> str:
    """A count in at most five characters.

    >>> short_count(784), short_count(58_800), short_count(313_000_000)
    ('784', '58.8k', '313M')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return str(count)


def _end(name: str, most: int = 14) -> str:
    """The end of a long path, which distinguishes layers."""
    return name if len(name) <= most else "…" + name[1 - most :]
