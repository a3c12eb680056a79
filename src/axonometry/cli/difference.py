"""``axonometry diff``: what changed between two checkpoints."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Json

SHOWN = 40


def diff_command(
    first: Annotated[Path, typer.Argument(help="The checkpoint before: a file or a folder.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="The checkpoint now.", show_default=False)],
    *,
    ranks: Annotated[bool, typer.Option("--ranks", help="Rank of each matrix's change; takes longer.")] = False,
    as_json: Json = False,
) -> None:
    """Show what changed between two checkpoints: tensors that came, went or moved, those that moved most first.

    The exit code is 3 if a tensor of a file could not be read.
    """
    from axonometry.checkpoints import open_checkpoint
    from axonometry.checkpoints.difference import changes, pair

    before, now = open_checkpoint(first), open_checkpoint(second)
    pairing = pair(before, now)
    rows = []
    with terminal.progress("Comparing") as move:
        for one in changes(before, now, pairing, ranks=ranks):
            rows.append(asdict(one) | {"shape": "x".join(map(str, one.shape))})
            move(len(rows), len(pairing.pairs), f"Comparing {one.tensor}")
    found = {
        "first": first,
        "second": second,
        "removed": pairing.removed,
        "added": pairing.added,
        "reshaped": [{"tensor": name, "first": a, "second": b} for name, a, b in pairing.reshaped],
        "prefixes": pairing.prefixes,
        "identical": sum(row["identical"] for row in rows),
        "unread": [*before.unread, *now.unread],
        "tensors": rows,
    }
    if as_json:
        terminal.show_json(found)
    else:
        _show(found)
    if found["unread"]:
        raise typer.Exit(terminal.PARTIAL)


def _show(found: dict[str, Any]) -> None:
    rows = sorted((row for row in found["tensors"] if not row["identical"]), key=_size, reverse=True)
    parts = [f"{len(rows)} tensor{'s' * (len(rows) != 1)} moved", f"{found['identical']} are identical"]
    parts += [f"{len(found[key])} {key}" for key in ("removed", "added", "reshaped") if found[key]]
    terminal.say(terminal.printable(f"{found['first']} → {found['second']}: {', '.join(parts)}"))
    if found["prefixes"] is not None:
        old, new = found["prefixes"]
        terminal.say(terminal.printable(f"  names that begin with {old!r} begin with {new!r} now"))
    for key in ("removed", "added"):
        if found[key]:
            more = f" and {len(found[key]) - SHOWN} more" if len(found[key]) > SHOWN else ""
            terminal.say(terminal.printable(f"  {key}: {', '.join(found[key][:SHOWN])}{more}"))
    for one in found["reshaped"][:SHOWN]:
        terminal.say(terminal.printable(f"  reshaped: {one['tensor']} from {one['first']} to {one['second']}"))
    if rows:
        heads = [head for head in ("tensor", "shape", "dtype", "relative", "cosine", "changed", "flipped", "rank")
                 if any(row[head] is not None for row in rows)]  # fmt: skip
        title = (
            "What moved, most first: change relative to the norm before, shares of entries that changed and of signs"
        )
        terminal.show_table(heads, [[row[head] for head in heads] for row in rows], title, spare=("dtype", "shape"))


def _size(row: dict[str, Any]) -> float:
    return -1.0 if math.isnan(row["relative"]) else float(row["relative"])
