"""``axonometry paper`` and ``axonometry experiment``: an experiment from training to report."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Dask, Data, Json, Report, executor_at, output
from axonometry.papers import PAPERS

if TYPE_CHECKING:
    from axonometry.experiments import Results

PAPER = (
    "Repeat a paper's experiment: train, measure, say which of its claims hold here.\n\n"
    "Every paper has the scales tiny (a minute on the digits), small (minutes to two hours on two cores), medium (up "
    "to three hours) and full (the paper's sizes). Runs that are there already are not "
    "trained again; with --from, pages are made of kept results.\n\n"
    + "\n\n".join(f"{name}: {about}" for name, about in PAPERS.items())
)
EXPERIMENT = (
    "Run an experiment that a Python file declares: train, measure, judge its claims, write its pages.\n\n"
    "Runs that are there already are not trained again. The file is executed. examples/experiment.py:WIDTHS is one."
)


Markdown = Annotated[Path | None, typer.Option(callback=output, help="Output file for Markdown; charts go beside it.")]


def experiment(
    place: str,
    *,
    scale: Annotated[str | None, typer.Option(help="Its size: tiny, small, full...; small by default.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this section and its networks; repeatable.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Folder of the runs; runs/NAME by default.")] = None,
    report: Report = None,
    table: Markdown = None,
    as_json: Json = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="Number of seeds; that of the scale by default.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; for training one per core by default.")] = None,
    dask: Dask = None,
    data: Data = None,
    kept: Annotated[
        Path | None,
        typer.Option("--from", exists=True, help="Pages of results that --json printed; nothing is trained."),
    ] = None,
) -> None:
    """Run an experiment and show what it found."""
    with terminal.progress("Starting") as move:
        from axonometry.experiments import load_results, run
        from axonometry.experiments.loading import load_experiment
        from axonometry.papers import load_paper

        kind = "experiment" if ":" in place or place.endswith(".py") else "paper"
        found = load_experiment(place) if kind == "experiment" else load_paper(place)
        where = folder or Path("runs") / found.name
        scale = scale or ("small" if "small" in found.scales else next(iter(found.scales)))
        chosen = {"scale": [scale], "only": only or (), "seeds": [seeds] if seeds else ()}
        options = [word for name, values in chosen.items() for value in values for word in (f"--{name}", str(value))]
        command = shlex.join(["axonometry", kind, place, *options])
        if kept is not None:
            results = load_results(kept, found)
            command = str(results.kept["command"])
        else:
            with executor_at(dask, workers) as who:
                results = run(found, scale, folder=where, only=only or (), seeds=seeds, data=data, progress=move, **who)
        write_results(results, command, table=table, report=report)
    show_results(results, command, as_json=as_json)
    for path in filter(None, (table, report)) if not as_json else ():
        terminal.note(f"Wrote {path}")


def command(metavar: str, words: str) -> Callable[..., None]:
    """:func:`experiment` as a command that calls its argument by a name of its own.

    Args:
        metavar: What the argument is called in the help.
        words: What it is.
    """
    signature, made = inspect.signature(experiment, eval_str=True), wraps(experiment)(partial(experiment))
    place, *options = signature.parameters.values()
    place = place.replace(annotation=Annotated[str, typer.Argument(metavar=metavar, help=words)])
    made.__signature__ = signature.replace(parameters=[place, *options])  # type: ignore[attr-defined]
    return made


def write_results(results: Results, command: str, *, table: Path | None, report: Path | None) -> None:
    """Write the pages that are asked for, each with the command that makes it."""
    from axonometry.experiments import results_page, write_markdown

    if table is not None:
        write_markdown(results, table, command=f"{command} --table {shlex.quote(str(table))}")
    if report is not None:
        results_page(results, command=f"{command} --report {shlex.quote(str(report))}").write(report)


def show_results(results: Results, command: str, *, as_json: bool) -> None:
    """Print the claims, or all as JSON; what is to be said beside them, as notes."""
    from axonometry.experiments import plain

    if as_json:
        terminal.show_json(plain(results, command=command))
        return
    for name, section in results.sections.items():
        rows = [(claim.verdict, claim.words, claim.numbers) for claim in section.claims]
        if rows:
            terminal.show_table(("verdict", "claim", "numbers"), rows, f"{name}: {section.title}", spare=("numbers",))
    if results.not_run:
        terminal.note(f"Not run in this call: {', '.join(results.not_run)}.")
    terminal.note(f"{results.trained} networks trained, {results.seconds / 60:.1f} minutes in all.")
