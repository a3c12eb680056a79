"""The page on prediction where most networks learn, from the populations of paper 3's scale medium.

    axonometry paper cikm2022 --scale medium --folder FOLDER     # trains them, or some of them
    python docs/make_predictions.py FOLDER

writes docs/results/cikm2022-learning.md; populations that are not there are left out and named.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from axonometry.experiments.markdown import markdown_table
from axonometry.populations import load_population
from axonometry.predict import EvaluationPlan, RunTable, evaluate, read_runs, transfer

PAGE = Path(__file__).parent / "results/cikm2022-learning.md"
POPULATIONS = {
    "lenet": "LeNet, Fashion-MNIST 14 x 14 (`changes` were chosen here)",
    "mlp": "MLP 64-32, Fashion-MNIST 14 x 14",
    "resnet-8": "ResNet-8, Fashion-MNIST 14 x 14",
    "signal-mlp": "MLP 64-32, MNIST-1D",
    "signal-convolutional": "convolutional, MNIST-1D",
    "signal-recurrent": "GRU, MNIST-1D",
}
UNSEEN = (("lenet", "mlp", "resnet-8"), ("signal-mlp", "signal-convolutional", "signal-recurrent"))
"""Architectures on the same data: each is predicted from the others."""
CHANCE, LEARNED = 0.1, 0.2
"""Accuracy of a guess among ten classes, and from which on a network has learned something."""
FEATURES, EPOCHS = ("changes", "curve", "changes+curve"), (1, 3)
BESIDE = "hyperparameters+curve"


def main() -> None:
    """Evaluate, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder of populations")
    folder = parser.parse_args().folder
    known = [name for name in POPULATIONS if (folder / name).is_dir()]
    tables = {name: _table(folder / name) for name in known}
    PAGE.write_text("\n".join(_page(tables, [name for name in POPULATIONS if name not in known])), encoding="utf-8")


def _table(folder: Path) -> RunTable:
    runs = list(load_population(folder).runs.values())
    return read_runs(runs, epochs=max(EPOCHS), features=f"changes+{BESIDE}", per_group=False)


def _page(tables: dict[str, RunTable], missing: Sequence[str]) -> Iterable[str]:
    plan = EvaluationPlan(folds=5, repeats=10)
    against_curve, against_choices = (
        {name: evaluate(table, chosen, [1], plan=_with(plan, chosen[0])) for name, table in tables.items()}
        for chosen in (("curve", "changes+curve"), (BESIDE, "changes+curve"))
    )
    networks = sum(len(table.groups) for table in tables.values())
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, torch {torch.__version__}"
    yield "# Prediction where most networks learn\n"
    absent = f" Not there: {', '.join(missing)}." if missing else ""
    yield (
        f"Written by `python docs/make_predictions.py FOLDER`; do not edit. {len(tables)} populations of `axonometry "
        f"paper cikm2022 --scale medium` (`papers/cikm2022/learning.py`), {networks} networks, hyper-parameters drawn "
        f"at random, on {machine}.{absent}\n"
    )
    yield "## After one epoch\n"
    yield (
        "R², AUC (above or below the median) and Kendall's τ; 5 folds, 10 repeats, each fitted anew, intervals "
        "corrected for the runs that folds share (Nadeau and Bengio 2003). In short: beside the curve alone, the curve "
        f"with `changes` is {_verdict(against_curve)}.\n"
    )
    heads = ("population", "n", f"of which reach {LEARNED:.0%}", "final accuracy: least, quartiles, most")
    scores = [f"{score}: {who}" for score in ("R²", "AUC", "τ") for who in ("curve", "curve and changes")]
    yield markdown_table((*heads, *scores, "R² more than the curve"), map(_row, tables.items(), against_curve.values()))
    yield "\n## Beside hyper-parameters with the curve\n"
    yield (
        "R², same folds and learners. In short: beside the curve with hyper-parameters, the curve with `changes` is "
        f"{_verdict(against_choices)}.\n"
    )
    rows = [
        (name, _of(found.scores, BESIDE, "r2"), _of(found.scores, "changes+curve", "r2"), _gain(found))
        for name, found in against_choices.items()
    ]
    yield markdown_table(("population", "hyper-parameters and curve", "curve and changes", "difference"), rows)
    yield "\n## Do 90 % intervals hold?\n"
    yield "Share of final accuracies inside, by predicted third, with exact intervals, and the mean width.\n"
    rows = [(name, *_thirds(found.coverage)) for name, found in against_curve.items()]
    yield markdown_table(("population", "low third", "middle third", "high third"), rows)
    yield "\n## Unseen architectures\n"
    yield (
        "AUC for half of the way from a guess to the best network of the population; learned from the other "
        "architectures on the same data; bootstrap of configurations.\n"
    )
    yield markdown_table(("predicted", "learned from", "epochs known", *FEATURES), _transfers(tables))
    yield ""


def _with(plan: EvaluationPlan, reference: str) -> EvaluationPlan:
    return EvaluationPlan(folds=plan.folds, repeats=plan.repeats, reference=reference)


def _verdict(found: dict[str, Any]) -> str:
    gains = [_difference(one) for one in found.values()]
    better, worse = sum(row["low"] > 0 for row in gains), sum(row["high"] < 0 for row in gains)
    undecided = len(gains) - better - worse
    return f"surely better in {better} of {len(gains)} populations, surely worse in {worse}, undecided in {undecided}"


def _row(named: tuple[str, RunTable], found: Any) -> tuple[Any, ...]:
    name, table = named
    accuracy = table.final_accuracy
    quartiles = " ".join(f"{accuracy.quantile(at):.3f}" for at in (0, 0.25, 0.5, 0.75, 1))
    scores = [_of(found.scores, who, score) for score in ("r2", "auc", "tau") for who in ("curve", "changes+curve")]
    return POPULATIONS[name], len(accuracy), f"{(accuracy >= LEARNED).mean():.0%}", quartiles, *scores, _gain(found)


def _of(frame: pd.DataFrame, features: str, score: str) -> str:
    row = frame[(frame["features"] == features) & (frame["score"] == score)].iloc[0]
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _difference(found: Any) -> Any:
    rows = found.differences
    return rows[(rows["features"] == "changes+curve") & (rows["score"] == "r2")].iloc[0]


def _gain(found: Any) -> str:
    return _of(found.differences, "changes+curve", "r2")


def _thirds(coverage: pd.DataFrame) -> Iterable[str]:
    for row in coverage[coverage["features"] == "changes+curve"].to_dict("records"):
        yield f"{row['covered']:.2f} [{row['low']:.2f}, {row['high']:.2f}], width {row['width']:.2f}"


def _transfers(tables: dict[str, RunTable]) -> Iterable[tuple[Any, ...]]:
    for alike in UNSEEN:
        for unseen in (name for name in alike if name in tables):
            others = [name for name in alike if name in tables and name != unseen]
            known = RunTable(
                pd.concat([tables[name].features for name in others], join="inner"),
                pd.concat([tables[name].final_accuracy for name in others]),
                pd.concat([tables[name].groups for name in others]),
            )
            best = float(tables[unseen].final_accuracy.max())
            plan = EvaluationPlan(threshold=(CHANCE + best) / 2)
            found = transfer(known, tables[unseen], FEATURES, EPOCHS, plan=plan).scores
            for epochs in EPOCHS:
                part = found[found["epochs"] == epochs]
                yield unseen, ", ".join(others), epochs, *(_of(part, name, "auc") for name in FEATURES)


if __name__ == "__main__":
    main()
