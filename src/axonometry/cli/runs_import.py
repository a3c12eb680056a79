"""``axonometry runs import``: trainings that another tool logged, as runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Json
from axonometry.cli.run_table import run_row, show_runs
from axonometry.errors import AxonometryError, ConfigurationError


def import_command(
    exports: Annotated[
        list[Path],
        typer.Argument(
            help="TensorBoard event folders, W&B offline folders or .wandb files, or CSV tables with steps."
        ),
    ],
    *,
    folder: Annotated[Path, typer.Option(help="Where the runs go, a folder each.")] = Path("runs"),
    name: Annotated[
        list[str] | None,
        typer.Option(help="THERE=HERE: what a scalar is called here, such as top1=accuracy; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make runs of trainings that TensorBoard, W&B or a table has, to predict from and to look at.

    An export's run is named after it, and after its folder too where several are called alike. One that cannot be read
    is named, the others go on, and the exit code is 3.
    """
    names = dict(map(_pair, name or []))
    made, problems = [], []
    with terminal.progress("Starting") as move:
        from axonometry.integrations.exports import import_run

        for done, (export, called) in enumerate(zip(exports, _run_names(exports), strict=True)):
            move(done, len(exports), f"Reading {export}")
            try:
                run = import_run(export, folder / called, names=names)
                made.append(run_row(run.folder, folder))
            except AxonometryError as error:
                problems.append({"export": str(export), "problem": str(error)})
    if not made and len(problems) == 1:
        raise ConfigurationError(problems[0]["problem"])
    if as_json:
        terminal.show_json({"runs": made, "left_out": problems})
    else:
        show_runs(made, folder, as_json=False)
        for one in problems:
            terminal.note(f"Left out: {one['problem']}")
    if problems:
        raise typer.Exit(terminal.PARTIAL if made else terminal.BAD_INPUT)


def _run_names(exports: Sequence[Path]) -> list[str]:
    """What each export's run is called: ``version_0-metrics`` where there is a ``version_1/metrics.csv`` as well.

    >>> _run_names([Path("version_0/metrics.csv"), Path("version_1/metrics.csv"), Path("other.csv")])
    ['version_0-metrics', 'version_1-metrics', 'other']
    """
    paths = [export.resolve() for export in exports]
    names = [path.name if path.is_dir() else path.stem for path in paths]
    return [
        f"{path.parent.name}-{name}" if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)
    ]


def _pair(words: str) -> tuple[str, str]:
    there, _, here = words.partition("=")
    if not there or not here:
        raise ConfigurationError("--name is THERE=HERE", words, "Such as --name top1=accuracy")
    return there, here
