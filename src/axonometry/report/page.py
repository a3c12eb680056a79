"""A page of a report: frozen dataclasses in, one self-contained HTML file out.

The page works offline: styles, scripts and plotly.js (once) are inside it. Its content security policy forbids all
requests and runs only these scripts, which it knows by their hashes: a script that came in with a name would not run.
Without scripts, and in print, text, tables and drawings are complete.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from axonometry.errors import AxonometryError
from axonometry.files import write_text
from axonometry.report import palette
from axonometry.report.render import environment, script_sources, scripts_of_page, unique_slugs

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Prose:
    """Text: paragraphs are separated by a blank line, ``code`` is between backticks.

    >>> Prose("Node strength is the sum of a neuron's weights.")
    Prose(text="Node strength is the sum of a neuron's weights.", title='')
    """

    text: str
    title: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values, after an optional text; ``prominent`` ones are large tiles."""

    items: Mapping[str, object]
    title: str = ""
    text: str = ""
    prominent: bool = False


@dataclass(frozen=True)
class Table:
    """A table that scrolls inside its box and sorts by a click on a column's head.

    Attributes:
        columns: The column heads.
        rows: A cell per column; numbers are shown with four significant digits and sort by their exact value.
        title: Above the table.
        caption: Below the title.
        searchable: Whether a field above it leaves only the rows that hold a text.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""
    caption: str = ""
    searchable: bool = False

    @classmethod
    def of(cls, frame: pd.DataFrame, *, title: str = "", caption: str = "") -> Table:
        """The table of a frame's columns, without its index."""
        rows = tuple(tuple(row) for row in frame.itertuples(index=False, name=None))
        return cls(tuple(str(column) for column in frame.columns), rows, title, caption)


@dataclass(frozen=True)
class Panel:
    """One Plotly figure with a heading and a remark beside it, such as its n.

    Attributes:
        figure: The figure, without a title of its own.
        title: Above it.
        remark: Beside the title.
        height: In rem; 0 for the arrangement's default.
    """

    figure: go.Figure
    title: str = ""
    remark: str = ""
    height: float = 0.0


@dataclass(frozen=True)
class Key:
    """A legend entry: it shows and hides the traces of the ``legendgroup`` ``name`` in all panels of its figure."""

    name: str
    colour: str
    remark: str = ""


@dataclass(frozen=True)
class Figure:
    """Panels with a shared caption, definition and legend.

    Attributes:
        title: Above the panels.
        panels: Drawn when they come into view. Plotly frames get a slider and a play button for the whole figure.
        caption: What the panels show.
        definition: Formula and units.
        legend: Shared by all panels.
        arrangement: ``"grid"``, side by side; ``"wide"``, one below the other; ``"switch"``, one at a time, wide.
        chosen: The panel that a switch shows first.
    """

    title: str
    panels: tuple[Panel, ...]
    caption: str = ""
    definition: str = ""
    legend: tuple[Key, ...] = ()
    arrangement: Literal["grid", "wide", "switch"] = "grid"
    chosen: int = 0


@dataclass(frozen=True)
class Drawing:
    """An SVG drawing that needs no script. ``svg`` is trusted: make it of ``report.svg.element``, which escapes."""

    title: str
    svg: str
    caption: str = ""


@dataclass(frozen=True)
class WeightMap:
    """Treemaps of tensors; a click on one shows its distribution, a search by name enters what it finds.

    Attributes:
        figure: A panel a measure, each with a treemap a checkpoint whose ids are the tensors' names.
        empty: A figure with the axes of a distribution, without traces.
        distributions: By tensor and checkpoint: ``low``, ``high`` and the ``counts`` between them at even distances.
        colours: Of the checkpoints.
    """

    figure: Figure
    empty: go.Figure
    distributions: Mapping[str, Mapping[str, object]]
    colours: tuple[str, ...]


Block = Prose | Facts | Table | Figure | Drawing | WeightMap


@dataclass(frozen=True)
class Tab:
    """Blocks under one name; ``page.html#name`` opens it."""

    name: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """The whole report.

    Attributes:
        title: Heading.
        subtitle: One sentence below it.
        tabs: The first one is open at the start.
        facts: At the foot: what was trained, when, with which software.
        command: The command that writes the page.
    """

    title: str
    subtitle: str
    tabs: tuple[Tab, ...]
    facts: Mapping[str, object] = field(default_factory=dict)
    command: str = ""

    def __post_init__(self) -> None:
        if not self.tabs:
            raise AxonometryError("a page needs at least one tab", "none")

    def html(self) -> str:
        """The page as HTML.

        Raises:
            MissingExtraError: plotly or jinja2 is not installed.
        """
        template = environment().get_template("template.html")
        scripts = scripts_of_page(plotly=self._has_figures())
        slugs = unique_slugs([tab.name for tab in self.tabs])
        return template.render(
            page=self,
            tabs=list(zip(slugs, self.tabs, strict=True)),
            dark=palette.DARK,
            tokens=palette.TOKENS,
            scripts=scripts,
            script_sources=script_sources(scripts.values()),
            version=_version(),
        )

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the page, complete or not at all; missing folders are made.

        Raises:
            WriteError: The file cannot be written.
            MissingExtraError: plotly or jinja2 is not installed.
        """
        target = Path(path)
        text = self.html()
        write_text(target, text, parents=True)
        return target

    def _has_figures(self) -> bool:
        return any(isinstance(block, Figure | WeightMap) for tab in self.tabs for block in tab.blocks)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("axonometry")
    except PackageNotFoundError:
        return ""
