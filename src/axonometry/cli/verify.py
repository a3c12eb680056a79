"""``axonometry verify``: whether checkpoints are the steps of one training run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Json

_FEW, _MANY = "is not what it should be", "are not what they should be"


def verify_command(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Folder of steps; .txt file with a path a line; or steps in order.", show_default=False),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Check that checkpoints are the steps of one training run: none copied, misplaced, foreign, mixed or damaged.

    The exit code is 1 if one is not. Of a run that a Recorder wrote, `axonometry runs verify` compares checksums.
    """
    from axonometry.checkpoints.verification import verify_sequence

    with terminal.progress("Opening") as move:
        found = verify_sequence(paths, progress=move)
    if as_json:
        terminal.show_json(asdict(found))
    else:
        heads = ("step", "moved", "detour", "finding")
        rows = [[step.step, step.moved, step.detour, ", ".join(step.kinds)] for step in found.steps]
        title = "Steps: way from the step before, relative to the weights; squared way over the step to that without it"
        terminal.show_table(heads, rows, title)
        if found.findings:
            told = [[one.step, one.kind, one.text] for one in found.findings]
            terminal.show_table(("step", "finding", "evidence"), told, "Findings")
        count = len({one.step for one in found.findings})
        few = f"{len(found.steps)} checkpoints, {found.moving} of {found.tensors} tensors move"
        what = f"{count} of the steps {_FEW if count == 1 else _MANY}" if count else "one run"
        terminal.say(f"{few}: {what}.")
    if found.findings:
        raise typer.Exit(terminal.FOUND)
