"""The page of weights: a map of the network by layer, distributions, findings and tables, checkpoints side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from axonometry.report import palette
from axonometry.report.analysis import MOMENTS_CAPTION
from axonometry.report.axes import blank, escape
from axonometry.report.page import Block, Facts, Figure, Page, Panel, Tab, Table, WeightMap

if TYPE_CHECKING:
    import plotly.graph_objects as go

Found = Mapping[str, Any]
Row = Mapping[str, Any]
MEASURES = {
    "std": "standard deviation",
    "mean": "mean",
    "largest": "largest absolute value",
    "kurtosis": "excess kurtosis",
    "skewness": "skewness",
    "zero_share": "share of zeros",
    "spectral_norm": "spectral norm",
    "stable_rank": "stable rank",
}
"""What a map may be coloured by; the last two only where they were computed."""
LOGARITHMIC = ("std", "largest", "spectral_norm", "stable_rank")
ROOT = "all"
MAP_CAPTION = (
    "Area is the number of weights, nested by the parts of the names. A click on a module enters it, a click on a "
    "tensor shows how its weights are distributed, of every checkpoint that has it."
)


def weights_page(checkpoints: Sequence[Found], *, command: str = "") -> Page:
    """One page of any number of checkpoints.

    Args:
        checkpoints: As ``axonometry analyze`` found them: path, kind, summary, findings, link_weights, histograms.
        command: The command that writes the page.
    """
    names = _short_names([str(one["path"]) for one in checkpoints])
    tabs = [Tab("Map", (_summary(names, checkpoints), weight_map(dict(zip(names, checkpoints, strict=True)))))]
    findings = _findings(names, checkpoints)
    if findings.rows:
        tabs.append(Tab("Findings", (findings,)))
    tabs += [Tab(f"Tensors of {name}" if len(names) > 1 else "Tensors", (_tensors(one),))
             for name, one in zip(names, checkpoints, strict=True)]  # fmt: skip
    return Page("Weights", ", ".join(str(one["path"]) for one in checkpoints), tuple(tabs), command=command)


def weight_map(checkpoints: Mapping[str, Found]) -> WeightMap:
    """Treemaps of checkpoints side by side, a panel a measure, with the distribution of each tensor behind it.

    Args:
        checkpoints: By the name that is shown.
    """
    rows = {name: [_with_shares(row) for row in one["link_weights"]] for name, one in checkpoints.items()}
    known = [key for key in MEASURES if any(key in row for part in rows.values() for row in part)]
    panels = tuple(Panel(_treemaps(rows, key), MEASURES[key]) for key in known)
    shown = {name: one.get("histograms", {}) for name, one in checkpoints.items()}
    distributions: dict[str, dict[str, Any]] = {}
    for name, part in rows.items():
        for row in part:
            counts = shown[name].get(row["tensor"])
            if counts:
                ends = {"low": row["minimum"], "high": row["maximum"], "counts": counts}
                distributions.setdefault(row["tensor"], {})[name] = ends
    figure = Figure("Map of the weights", panels, MAP_CAPTION, arrangement="switch")
    empty = blank("weight", "share of the weights")
    return WeightMap(figure, empty, distributions, tuple(palette.steps("depth", max(2, len(rows)))))


def _treemaps(checkpoints: Mapping[str, Sequence[Row]], key: str) -> go.Figure:
    """One treemap a checkpoint, side by side, with one scale of colours."""
    import plotly.graph_objects as go

    values = [_shade(row.get(key), key) for rows in checkpoints.values() for row in rows]
    finite = [value for value in values if value is not None]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    bar = {"title": {"text": MEASURES[key]}, **(_powers(low, high) if key in LOGARITHMIC else {})}
    scale = {"colorscale": palette.colorscale("heat"), "cmin": low, "cmax": high, "colorbar": bar}
    figure = go.Figure(layout={"template": palette.template(), "margin": {"l": 4, "r": 4, "t": 24, "b": 4}})
    width = 1 / max(1, len(checkpoints))
    for number, (name, rows) in enumerate(checkpoints.items()):
        nodes = _nodes(name, rows, key)
        shades = nodes.pop("shades")
        figure.add_treemap(
            **nodes,
            branchvalues="total",
            marker={"colors": shades, **scale, "showscale": number == len(checkpoints) - 1},
            domain={"x": [number * width + 0.005, (number + 1) * width - 0.005]},
            hovertemplate="<b>%{id}</b><br>%{value:,} weights<br>%{text}<extra></extra>",
            textinfo="label",
            name=escape(name),
        )
    return figure


def _powers(low: float, high: float) -> dict[str, list[Any]]:
    """Marks of a scale of logarithms, labelled with the numbers themselves.

    >>> _powers(-1.05, 0.4)["ticktext"]
    ['0.1', '0.2', '0.5', '1', '2']
    """
    marks = [digit * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for digit in (1, 2, 5)]
    inside = [mark for mark in marks if low <= math.log10(mark) <= high]
    return {"tickvals": [math.log10(mark) for mark in inside], "ticktext": [f"{mark:.4g}" for mark in inside]}


def _nodes(name: str, rows: Sequence[Row], key: str) -> dict[str, list[Any]]:
    """Modules and tensors of a treemap: a module's size is the sum of its tensors', its shade their mean by size."""
    sizes: dict[str, int] = {ROOT: 0}
    parents: dict[str, str] = {ROOT: ""}
    shades: dict[str, list[tuple[int, float]]] = {ROOT: []}
    texts: dict[str, str] = {}
    for row in rows:
        size, shade = max(1, row["count"]), _shade(row.get(key), key)
        path = _path(row["tensor"])
        for depth, node in enumerate(path):
            parents.setdefault(node, path[depth - 1] if depth else ROOT)
        for node in (ROOT, *path):
            sizes[node] = sizes.get(node, 0) + size
            shades.setdefault(node, []).extend([] if shade is None else [(size, shade)])
        value = row.get(key)
        texts[path[-1]] = f"{MEASURES[key]} {value:.4g}" if isinstance(value, (int, float)) else ""
    shown = {node: _mean(part) for node, part in shades.items()}
    ids = list(sizes)
    return {
        "ids": [escape(node) for node in ids],
        "labels": [escape(name if node == ROOT else re.split(r"[./]", node)[-1] or node) for node in ids],
        "parents": [escape(parents[node]) for node in ids],
        "values": [sizes[node] for node in ids],
        "text": [escape(texts.get(node, "")) for node in ids],
        "shades": [shown[node] for node in ids],
    }


def _mean(part: Sequence[tuple[int, float]]) -> float | None:
    """Of values with weights; None where there are none."""
    return sum(size * value for size, value in part) / sum(size for size, _ in part) if part else None


def _path(tensor: str) -> list[str]:
    """The modules above a tensor, from the outermost, and the tensor itself.

    >>> _path("a.0.weight")
    ['a', 'a.0', 'a.0.weight']
    """
    ends = [found.start() for found in re.finditer(r"[./]", tensor) if found.start()]
    return [*dict.fromkeys(tensor[:end] for end in ends), tensor]


def _shade(value: Any, key: str) -> float | None:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or (key in LOGARITHMIC and value <= 0):
        return None
    return math.log10(value) if key in LOGARITHMIC else float(value)


def _with_shares(row: Row) -> dict[str, Any]:
    count = max(1, row["count"])
    return {**row, "largest": max(abs(row["minimum"]), abs(row["maximum"])), "zero_share": row["zeros"] / count}


def _summary(names: Sequence[str], checkpoints: Sequence[Found]) -> Block:
    if len(checkpoints) == 1:
        told = checkpoints[0]["summary"]
        facts = ("architecture", "parameters", "tensors", "bytes")
        return Facts({key: told[key] for key in facts if told[key]}, prominent=True)
    keys = ("kind", "architecture", "parameters", "buffers", "tensors", "bytes")
    rows = tuple((name, *(one["summary"][key] for key in keys)) for name, one in zip(names, checkpoints, strict=True))
    return Table(("checkpoint", *keys), rows, "Checkpoints")


def _findings(names: Sequence[str], checkpoints: Sequence[Found]) -> Table:
    """All findings, those farthest beyond their threshold first."""
    told = [(name, finding) for name, one in zip(names, checkpoints, strict=True) for finding in one["findings"]]
    told.sort(key=lambda pair: -_excess(pair[1]))
    keys = ("kind", "tensor", "text", "value", "threshold", "reference", "source")
    rows = tuple((name, *(finding[key] for key in keys)) for name, finding in told)
    caption = "Places to look, not verdicts; those farthest beyond their threshold first."
    return Table(("checkpoint", *keys), rows, "Findings", caption, searchable=True)


def _excess(finding: Mapping[str, Any]) -> float:
    """How many times a number is beyond its threshold, whichever side that is."""
    value, threshold = finding["value"], finding["threshold"]
    if not (isinstance(value, (int, float)) and math.isfinite(value)):
        return math.inf
    small, large = sorted((abs(value) + 1e-12, abs(threshold) + 1e-12))
    return large / small


def _tensors(found: Found) -> Table:
    rows = found["link_weights"]
    heads = tuple(dict.fromkeys(key for row in rows for key in row))
    cells = tuple(tuple(row.get(head) for head in heads) for row in rows)
    return Table(heads, cells, "Tensors", MOMENTS_CAPTION, searchable=True)


def _short_names(paths: Sequence[str]) -> list[str]:
    """The ends of paths that tell them apart; numbered where nothing does."""
    parts = [path.rstrip("/").split("/") for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{path} ({number})" for number, path in enumerate(paths, 1)]
