"""The page of what changed between checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from axonometry.report import figures
from axonometry.report.page import Block, Facts, Figure, Page, Panel, Tab, Table

TENSORS = ("tensor", "renamed", "shape", "dtype", "relative", "cosine", "changed", "flipped", "rank")
STEPS = ("path", "relative", "cosine", "from_first", "cosine_first", "moved_most", "identical", "other")
CAPTION = (
    "relative: norm of the change over the norm before; cosine: between before and now; changed, flipped: shares of "
    "entries that are other numbers, and of signs that turned."
)


def difference_page(found: Mapping[str, Any], *, command: str = "") -> Page:
    """A page of what ``axonometry diff --json`` says.

    Args:
        found: Of two checkpoints, or of many.
        command: The command that writes the page.
    """
    if "steps" in found:
        return Page("What changed, step by step", str(found["first"]), (_steps(found["steps"]),), command=command)
    facts = {key: found[key] for key in ("relative", "cosine", "identical")}
    facts |= {key: len(found[key]) for key in ("removed", "added", "reshaped")}
    blocks: list[Block] = [Facts(facts, prominent=True)]
    moved = pd.DataFrame([row for row in found["tensors"] if not row["identical"]])
    if len(moved):
        blocks += [_profile(moved), _table(moved, TENSORS, "Tensors that moved")]
    gone = [(key, name) for key in ("removed", "added") for name in found[key]]
    if gone:
        blocks.append(Table(("", "tensor"), tuple(gone), title="Tensors of one of both"))
    return Page(
        "What changed", f"{found['first']} → {found['second']}", (Tab("Changes", tuple(blocks)),), command=command
    )


def _profile(moved: pd.DataFrame) -> Figure:
    rows = moved[["tensor", "relative"]].set_axis(["name", "value"], axis=1)
    rows = rows[rows["value"].abs() < float("inf")].dropna()
    panel = Panel(
        figures.profile(rows, y="change, relative to the norm before", log=figures.spans_decades(rows["value"]))
    )
    return Figure(
        "How far tensors moved", (panel,), "Each dot is a tensor, in the order of the file; hover for its name."
    )


def _steps(steps: list[dict[str, Any]]) -> Tab:
    frame = pd.DataFrame(steps)
    panels = []
    for column, words in (("relative", "change from the one before"), ("from_first", "change from the first")):
        line = pd.DataFrame({"step": range(1, len(frame) + 1), "name": words, "value": frame[column].astype(float)})
        panels.append(Panel(figures.lines(line, y=words, step="checkpoint")))
    figure = Figure("How far weights moved", tuple(panels), "All weights together, relative to their norm before.")
    return Tab("Steps", (figure, _table(frame, STEPS, "Checkpoints")))


def _table(frame: pd.DataFrame, columns: tuple[str, ...], title: str) -> Table:
    kept = [name for name in columns if name in frame and frame[name].notna().any() and (frame[name] != "").any()]
    shown = frame[kept]
    if "path" in kept and len({path.parent for path in shown["path"]}) == 1:
        shown = shown.assign(path=[path.name for path in shown["path"]])
    return Table.of(shown.astype({"path": str} if "path" in kept else {}), title=title, caption=CAPTION)
