"""The paper's three questions: per architecture, on what was never seen, and in time; and the grid that is harder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pandas as pd

from axonometry.experiments import Claim, IntervalChart, Measurements, Section, cross_table, estimate_of_row, in_words
from axonometry.integrations.pruning import Design, compare_pruners, pruner_summary
from axonometry.papers.cikm2022.predictions import LEARNED, TRANSFERRED, Prediction, predictions, score, transfers
from axonometry.populations import Population
from axonometry.predict import RunTable
from axonometry.progress import Progress
from axonometry.report.page import Block, Prose, Table
from axonometry.report.prediction import evaluation_blocks, importance_figure, predicted_blocks

PAPER, OURS = "2111.05410", "no paper: what stands beside the graph"
MORE = "the paper's grids on all images, 2,000 runs an architecture, at scale full: for GPUs"
"""What would change the verdicts."""
PAPERS_ACCURACY = 0.93
"""What the paper says of LeNet: classification accuracy above this from the weighted degree of 5 epochs [found]."""
HEADS = {"epochs": "{} epochs known", "size": "{} runs"}
SCORES = {"r2": "R²", "auc": "AUC", "accuracy": "Share right"}


def architectures(found: Measurements) -> Section:
    """RQ1, architecture by architecture, on the paper's grid."""
    title = "RQ1: do a few epochs predict the final accuracy, architecture by architecture?"
    setup = "The paper's grid of learning rates and dropout, part of which learns nothing."
    return _predicted(title, setup, predictions(found, "paper"), degree_claims)


def hard_grid(found: Measurements) -> Section:
    """Whether the graph sees more than the curve after one epoch, and whether adding it ever harms."""
    title = "Does the graph see more than the learning curve, where hyper-parameters do not give the answer away?"
    setup = "Optimiser, learning rate, decay, batch, initial scale, activation, data and label noise are all drawn."
    return _predicted(title, setup, predictions(found, "hard", "learning"), hard_claims)


def _predicted(
    title: str, setup: str, every: list[Prediction], claims: Callable[[Prediction], Iterator[Claim]]
) -> Section:
    made = tuple(claim for one in every for claim in claims(one))
    tables = tuple(table for one in every for table in _tables(one))
    return Section(title, setup, made, tables, tuple(partial(_figures, one) for one in every))


def degree_claims(one: Prediction) -> Iterator[Claim]:
    """The paper's claim on one population of its grid, for two definitions of the classes."""
    known = int(one.median.scores["epochs"].max())
    for evaluation, which in ((one.learned, "learned"), (one.median, "above the median")):
        words = (
            f"The weighted degree of {known} epochs puts more than {PAPERS_ACCURACY:.0%} of the runs on the right side "
            f"of *{which}* ({evaluation.threshold:.1%}): {one.title}"
        )
        good = float((evaluation.predictions.drop_duplicates("run")["truth"] >= evaluation.threshold).mean())
        if good in {0, 1}:
            yield Claim(words, "undecided", numbers=f"all {one.n} runs are on one side").stated(PAPER, settled_by=MORE)
            continue
        at = {"score": "accuracy", "epochs": known}
        degree, curve = (score(evaluation.scores, one.n, features=name, **at) for name in ("degree", "curve"))
        numbers = f"{degree}, n = {one.n}; always saying the larger class {max(good, 1 - good):.3f}; curve {curve}"
        yield Claim.above(words, degree, PAPERS_ACCURACY, numbers=numbers).stated(PAPER, settled_by=MORE)


def hard_claims(one: Prediction) -> Iterator[Claim]:
    """Whether the graph says more than the learning curves after one epoch, and whether both together do."""
    scores, differences = one.median.scores, one.median.differences
    for name in ("r2", "auc"):
        at = {"score": name, "epochs": 1}
        graph, curve, last = (score(scores, one.n, features=of, **at) for of in ("graph", "curve", "last-accuracy"))
        gain = score(differences, one.n, features="graph", **at)
        apart = "intervals apart" if graph.low > curve.high else "intervals not apart"
        numbers = (
            f"{SCORES[name]} {graph} from the graph and {curve} from the learning curves ({apart}; difference {gain}), "
            f"{last} from the validation accuracy alone, n = {one.n}"
        )
        words = f"After one epoch the graph predicts more than the learning curves ({SCORES[name]}): {one.title}"
        yield Claim.above(words, gain, numbers=numbers).stated(OURS, settled_by=MORE)
    both = differences[(differences["features"] == "graph+curve") & differences["score"].isin(["r2", "auc"])]
    better, worse = both[both["low"] > 0], both[both["high"] < 0]
    gained = ", ".join(f"{SCORES[str(row.score)]} after {row.epochs}" for row in better.itertuples())
    numbers = f"surely better for {gained or 'nothing'}; surely worse in {len(worse)} of {len(both)} cases"
    gains = [estimate_of_row(row, one.n, "runs") for row in both.to_dict("records")]
    words = f"Graph and curves together predict more than the curves alone: {one.title}"
    yield Claim.above(words, gains, numbers=numbers).stated(OURS, settled_by=MORE)


