"""What ``axonometry analyze`` and ``summary`` do with files of weights; torch is imported for those of torch only."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Json
from axonometry.errors import ConfigurationError
from axonometry.progress import Progress

if TYPE_CHECKING:
    from axonometry.checkpoints import Checkpoint

UNREAD_SHOWN = 10
SPARE = ("shape", "kurtosis", "skewness", "q25", "q75", "zeros", "norm", "q1", "q99", "count")
"""Columns that a narrow terminal has no room for, the first to go first."""
ANY = "any"


@dataclass(frozen=True)
class Choice:
    """What of a checkpoint is looked at.

    Attributes:
        depth: How many parts of names make a module; None for a row a tensor.
        layers: Patterns of names, of which one has to be met.
        exclude: Patterns of names, of which none may be met.
        spectra: Whether spectral norms are computed.
        graph: Whether measures of the graph are computed.
        network: Where the network is, as ``FILE.py:NAME``.
        histograms: Whether the tensors' histograms are kept, for a page.
    """

    depth: int | None = None
    layers: Sequence[str] = ()
    exclude: Sequence[str] = ()
    spectra: bool = False
    graph: bool = False
    network: str | None = None
    histograms: bool = False


def summary_command(
    paths: Annotated[list[Path], typer.Argument(help="Checkpoint files or folders.", show_default=False)],
    *,
    as_json: Json = False,
) -> None:
    """Say what checkpoints are: architecture, parameters, layers by role, types, size. No weight is read."""
    from axonometry.checkpoints import open_checkpoints
    from axonometry.checkpoints.roles import summary
    from axonometry.checkpoints.sequence import step_of_run

    found = [summary(one) for path in paths for one in open_checkpoints(step_of_run(path) or path).values()]
    if as_json:
        terminal.show_json([one.to_dict() for one in found])
    else:
        for one in found:
            _show_summary(one.to_dict())


def read_checkpoints(path: Path, move: Progress, choice: Choice) -> list[dict[str, Any]]:
    """What is in a checkpoint, or in each of a folder of steps."""
    from axonometry.checkpoints import open_checkpoints
    from axonometry.checkpoints.sequence import step_of_run

    return [_read(one, move, choice) for one in open_checkpoints(step_of_run(path) or path).values()]


def _read(checkpoint: Checkpoint, move: Progress, choice: Choice) -> dict[str, Any]:
    from axonometry.checkpoints.findings import findings
    from axonometry.checkpoints.roles import summary
    from axonometry.checkpoints.scales import NOT_DONE
    from axonometry.checkpoints.survey import chosen_names, survey
    from axonometry.cli.checkpoint_graph import measured_graph

    names = chosen_names(checkpoint.names, choice.layers, choice.exclude)
    facts = []
    for one in survey(checkpoint, names, spectra=choice.spectra, histograms=choice.histograms):
        facts.append(one)
        move(len(facts), len(names), f"Reading {one.name}")
    rows = [one.row() for one in facts]
    found: dict[str, Any] = {
        "path": checkpoint.path,
        "kind": checkpoint.kind,
        "within": ".".join(checkpoint.keys_within),
        "left_out": checkpoint.left_out,
        "unread": [*checkpoint.unread, *(row["tensor"] for row in rows if row["scale"] == NOT_DONE)],
        "code_not_run": checkpoint.code,
        "summary": summary(checkpoint).to_dict(),
        "findings": [asdict(one) for one in findings(facts, checkpoint.tied)],
        "link_weights": rows,
    }
    if choice.histograms:
        found["histograms"] = {one.name: one.histogram for one in facts}
    if choice.graph:
        found["graph"] = asdict(measured_graph(checkpoint, choice.network, move, facts))
    return found if choice.depth is None else found | {"modules": _modules(rows, choice.depth)}


def failing_kinds(asked: Sequence[str]) -> set[str]:
    """The kinds of findings that make a command fail.

    Raises:
        ConfigurationError: There is no such kind.
    """
    if not asked:
        return set()
    from axonometry.checkpoints.findings import KINDS

    for kind in asked:
        if kind not in (ANY, *KINDS):
            raise ConfigurationError(
                "--fail-on names a kind of finding", repr(kind), f"There are: {', '.join(KINDS)}, any"
            )
    return set(KINDS) if ANY in asked else set(asked)


def _modules(rows: Sequence[dict[str, Any]], depth: int) -> list[dict[str, Any]]:
    """Rows of tensors put together by the first parts of their names, in the order of the first of each.

    Means add up by count; the variance of the whole is the mean variance, and the variance of the means.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        parts = re.split(r"[./]", row["tensor"])
        groups.setdefault(".".join(parts[: min(depth, max(1, len(parts) - 1))]), []).append(row)
    return [_module(name, group) for name, group in groups.items()]


