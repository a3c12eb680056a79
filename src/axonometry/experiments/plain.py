"""Results as values that JSON can hold, and back: pages are made again from what is kept, without training."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from axonometry.errors import DataError
from axonometry.experiments.claims import Claim
from axonometry.experiments.experiment import Context, Experiment, Measurements
from axonometry.experiments.markdown import machine
from axonometry.experiments.running import Results
from axonometry.experiments.section import Drawn, Section
from axonometry.report.charts import IntervalChart, LineChart, MatrixChart
from axonometry.report.page import Table
from axonometry.statistics import Estimate

SAID = ("scale", "networks", "trained", "seconds", "not_run")
"""What is said of a call."""
INTERVALS = ("columns", "x", "reference", "limits", "caption")


def plain(results: Results, *, command: str = "") -> dict[str, Any]:
    """Everything that the pages say, with all digits.

    An estimate is an object with value, low, high, n, unit, within and df, in evidence and in the cells of tables.
    Charts are kept as data; what is drawn from networks, such as densities, is not.

    Args:
        results: Of :func:`axonometry.experiments.run`.
        command: What repeats it.
    """
    return {
        "experiment": results.experiment.name,
        "title": results.experiment.title,
        "command": command or results.kept.get("command", ""),
        "machine": machine(results),
        **{name: getattr(results, name) for name in SAID},
        "conditions": results.conditions.astype(object).to_dict("records"),
        "read_from": dict(results.read_from),
        "sections": [_section(name, one) for name, one in results.sections.items()],
    }


def _section(name: str, section: Section) -> dict[str, Any]:
    charts = [_chart(section, figure) for figure in section.figures]
    found = asdict(replace(section, figures=()))
    del found["figures"]
    return {"name": name, **found, "charts": [chart for chart in charts if chart]}


def _chart(section: Section, figure: LineChart | IntervalChart | MatrixChart | Drawn) -> dict[str, Any]:
    if isinstance(figure, LineChart):
        about = {name: getattr(figure, name) for name in ("title", "x", "y", "log", "caption")}
        return {**about, "points": figure.frame.to_dict("list")}
    if isinstance(figure, MatrixChart):
        return {**asdict(figure), "values": [[round(one, 4) for one in row] for row in figure.values]}
    if isinstance(figure, IntervalChart) and figure.table in section.tables:
        return {"table": section.tables.index(figure.table), **{name: getattr(figure, name) for name in INTERVALS}}
    return {}


def load_results(path: str | Path, experiment: Experiment) -> Results:
    """The results that :func:`plain` wrote as JSON, for pages; null is NaN, and infinity in ranges.

    Args:
        path: The file.
        experiment: What was run: its words are the page's.

    Raises:
        DataError: The file is missing, is no JSON, or holds something else.
    """
    try:
        found = json.loads(Path(path).read_text())
        sections = {one["name"]: _section_of(one) for one in found["sections"]}
        context = Context(experiment.scales[found["scale"]], 0, Path())
        conditions, trained, seconds = pd.DataFrame(found["conditions"]), found["trained"], found["seconds"]
        kept = {name: found[name] for name in ("networks", "machine", "command")}
        kept["read_from"] = found.get("read_from", {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        rule = f"{path} holds the results of {experiment.name}, as --json prints them"
        raise DataError(rule, str(error) or type(error).__name__, "Run the experiment with --json") from None
    if found["experiment"] != experiment.name:
        raise DataError(f"{path} holds the results of {experiment.name}", str(found["experiment"]), "Name that one")
    measurements = Measurements((), {}, {}, context)
    return Results(experiment, found["scale"], sections, conditions, measurements, trained, seconds, kept)


def _section_of(found: Mapping[str, Any]) -> Section:
    tables = tuple(
        Table(tuple(one["columns"]), tuple(tuple(map(_cell, row)) for row in one["rows"]), one["title"], one["caption"])
        for one in found["tables"]
    )
    claims = tuple(map(_claim_of, found["claims"]))
    figures = tuple(_figure(one, tables) for one in found["charts"])
    return Section(found["title"], found["setup"], claims, tables, figures)


def _figure(found: Mapping[str, Any], tables: Sequence[Table]) -> LineChart | IntervalChart | MatrixChart:
    if "points" in found:
        about = {name: found[name] for name in ("title", "x", "y", "log", "caption")}
        return LineChart(frame=pd.DataFrame(found["points"]).astype({"x": float, "value": float}), **about)
    if "values" in found:
        rows = tuple(tuple(math.nan if one is None else one for one in row) for row in found["values"])
        return MatrixChart(found["title"], tuple(found["names"]), rows, found["y"], found["caption"])
    about = {name: tuple(value) if isinstance(value := found[name], list) else value for name in INTERVALS}
    return IntervalChart(tables[found["table"]], **about)


def _claim_of(found: Mapping[str, Any]) -> Claim:
    known = {one.name: found[one.name] for one in fields(Claim) if one.name in found}
    numbers = {name: math.nan if found.get(name) is None else found[name] for name in ("p", "p_some", "adjusted")}
    return Claim(**{**known, **numbers, "evidence": tuple(map(_cell, found["evidence"]))})


def _cell(found: Any) -> Any:
    if not isinstance(found, Mapping):
        return found
    value, low, high = (math.nan if found[end] is None else found[end] for end in ("value", "low", "high"))
    least, most = found["within"]
    within = (-math.inf if least is None else least, math.inf if most is None else most)
    return Estimate(value, low, high, found["n"], found["unit"], within, found["df"])
