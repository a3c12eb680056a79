"""``axonometry predict``: fit, evaluate and apply predictors of final accuracy."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Json, Report, RunPaths, output
from axonometry.errors import PredictionError
from axonometry.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.predict import AccuracyPredictor
    from axonometry.trajectory import Trajectory

app = typer.Typer(help="Predict final accuracy from the first epochs.", no_args_is_help=True)

Epochs = Annotated[int, typer.Option(min=1, help="Number of epochs to predict from.")]


@app.command("fit")
def fit_predictor(
    runs: RunPaths,
    *,
    out: Annotated[Path, typer.Option(callback=output, help="Output file of the predictor.")],
    features: Annotated[str, typer.Option(help="Feature set, or several joined by +.")] = "changes+curve",
    epochs: Epochs = 5,
    as_json: Json = False,
) -> None:
    """Fit a predictor to finished runs and write it to a file.

    Runs that are not finished, too short or without an accuracy are left out and named.
    """
    left_out: list[str] = []
    with terminal.progress("Opening runs") as move:
        from axonometry.predict import AccuracyPredictor, read_runs
        from axonometry.predict.feature_sets import parts_of

        parts_of(features)
        table = read_runs(_usable(runs, epochs, left_out), epochs=epochs, features=features, progress=move)
        move(len(table.features), len(table.features), "Fitting")
        predictor = AccuracyPredictor(features, epochs).fit(table)
        predictor.save(out)
    rows = [
        {"epochs": known, "r2": r2, "columns": horizon.n_columns}
        for known, horizon in predictor.models_.items()
        for r2 in [horizon.ensemble.r2()]
    ]
    if as_json:
        facts = {"predictor": out, "runs": len(table.features), "features": features, "left_out": left_out}
        terminal.show_json({**facts, "epochs": rows})
        return
    title = f"Fitted to {len(table.features)} runs: R2 on configurations that were not learned from"
    terminal.show_table(("epochs", "R2", "columns"), ([r["epochs"], r["r2"], r["columns"]] for r in rows), title)


@app.command("evaluate")
def evaluate_features(
    runs: RunPaths,
    *,
    features: Annotated[list[str] | None, typer.Option(help="Feature set, or several joined by +; repeatable.")] = None,
    epochs: Epochs = 5,
    folds: Annotated[int, typer.Option(min=2, help="Number of cross-validation folds.")] = 10,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats of the folds, each fitted anew; 10 are usual.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Cross-validate feature sets and baselines on the same folds, grouped by configuration.

    Runs that are not finished, too short or without an accuracy are left out and named.
    """
    left_out: list[str] = []
    with terminal.progress("Opening runs") as move:
        from axonometry import predict
        from axonometry.predict.feature_sets import parts_of

        needed = "+".join(features) if features else None
        parts_of(needed or "curve")
        table = predict.read_runs(_usable(runs, epochs, left_out), epochs=epochs, features=needed, progress=move)
        chosen = features or predict.available(table, epochs)
        plan = predict.EvaluationPlan(folds=folds, repeats=repeats, workers=workers)
        found = predict.evaluate(table, chosen, range(epochs + 1), plan=plan, progress=move)
        if report is not None:
            from axonometry.report.prediction import evaluation_page

            asked = "".join(f" --features {shlex.quote(name)}" for name in features or ())
            asked = f" --repeats {repeats}{asked}" if repeats > 1 else asked
            command = f"axonometry predict evaluate {_words(runs)} --epochs {epochs} --folds {folds}{asked}"
            facts = {"runs": len(table.features), "configurations": table.groups.nunique(), "folds": folds}
            evaluation_page(found, command=f"{command} --report {report}", facts=facts).write(report)
    if report is not None:
        terminal.note(f"Wrote {report}")
    if as_json:
        terminal.show_json(
            {
                "runs": len(table.features),
                "left_out": left_out,
                "threshold": found.threshold,
                "scores": terminal.records(found.scores),
                "differences": terminal.records(found.differences),
                "coverage": terminal.records(found.coverage),
            }
        )
        return
    for score in ("r2", "auc"):
        shown = found.scores[found.scores["score"] == score].drop(columns="score")
        terminal.show_frame(shown, f"{score} of {len(table.features)} runs, with 95% intervals")
    terminal.show_frame(found.coverage, "Share inside the 90% intervals, by predicted third, with exact 95% intervals")