def _module(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    known = [(row["count"] - row["nonfinite"], row) for row in rows if row["count"] > row["nonfinite"]]
    n = sum(count for count, _ in known)
    mean = sum(count * row["mean"] for count, row in known) / n if n else math.nan
    variance = sum(count * (row["std"] ** 2 + (row["mean"] - mean) ** 2) for count, row in known) / n if n else math.nan
    return {
        "module": name,
        "tensors": len(rows),
        **{key: sum(row[key] for row in rows) for key in ("count", "nonfinite", "zeros")},
        "mean": mean,
        "std": math.sqrt(variance),
        "minimum": min((row["minimum"] for _, row in known), default=math.nan),
        "maximum": max((row["maximum"] for _, row in known), default=math.nan),
        "norm": math.sqrt(sum(row["norm"] ** 2 for row in rows)),
    }


# showing --------------------------------------------------------------------------------------------------------------


def show_checkpoint(found: dict[str, Any]) -> None:
    """Summary, table, findings, and what was not read."""
    _show_summary(found["summary"])
    rows = found.get("modules", found["link_weights"])
    heads = _heads(rows)
    cells = [[row.get(head) for head in heads] for row in rows]
    terminal.show_table(heads, cells, _title(found), spare=[name for name in SPARE if name in heads])
    if found["findings"]:
        heads = ["finding", "tensor", "what", "threshold", "source", "reference"]
        keys = ("kind", "tensor", "text", "threshold", "source", "reference")
        cells = [[one[key] for key in keys] for one in found["findings"]]
        title = f"Findings in {found['path']} (places to look, not verdicts)"
        terminal.show_table(heads, cells, title, spare=("source", "reference", "threshold"))
    if "graph" in found:
        from axonometry.cli.checkpoint_graph import show_graph

        show_graph(found["graph"], found["path"])
    if found["left_out"]:
        terminal.note(f"Not read from {found['path']}: {', '.join(found['left_out'])}")
    if found["unread"]:
        names = ", ".join(found["unread"][:UNREAD_SHOWN])
        more = len(found["unread"]) - UNREAD_SHOWN
        terminal.note(
            f"Incomplete: {len(found['unread'])} tensors of {found['path']} are missing or are codes without their "
            f"scale: {names}" + (f" and {more} more" if more > 0 else "")
        )


def _heads(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The columns that say something: not a type that all tensors share, nor a count of NaN that is 0 everywhere."""
    heads = list(dict.fromkeys(key for row in rows for key in row))
    silent = {key for key in ("scale", "nonfinite", "zeros") if key in heads and not any(row[key] for row in rows)}
    alike = "dtype" in heads and len({row["dtype"] for row in rows}) == 1
    return [key for key in heads if key not in silent and not (alike and key == "dtype")]


def _title(found: dict[str, Any]) -> str:
    from axonometry.cell_text import number

    rows = found["link_weights"]
    types = {row["dtype"] for row in rows}
    alone = f", {next(iter(types))}" if len(types) == 1 else ""
    count = number(sum(row["count"] for row in rows))
    return f"Link weights of {found['path']} ({found['kind']}{alone}, {count} in all)"


def _show_summary(told: dict[str, Any]) -> None:
    from axonometry.cell_text import number

    kind = ", ".join(part for part in (told["kind"], told["architecture"]) if part)
    beside = f" and {number(told['buffers'])} numbers that are not learned" if told["buffers"] else ""
    types = ", ".join(name if len(told["types"]) == 1 else f"{name} {number(n)}" for name, n in told["types"].items())
    terminal.say(terminal.printable(f"{told['path']}: {kind}"))
    terminal.say(
        f"  {number(told['parameters'])} parameters{beside} in {told['tensors']:,} tensors, {_size(told['bytes'])}"
    )
    if told["names_of"] and not told["architecture"]:
        terminal.say(f"  names as in {told['names_of']}; a config.json beside the file would tell")
    terminal.say(terminal.printable(f"  types: {types}"))
    total = max(1, told["parameters"])
    terminal.say(
        "  roles by name: " + ", ".join(f"{role} {count / total:.1%}" for role, count in told["roles"].items())
    )
    if told["tied"]:
        pairs = [f"{name} = {first}" for name, first in list(told["tied"].items())[:UNREAD_SHOWN]]
        terminal.say(terminal.printable(f"  tied, counted once: {', '.join(pairs)}"))
    terminal.say("")


def _size(count: int) -> str:
    """Bytes in the largest unit of which there is one.

    >>> _size(12), _size(201_326_592)
    ('12 B', '201.3 MB')
    """
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} B"
