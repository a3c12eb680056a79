"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Report = Annotated[Path | None, typer.Option(help="Output file for an HTML page.")]
Data = Annotated[Path | None, typer.Option(help="Folder of the image data.", envvar="AXONOMETRY_DATA")]
RunPaths = Annotated[list[Path], typer.Argument(help="Run folders, or folders of runs.")]