def _tables(one: Prediction) -> Iterator[Table]:
    median = one.median
    for name, title in SCORES.items():
        yield _by(one, median.scores, name, title, f"Classes: the median, {median.threshold:.1%}.")
    yield _by(one, median.differences, "r2", "R² more than the curve's, on the same draws")
    if one.grids[0].kind == "paper":
        share = (one.learned.predictions.drop_duplicates("run")["truth"] >= LEARNED).mean()
        words = f"Share right for the class *learned*, a final accuracy from {LEARNED:.0%} ({share:.0%})"
        yield _by(one, one.learned.scores, "accuracy", words)
    elif one.large:
        losses = [f"{row.loss:.3f} ± {row.std:.3f}" for row in one.importances.itertuples()]
        shown = one.importances[["family", "columns"]].assign(**{"loss of R²": losses})
        caption = "Loss of R² when a family of features is shuffled (± standard deviation over shuffles)."
        yield Table.of(shown, title=f"What carries the graph after one epoch: {one.title}", caption=caption)
        title = "R² after one epoch by the number of runs that were learned from"
        yield _by(one, one.sizes, "r2", title, by="size")


def _by(one: Prediction, rows: pd.DataFrame, name: str, title: str, caption: str = "", by: str = "epochs") -> Table:
    """One score: a row a feature set and a column a value of ``by``."""
    cells = {
        (row["features"], HEADS[by].format(row[by]).replace("1 epochs", "1 epoch")): estimate_of_row(row, one.n, "runs")
        for row in rows[rows["score"] == name].to_dict("records")
    }
    return cross_table(f"{title}: {one.title}", "features", cells, f"{caption} n = {one.n}.".strip())


def _figures(one: Prediction) -> Iterator[Block]:
    yield Prose(f"{one.n} runs.", one.title)
    yield from evaluation_blocks(one.median)
    yield from predicted_blocks(one.median)
    if one.grids[0].kind != "paper" and one.large:
        yield importance_figure(one.importances)


def unseen(found: Measurements) -> Section:
    """RQ2: learned from one kind of networks, predicted for another, with features that any network has."""
    scores = transfers(found)
    places = ["kind", "source", "target", "features", "epochs"]
    rows = tuple(
        (*place, *(score(part, score=which) for which in ("tau", "auc", "r2")))
        for _, at in scores.groupby("epochs")
        for place, part in at.groupby(places, sort=False)
    )
    columns = ("unseen", "learned from", "predicted", "features", "epochs known", "τ", "AUC", "R²")
    table = Table(columns, rows, "Unseen architectures, widths and data sets")
    setup = (
        "Learned from all runs of the source, with features that any network has. Classes: a final accuracy of "
        f"{LEARNED:.0%} or more for architectures and widths, above the target's median for data sets. τ is Kendall's "
        "rank correlation of prediction and truth."
    )
    claims = tuple(_transfer_claim(str(kind), part) for kind, part in scores.groupby("kind", sort=False))
    title = "RQ2: do predictions hold for networks of a kind that was never seen?"
    return Section(title, setup, claims, (table,), (_transfer_chart(scores),))


def _transfer_chart(scores: pd.DataFrame) -> IntervalChart:
    """Of each pair the AUC of three feature sets, side by side."""
    known = int(scores["epochs"].max())
    rows = scores[(scores["epochs"] == known) & (scores["score"] == "auc")].to_dict("records")
    cells = {(f"{row['target']} from {row['source']}", row["features"]): estimate_of_row(row) for row in rows}
    table = cross_table(f"AUC on what was never seen, {known} epochs known", "predicted", cells)
    return IntervalChart(table, TRANSFERRED[:3], "AUC", 0.5, (-0.03, 1.03), "Dotted: a guess.")


def _transfer_claim(kind: str, scores: pd.DataFrame) -> Claim:
    known = int(scores["epochs"].max())
    degrees, words = [], []
    for (source, target), part in scores[scores["epochs"] == known].groupby(["source", "target"], sort=False):
        degree, graph, curve = (score(part, score="auc", features=name) for name in TRANSFERRED[:3])
        degrees.append(degree)
        words.append(f"{target} from {source}: degree {degree}, graph {graph}, curve {curve}")
    which = "above the median" if kind == "data set" else f"*learned* ({LEARNED:.0%})"
    claimed = f"The weighted degree of {known} epochs tells which networks of an unseen {kind} come out {which}, AUC"
    return Claim.above(claimed, degrees, 0.5, numbers="; ".join(words)).stated(PAPER, settled_by=MORE)


def in_time(found: Measurements) -> Section:
    """RQ3: what pruning on the prediction saves, in studies replayed over the recorded runs."""
    design: Design = found.options.design
    one = predictions(found, "hard", "learning")[0]
    networks = (found.populations[one.grids[0].name], one.table)
    studies = found.context.cached(_studies, *networks, design, unkeyed=(found.context.progress,))
    cells = {
        (row["pruner"], in_words(row["quantity"])): estimate_of_row(row, row["studies"], "studies")
        for row in pruner_summary(studies).to_dict("records")
    }
    setup = (
        f"{design.splits * design.studies} Optuna studies of {design.trials} trials, in {design.splits} splits, "
        "replayed over the recorded runs of the hard grid: each pruner sees the trials epoch by epoch and decides "
        f"whether they continue. Ours prunes where the upper end of the predicted {design.level:.0%} interval "
        f"(`{design.features}`) is below the best accuracy so far; its predictor was fitted on the other half of the "
        "runs. *saved*: share of the epochs that was not trained; *kept*: share of studies that found the best of all "
        "trials; *lost*: accuracy below it; *saved at equal best*: among those that found it; "
        "*good stopped*: share of the runs in the upper quarter of their study that were not trained to their end."
    )
    table = cross_table("What pruning on the prediction saves", "pruner", cells)
    return Section("RQ3: what does a prediction save, in time?", setup, (), (table,))


def _studies(population: Population, table: RunTable, design: Design, progress: Progress) -> pd.DataFrame:
    return compare_pruners(population, design, table=table, progress=progress)
