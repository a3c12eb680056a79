"""Phases of runs on pages: change points of graph measures beside those of scores; and measures against chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from axonometry.errors import MissingExtraError, ValuesError
from axonometry.report import figures, palette
from axonometry.report.axes import evenly
from axonometry.report.page import Block, Figure, Panel, Prose, Table
from axonometry.trajectory import change_points, measures_of

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.trajectory import Trajectory

MOST_RUNS = 12
"""Runs whose change points are looked for: each takes tenths of a second."""
DRAWN = ("layer_fluctuation", "node_strength", "link_weights", "channel_degree")
"""Measures of which the first that a run has is drawn with its change points."""
SCORED = ("_z", "_rank")
"""Ends of the statistics that a null model adds."""


def phases_blocks(runs: Sequence[Trajectory]) -> tuple[Block, ...]:
    """At which steps the runs' graph measures come to another level, and at which their scalars do.

    Args:
        runs: Finished runs; of many, some evenly spread ones. Those with fewer than 12 steps have no phases.

    Returns:
        A table of runs, and the first one's measure over the steps with its change points; what to install where the
        package ruptures is missing; nothing where no run is long enough.
    """
    rows, shown = [], []
    for run in (runs[int(place)] for place in evenly(len(runs), MOST_RUNS)):
        try:
            graph = change_points(measures_of(_measures(run)))
        except MissingExtraError as error:
            return (Prose(f"Change points were not looked for: {error}"),)
        except ValuesError:  # too short, or without measures
            continue
        rows.append((run.folder.name, _steps(graph), _steps(_of_scalars(run))))
        shown.append((run, graph))
    if not rows:
        return ()
    caption = (
        "Steps from which on all graph measures together, or all scalars, are about another level: PELT, its penalty "
        "drawn so that one in a hundred stationary runs is flagged. A steady drift is cut into levels too."
    )
    if len(rows) < len(runs):
        caption += (
            f" Of {len(runs)} runs {len(rows)}: those of 12 steps or more with graph measures, {MOST_RUNS} at most."
        )
    table = Table(("run", "graph measures", "scalars"), tuple(rows), "Change points", caption)
    return (table, *_drawn(*shown[0]))


def null_blocks(run: Trajectory) -> tuple[Block, ...]:
    """The measures of a run's last step beside what its null model's draws give: z and rank.

    Args:
        run: Recorded with ``null=``; any other has no such table.
    """
    last = run.metrics[run.metrics["step"] == run.steps[-1]] if run.steps else run.metrics
    model = run.description.null
    if model is None or not last["statistic"].str.endswith(SCORED).any():
        return ()
    columns = (last[name].tolist() for name in ("metric", "group", "statistic", "value"))
    values = {(str(m), str(g), str(s)): float(v) for m, g, s, v in zip(*columns, strict=True)}
    rows = []
    for (metric, group, statistic), value in values.items():
        z, rank = (values.get((metric, group, f"{statistic}{end}"), math.nan) for end in SCORED)
        if not math.isnan(z):
            rows.append((metric.replace("_", " "), group or "network", statistic, value, z, rank))
    caption = (
        f"Run {run.folder.name}, step {run.steps[-1]}, against {model.draws} draws of the null model {model.kind!r}. z "
        "is in standard deviations of the draws; rank is the share of draws below, 0 and 1 are more extreme than all. "
        "What the null model keeps has no z and is left out."
    )
    heads = ("measure", "layer", "statistic", "value", "z", "rank")
    return (Table(heads, tuple(rows), "Against chance", caption),) if rows else ()


def _measures(run: Trajectory) -> pd.DataFrame:
    frame = run.metrics
    frame = frame[~frame["metric"].isin(list(run.scalars().columns))]
    return frame[~frame["statistic"].str.endswith(SCORED)]


def _of_scalars(run: Trajectory) -> tuple[int, ...]:
    scalars = run.scalars().drop(columns="epoch", errors="ignore").dropna(axis=1)
    try:
        return change_points(scalars)
    except ValuesError:
        return ()


def _steps(found: Sequence[int]) -> str:
    return ", ".join(f"{step:,}" for step in found) or "none"


def _drawn(run: Trajectory, found: Sequence[int]) -> tuple[Figure, ...]:
    frame = _measures(run)
    metric = next((name for name in DRAWN if (frame["metric"] == name).any()), None)
    if metric is None:
        return ()
    some = frame[(frame["metric"] == metric) & frame["statistic"].isin(("value", "std")) & (frame["group"] != "")]
    words = metric.replace("_", " ")
    drawn = figures.lines(some.rename(columns={"group": "name"})[["name", "step", "value"]], y=words)
    for step in found:
        drawn.add_vline(x=step, line={"color": palette.TOKENS["muted"][0], "width": 1, "dash": "dot"})
    caption = f"Run {run.folder.name}, a line a layer; dotted lines are the change points of all its graph measures."
    return (Figure(f"{words.capitalize()} and change points", (Panel(drawn),), caption, arrangement="wide"),)
