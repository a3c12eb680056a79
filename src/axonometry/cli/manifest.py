"""``axonometry manifest``: checksums of files and tensors, written and checked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Json, output


def manifest_command(
    path: Annotated[Path, typer.Argument(help="Checkpoint file or folder, or a folder of steps.", show_default=False)],
    *,
    out: Annotated[Path | None, typer.Option(callback=output, help="Output file; stdout if left out.")] = None,
    check: Annotated[Path | None, typer.Option(metavar="FILE", help="Compare with this manifest instead.")] = None,
    as_json: Json = False,
) -> None:
    """Write the SHA-256 of every file and tensor of a checkpoint, or compare them with such a manifest.

    With --check, the exit code is 1 if a file or a tensor is missing, was added, or has other content.
    """
    from axonometry.checkpoints.manifest import compare, manifest, read_manifest
    from axonometry.files import write_text

    expected = None if check is None else read_manifest(check)
    with terminal.progress("Reading") as move:
        found = manifest(path, leave_out=check or out, progress=move)
    if expected is not None:
        _show([asdict(one) for one in compare(expected, found)], found, as_json=as_json)
    elif out is None:
        terminal.show_json(found)
    else:
        write_text(out, json.dumps(found, indent=1) + "\n", parents=True)
        terminal.note(f"Wrote {out}")


def _show(differences: list[dict[str, Any]], found: dict[str, Any], *, as_json: bool) -> None:
    files, tensors = len(found["files"]), sum(map(len, found["tensors"].values()))
    if as_json:
        terminal.show_json({"files": files, "tensors": tensors, "differences": differences})
    elif differences:
        terminal.show_table(("what", "problem"), (row.values() for row in differences))
    if not as_json:
        what = f"{len(differences)} differ from the manifest" if differences else "all as the manifest says"
        terminal.say(f"{files:,} file{'s' * (files != 1)}, {tensors:,} tensors: {what}.")
    if differences:
        raise typer.Exit(terminal.FOUND)
