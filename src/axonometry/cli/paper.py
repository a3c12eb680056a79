"""``axonometry paper``: a paper's experiment, from training to table and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from axonometry.cli import terminal

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.papers.cikm2022 import Results as Predictions
    from axonometry.papers.ensembles import Ensemble
    from axonometry.papers.ictai2021 import Results
    from axonometry.papers.ijcai2024 import Results as Discrimination
    from axonometry.papers.lin2025.experiments import Results as Experiments

Report = Annotated[Path | None, typer.Option(help="Also write an HTML page to this file.")]
Table = Annotated[Path | None, typer.Option(help="Also write the findings as Markdown to this file.")]
Data = Annotated[Path | None, typer.Option(help="Directory of the image data.", envvar="AXONOMETRY_DATA")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

app = typer.Typer(help="Repeat a paper's experiment, from training to report.", no_args_is_help=True)


@app.command()
def ictai2021(
    *,
    scale: Annotated[
        Literal["small", "full"], typer.Option(help="Minutes on two cores, or the paper's 36,000 networks.")
    ] = "small",
    folder: Annotated[Path, typer.Option(help="Where the runs go.")] = Path("runs/ictai2021"),
    report: Report = None,
    table: Table = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """La Malfa et al. 2021: do accurate networks have other link weights, node strengths, layer fluctuations?

    Networks are trained on MNIST and compared by accuracy. Runs that are there already are not trained again.
    """
    with terminal.progress("Starting") as move:
        from axonometry.papers.ictai2021 import run
        from axonometry.papers.ictai2021_page import results_page
        from axonometry.papers.ictai2021_table import in_short, write_results

        results = run(scale=scale, folder=folder, data=data, progress=move)
        command = f"axonometry paper ictai2021 --scale {scale}"
        if table is not None:
            write_results(results, table, command=f"{command} --table {table}")
        if report is not None:
            results_page(results, command=f"{command} --report {report}").write(report)
    if as_json:
        terminal.show_json(_plain(results))
    else:
        for ensemble in results.ensembles:
            _show(ensemble)
        for line in (line for ensemble in results.ensembles for line in in_short(ensemble)):
            terminal.say(f"{line.replace('**', '')}\n")
        for path in filter(None, (table, report)):
            terminal.note(f"Wrote {path}")
        terminal.note(f"{results.trained} networks trained, {results.seconds / 60:.1f} minutes in all.")


@app.command()
def cikm2022(
    *,
    scale: Annotated[
        Literal["small", "full"], typer.Option(help="Two hours on two cores, or the paper's sizes, for GPUs.")
    ] = "small",
    folder: Annotated[Path, typer.Option(help="Where the runs go.")] = Path("runs/cikm2022"),
    report: Report = None,
    table: Table = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that predict.")] = 1,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Vahedian et al. 2021: do a few epochs of a network's graph tell how accurate it becomes?

    Networks are trained over grids; their graphs' first epochs predict the final accuracy, beside the validation curve
    and other baselines in the same folds. Runs that are there already are not trained again.
    """
    with terminal.progress("Starting") as move:
        from axonometry.papers.cikm2022 import run
        from axonometry.papers.cikm2022_page import results_page
        from axonometry.papers.cikm2022_table import in_short, write_results

        results = run(scale=scale, folder=folder, data=data, workers=workers, progress=move)
        command = f"axonometry paper cikm2022 --scale {scale}"
        if table is not None:
            write_results(results, table, command=f"{command} --table {table}")
        if report is not None:
            results_page(results, command=f"{command} --report {report}").write(report)
    if as_json:
        terminal.show_json(_plain_predictions(results))
    else:
        for line in in_short(results):
            terminal.say(f"{line.replace('**', '').replace('*', '')}\n")
        for path in filter(None, (table, report)):
            terminal.note(f"Wrote {path}")
        terminal.note(f"{results.trained} networks trained, {results.seconds / 60:.1f} minutes in all.")


