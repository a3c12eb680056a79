"""Figures declared by their data: lines with bands, dots with bars; drawn by the page, or as SVG for documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
import pandas as pd

from axonometry.report.page import Figure, Key, Panel, Table
from axonometry.statistics import Estimate


@dataclass(frozen=True)
class LineChart:
    """Lines with bands, which a Markdown page shows as a picture too.

    Attributes:
        title: Its heading.
        frame: Columns name (of a line), x, value, low, high; NaN where there is no interval.
        x: Name and unit of the horizontal axis.
        y: Name and unit of the vertical axis.
        log: Whether the horizontal axis is logarithmic.
        caption: What to see.
    """

    title: str
    frame: pd.DataFrame
    x: str
    y: str
    log: bool = True
    caption: str = ""

    @classmethod
    def of(
        cls, title: str, points: Iterable[tuple[str, float, Estimate]], x: str, y: str, *, log: bool = True
    ) -> LineChart:
        """The chart of estimates.

        Args:
            title: Its heading.
            points: Name of the line, place on the horizontal axis, and estimate there.
            x: Name and unit of the horizontal axis.
            y: Name and unit of the vertical axis.
            log: Whether the horizontal axis is logarithmic.
        """
        rows = [(name, at, one.value, one.low, one.high) for name, at, one in points]
        return cls(title, pd.DataFrame(rows, columns=["name", "x", "value", "low", "high"]), x, y, log)

    def svg(self) -> str:
        """The chart as an SVG drawing."""
        from axonometry.report.curves import curves_svg

        return curves_svg(self.frame, x=self.x, y=self.y, log=self.log)

    def figure(self) -> Figure:
        """The chart as a figure of an HTML page.

        Raises:
            MissingExtraError: plotly is not installed.
        """
        from axonometry.report.curves import colours, curves

        names = list(dict.fromkeys(self.frame["name"]))
        panel = Panel(curves(self.frame, x=self.x, y=self.y, log=self.log))
        legend = tuple(Key(name, colour) for name, colour in zip(names, colours(len(names)), strict=True))
        bands = f"{self.caption} Bands are 95% intervals, clipped where they leave the panel.".strip()
        return Figure(self.title, (panel,), bands, legend=legend if len(names) > 1 else (), arrangement="wide")


@dataclass(frozen=True)
class MatrixChart:
    """Values between names, such as rank correlations; a Markdown page shows it as a picture too.

    Attributes:
        title: Its heading.
        names: Of rows and columns, in the order in which they stand.
        values: A row a name, from -1 to 1.
        y: What a value is.
        caption: What to see.
    """

    title: str
    names: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    y: str
    caption: str = ""

    def svg(self) -> str:
        """The chart as an SVG drawing."""
        from axonometry.report.matrix import matrix_svg

        return matrix_svg(self.names, np.array(self.values, dtype=float), value=self.y)

    def figure(self) -> Figure:
        """The chart as a figure of an HTML page.

        Raises:
            MissingExtraError: plotly is not installed.
        """
        from axonometry.report.matrix import matrix_figure

        panel = Panel(matrix_figure(self.names, np.array(self.values, dtype=float), value=self.y))
        panel = replace(panel, height=8 + 0.9 * len(self.names))
        return Figure(self.title, (panel,), self.caption, arrangement="wide")


LONG = 14
"""Letters of a name that have room in one line beside an interval."""


@dataclass(frozen=True)
class IntervalChart:
    """The estimates of a table as dots with bars over their intervals.

    Attributes:
        table: A row a name, of the cells before its first estimate.
        columns: Heads of the columns that are drawn, at most three.
        x: Name and unit of the estimates.
        reference: The value that says nothing, a dotted line.
        limits: What the axis shows; all intervals where None.
        caption: What to see.
    """

    table: Table
    columns: tuple[str, ...]
    x: str
    reference: float
    limits: tuple[float, float] | None = None
    caption: str = ""

    def figure(self) -> Figure:
        """The chart as a figure of an HTML page.

        Raises:
            MissingExtraError: plotly is not installed.
        """
        from axonometry.report.intervals import intervals, series_keys

        rows = []
        for column in self.columns:
            place = self.table.columns.index(column)
            for row in self.table.rows:
                name = ", ".join(map(str, takewhile(lambda cell: not isinstance(cell, Estimate), row)))
                if isinstance(one := row[place], Estimate):
                    rows.append((name, column, one.value, one.low, one.high))
        frame = pd.DataFrame(rows, columns=["name", "series", "value", "low", "high"])
        panel = intervals(frame, x=self.x, reference=self.reference, limits=self.limits)
        if frame["name"].str.len().max() > LONG:  # such names stand in two lines
            panel = replace(panel, height=max(panel.height, 4 + 2.5 * frame["name"].nunique()))
        legend = series_keys(list(self.columns)) if len(self.columns) > 1 else ()
        caption = f"{self.caption} Bars are 95% intervals.".strip()
        return Figure(self.table.title, (panel,), caption, legend=legend, arrangement="wide")
