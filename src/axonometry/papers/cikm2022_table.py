"""The findings of the experiment on Vahedian et al. 2021 as a Markdown page, every number with its n."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axonometry.papers import cikm2022
from axonometry.papers.markdown import machine, table, write

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.papers.cikm2022 import Finding, Results
    from axonometry.predict import Evaluation

PAPERS_ACCURACY = 0.93
"""What the paper says of LeNet: classification accuracy above this from the weighted degree of 5 epochs [found]."""

HOW = f"""\
## How to read it

- A run is one sample. Its final accuracy is that after its last epoch, on the part of the test images that is also the
  validation curve's, which favours the curve.
- *n epochs known*: features come from the snapshots before training and after each of the first n epochs, and from
  nothing later. Sets: `degree` and `centrality` are moments of the channel graph's weighted degree and eigenvector
  centrality; `graph` is these, node strength, spectral norms, how the weights moved, and on the hard grid the spectrum
  of the linear map to the outputs; `last-accuracy` is the validation accuracy after n epochs; `curve`, the learning
  curves, is validation accuracy, validation loss and training loss so far; `snapshot` is the graph after n epochs
  alone; `weights` are statistics of each parameter (Unterthiner et al. 2020); `hyperparameters` are known before
  training.
- All sets are judged in the same {cikm2022.FOLDS.folds} folds, which never split a configuration, with the same
  learners (forests and kernel machines, combined by their errors on runs that they did not see). Brackets are
  {cikm2022.FOLDS.level:.0%} intervals: bootstrap draws of configurations, {cikm2022.FOLDS.resamples:,} of them, seeded.
  Differences are taken on the same draws.
- R² is the share of the variance of final accuracy that is predicted: 0 for predicting the mean. Share right and AUC
  are of the class that a run falls into; each table says which classes.
- The definition of classes, features and learners is ours: the paper's were never released (definitions 3).
"""


def write_results(results: Results, markdown_path: str | Path, *, command: str = "axonometry paper cikm2022") -> None:
    """Write what was run, what was found, and how to repeat it.

    Args:
        results: Of :func:`axonometry.papers.cikm2022.run`.
        markdown_path: The page; folders on the way are made.
        command: What repeats it.
    """
    write(page(results, command), markdown_path)


def page(results: Results, command: str) -> str:
    """The page's text."""
    total = int(results.populations["n"].sum())
    parts = [
        "# Vahedian et al. 2021: do a few epochs of a network's graph tell how good it becomes?",
        f"Written by `{command}` (scale: {results.scale}); do not edit. "
        f"{machine(results.seconds, results.trained, total)}",
        "## In short",
        "\n".join(f"- {line}" for line in in_short(results)),
        "## What was trained",
        table(
            ["population", "runs", "final accuracy: least, quartiles, most", "seconds to read the features of a run"],
            (
                [
                    f"{row.title} (`{row.name}`)",
                    row.n,
                    ", ".join(f"{getattr(row, name):.3f}" for name in ("least", "lower", "median", "upper", "most")),
                    f"{results.reading[str(row.name)]:.3f}",
                ]
                for row in results.populations.itertuples(index=False)
            ),
        ),
        HOW.strip(),
        "## RQ1: architecture by architecture",
        *(text for found in results.findings for text in _finding(found)),
        "## RQ2: what was never seen",
        *_transfers(results),
        "## RQ3: in time",
        *_pruning(results),
    ]
    return "\n\n".join(parts)


def in_short(results: Results) -> list[str]:
    """What the paper's claims and ours come to, in words made of the numbers."""
    lines = []
    for found in results.findings:
        lines += [_degree_claim(found)] if found.learned is not None else _hard_claims(found)
    lines += [_transfer_claim(results, kind) for kind in dict.fromkeys(t.kind for t in results.transfers)]
    return lines


