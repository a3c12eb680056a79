"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

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


@contextmanager
def executor_at(dask: str | None, workers: int | None) -> Iterator[dict[str, Any]]:
    """Who trains, as arguments of :func:`axonometry.populations.train_population`.

    Args:
        dask: A scheduler's address, or "local"; None for local processes.
        workers: Number of processes.
    """
    if dask is None:
        yield {"workers": workers}
        return
    from axonometry.integrations.dask import dask_executor

    with dask_executor(dask, workers) as executor:
        yield {"executor": executor}


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
Dask = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help='Train on a Dask cluster: its scheduler\'s address, as tcp://HOST:PORT, or "local" for one of --workers '
        "processes on this machine.",
    ),
]
