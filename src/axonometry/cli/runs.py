"""``axonometry runs``: train, list, show, measure and verify runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Dask, Data, Json, Network, RunPaths, executor_at
from axonometry.cli.run_table import run_row, show_runs
from axonometry.errors import ConfigurationError, RunError
from axonometry.files import read_json

if TYPE_CHECKING:
    from axonometry.populations import RunConfiguration

app = typer.Typer(help="Train, list, show, measure and verify runs.", no_args_is_help=True)


@app.command("train")
def train_runs(
    *,
    config: Annotated[
        Path | None, typer.Option(help="JSON file with one configuration or a list; replaces the options below.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Data set: digits, text, mnist, fashion-mnist, cifar10, modular-addition, or a registered one."
        ),
    ] = None,
    family: Annotated[str | None, typer.Option(help="Network family, such as fully-connected or lenet.")] = None,
    size: Annotated[str | None, typer.Option(help="small, medium or big.")] = None,
    initialiser: Annotated[str | None, typer.Option(help="Distribution of the initial parameters.")] = None,
    scale: Annotated[float | None, typer.Option(help="Scale of the initialiser.")] = None,
    optimiser: Annotated[str | None, typer.Option(help="sgd, adam, adamw, rmsprop, or a registered one.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of networks, with consecutive seeds.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first network.")] = 0,
    folder: Annotated[Path, typer.Option(help="Output folder; each run has a subfolder.")] = Path("runs"),
    measure: Annotated[
        list[str] | None, typer.Option(help="Measure to record; repeatable. Those of paper 1 by default.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of processes; one per core by default.")] = None,
    dask: Dask = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Train a population of networks. The same command resumes interrupted runs.

    The defaults are those of RunConfiguration: a small fully connected network of paper 1 on scikit-learn's digits.
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
        raise typer.BadParameter("--config replaces the other options; leave them out")
    with terminal.progress("Starting") as move:
        from axonometry.populations import grid, train_population
        from axonometry.trajectory.recorder import MEASURES

        configurations = configurations_in(config) if config else grid({"seed": range(seed, seed + count)}, **given)
        with executor_at(dask, workers) as who:
            trained = train_population(
                configurations, folder, data=data, measures=measure or MEASURES, progress=move, **who
            )
    show_runs([run_row(run.folder, folder) for run in trained.runs.values()], folder, as_json=as_json)


@app.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(help="Folder to search, with all subfolders.")] = Path("runs"),
    *,
    as_json: Json = False,
) -> None:
    """List the runs in a folder with their last step, accuracy and state."""
    with terminal.progress("Looking for runs"):
        from axonometry.trajectory.folders import run_folders

        rows = [run_row(path, folder) for path in run_folders(folder)]
    show_runs(rows, folder, as_json=as_json)


@app.command("show")
def show_run(run: Annotated[Path, typer.Argument(help="Run folder.")], *, as_json: Json = False) -> None:
    """Show one run: configuration, layers, and scalars step by step."""
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
                "state": trajectory.state,
                "planned_steps": trajectory.description.planned_steps,
                "configuration": trajectory.configuration,
                "software": trajectory.description.software,
                "groups": groups,
                "synapses": synapses,
                "steps": terminal.records(scalars),
            }
        )
        return
    planned = trajectory.description.planned_steps
    steps = len(trajectory.steps) if planned is None else f"{len(trajectory.steps)} of {planned} planned"
    facts = {"state": trajectory.state, "steps": steps, **(trajectory.configuration or {})}
    terminal.show_table(("about", "value"), facts.items(), f"Run {run}")
    for title, rows in (("Neuron groups", groups), ("Synapses", synapses)):
        if rows:  # a stranger's run.json may have none
            terminal.show_table(rows[0], (row.values() for row in rows), title)
    terminal.show_frame(terminal.thinned_rows(scalars), "Steps")


@app.command("measure")
def measure_runs(
    folder: Annotated[Path, typer.Argument(help="Folder of runs, with all subfolders.")],
    *,
    measure: Annotated[list[str], typer.Option(help="Measure to add; repeatable.")],
    network: Network = None,
    dataset: Annotated[str | None, typer.Option(help="Data set of the samples, of runs of an own loop.")] = None,
    samples: Annotated[int, typer.Option(help="Number of test samples, for measures that need samples.", min=1)] = 1000,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Add measures to recorded runs, computed from their weights. Measures that a run has are not computed again."""
    with terminal.progress("Starting") as move:
        from axonometry.populations import load_population
        from axonometry.populations.datasets import load_dataset
        from axonometry.trajectory.choices import known_measures

        known_measures(measure)
        population = load_population(folder, network=network)
        if not population.runs:
            alone = (folder / "run.json").exists()
            remedy = "Pass the folder that holds this run" if alone else "Check the path, or wait for them"
            raise RunError(f"no finished runs in {folder}", "", remedy)
        whose = None if dataset is None else load_dataset(dataset, data)
        population = population.measured(measure, progress=move, n_samples=samples, dataset=whose)
    if population.unfinished:
        terminal.note(f"Not measured, since they are not finished: {', '.join(population.unfinished)}")
    rows = [{"run": name, "measures": run.description.measures} for name, run in population.runs.items()]
    if as_json:
        terminal.show_json(rows)
    else:
        terminal.say(f"{len(rows)} runs in {folder} have {', '.join(measure)}.")


@app.command("verify")
def verify_runs(
    folders: RunPaths,
    *,
    as_json: Json = False,
) -> None:
    """Check every file of every run against its checksum. Exit code 1 if one is corrupt."""
    findings: list[dict[str, Any]] = []
    with terminal.progress("Starting") as move:
        from axonometry.trajectory import verify
        from axonometry.trajectory.folders import run_folders

        runs = [path for folder in folders for path in run_folders(folder)]
        for done, run in enumerate(runs):
            move(done, len(runs), f"Verifying {run}")
            findings += [{"run": run, "file": found.file, "problem": found.problem} for found in verify(run)]
    if as_json:
        terminal.show_json({"runs": len(runs), "findings": findings})
    else:
        if findings:
            terminal.show_table(("file", "problem"), ([row["file"], row["problem"]] for row in findings))
        corrupt = len({row["run"] for row in findings})
        terminal.say(f"{len(runs) - corrupt} of {len(runs)} runs are intact.")
    if findings:
        raise typer.Exit(1)


def configurations_in(path: Path) -> list[RunConfiguration]:
    """The configurations of a JSON file that holds one or a list.

    Raises:
        ConfigurationError: The file is not JSON, or a configuration in it is wrong.
    """
    from axonometry.populations import RunConfiguration

    try:
        content = read_json(path)
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}", "", "Correct it") from error
    if content == []:
        raise ConfigurationError(f"{path} holds no configuration", "", "Write one, or a list of them")
    return [RunConfiguration.from_dict(one) for one in (content if isinstance(content, list) else [content])]
