"""``axonometry zoo``: make, convert, describe and evaluate zoos of small networks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Dask, Data, Json, executor_at

if TYPE_CHECKING:
    from axonometry.zoo import Zoo, ZooEvaluation

app = typer.Typer(help="Zoos of small networks: make, convert, describe, evaluate.", no_args_is_help=True)

ZooFolder = Annotated[Path, typer.Argument(help="Folder of the zoo.")]


@app.command("make")
def make_command(
    folder: ZooFolder,
    *,
    preset: Annotated[str, typer.Option(help="Which networks: lenet14.")] = "lenet14",
    n: Annotated[int, typer.Option("--n", min=1, help="Number of networks.")] = 2000,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of processes; one per core by default.")] = None,
    dask: Dask = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Train a zoo of our own. The same command resumes; a larger --n adds networks. Splits go by the seed."""
    with terminal.progress("Starting") as move:
        from axonometry.zoo import make_zoo

        with executor_at(dask, workers) as who:
            zoo = make_zoo(preset, n, folder, data=data, progress=move, **who)
    _said(zoo, folder, as_json=as_json)


@app.command("convert")
def convert_command(
    published: Annotated[
        Path, typer.Argument(help="Folder of a published zoo: Small CNN Zoo, CNN Wild Park or Model Zoos.")
    ],
    folder: Annotated[Path, typer.Argument(help="Output folder; each network becomes a run in it.")],
    *,
    limit: Annotated[int | None, typer.Option(min=1, help="Number of networks; all by default.")] = None,
    measure: Annotated[list[str] | None, typer.Option(help="Measure to record; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Write a published zoo as runs, which all other commands read. The same command resumes. No code is run."""
    with terminal.progress("Reading") as move:
        from axonometry.zoo import convert_zoo
        from axonometry.zoo.converting import MEASURES

        zoo = convert_zoo(published, folder, limit=limit, measures=measure or MEASURES, progress=move)
    _said(zoo, folder, as_json=as_json)


@app.command("describe")
def describe_command(folder: ZooFolder, *, as_json: Json = False) -> None:
    """Say what a zoo holds, published or ours: networks, checkpoints, splits, choices, accuracies."""
    with terminal.progress("Reading"):
        from axonometry.zoo import describe_zoo

        found = describe_zoo(folder)
    if as_json:
        terminal.show_json(asdict(found))
        return
    few, most = found.parameters, found.networks
    epochs = [f"{epoch} ({n})" if n < most else str(epoch) for epoch, n in found.epochs.items()]
    facts = {
        "source": found.source,
        "networks": found.networks,
        "checkpoints": found.checkpoints,
        "epochs": ", ".join(epochs),
        "splits": ", ".join(f"{split} {n}" for split, n in found.splits.items()),
        "final accuracy, least, quartiles, greatest": ", ".join(f"{value:.3f}" for value in found.accuracy),
    }
    if few is not None:
        facts["parameters"] = f"{few[0]:,}" if few[0] == few[1] else f"{few[0]:,} to {few[1]:,}"
    terminal.show_table(("about", "value"), facts.items(), f"Zoo {folder}")
    terminal.show_table(("choice", "values"), found.choices.items(), "What differs between networks")


@app.command("evaluate")
def evaluate_command(
    folder: ZooFolder,
    *,
    epochs: Annotated[list[int] | None, typer.Option(help="Epoch, -1 for the last; repeatable. 1, 3, -1.")] = None,
    networks: Annotated[int | None, typer.Option(min=1, help="Number of networks, drawn at random.")] = None,
    folds: Annotated[int, typer.Option(min=2, help="Number of cross-validation folds.")] = 5,
    published: Annotated[bool, typer.Option("--published", help="Predict the published test split, once.")] = False,
    learned: Annotated[bool, typer.Option(help="Whether the graph network is trained.")] = True,
    as_json: Json = False,
) -> None:
    """Predict final accuracy from the weights: what is measured beside a graph network that learns, in the same folds.

    Kendall's tau and R2 with 95% intervals, and whether what is learned beats what is measured.
    """
    with terminal.progress("Opening") as move:
        from axonometry.zoo import ZooPlan, evaluate_zoo, open_zoo

        plan = ZooPlan(folds=folds, published=published) if learned else ZooPlan(folds, published, graph=None)
        found = evaluate_zoo(open_zoo(folder), epochs, networks=networks, plan=plan, progress=move)
    if as_json:
        tables = {"scores": found.scores, "differences": found.differences, "seconds": found.seconds}
        terminal.show_json({"networks": found.n} | {name: terminal.records(frame) for name, frame in tables.items()})
        return
    _show(found)


def _show(found: ZooEvaluation) -> None:
    for score, title in (("tau", "Kendall's tau"), ("r2", "R2")):
        part = found.scores[found.scores["score"] == score].drop(columns="score")
        terminal.show_frame(part, f"{title} of {found.n} networks, with 95% intervals; epoch -1 is the last")
    gains = found.differences[(found.differences["score"] == "tau")].drop(columns="score")
    terminal.show_frame(gains, "Kendall's tau more than both weight statistics and graph measures")
    terminal.show_frame(found.seconds, "Seconds of processor time a network")


def _said(zoo: Zoo, folder: Path, *, as_json: bool) -> None:
    if as_json:
        terminal.show_json({"folder": folder, "source": zoo.source, "networks": len(zoo)})
    else:
        terminal.say(f"{len(zoo)} networks ({zoo.source}) in {folder}")
