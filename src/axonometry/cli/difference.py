"""``axonometry diff``: what changed between two checkpoints, or along many."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Json, Report
from axonometry.errors import CheckpointError, ConfigurationError
from axonometry.progress import silent

if TYPE_CHECKING:
    from axonometry.checkpoints import Checkpoint
    from axonometry.checkpoints.difference import TensorChange
    from axonometry.progress import Progress

SHOWN = 40
HEADS = ("tensor", "shape", "dtype", "relative", "cosine", "changed", "flipped", "rank")
TITLE = "What moved, most first: change relative to the norm before, shares of entries that changed and of signs"
MANY = "Each checkpoint: change of all weights relative to the one before, and to the first"


def diff_command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Two checkpoints, the one before first, or more; FOLDER@STEP for a step of a run; a folder of steps.",
            show_default=False,
        ),
    ],
    *,
    ranks: Annotated[bool, typer.Option("--ranks", help="Rank of each matrix's change; takes longer.")] = False,
    align: Annotated[
        bool,
        typer.Option("--align", help="Neurons exchanged as those of the first stand; by config.json or --network."),
    ] = False,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:NAME", help="Gives the network and an example; its code is run. Implies --align."
        ),
    ] = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Show what changed between two checkpoints: tensors that came, went or moved, those that moved most first.

    Of more than two, how far each is from the one before and from the first. The exit code is 3 if a tensor of a file
    could not be read.
    """
    places = _checkpoints(paths)
    found: dict[str, Any]
    with terminal.progress("Comparing") as move:
        if len(places) == 2:
            found = _of_two(
                places[0], places[1], move, ranks=ranks, align=align or network is not None, network=network
            )
        elif ranks or align or network is not None:
            raise ConfigurationError(
                "--ranks, --align and --network are of two checkpoints", f"{len(places)} checkpoints", "Pass two"
            )
        else:
            found = _of_many(places, move)
    if as_json:
        terminal.show_json(found)
    elif "steps" in found:
        _show_many(found)
    else:
        _show(found)
    if report is not None:
        from axonometry.report.differences import difference_page

        asked = [*(["--ranks"] if ranks else []), *(["--align"] if align else [])]
        asked += [] if network is None else ["--network", network]
        command = shlex.join(["axonometry", "diff", *map(str, paths), *asked, "--report", str(report)])
        difference_page(found, command=command).write(report)
        terminal.note(f"Wrote {report}")
    if found["unread"]:
        raise typer.Exit(terminal.PARTIAL)


def _checkpoints(paths: Sequence[Path]) -> list[Path]:
    """What is compared: the steps of one folder, or of several paths each as a checkpoint; of a run its last step."""
    from axonometry.checkpoints.sequence import RUN, sequence, step_of_run

    named = [step_of_run(path) or path for path in paths]
    if len(named) == 1:
        found = [item.path for item in sequence(named)]
        if len(found) < 2:
            raise CheckpointError("a diff is of two checkpoints or more", f"one, {found[0]}", "Name another one")
        return found
    return [step_of_run(f"{path}@last") or path if (path / RUN).is_dir() else path for path in named]


def _of_two(
    first: Path, second: Path, move: Progress, *, ranks: bool = False, align: bool = False, network: str | None = None
) -> dict[str, Any]:
    from axonometry.checkpoints import open_checkpoint
    from axonometry.checkpoints.difference import changes, pair, whole_change

    before, now = open_checkpoint(first), open_checkpoint(second)
    pairing = pair(before, now)
    aligned = _aligned(before, now, network) if align else None
    rows: list[TensorChange] = []
    for one in changes(before, now, pairing, ranks=ranks, aligned=None if aligned is None else aligned.arrays):
        rows.append(one)
        move(len(rows), len(pairing.pairs), f"Comparing {one.tensor}")
    relative, cosine = whole_change(rows) if rows else (math.nan, math.nan)
    found = {
        "first": first,
        "second": second,
        "removed": pairing.removed,
        "added": pairing.added,
        "reshaped": [{"tensor": name, "first": a, "second": b} for name, a, b in pairing.reshaped],
        "prefixes": pairing.prefixes,
        "identical": sum(row.identical for row in rows),
        "relative": relative,
        "cosine": cosine,
        "unread": [*before.unread, *now.unread],
        "tensors": [asdict(one) | {"shape": "x".join(map(str, one.shape))} for one in rows],
    }
    return found if aligned is None else {**found, "exchanged": aligned.exchanged, "axes": aligned.axes}


