"""``axonometry demo``: a population on bundled digits, from training to report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Json, output

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.populations import Population, RunConfiguration
    from axonometry.progress import Progress

EDGES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Edges of the accuracy bins."""
SEEDS = range(48)
HORIZON = 2
"""Epochs that predictions look at; networks that were trained for no longer have nothing to predict."""
FEATURES = ("last-accuracy", "curve", "hyperparameters", "weights", "graph", "graph+curve")
LEAST = 40
"""Networks that predictions can be judged on."""


def demo_command(
    *,
    report: Annotated[Path, typer.Option(callback=output, help="Output file for the HTML page.")] = Path("report.html"),
    prediction: Annotated[Path, typer.Option(callback=output, help="Output file for the page of predictions.")] = Path(
        "prediction.html"
    ),
    folder: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/demo"),
    as_json: Json = False,
) -> None:
    """Train a population on bundled digits and write two HTML pages. Offline, about a minute.

    One shows how the networks learned, the other how well their final accuracy is predicted from their first epochs.
    Finished runs are not trained again; the same command resumes interrupted ones.
    """
    with terminal.progress("Starting") as move:
        from axonometry.populations import train_population
        from axonometry.report.definitions import convention
        from axonometry.report.population import population_page

        population = train_population(
            networks(), folder, progress=lambda done, total, _: move(done, total, "Training networks")
        )
        move(len(population), len(population), f"Writing {report}")
        page = population_page(population, edges=EDGES, command="axonometry demo")
        page.write(report)
        found = _by_accuracy(population)
        predicted = _predicted(population, prediction, move)
    if as_json:
        pages = {"report": report, "prediction": prediction}
        scores = terminal.records(predicted)
        terminal.show_json({"networks": len(population), "folder": folder, **pages, **found, "predicted": scores})
        return
    bins = found["bins"]
    title = f"Median layer fluctuation by final accuracy ({convention('layer_fluctuation')})"
    terminal.show_table(bins[0], (row.values() for row in bins), title)
    ranks = ", ".join(f"{layer} {rho:+.2f}" for layer, rho in found["spearman"].items())
    terminal.say(f"Spearman correlation of fluctuation with accuracy over {len(population)} networks: {ranks}.")
    if len(predicted):
        terminal.show_frame(predicted, f"R2 of final accuracy predicted after {HORIZON} epochs, with 95% intervals")
        terminal.note(f"Wrote {prediction}: open it in a browser.")
    terminal.note(f"Wrote {report}: open it in a browser.")


def networks() -> tuple[RunConfiguration, ...]:
    """Small networks of paper 1, one distribution of initial weights, 1 to 10 epochs, half with SGD, half with Adam.

    Learning rates and batch sizes are ours: the paper's are for 40 times as many images.
    """
    from axonometry.populations import draw

    common = {"initialiser": "random-normal", "scale": 0.05, "batch_size": 16}
    epochs = range(1, 11)
    sgd = draw(SEEDS, {"learning_rate": (0.05, 0.1, 0.2), "epochs": epochs}, optimiser="sgd", **common)
    adam = draw(SEEDS, {"learning_rate": (0.0003, 0.001, 0.003), "epochs": epochs}, optimiser="adam", **common)
    return tuple(network for pair in zip(sgd, adam, strict=True) for network in pair)


def _predicted(population: Population, page: Path, move: Progress) -> pd.DataFrame:
    """What predictions from the first epochs are worth, as rows and as a page; no rows where networks are too few."""
    import pandas as pd

    from axonometry import predict
    from axonometry.report.prediction import evaluation_page

    runs = [run for run in population.runs.values() if len(run.steps) > HORIZON + 1]
    if len(runs) < LEAST:
        return pd.DataFrame()
    table = predict.read_runs(runs, epochs=HORIZON, features="+".join(FEATURES))
    plan = predict.EvaluationPlan(folds=5, inner_folds=3, trees=20)
    found = predict.evaluate(table, FEATURES, range(1, HORIZON + 1), plan=plan, progress=move)
    facts = {"runs": len(runs), "configurations": table.groups.nunique(), "folds": plan.folds}
    evaluation_page(found, command="axonometry demo", facts=facts).write(page)
    last = (found.scores["score"] == "r2") & (found.scores["epochs"] == HORIZON)
    return found.scores[last].drop(columns=["score", "epochs"])


def _by_accuracy(population: Population) -> dict[str, Any]:
    """Median fluctuation of each layer in each accuracy bin, and each layer's rank correlation with accuracy."""
    from axonometry.report.study import labels

    fluctuation, accuracy = _fluctuation(population), population.frame["accuracy"]
    bins = [part for part in population.accuracy_bins(EDGES) if part.runs]
    names = labels([(part.low, part.high) for part in bins])
    rows = [
        {"accuracy": name, "networks": len(part.runs), **fluctuation.loc[list(part.runs)].median().to_dict()}
        for name, part in zip(names, bins, strict=True)
    ]
    return {"bins": rows, "spearman": fluctuation.corrwith(accuracy, method="spearman").to_dict()}


def _fluctuation(population: Population) -> pd.DataFrame:
    """A row a network, a column a layer: fluctuation at the last step."""
    import pandas as pd

    last = {}
    for name, run in population.runs.items():
        rows = run.metrics[(run.metrics["metric"] == "layer_fluctuation") & (run.metrics["step"] == run.steps[-1])]
        last[name] = rows.set_index("group")["value"]
    return pd.DataFrame(last).T
