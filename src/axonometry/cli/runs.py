"""``axonometry runs``: train many networks, see what is in a folder of runs, check it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonometry.cli import terminal
from axonometry.errors import AxonometryError, ConfigurationError, RunError

if TYPE_CHECKING:
    from axonometry.populations import RunConfiguration
    from axonometry.trajectory import Trajectory

app = typer.Typer(help="Train, list, show and verify recorded training runs.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def train(
    *,
    config: Annotated[
        Path | None, typer.Option(help="A JSON file: one configuration, or a list; instead of the options below.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="digits, text, mnist, fashion-mnist or cifar10.")] = None,
    family: Annotated[str | None, typer.Option(help="Kind of network, such as fully-connected or lenet.")] = None,
    size: Annotated[str | None, typer.Option(help="small, medium or big.")] = None,
    initialiser: Annotated[str | None, typer.Option(help="Law of the initial parameters.")] = None,
    scale: Annotated[float | None, typer.Option(help="The initialiser's scale.")] = None,
    optimiser: Annotated[str | None, typer.Option(help="sgd or adam.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many networks, each with a seed of its own.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The first network's seed.")] = 0,
    folder: Annotated[Path, typer.Option(help="Where the runs go, a folder each.")] = Path("runs"),
    measure: Annotated[
        list[str] | None, typer.Option(help="A measure to record; several times for several. Paper 1's if left out.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core if left out.")] = None,
    data: Annotated[Path | None, typer.Option(help="Directory of the image data.", envvar="AXONOMETRY_DATA")] = None,
    as_json: Json = False,
) -> None:
    """Train a population of networks; the same command goes on where it was cut off.

    What is left out is as in RunConfiguration: a small fully connected network of paper 1, on scikit-learn's digits.
    """
    options = {
        "dataset": dataset,
        "family": family,
        "size": size,
        "initialiser": initialiser,
        "scale": scale,
        "optimiser": optimiser,
        "epochs": epochs,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if config is not None and (given or count != 1 or seed):
        raise typer.BadParameter("--config says what to train; leave out the options that say it too")
    with terminal.progress("Starting") as move:
        from axonometry.populations import grid, train_population
        from axonometry.trajectory.recorder import MEASURES

        configurations = configurations_in(config) if config else grid({"seed": range(seed, seed + count)}, **given)
        trained = train_population(
            configurations, folder, workers=workers, data=data, measures=measure or MEASURES, progress=move
        )
    _show_runs([_summary(run.folder, folder) for run in trained.runs.values()], folder, as_json=as_json)


@app.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(help="The folder to look in, with all folders below it.")] = Path("runs"),
    *,
    as_json: Json = False,
) -> None:
    """What runs are in a folder, how far each came, and how well it did."""
    with terminal.progress("Looking for runs"):
        rows = [_summary(path, folder) for path in run_folders(folder)]
    _show_runs(rows, folder, as_json=as_json)


@app.command()
def show(run: Annotated[Path, typer.Argument(help="The run's folder.")], *, as_json: Json = False) -> None:
    """One run: what was trained, its layers, and its numbers step by step."""
    with terminal.progress("Opening"):
        from axonometry.trajectory import load

        trajectory = load(run)
        scalars = trajectory.scalars().reset_index()
    synapses = [
        {"synapse": s.name, "kind": s.kind, "shape": s.shape, "links": s.n_links, "into": s.target}
        for s in trajectory.synapses
    ]
    groups = [{"group": g.name, "role": g.role, "shape": g.shape, "neurons": g.n_neurons} for g in trajectory.groups]
    if as_json:
        terminal.show_json(
            {
                "run": run,
                "state": _state(trajectory),
                "configuration": trajectory.configuration,
                "software": trajectory.description.software,
                "groups": groups,
                "synapses": synapses,
                "steps": terminal.records(scalars),
            }
        )
        return
    facts = {"state": _state(trajectory), **(trajectory.configuration or {})}
    terminal.show_table(("about", "value"), facts.items(), f"Run {run}")
    for title, rows in (("Neuron groups", groups), ("Synapses", synapses)):
        terminal.show_table(rows[0], (row.values() for row in rows), title)
    terminal.show_frame(terminal.thinned(scalars), "Steps")


@app.command("measure")
def measure_runs(
    folder: Annotated[Path, typer.Argument(help="A folder of runs that `axonometry runs train` made.")],
    *,
    measure: Annotated[list[str], typer.Option(help="A measure to add; several times for several.")],
    samples: Annotated[int, typer.Option(help="Test inputs for measures of samples.", min=1)] = 1000,
    as_json: Json = False,
) -> None:
    """Add measures to recorded runs, from the weights that they kept; what is there is not measured again."""
    with terminal.progress("Starting") as move:
        from axonometry.populations import load_population

        population = load_population(folder).measured(measure, progress=move, n_samples=samples)
    rows = [{"run": name, "measures": run.description.measures} for name, run in population.runs.items()]
    if as_json:
        terminal.show_json(rows)
    else:
        terminal.say(f"{len(rows)} runs in {folder} have {', '.join(measure)}.")


@app.command()
def verify(
    folders: Annotated[list[Path], typer.Argument(help="Runs, or folders of runs.")],
    *,
    as_json: Json = False,
) -> None:
    """Read every file of every run, checksums included; exit code 1 if one is damaged."""
    runs = [path for folder in folders for path in run_folders(folder)]
    findings: list[dict[str, Any]] = []
    with terminal.progress("Starting") as move:
        from axonometry.trajectory import verify as verify_run

        for done, run in enumerate(runs):
            move(done, len(runs), f"Verifying {run}")
            findings += [{"run": run, "file": found.file, "problem": found.problem} for found in verify_run(run)]
    if as_json:
        terminal.show_json({"runs": len(runs), "findings": findings})
    else:
        if findings:
            terminal.show_table(("file", "problem"), ([row["file"], row["problem"]] for row in findings))
        damaged = len({row["run"] for row in findings})
        terminal.say(f"{len(runs) - damaged} of {len(runs)} runs are whole.")
    if findings:
        raise typer.Exit(1)


def run_folders(folder: Path) -> Iterator[Path]:
    """The folder itself if it is a run, else all runs below it, by name.

    Raises:
        RunError: There is no such folder, or no run in it.
    """
    if not folder.is_dir():
        raise RunError("runs are looked for in a folder", f"{folder}, which is none", "Check the path")
    runs = []
    for place, inside, files in os.walk(folder):
        if "run.json" in files:
            runs.append(Path(place))
            inside.clear()  # there are no runs in a run
    if not runs:
        raise RunError(f"{folder} holds runs", "none", "Train some with: axonometry runs train")
    return iter(sorted(runs))


def configurations_in(path: Path) -> list[RunConfiguration]:
    """The configurations of a JSON file that holds one or a list.

    Raises:
        ConfigurationError: The file is not JSON, or a configuration in it is wrong.
    """
    from axonometry.populations import RunConfiguration

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path} is JSON", str(error), "Correct it") from error
    return [
        RunConfiguration.from_json(json.dumps(one)) for one in (content if isinstance(content, list) else [content])
    ]


def _summary(path: Path, folder: Path) -> dict[str, Any]:
    from axonometry.trajectory import load

    name = str(path.relative_to(folder)) if path != folder else str(path)
    try:
        trajectory = load(path)
        scalars = trajectory.scalars()
    except AxonometryError as error:
        return {
            "run": name,
            "steps": None,
            "last_step": None,
            "accuracy": None,
            "state": "damaged",
            "problem": str(error),
        }
    steps = trajectory.steps
    accuracy = scalars["accuracy"].dropna().tolist() if "accuracy" in scalars else []
    return {
        "run": name,
        "steps": len(steps),
        "last_step": steps[-1] if steps else None,
        "accuracy": accuracy[-1] if accuracy else None,
        "state": _state(trajectory),
        "problem": None,
    }


def _state(trajectory: Trajectory) -> str:
    return "whole" if trajectory.complete else "cut off"


def _show_runs(rows: list[dict[str, Any]], folder: Path, *, as_json: bool) -> None:
    if as_json:
        terminal.show_json(rows)
        return
    terminal.show_table(
        ("run", "steps", "last step", "accuracy", "state"),
        ([row["run"], row["steps"], row["last_step"], row["accuracy"], row["state"]] for row in rows),
        f"{len(rows)} run{'s' * (len(rows) != 1)} in {folder}",
    )