def _degree_claim(found: Finding) -> str:
    """The paper's claim on one population of its grid."""
    assert found.learned is not None  # the caller has looked
    known = int(found.median.scores["epochs"].max())
    words = []
    for evaluation, which in ((found.learned, "learned"), (found.median, "above the median")):
        larger = _larger_class(evaluation)
        if larger == 1:
            words.append(f"no number for *{which}* ({evaluation.threshold:.1%}), where all runs are on one side")
            continue
        degree, curve = (_score(evaluation, name, known, "accuracy") for name in ("degree", "curve"))
        above = "above" if degree["low"] > PAPERS_ACCURACY else "not surely above"
        words.append(
            f"{_interval(degree)} of the runs on the right side of *{which}* ({evaluation.threshold:.1%}; {above} "
            f"{PAPERS_ACCURACY:.0%}; always saying the larger class {larger:.3f}; curve {_interval(curve)})"
        )
    n = found.median.predictions["run"].nunique()
    return f"**{found.title}** (n = {n}): the weighted degree of {known} epochs puts {'; '.join(words)}."


def _larger_class(evaluation: Evaluation) -> float:
    """The share of runs on the side of the threshold where most are: what is right without looking."""
    good = float((evaluation.predictions.drop_duplicates("run")["truth"] >= evaluation.threshold).mean())
    return max(good, 1 - good)


def _hard_claims(found: Finding) -> list[str]:
    """Whether the graph sees more than the curve after one epoch, and whether adding it ever harms."""
    n = found.median.predictions["run"].nunique()
    parts = []
    for score, name in (("r2", "R²"), ("auc", "AUC")):
        graph, curve, last = (_score(found.median, which, 1, score) for which in ("graph", "curve", "last-accuracy"))
        apart = "intervals apart" if graph["low"] > curve["high"] else "intervals not apart"
        difference = _score(found.median, "graph", 1, score, differences=True)
        parts.append(
            f"{name} {_interval(graph)} from the graph and {_interval(curve)} from the learning curves ({apart}; "
            f"difference {_interval(difference)}), {_interval(last)} from the validation accuracy alone"
        )
    rows = found.median.differences
    both = rows[(rows["features"] == "graph+curve") & rows["score"].isin(["r2", "auc"])]
    worse = both[both["high"] < 0]
    better = both[both["low"] > 0]
    lines = [f"**{found.title}** (n = {n}), after one epoch: {'; '.join(parts)}."]
    harm = "is never surely worse than" if worse.empty else f"is worse in {len(worse)} cases than"
    gain = ", ".join(f"{_NAMES[str(row['score'])]} after {row['epochs']}" for _, row in better.iterrows())
    lines.append(f"Graph and curves together {harm} the curves alone, and surely better for: {gain or 'nothing'}.")
    return lines


def _transfer_claim(results: Results, kind: str) -> str:
    found = [transfer for transfer in results.transfers if transfer.kind == kind]
    known = int(found[0].evaluation.scores["epochs"].max())
    parts = []
    for transfer in found:
        degree, graph, curve = (
            _score(transfer.evaluation, name, known, "auc") for name in ("degree", "graph", "curve")
        )
        parts.append(
            f"{transfer.target} from {transfer.source}: degree {_interval(degree)}, graph {_interval(graph)}, "
            f"curve {_interval(curve)}"
        )
    which = "above the median" if kind == "data set" else f"*learned* ({cikm2022.LEARNED:.0%})"
    return f"**Unseen {kind}**, AUC for {which} after {known} epochs: {'; '.join(parts)}."


def _finding(found: Finding) -> Iterable[str]:
    n = found.median.predictions["run"].nunique()
    yield f"### {found.title}"
    yield f"Classes: above or below the median, {found.median.threshold:.1%}. n = {n}."
    for score, title in _NAMES.items():
        yield f"{title}:"
        yield _by_epochs(found.median.scores, score)
    yield "R² more than the curve's, on the same draws:"
    yield _by_epochs(found.median.differences, "r2")
    if found.learned is not None:
        share = (found.learned.predictions.drop_duplicates("run")["truth"] >= found.learned.threshold).mean()
        yield f"Share right for the class *learned*, a final accuracy from {found.learned.threshold:.0%} ({share:.0%}):"
        yield _by_epochs(found.learned.scores, "accuracy")
    if found.importances is not None:
        shuffled = "loss of R² when a family is shuffled (± standard deviation over shuffles)"
        yield f"What carries `graph` after one epoch: {shuffled}."
        rows = found.importances.itertuples(index=False)
        yield table(
            ["family", "columns", "loss of R²"], ([r.family, r.columns, f"{r.loss:.3f} ± {r.std:.3f}"] for r in rows)
        )
    if found.sizes is not None:
        yield "R² after one epoch by the number of runs that were learned from:"
        yield _wide(found.sizes[found.sizes["score"] == "r2"], "size", "runs learned from")


