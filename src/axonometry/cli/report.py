"""``axonometry report``: the page of any folder of runs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Json, Network, output

if TYPE_CHECKING:
    from axonometry.populations import Population

NAMED = 10
"""Runs that a note names; of more it tells the number."""


def report_command(
    folder: Annotated[Path, typer.Argument(help="Folder of runs, with all subfolders.")],
    *,
    report: Annotated[Path, typer.Option(callback=output, help="Output file for the HTML page.")] = Path("report.html"),
    score: Annotated[str, typer.Option(help="The scalar by which runs are ordered and binned.")] = "accuracy",
    edge: Annotated[list[float] | None, typer.Option(help="Edge of a bin of the score; repeatable, ascending.")] = None,
    network: Network = None,
    as_json: Json = False,
) -> None:
    """Write the page of a folder of runs, recorded in any training loop.

    Runs of several architectures fall into parts. Runs that are not finished, have no score or cannot be read are left
    out and named; where some cannot be read, the exit code is 3.
    """
    with terminal.progress("Opening runs") as move:
        from axonometry.populations import load_population
        from axonometry.report.runs import by_architecture, runs_page
        from axonometry.report.study import scored
        from axonometry.trajectory.folders import run_folders

        run_folders(folder)
        population = load_population(folder, network=network, leave_out=True)
        known, absent = scored(population, score)
        move(0, len(known), f"Writing {report}")
        runs_page(population, edges=edge, command=_command(folder, report, score, network), score=score).write(report)
    facts = {"runs": len(known), "architectures": len(by_architecture(population, list(known.index)))}
    if as_json:
        left_out = [{"run": name, "why": why} for name, why in absent]
        terminal.show_json({"report": report, "score": score, **facts, "left_out": left_out})
    else:
        several = f" of {facts['architectures']} architectures" if facts["architectures"] > 1 else ""
        terminal.say(f"{len(known)} runs{several}, by {score}.")
    _say_left_out(absent, population)
    terminal.note(f"Wrote {report}: open it in a browser.")
    if population.corrupt:
        raise typer.Exit(terminal.PARTIAL)


def _say_left_out(absent: list[tuple[str, str]], population: Population) -> None:
    if absent:
        names = ", ".join(f"{name} ({why})" for name, why in absent[:NAMED])
        more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
        count = len(population) + len(population.unfinished) + len(population.corrupt)
        terminal.note(f"{len(absent)} of {count} runs are left out: {names}{more}.")


def _command(folder: Path, report: Path, score: str, network: str | None) -> str:
    words = ["axonometry", "report", str(folder), "--report", str(report)]
    words += ["--score", score] if score != "accuracy" else []
    return shlex.join(words + (["--network", network] if network else []))
