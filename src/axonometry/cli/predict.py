"""``axonometry predict``: learn from runs how accurate networks become, judge that, apply it to new runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axonometry.cli import terminal
from axonometry.cli.runs import run_folders
from axonometry.errors import PredictionError

if TYPE_CHECKING:
    from axonometry.trajectory import Trajectory

app = typer.Typer(help="Predict final accuracies from the first epochs.", no_args_is_help=True)

Runs = Annotated[list[Path], typer.Argument(help="Runs, or folders of runs.")]
Epochs = Annotated[int, typer.Option(min=1, help="The most epochs that are looked at.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def fit(
    runs: Runs,
    *,
    out: Annotated[Path, typer.Option(help="Where the predictor goes.")],
    features: Annotated[str, typer.Option(help="A feature set, or several joined by +.")] = "graph+curve",
    epochs: Epochs = 5,
    as_json: Json = False,
) -> None:
    """Learn from whole runs, and write the predictor to a file."""
    with terminal.progress("Opening runs") as move:
        from axonometry.predict import AccuracyPredictor, read_runs

        table = read_runs(_whole(runs), epochs=epochs, features=features, progress=move)
        move(len(table.features), len(table.features), "Fitting")
        predictor = AccuracyPredictor(features, epochs).fit(table)
        predictor.save(out)
    rows = [
        {"epochs": known, "r2": r2, "columns": horizon.n_columns}
        for known, horizon in predictor.horizons_.items()
        for r2 in [horizon.ensemble.r2()]
    ]
    if as_json:
        terminal.show_json({"predictor": out, "runs": len(table.features), "features": features, "epochs": rows})
        return
    title = f"Fitted to {len(table.features)} runs: R2 on configurations that were not learned from"
    terminal.show_table(("epochs", "R2", "columns"), ([r["epochs"], r["r2"], r["columns"]] for r in rows), title)


@app.command()
def evaluate(
    runs: Runs,
    *,
    features: Annotated[
        list[str] | None, typer.Option(help="A feature set, or several joined by +; may be given often.")
    ] = None,
    epochs: Epochs = 5,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    as_json: Json = False,
) -> None:
    """Predict every run from other configurations: all feature sets and baselines in the same folds."""
    with terminal.progress("Opening runs") as move:
        from axonometry import predict

        table = predict.read_runs(_whole(runs), epochs=epochs, progress=move)
        chosen = features or predict.available(table, epochs)
        plan = predict.Plan(workers=workers)
        found = predict.evaluate(table, chosen, range(1, epochs + 1), plan=plan, progress=move)
    if as_json:
        terminal.show_json(
            {
                "runs": len(table.features),
                "threshold": found.threshold,
                "scores": terminal.records(found.scores),
                "differences": terminal.records(found.differences),
            }
        )
        return
    for score in ("r2", "auc"):
        shown = found.scores[found.scores["score"] == score].drop(columns="score")
        terminal.show_frame(shown, f"{score} of {len(table.features)} runs, with 95% intervals")


@app.command()
def apply(
    predictor: Annotated[Path, typer.Argument(help="What fit wrote.")],
    runs: Runs,
    *,
    level: Annotated[float, typer.Option(help="Of the interval.")] = 0.9,
    as_json: Json = False,
) -> None:
    """Predict the final accuracy of runs, which may be under way."""
    with terminal.progress("Opening runs"):
        from axonometry.predict import AccuracyPredictor

        loaded = AccuracyPredictor.load(predictor)
        opened = _opened(runs)
        found = loaded.predict_interval(opened, level)
    frame = found.rename_axis("run").reset_index()
    if as_json:
        terminal.show_json(terminal.records(frame))
        return
    terminal.show_frame(frame, f"Predicted final accuracy, with {level:.0%} intervals")


def _opened(folders: list[Path]) -> list[Trajectory]:
    from axonometry.trajectory import load

    return [load(path) for folder in folders for path in run_folders(folder)]


def _whole(folders: list[Path]) -> list[Trajectory]:
    """The runs that came to their end; a note tells of others."""
    opened = _opened(folders)
    whole = [run for run in opened if run.complete]
    if len(whole) < len(opened):
        terminal.note(f"{len(opened) - len(whole)} of {len(opened)} runs have not come to their end and are left out.")
    if not whole:
        raise PredictionError("predictions are learned from whole runs", "none", "Wait for them, or train some")
    return whole