def _transfers(results: Results) -> Iterable[str]:
    yield (
        "Learned from all runs of the source, with features that any network has. Classes: a final accuracy of "
        f"{cikm2022.LEARNED:.0%} or more for architectures and widths, above the target's median for data sets. "
        "τ is Kendall's rank correlation of prediction and truth."
    )
    known = sorted(set(results.transfers[0].evaluation.scores["epochs"].tolist())) if results.transfers else []
    for epochs in known:
        yield f"After {epochs} epoch{'s' * (epochs > 1)}:"
        rows = [
            [
                transfer.kind,
                f"{transfer.source} ({transfer.n_source})",
                f"{transfer.target} ({transfer.evaluation.predictions['run'].nunique()})",
                name,
                *(_interval(_score(transfer.evaluation, name, epochs, score)) for score in ("tau", "auc", "r2")),
            ]
            for transfer in results.transfers
            for name in cikm2022.TRANSFERRED
        ]
        yield table(["unseen", "learned from", "predicted", "features", "τ", "AUC", "R²"], rows)


def _pruning(results: Results) -> Iterable[str]:
    design = cikm2022.DESIGN
    yield (
        f"{design.splits * design.studies} Optuna studies of {design.trials} trials, in {design.splits} splits, "
        "replayed over the recorded runs of the hard grid: each pruner sees the trials epoch by epoch and decides "
        f"whether they go on. Ours prunes where the upper end of the predicted {design.level:.0%} interval "
        f"(`{design.features}`) is below the best accuracy so far; its predictor was fitted on the other half of the "
        "runs. *saved*: share of the epochs that was not trained; *kept*: share of studies that found the best of all "
        "trials; *lost*: accuracy below it; *saved at equal best*: among those that found it."
    )
    frame = results.pruning
    cells = {(row["pruner"], row["quantity"]): row for row in frame.to_dict("records")}
    quantities = list(dict.fromkeys(frame["quantity"]))
    header = ["pruner", *(name.replace("_", " ") for name in quantities)]
    pruners = dict.fromkeys(frame["pruner"])
    yield table(header, ([name, *(_interval(cells[name, quantity]) for quantity in quantities)] for name in pruners))


_NAMES = {"r2": "R²", "auc": "AUC", "accuracy": "Share right"}


def _by_epochs(scores: pd.DataFrame, score: str) -> str:
    return _wide(scores[scores["score"] == score], "epochs", "features")


def _wide(rows: pd.DataFrame, by: str, first: str) -> str:
    """A row a feature set and a column a value of ``by``."""
    columns = list(dict.fromkeys(rows[by]))
    names = list(dict.fromkeys(rows["features"]))
    cells = {(row["features"], row[by]): row for row in rows.to_dict("records")}
    unit = {"epochs": "{} epochs known", "size": "{}"}[by]
    header = [first, *(unit.format(column).replace("1 epochs", "1 epoch") for column in columns)]
    none = {"value": float("nan")}
    return table(header, ([name, *(_interval(cells.get((name, c), none)) for c in columns)] for name in names))


def _score(
    evaluation: Evaluation, name: str, epochs: int, score: str, *, differences: bool = False
) -> dict[str, float]:
    rows = evaluation.differences if differences else evaluation.scores
    row = rows[(rows["features"] == name) & (rows["epochs"] == epochs) & (rows["score"] == score)].iloc[0]
    return {key: float(row[key]) for key in ("value", "low", "high")}


def _interval(row: Mapping[Any, Any]) -> str:
    if row["value"] != row["value"]:
        return "–"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
