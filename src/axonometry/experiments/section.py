"""What an experiment says: claims, tables and figures, in sections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from axonometry.experiments.claims import VERDICTS, Claim
from axonometry.report.charts import IntervalChart, LineChart, MatrixChart
from axonometry.report.page import Block, Table
from axonometry.report.population import join_words


def counts(claims: Iterable[Claim]) -> dict[str, int]:
    """How many claims have each verdict, those that none has left out."""
    found = Counter(claim.verdict for claim in claims)
    return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}


def cross_table(title: str, corner: str, cells: Mapping[tuple[str, str], object], caption: str = "") -> Table:
    """The table of cells by row and column, in the order in which these come first; a dash where there is none.

    Args:
        title: Its heading.
        corner: Head of the first column, the rows' names.
        cells: By names of row and column: estimates, numbers or texts.
        caption: What to see.

    >>> cross_table("Scores", "features", {("graph", "R²"): 0.5, ("curve", "R²"): 0.4, ("curve", "AUC"): 0.7}).rows
    (('graph', 0.5, '–'), ('curve', 0.4, 0.7))
    """
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    body = tuple((row, *(cells.get((row, column), "–") for column in columns)) for row in rows)
    return Table((corner, *columns), body, title, caption)


def in_words(name: str) -> str:
    """A name of the code, as words: ``node_strength`` is "node strength"."""
    return name.replace("_", " ")


def listed(names: Iterable[str]) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"]), listed([])
    ('a, b and c', 'none')
    """
    return join_words(list(names)) or "none"


Drawn = Callable[[], Iterable[Block]]
"""Blocks of an HTML page, drawn when the page is: an experiment without a page needs no plotly."""


@dataclass(frozen=True)
class Section:
    """One question of an experiment, answered.

    Attributes:
        title: The question.
        setup: What was trained and measured for it.
        claims: With their verdicts.
        tables: A cell is a text, a number or an :class:`Estimate`.
        figures: Charts, and what is drawn for the HTML page alone.
    """

    title: str
    setup: str = ""
    claims: tuple[Claim, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[LineChart | IntervalChart | MatrixChart | Drawn, ...] = ()
