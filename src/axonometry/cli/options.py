"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axonometry.files import require_writable


def output(path: Path | None) -> Path | None:
    """An output file, refused before any work is done where it could not be written at the end.

    Raises:
        WriteError: It could not be written.
    """
    if path is not None:
        require_writable(path)
    return path


Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")]
Report = Annotated[Path | None, typer.Option(callback=output, help="Output file for an HTML page.")]
Data = Annotated[Path | None, typer.Option(help="Folder of the image data.", envvar="AXONOMETRY_DATA")]
RunPaths = Annotated[list[Path], typer.Argument(help="Run folders, or folders of runs.")]
Network = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="FILE.py:NAME",
        help="The network of runs of an own loop: a module, or a class or function whose parameters are keys of the "
        'configuration; "recorded" for where the run says it is. Its code is run.',
    ),
]