def _aligned(before: Checkpoint, now: Checkpoint, place: str | None) -> Any:
    from axonometry.checkpoints.alignment import align_checkpoints
    from axonometry.checkpoints.hub_network import hub_network
    from axonometry.cli.checkpoint_graph import network_without_weights

    network = hub_network(before.path) if place is None else network_without_weights(place)
    if network is None:
        rule = "neurons are aligned in a network that is known"
        raise ConfigurationError(rule, f"{before.path}, which does not say its own", "Pass --network FILE.py:NAME")
    return align_checkpoints(before, now, *network)


def _of_many(places: Sequence[Path], move: Progress) -> dict[str, Any]:
    """Each beside the one before and beside the first."""
    steps: list[dict[str, Any]] = []
    unread: dict[str, None] = {}
    for number, path in enumerate(places[1:], 1):
        before = _of_two(places[number - 1], path, silent)
        first = before if number == 1 else _of_two(places[0], path, silent)
        unread |= dict.fromkeys(before["unread"])
        # what was 0 before has moved infinitely far, and says little
        most = max(before["tensors"], key=lambda row: (math.isfinite(row["relative"]), _size(row)), default=None)
        steps.append(
            {
                "path": path,
                "identical": before["identical"],
                "other": len(before["removed"]) + len(before["added"]) + len(before["reshaped"]),
                "relative": before["relative"],
                "cosine": before["cosine"],
                "from_first": first["relative"],
                "cosine_first": first["cosine"],
                "moved_most": most["tensor"] if most is not None and not most["identical"] else "",
                "tensors": before["tensors"],
            }
        )
        move(number, len(places) - 1, f"Comparing {path.name}")
    return {"first": places[0], "steps": steps, "unread": list(unread)}


def _show_many(found: dict[str, Any]) -> None:
    terminal.say(terminal.printable(f"{len(found['steps'])} checkpoints beside {found['first']}"))
    heads = ("path", "relative", "cosine", "from_first", "cosine_first", "moved_most", "identical", "other")
    alike = len({path.parent for path in (found["first"], *(step["path"] for step in found["steps"]))}) == 1
    rows = [
        [step["path"].name if alike else str(step["path"]), *(step[head] for head in heads[1:])]
        for step in found["steps"]
    ]
    terminal.show_table(("checkpoint", *heads[1:]), rows, MANY, spare=("other", "identical", "cosine_first"))


def _show(found: dict[str, Any]) -> None:
    rows = sorted((row for row in found["tensors"] if not row["identical"]), key=_size, reverse=True)
    parts = [f"{len(rows)} tensor{'s' * (len(rows) != 1)} moved", f"{found['identical']} are identical"]
    parts += [f"{len(found[key])} {key}" for key in ("removed", "added", "reshaped") if found[key]]
    terminal.say(terminal.printable(f"{found['first']} → {found['second']}: {', '.join(parts)}"))
    if rows:
        terminal.say(f"  all weights: change {found['relative']:.4g} times their norm, cosine {found['cosine']:.4g}")
    if "exchanged" in found:
        terminal.say(f"  neurons of the second exchanged along {found['exchanged']} of {found['axes']} axes of tensors")
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
        heads = [head for head in HEADS if any(row[head] is not None for row in rows)]
        terminal.show_table(heads, [[row[head] for head in heads] for row in rows], TITLE, spare=("dtype", "shape"))


def _size(row: dict[str, Any]) -> float:
    return -1.0 if math.isnan(row["relative"]) else float(row["relative"])
