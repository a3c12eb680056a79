"""``axonometry predict``: learn from runs how accurate networks become, judge that, apply it to new runs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axonometry.cli import terminal
from axonometry.cli.runs import run_folders
from axonometry.errors import PredictionError
from axonometry.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.predict import AccuracyPredictor
    from axonometry.trajectory import Trajectory

app = typer.Typer(help="Predict final accuracies from the first epochs.", no_args_is_help=True)

Runs = Annotated[list[Path], typer.Argument(help="Runs, or folders of runs.")]
Epochs = Annotated[int, typer.Option(min=1, help="The most epochs that are looked at.")]
Report = Annotated[Path | None, typer.Option(help="Also write an HTML page to this file.")]
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
        for known, horizon in predictor.models_.items()
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
    folds: Annotated[int, typer.Option(min=2, help="Into how many folds the runs are cut.")] = 10,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Predict every run from other configurations: all feature sets and baselines in the same folds."""
    with terminal.progress("Opening runs") as move:
        from axonometry import predict

        needed = "+".join(features) if features else None
        table = predict.read_runs(_whole(runs), epochs=epochs, features=needed, progress=move)
        chosen = features or predict.available(table, epochs)
        plan = predict.EvaluationPlan(folds=folds, workers=workers)
        found = predict.evaluate(table, chosen, range(1, epochs + 1), plan=plan, progress=move)
        if report is not None:
            from axonometry.report.prediction import evaluation_page

            asked = "".join(f" --features {shlex.quote(name)}" for name in features or ())
            command = f"axonometry predict evaluate {_words(runs)} --epochs {epochs} --folds {folds}{asked}"
            facts = {"runs": len(table.features), "configurations": table.groups.nunique(), "folds": folds}
            evaluation_page(found, command=f"{command} --report {report}", facts=facts).write(report)
    if report is not None:
        terminal.note(f"Wrote {report}")
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
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Predict the final accuracy of runs, which may be under way."""
    with terminal.progress("Opening runs") as move:
        from axonometry.predict import AccuracyPredictor

        loaded = AccuracyPredictor.load(predictor)
        if loaded.task != "regression":
            remedy = "Use AccuracyPredictor.predict_proba in Python"
            raise PredictionError("final accuracies are predicted by regression", f"{predictor} of classes", remedy)
        begun = _begun(runs)
        found = _predictions(loaded, begun, level, move)
        if report is not None:
            from axonometry.report.forecast import forecast_page

            command = f"axonometry predict apply {_words([predictor, *runs])} --level {level} --report {report}"
            forecast_page(loaded, begun, found, level=level, command=command).write(report)
    if report is not None:
        terminal.note(f"Wrote {report}")
    frame = found.rename_axis("run").reset_index()
    if as_json:
        terminal.show_json(terminal.records(frame))
        return
    terminal.show_frame(frame, f"Predicted final accuracy, with {level:.0%} intervals")


def _opened(folders: list[Path]) -> list[Trajectory]:
    from axonometry.trajectory import load

    return [load(path) for folder in folders for path in run_folders(folder)]


def _predictions(
    predictor: AccuracyPredictor, runs: list[Trajectory], level: float, progress: Progress
) -> pd.DataFrame:
    """A row a run: how many epochs were looked at, prediction, low and high end."""
    from axonometry.predict import feature_table
    from axonometry.predict.features import KNOWN

    epochs, features, each = predictor.epochs, predictor.features, predictor.per_group_
    table = feature_table(runs, epochs=epochs, per_group=each, features=features, under_way=True, progress=progress)
    found = predictor.predict_interval(table, level)
    found.insert(0, KNOWN, table[KNOWN].astype(int))
    return found


def _begun(folders: list[Path]) -> list[Trajectory]:
    """The runs that have a whole epoch; a note tells of others."""
    from axonometry.predict.features import epochs_of

    opened = _opened(folders)
    begun = [run for run in opened if run.steps and epochs_of(run) > 0]
    if len(begun) < len(opened):
        terminal.note(f"{len(opened) - len(begun)} of {len(opened)} runs have no whole epoch yet and are left out.")
    if not begun:
        raise PredictionError("a prediction needs a whole epoch", "no run with one", "Wait for the runs' first epoch")
    return begun


def _words(paths: list[Path]) -> str:
    return " ".join(shlex.quote(str(path)) for path in paths)


def _whole(folders: list[Path]) -> list[Trajectory]:
    """The runs that came to their end; a note tells of others."""
    opened = _opened(folders)
    whole = [run for run in opened if run.complete]
    if len(whole) < len(opened):
        terminal.note(f"{len(opened) - len(whole)} of {len(opened)} runs have not come to their end and are left out.")
    if not whole:
        raise PredictionError("predictions are learned from whole runs", "none", "Wait for them, or train some")
    return whole
