"""``axonometry experiment``: an experiment of a Python file, from training to report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Data, Json, Report

if TYPE_CHECKING:
    from axonometry.experiments import Experiment, Results

ScaleName = Annotated[str, typer.Option(help="Scale: tiny, small, full, or another one of the experiment.")]
Only = Annotated[list[str] | None, typer.Option(help="Only this section and its networks; repeatable.")]
Folder = Annotated[Path | None, typer.Option(help="Folder of the runs; runs/NAME by default.", show_default=False)]
MarkdownFile = Annotated[
    Path | None, typer.Option("--table", help="Output file for Markdown; charts are written beside it.")
]
Seeds = Annotated[int | None, typer.Option(min=1, help="Number of seeds; that of the scale by default.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Number of processes; for training one per core by default.")]


def experiment(
    place: Annotated[
        str, typer.Argument(metavar="FILE.py:NAME", help="The file, and the experiment's variable in it.")
    ],
    *,
    scale: ScaleName = "small",
    only: Only = None,
    folder: Folder = None,
    report: Report = None,
    table: MarkdownFile = None,
    as_json: Json = False,
    seeds: Seeds = None,
    workers: Workers = None,
    data: Data = None,
) -> None:
    """Run an experiment that a Python file declares: train, measure, judge its claims, write its pages.

    Runs that are there already are not trained again. The file is executed. examples/experiment.py is one.
    """
    options = {"scale": scale, "only": only, "folder": folder, "seeds": seeds, "workers": workers, "data": data}
    carry_through(f"experiment {place}", lambda: _load(place), options, report=report, table=table, as_json=as_json)


def _load(place: str) -> Experiment:
    from axonometry.experiments.loading import load_experiment

    return load_experiment(place)


def carry_through(
    command: str,
    load: Callable[[], Experiment],
    options: Mapping[str, Any],
    *,
    report: Path | None,
    table: Path | None,
    as_json: bool,
) -> None:
    """Run an experiment and show what it found.

    Args:
        command: ``paper NAME`` or ``experiment FILE.py:NAME``.
        load: Gives the experiment.
        options: Of :func:`axonometry.experiments.run`.
        report: Where the HTML page goes.
        table: Where the Markdown page goes.
        as_json: Whether JSON is printed in place of tables.
    """
    with terminal.progress("Starting") as move:
        from axonometry.experiments import plain, results_page, run, write_markdown

        found = load()
        chosen = {**options, "only": options["only"] or (), "folder": options["folder"] or Path("runs") / found.name}
        results = run(found, **chosen, progress=move)
        words = " ".join(["axonometry", command, *_repeated(options)])
        if table is not None:
            write_markdown(results, table, command=f"{words} --table {table}")
        if report is not None:
            results_page(results, command=f"{words} --report {report}").write(report)
    if as_json:
        terminal.show_json(plain(results))
    else:
        _show(results)
        for path in filter(None, (table, report)):
            terminal.note(f"Wrote {path}")
        terminal.note(f"{results.trained} networks trained, {results.seconds / 60:.1f} minutes in all.")


def _repeated(options: Mapping[str, Any]) -> Iterable[str]:
    """The options that decide what is found, as words of the command."""
    yield f"--scale {options['scale']}"
    yield from (f"--only {name}" for name in options["only"] or ())
    if options["seeds"]:
        yield f"--seeds {options['seeds']}"


def _show(results: Results) -> None:
    for name, section in results.sections.items():
        rows = [(claim.verdict, claim.words, claim.numbers) for claim in section.claims]
        if rows:
            terminal.show_table(("verdict", "claim", "numbers"), rows, f"{name}: {section.title}", spare=("numbers",))
    if results.not_run:
        terminal.note(f"Not run in this call: {', '.join(results.not_run)}.")
