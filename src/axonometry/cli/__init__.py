"""The command line: functions here parse, call and print, and import torch only when a command runs."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from axonometry.cli import (
    analyze,
    basins,
    catalogue,
    checkpoints,
    demo,
    difference,
    experiment,
    manifest,
    modes,
    predict,
    report,
    runs,
    runs_import,
    terminal,
    verify,
    watch,
    zoo,
)
from axonometry.errors import AxonometryError
from axonometry.papers import PAPERS
from axonometry.version import __version__

app = typer.Typer(
    name="axonometry",
    help="Measure neural networks in training as weighted directed graphs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo_command)
app.command("report")(report.report_command)
app.command("watch")(watch.watch_command)
app.command("analyze")(analyze.analyze_command)
app.command("diff")(difference.diff_command)
app.command("manifest")(manifest.manifest_command)
app.command("verify")(verify.verify_command)
app.command("summary")(checkpoints.summary_command)
app.command("basins")(basins.basins_command)
app.command("modes")(modes.modes_command)
runs.app.command("import")(runs_import.import_command)
app.command("catalogue")(catalogue.catalogue_command)
app.add_typer(runs.app, name="runs")
app.add_typer(predict.app, name="predict")
app.add_typer(zoo.app, name="zoo")
app.command("paper", help=experiment.PAPER)(experiment.command("NAME", f"Of the paper: {', '.join(PAPERS)}."))
app.command("experiment", help=experiment.EXPERIMENT)(
    experiment.command("FILE.py:NAME", "A variable of a file, an Experiment.")
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after ``axonometry``; the process's own where None.

    Returns:
        The exit code: 0, 1 where a check found something, 2 for bad input, 3 for a part only, 130 after Ctrl-C.

    Raises:
        OSError: The system failed in a way that has nothing to do with a file.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    empty = next((word for word in words if not word or "\0" in word or re.fullmatch(r"--[\w-]+=", word)), None)
    if empty is not None:  # no name of a file, and no value of an option; the name "" would be the folder one is in
        return terminal.fail(f"an argument is a text without NUL; got {empty!r}. Leave it out, or write what you mean.")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn  # type: ignore[assignment]  # it needs the message alone
            code = app(words, prog_name="axonometry", standalone_mode=False)
    except (typer.TyperException, AxonometryError) as error:
        return terminal.fail(error.format_message() if isinstance(error, typer.TyperException) else str(error))
    except OSError as error:
        if error.filename is None:
            raise
        return terminal.fail(f"{error.filename}: {error.strerror}")
    except terminal.Ended as error:
        terminal.note(str(error))
        return terminal.INTERRUPTED
    except KeyboardInterrupt:
        code = terminal.INTERRUPTED
    if code == terminal.INTERRUPTED:
        terminal.note("Interrupted. Finished work is kept; the same command resumes.")
    return code or 0


def _warn(message: Warning | str, *_: object) -> None:
    """A warning as a note of one line: Python would write file and line of ours, and names of layers as they are."""
    terminal.note(f"Warning: {' '.join(str(message).split())}")


def _version(asked: bool | None) -> None:
    if asked:
        terminal.say(f"axonometry {__version__}")
        raise typer.Exit


def _import(places: list[str] | None) -> None:
    if places:
        from axonometry.importing import import_parts

        for place in places:
            import_parts(place)


@app.callback()
def _options(
    *,
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = None,
    imports: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="FILE.py",
            callback=_import,
            help="A file, or module, that registers data sets, networks, optimisers; it is run. May be repeated.",
        ),
    ] = None,
) -> None:
    pass
