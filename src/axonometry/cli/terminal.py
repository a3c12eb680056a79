"""Output to the terminal: tables and JSON on stdout; progress bars, notes and errors on stderr."""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress as Display,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from axonometry.progress import Progress

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import JustifyMethod

FOUND = 1
BAD_INPUT = 2
PARTIAL = 3
INTERRUPTED = 130

# Outside a terminal a table is as wide as its content, so that grep and awk see complete lines.
_UNLIMITED = 10_000
LONG = 500
"""Rows from which a table is laid out here."""


class Ended(Exception):  # noqa: N818 - nothing failed
    """Ctrl-C where that is how a command ends; its text is what to say."""


@contextmanager
def progress(message: str) -> Iterator[Progress]:
    """A progress bar on stderr that disappears when the block ends; none where stderr is not a terminal.

    Args:
        message: Description until the first call.

    Yields:
        The callback that moves the bar.
    """
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    shown = console.is_terminal
    with Display(*columns, console=console, transient=True, expand=True, disable=not shown) as display:
        task = display.add_task(printable(message), total=None)

        def move(done: int, total: int, message: str) -> None:
            display.update(task, completed=done, total=total, description=printable(message))

        yield move


def say(text: str) -> None:
    """Print one line on stdout."""
    print(printable(text, keep="\n"))


def note(text: str) -> None:
    """Print one line on stderr."""
    print(printable(text), file=sys.stderr)


def printable(text: str, *, keep: str = "") -> str:
    r"""Text without what a terminal obeys or cannot show: names come from files that anybody may have written.

    Control characters, marks that turn the direction of text, and lone surrogates are written as escapes.

    Args:
        text: What is to be shown.
        keep: Control characters that stay.

    >>> printable("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    """
    if text.translate(dict.fromkeys(map(ord, keep))).isprintable():  # 12 million characters of JSON, say
        return text
    return "".join(char if char in keep or not _obeyed(char) else ascii(char)[1:-1] for char in text)


def _obeyed(char: str) -> bool:
    # Cc control, Cf direction and joiners, Cs surrogates, Zl and Zp ends of line
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def fail(text: str) -> int:
    """Print an error on stderr in one line.

    Returns:
        The exit code for bad input.
    """
    if text:  # a missing subcommand has already shown its help
        note(f"Error: {' '.join(text.split())}")
    return BAD_INPUT


def show_table(
    columns: Iterable[str], rows: Iterable[Iterable[object]], title: str = "", *, spare: Iterable[str] = ()
) -> None:
    """Print a table on stdout: text to the left, numbers to the right with four significant digits.

    Args:
        columns: The heads.
        rows: A cell per column.
        title: Above the table.
        spare: Columns to leave out where the terminal is too narrow, in this order; a note names them.
    """
    heads, cells, left_out = list(columns), [list(row) for row in rows], []
    if len(cells) > LONG:
        say(_long_table(heads, cells, title))
        return
    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=_UNLIMITED, highlight=False)
    table = _table(heads, cells)
    for name in spare:
        if console.measure(table, options=console.options.update_width(_UNLIMITED)).maximum <= console.width:
            break
        place = heads.index(name)
        left_out.append(heads.pop(place))
        cells = [row[:place] + row[place + 1 :] for row in cells]
        table = _table(heads, cells)
    if left_out:
        note(f"This terminal is too narrow for: {', '.join(left_out)}; --json prints all.")
    with console.capture() as captured:
        console.print(*([Text(printable(title), "bold")] if title else []), table, sep="\n")
    # Rich pads every line to the table's width, and styles the title where there is a terminal.
    print("\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n") + "\n")


def _long_table(heads: list[str], cells: list[list[object]], title: str) -> str:
    """A table of many rows, whose columns are as wide as their widest cell; Rich takes 2 ms a row."""
    from axonometry.cell_text import number

    columns = []
    for index, head in enumerate(heads):
        values = [row[index] for row in cells]
        texts = [printable(head), *(printable(number(value)) for value in values)]
        width = max(map(len, texts))
        right = any(value is not None for value in values) and all(isinstance(v, Real) for v in values if v is not None)
        aligned = [text.rjust(width) if right else text.ljust(width) for text in texts]
        columns.append([aligned[0], "─" * width, *aligned[1:]])
    lines = ("  ".join(row).rstrip() for row in zip(*columns, strict=True))
    return "\n".join([*([printable(title)] if title else []), *lines]) + "\n"


def _table(heads: list[str], cells: list[list[object]]) -> Table:
    from axonometry.cell_text import number

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for index, head in enumerate(heads):
        inside = [row[index] for row in cells if row[index] is not None]
        numeric = bool(inside) and all(isinstance(value, Real) for value in inside)
        longest = max((len(number(value)) for value in inside), default=0)
        justify: JustifyMethod = "right" if numeric else "left"
        shown = Text(printable(head))  # a text, or Rich would read [red] in a layer's name as markup
        table.add_column(shown, justify=justify, no_wrap=numeric, overflow="fold", min_width=min(longest, 24))
    for row in cells:
        table.add_row(*(Text(printable(number(value))) for value in row))
    return table


def show_frame(frame: pd.DataFrame, title: str = "", *, spare: Iterable[str] = ()) -> None:
    """Print a data frame's columns as a table on stdout; its index is not shown.

    Args:
        frame: The rows.
        title: Above the table.
        spare: As for :func:`show_table`.
    """
    rows = frame.astype(object).itertuples(index=False, name=None)
    show_table([str(column) for column in frame.columns], rows, title, spare=[name for name in spare if name in frame])


@contextmanager
def in_place() -> Iterator[Callable[[list[str], list[list[object]], list[str]], None]]:
    """A table on stdout that is drawn again in its place, as high as the terminal.

    Yields:
        What draws it: heads, a cell per column, and lines to put below. Rows that have no room are counted.
    """
    with Live(auto_refresh=False, console=Console(highlight=False), vertical_overflow="crop") as live:

        def draw(heads: list[str], cells: list[list[object]], lines: list[str]) -> None:
            room = max(live.console.height - len(lines) - 4, 1)
            more = [f"and {len(cells) - room} more"] if len(cells) > room else []
            below = (Text(printable(line)) for line in [*more, *lines])
            live.update(Group(_table(heads, cells[:room]), *below), refresh=True)

        yield draw


def thinned_rows(frame: pd.DataFrame, most: int = 24) -> pd.DataFrame:
    """The frame, or at most ``most`` evenly spaced rows of it, the first and the last included."""
    if len(frame) <= most:
        return frame
    note(f"Showing {most} of {len(frame)} steps; --json prints all.")
    return frame.iloc[[round(place * (len(frame) - 1) / (most - 1)) for place in range(most)]]


def show_json(value: object) -> None:
    """Print one JSON document on stdout; NaN and infinity are null."""
    text = json.dumps(json_value(value), indent=2, allow_nan=False, ensure_ascii=False)
    plain = printable(text, keep="\n") == text  # else the escapes are JSON's own
    print(text if plain else json.dumps(json_value(value), indent=2, allow_nan=False))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows as mappings from column to value, for JSON."""
    return [
        dict(zip(frame.columns, row, strict=True)) for row in frame.astype(object).itertuples(index=False, name=None)
    ]


def json_value(value: object) -> Any:
    """The value in JSON's types: numpy's scalars, paths and tuples included, NaN and infinity as null."""
    if isinstance(value, Mapping):
        return {str(key): json_value(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inside) for inside in value]
    if hasattr(value, "item"):  # a scalar of numpy or torch
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