@app.command()
def ijcai2024(
    *,
    scale: Annotated[
        Literal["small", "full"], typer.Option(help="Half an hour on two cores, or 4,800 networks on all images.")
    ] = "small",
    folder: Annotated[Path, typer.Option(help="Where the runs go.")] = Path("runs/ijcai2024"),
    report: Report = None,
    table: Table = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """La Malfa et al. 2022, 2024: do five measures tell networks of different size, type, task... apart?

    Networks that differ in one thing are trained alike, and told apart by each measure, before and after training.
    Runs that are there already are not trained again.
    """
    with terminal.progress("Starting") as move:
        from axonometry.papers.ijcai2024 import run
        from axonometry.papers.ijcai2024_page import results_page
        from axonometry.papers.ijcai2024_table import in_short, write_results

        results = run(scale=scale, folder=folder, data=data, progress=move)
        command = f"axonometry paper ijcai2024 --scale {scale}"
        if table is not None:
            write_results(results, table, command=f"{command} --table {table}")
        if report is not None:
            results_page(results, command=f"{command} --report {report}").write(report)
    if as_json:
        terminal.show_json(_plain_discrimination(results))
    else:
        for line in in_short(results):
            terminal.say(f"{line.replace('**', '').replace('*', '')}\n")
        for path in filter(None, (table, report)):
            terminal.note(f"Wrote {path}")
        terminal.note(f"{results.trained} networks trained, {results.seconds / 60:.1f} minutes in all.")


@app.command()
def lin2025(
    *,
    experiment: Annotated[
        list[str] | None,
        typer.Option(help="Only lmap, phases, depth, flat-minima, grokking or double-descent; may be repeated."),
    ] = None,
    scale: Annotated[
        Literal["small", "full"], typer.Option(help="Half an hour of processor time, or the paper's sizes.")
    ] = "small",
    seeds: Annotated[int | None, typer.Option(min=1, help="Networks of each kind: 3, or 5 at the full scale.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the outcomes go.")] = Path("runs/lin2025"),
    report: Report = None,
    table: Annotated[
        Path | None, typer.Option(help="Also write the findings as Markdown to this file, its figures beside it.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that train; as many as cores.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Lin et al. 2025: neuron modes, linear maps and attraction basins in six experiments.

    Each says which of the paper's statements hold for networks that are trained here, which do not, and which cannot be
    decided. Networks that are there already are not trained again.
    """
    with terminal.progress("Starting") as move:
        from axonometry.papers.lin2025.experiments import run
        from axonometry.papers.lin2025.page import results_page
        from axonometry.papers.lin2025.table import in_short, write_results

        results = run(
            experiments=experiment, scale=scale, seeds=seeds, folder=folder, data=data, workers=workers, progress=move
        )
        command = " ".join(["axonometry paper lin2025", *(f"--experiment {name}" for name in experiment or ())])
        command += f" --scale {scale}" + (f" --seeds {seeds}" if seeds else "")
        if table is not None:
            write_results(results, table, command=f"{command} --table {table}")
        if report is not None:
            results_page(results, command=f"{command} --report {report}").write(report)
    if as_json:
        terminal.show_json(_plain_experiments(results))
    else:
        for line in in_short(results):
            terminal.say(f"{line.replace('**', '').replace('*', '')}\n")
        for path in filter(None, (table, report)):
            terminal.note(f"Wrote {path}")
        terminal.note(f"{results.trained} networks trained, {results.seconds / 60:.1f} minutes in all.")


def _plain_experiments(results: Experiments) -> dict[str, Any]:
    about = {"scale": results.scale, "seconds": results.seconds, "trained": results.trained}
    findings = [
        {
            "name": found.name,
            "networks": found.networks,
            "seeds": found.seeds,
            "statements": [
                {"words": one.words, "verdict": one.verdict, "numbers": one.evidence} for one in found.statements
            ],
            "tables": [{"title": one.title, "columns": one.columns, "rows": one.rows} for one in found.sheets],
        }
        for found in results.findings
    ]
    return {**about, "findings": findings, "not_run": results.missing}


def _plain_discrimination(results: Discrimination) -> dict[str, Any]:
    tables = ("cells", "scores", "differences")
    about = {"scale": results.scale, "seconds": results.seconds, "trained": results.trained, "text": results.text}
    questions = [{"name": q.name, "kind": q.kind, "title": q.title, "cells": q.cells} for q in results.questions]
    return {**about, "questions": questions} | {name: terminal.records(getattr(results, name)) for name in tables}


def _plain_predictions(results: Predictions) -> dict[str, Any]:
    return {
        "scale": results.scale,
        "seconds": results.seconds,
        "trained": results.trained,
        "populations": terminal.records(results.populations),
        "findings": [
            {
                "name": found.name,
                "title": found.title,
                "threshold": found.median.threshold,
                "scores": terminal.records(found.median.scores),
                "differences": terminal.records(found.median.differences),
            }
            for found in results.findings
        ],
        "transfers": [
            {
                "unseen": transfer.kind,
                "source": transfer.source,
                "target": transfer.target,
                "scores": terminal.records(transfer.evaluation.scores),
            }
            for transfer in results.transfers
        ],
        "pruning": terminal.records(results.pruning),
    }


def _show(ensemble: Ensemble) -> None:
    fluctuation = ensemble.fluctuation
    columns = ("layer", "ρ", "ρ among networks trained alike", "worst bin", "best bin")
    rows = zip(
        fluctuation["layer"],
        _intervals(fluctuation, "rho"),
        _intervals(fluctuation, "alike"),
        fluctuation["lowest_bin"],
        fluctuation["highest_bin"],
        strict=True,
    )
    title = (
        f"{ensemble.title}: {len(ensemble.networks)} networks\n"
        "Layer fluctuation: Spearman's ρ with accuracy and its 95% interval, median in the accuracy bins"
    )
    terminal.show_table(columns, rows, title, spare=columns[:1:-1])
    separation = ensemble.separation
    columns = ("measure", "of each", "layer", "AUC", "p (Holm)")
    rows = zip(
        separation["metric"].str.replace("_", " "),
        separation["statistic"],
        separation["layer"],
        _intervals(separation, "auc"),
        separation["p_adjusted"],
        strict=True,
    )
    terminal.show_table(
        columns,
        rows,
        "Telling the most accurate third from the least: area under the ROC curve and its 95% interval",
        spare=("p (Holm)",),
    )


def _intervals(frame: pd.DataFrame, name: str) -> list[str]:
    """An estimate with its interval, as text: ``0.87 [0.83, 0.90]``."""
    ends = frame[[name, f"{name}_low", f"{name}_high"]].to_numpy().tolist()
    return ["–" if value != value else f"{value:.2f} [{low:.2f}, {high:.2f}]" for value, low, high in ends]


def _plain(results: Results) -> dict[str, Any]:
    tables = ("fluctuation", "separation", "contrast")
    return {
        "scale": results.scale,
        "seconds": results.seconds,
        "trained": results.trained,
        "ensembles": [
            {"name": ensemble.name, "title": ensemble.title, "networks": len(ensemble.networks)}
            | {table: terminal.records(getattr(ensemble, table)) for table in tables}
            for ensemble in results.ensembles
        ],
        "individual": {
            "network": results.individual.network,
            "accuracy": results.individual.accuracy,
            "fluctuation": results.individual.fluctuation,
        },
    }
