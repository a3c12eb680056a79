"""``axonometry catalogue``: all measures compared on networks that are there."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axonometry.cli import terminal
from axonometry.cli.experiment import Markdown, show_results, write_results
from axonometry.cli.options import Data, Json, Network, Report

if TYPE_CHECKING:
    from axonometry.populations import Population


def catalogue_command(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of runs, a population each.")],
    *,
    only: Annotated[list[str] | None, typer.Option(help="Only this section; repeatable.")] = None,
    score: Annotated[str, typer.Option(help="The scalar that networks are compared by, the higher the better.")] = (
        "accuracy"
    ),
    least: Annotated[float, typer.Option(help="Final score from which on a network has learned.")] = 0.2,
    samples: Annotated[int, typer.Option(min=0, help="Test inputs for measures of samples; 0 for none.")] = 200,
    draws: Annotated[int, typer.Option(min=2, help="Null draws.")] = 20,
    tables: Annotated[Path, typer.Option(help="Folder of what is computed, which is not computed again.")] = (
        Path("runs/catalogue")
    ),
    network: Network = None,
    report: Report = None,
    table: Markdown = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Compare all measures on populations of runs: with each other, with accuracy and generalisation gap, with chance.

    Networks of several architectures in one folder are a population each. Nothing is trained. Networks that learned
    nothing are left out.
    """
    with terminal.progress("Opening runs") as move:
        from axonometry.experiments import run_on
        from axonometry.experiments.catalogue import CATALOGUE_COMPARED, CatalogueOptions
        from axonometry.populations import load_population

        options = CatalogueOptions(score=score, least=least, samples=samples, draws=draws)
        populations: dict[str, Population] = {}
        for folder in folders:
            populations |= _parts(load_population(folder, network=network, leave_out=True), folder.resolve().name)
        results = run_on(
            CATALOGUE_COMPARED, populations, tables=tables, options=options, data=data, only=only or (), progress=move
        )
        # All that changes a number on the page; places of data and of kept tables do not.
        asked = {"score": score, "least": least, "samples": samples, "draws": draws, "network": network}
        words = [f"--{name}={value}" for name, value in asked.items() if value is not None]
        words += [f"--only={name}" for name in only or ()]
        command = shlex.join(["axonometry", "catalogue", *map(str, folders), *words])
        write_results(results, command, table=table, report=report)
    show_results(results, command, as_json=as_json)
    for path in filter(None, (table, report)) if not as_json else ():
        terminal.note(f"Wrote {path}")
    if any(population.corrupt for population in populations.values()):
        raise typer.Exit(terminal.PARTIAL)


def _parts(population: Population, title: str) -> dict[str, Population]:
    """The population by architecture, with the number of it where there are several."""
    from dataclasses import replace

    from axonometry.report.runs import by_architecture

    parts = by_architecture(population, list(population.runs))
    return {
        title if len(parts) == 1 else f"{title} {number}": replace(
            population, runs={name: population.runs[name] for name in names}
        )
        for number, names in enumerate(parts, 1)
    }