@app.command("apply")
def apply_predictor(
    predictor: Annotated[Path, typer.Argument(help="Predictor file, written by fit.")],
    runs: RunPaths,
    *,
    level: Annotated[float, typer.Option(help="Confidence level.")] = 0.9,
    stop_below: Annotated[
        float | None,
        typer.Option(help="An accuracy to reach: runs whose interval lies below it are to be stopped; exit code 1."),
    ] = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Predict the final accuracy of runs, finished or running.

    The table says which runs are finished and which the predictor was fitted to. With --stop-below it says which runs
    under way are not worth going on with; the exit code is then 1 if there are some.
    """
    with terminal.progress("Opening runs") as move:
        from axonometry.predict import AccuracyPredictor

        loaded = AccuracyPredictor.load(predictor)
        if loaded.task != "regression":
            remedy = "Use AccuracyPredictor.predict_proba in Python"
            raise PredictionError(f"{predictor} is a classifier", "", remedy)
        started = _started(runs)
        found = _predictions(loaded, started, level, move)
        if report is not None:
            from axonometry.report.forecast import forecast_page

            command = f"axonometry predict apply {_words([predictor, *runs])} --level {level} --report {report}"
            forecast_page(loaded, started, found, level=level, command=command).write(report)
    if report is not None:
        terminal.note(f"Wrote {report}")
    frame = found.rename_axis("run").reset_index()
    if stop_below is not None:  # a run that has ended cannot be stopped
        frame["stop"] = (frame["high"] < stop_below) & frame["state"].isin(["running", "interrupted"])
    if as_json:
        terminal.show_json(terminal.records(frame))
    else:
        terminal.show_frame(frame, f"Predicted final accuracy, with {level:.0%} intervals")
        _remark(frame, stop_below)
    if stop_below is not None and frame["stop"].any():
        raise typer.Exit(terminal.FOUND)


def _remark(frame: pd.DataFrame, stop_below: float | None) -> None:
    if trained := int(frame["trained_on"].sum()):
        terminal.note(f"{trained} of {len(frame)} runs are among those that the predictor was fitted to.")
    if stop_below is not None:
        names = ", ".join(frame.loc[frame["stop"], "run"]) or "none"
        terminal.say(f"To be stopped, below {stop_below:g}: {names}.")


def _opened(folders: list[Path]) -> list[Trajectory]:
    from axonometry.trajectory import load_runs

    return [run for folder in folders for run in load_runs(folder)]


def _predictions(
    predictor: AccuracyPredictor, runs: list[Trajectory], level: float, progress: Progress
) -> pd.DataFrame:
    """A row a run: epochs looked at, prediction, low and high end, its state, and whether it was learned from."""
    from axonometry.predict import feature_table
    from axonometry.predict.features import KNOWN

    epochs, features, each = predictor.epochs, predictor.features, predictor.per_group_
    table = feature_table(runs, epochs=epochs, per_group=each, features=features, under_way=True, progress=progress)
    found = predictor.predict_interval(table, level)
    found.insert(0, KNOWN, table[KNOWN].astype(int))
    return found.assign(state=[run.state for run in runs], trained_on=predictor.was_trained_on(table))


def _started(folders: list[Path]) -> list[Trajectory]:
    """The runs that have a complete epoch; a note tells how many have none."""
    from axonometry.predict.features import epochs_of

    opened = _opened(folders)
    started = [run for run in opened if run.steps and epochs_of(run) > 0]
    if len(started) < len(opened):
        terminal.note(f"{len(opened) - len(started)} of {len(opened)} runs have no complete epoch and are left out.")
    if not started:
        raise PredictionError("no run has a complete epoch", "", "Wait for the first epoch")
    return started


def _words(paths: list[Path]) -> str:
    return " ".join(shlex.quote(str(path)) for path in paths)


def _usable(folders: list[Path], epochs: int, left_out: list[str]) -> list[Trajectory]:
    """The finished runs of so many epochs; notes name the others, and so does the list."""
    from axonometry.predict.selection import finished_runs, long_enough

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        opened = _opened(folders)
        usable = long_enough(finished_runs(opened), epochs)
    for one in said:
        terminal.note(str(one.message))
    kept = {run.folder for run in usable}
    left_out += [run.folder.name for run in opened if run.folder not in kept]
    return usable
