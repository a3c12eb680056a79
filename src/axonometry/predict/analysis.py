"""Predictions of other kinds of networks, from fewer runs, and by which features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from axonometry.errors import PredictionError
from axonometry.predict.evaluation import (
    Evaluation,
    EvaluationPlan,
    FitTask,
    fit_task,
    run_fit_tasks,
    score_predictions,
    view_values,
)
from axonometry.predict.feature_sets import FeatureName, columns_for
from axonometry.predict.features import RunTable
from axonometry.predict.folds import fold_numbers
from axonometry.progress import Progress


def transfer(
    train: RunTable,
    test: RunTable,
    features: Iterable[str],
    epochs: Iterable[int],
    *,
    plan: EvaluationPlan | None = None,
) -> Evaluation:
    """Learn from some runs and predict others: of another architecture, width or data set.

    Only columns that both tables have are used: read both with ``per_group=False`` where architectures differ. The
    threshold is the median of the runs that are predicted, unless the plan says another.

    Args:
        train: Runs to learn from.
        test: Runs to predict.
        features: Feature sets, or several joined by +.
        epochs: The numbers of known epochs.
        plan: How it is done; its folds are not used.

    Raises:
        PredictionError: There are too few runs, or the tables share no column of a feature set.

    >>> names = [f"run {number}" for number in range(20)]
    >>> accuracy = pd.Series(np.linspace(0.1, 0.9, 20), index=names)
    >>> frame = pd.DataFrame({"accuracy@1": accuracy - 0.1, "channel_degree.mean@1": 1.0})
    >>> table = RunTable(frame, accuracy, pd.Series(names, index=names))
    >>> plan = EvaluationPlan(inner_folds=3, trees=5, resamples=10)
    >>> found = transfer(table, table, ["curve"], [1], plan=plan)
    >>> found.scores.set_index("score")["value"].round(1)["r2"]
    np.float64(1.0)
    """
    plan = plan or EvaluationPlan()
    shared = [name for name in train.features if name in set(test.features)]
    both = [replace(table, features=table.features[shared]) for table in (train, test)]
    rows = []
    for name in dict.fromkeys(features):
        for horizon in dict.fromkeys(epochs):
            known, new = (tuple(view_values(table, name, horizon)) for table in both)
            targets = train.final_accuracy.to_numpy(dtype=float)[:, None]
            predicted = FitTask(known, targets, tuple(train.groups), new, plan).predict()
            truth = test.final_accuracy.to_numpy(dtype=float)
            frame = pd.DataFrame({"run": test.features.index, "truth": truth, "predicted": predicted})
            rows.append(frame.assign(features=name, epochs=horizon, repeat=0, fold=0))
    return score_predictions(pd.concat(rows, ignore_index=True), test, plan)


def learning_curve(
    table: RunTable,
    sizes: Iterable[int],
    features: Iterable[str] = ("graph", "curve", "graph+curve"),
    epochs: Iterable[int] = (1,),
    *,
    plan: EvaluationPlan | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The scores by the number of training configurations; every fold is predicted as in ``evaluate``.

    Args:
        table: The runs.
        sizes: Numbers of configurations, each drawn at random from those outside the fold.
        features: Feature sets, or several joined by +.
        epochs: The numbers of known epochs.
        plan: How it is done; the first of its repeats is.
        progress: Called with fits done, out of how many, and a few words.

    Returns:
        As ``Evaluation.scores``, with the column ``size`` besides.

    Raises:
        PredictionError: A size is larger than what lies outside a fold, or there are too few runs.

    >>> names = [f"run {number}" for number in range(20)]
    >>> accuracy = pd.Series(np.linspace(0.1, 0.9, 20), index=names)
    >>> frame = pd.DataFrame({"accuracy@1": accuracy - 0.1, "channel_degree.mean@1": 1.0})
    >>> table = RunTable(frame, accuracy, pd.Series(names, index=names))
    >>> plan = EvaluationPlan(folds=4, inner_folds=3, trees=5, resamples=10)
    >>> curve = learning_curve(table, [4, 15], ["curve"], [1], plan=plan)
    >>> r2 = curve[curve["score"] == "r2"].set_index("size")["value"]
    >>> bool(r2[4] < r2[15])
    True
    """
    plan = plan or EvaluationPlan()
    cut = fold_numbers(list(table.groups), plan.folds, plan.seed)
    places = [(size, name, horizon) for size in sizes for name in features for horizon in epochs]
    parts, fits = [], 0
    for size, name, horizon in places:
        chosen, rows = view_values(table, name, horizon), []
        work = []
        for fold in range(plan.folds):
            kept = _some_groups(table, cut != fold, size, seed=plan.seed + fold)
            work.append(fit_task(table, chosen, kept, cut == fold, plan))
        for fold, predicted in enumerate(run_fit_tasks(work, plan.workers)):
            fits += 1
            if progress is not None:
                progress(fits, len(places) * plan.folds, f"{size} runs, {name}")
            inside = cut == fold
            rows.append(_frame(table, inside, predicted).assign(features=name, epochs=horizon, repeat=0, fold=fold))
        parts.append(score_predictions(pd.concat(rows, ignore_index=True), table, plan).scores.assign(size=size))
    return pd.concat(parts, ignore_index=True)


def importances(
    table: RunTable,
    features: str = "graph",
    epochs: int = 1,
    *,
    by: Callable[[FeatureName], str] = lambda column: column.family,
    plan: EvaluationPlan | None = None,
    shuffles: int = 5,
) -> pd.DataFrame:
    """Permutation importance: how much R2 falls on unseen runs when a family of features is shuffled among them.

    Features that say the same stand in for each other: what is lost with one family is what no other one says.

    Args:
        table: The runs.
        features: A feature set, or several joined by +.
        epochs: The number of known epochs.
        by: The family of a column; the measure by default, ``lambda column: column.place`` for measure and group.
        plan: How it is done; the first of its repeats is.
        shuffles: How often each family is shuffled.

    Returns:
        A row a family, the most important first: family, columns (how many), loss, and its std over the shuffles.

    Raises:
        PredictionError: There are too few runs, or the table has not the columns.

    Shuffling degrees that do not vary loses nothing; shuffling the accuracies loses all, and more:

    >>> names = [f"run {number}" for number in range(20)]
    >>> accuracy = pd.Series(np.linspace(0.1, 0.9, 20), index=names)
    >>> frame = pd.DataFrame({"accuracy@1": accuracy - 0.1, "channel_degree.mean@1": 1.0})
    >>> table = RunTable(frame, accuracy, pd.Series(names, index=names))
    >>> plan = EvaluationPlan(folds=4, inner_folds=3, trees=5)
    >>> lost = importances(table, "degree+curve", 1, plan=plan).set_index("family")["loss"]
    >>> bool(lost["accuracy"] > 0.5), float(lost["channel_degree"])
    (True, 0.0)
    """
    plan = plan or EvaluationPlan()
    cut = fold_numbers(list(table.groups), plan.folds, plan.seed)
    names = columns_for(map(str, table.features), features, epochs)
    families = [[_family(name, by) for name in view] for view in names]
    truth = table.final_accuracy.to_numpy(dtype=float)
    every = list(dict.fromkeys(family for view in families for family in view))
    chosen = view_values(table, features, epochs)
    predicted = np.empty((len(every) + 1, shuffles, len(truth)))
    random = np.random.default_rng(plan.seed)
    for fold in range(plan.folds):
        inside = cut == fold
        ensemble = fit_task(table, chosen, ~inside, inside, plan).fit()
        test = [view[inside] for view in chosen]
        predicted[0][:, inside] = ensemble.predict(test)[:, 0]
        for shuffle in range(shuffles):
            order = random.permutation(int(inside.sum()))
            for place, family in enumerate(every, start=1):
                shuffled = [_shuffled(view, of, family, order) for view, of in zip(test, families, strict=True)]
                predicted[place, shuffle, inside] = ensemble.predict(shuffled)[:, 0]
    lost = np.square(predicted - truth).sum(axis=2) / np.square(truth - truth.mean()).sum()
    losses = lost[1:] - lost[0]
    rows = [
        (
            family,
            len({name for view, of in zip(names, families, strict=True) for name, f in zip(view, of) if f == family}),
        )
        for family in every
    ]
    frame = pd.DataFrame(rows, columns=["family", "columns"]).assign(loss=losses.mean(axis=1), std=losses.std(axis=1))
    return frame.sort_values("loss", ascending=False, ignore_index=True)


def _family(name: str, by: Callable[[FeatureName], str]) -> str:
    column = FeatureName.parse(name)
    assert column is not None  # views only returns such
    return by(column)


def _shuffled(view: np.ndarray, families: Sequence[str], family: str, order: np.ndarray) -> np.ndarray:
    places = np.array([of == family for of in families])
    changed = view.copy()
    changed[:, places] = view[order][:, places]
    return changed


def _some_groups(table: RunTable, outside: np.ndarray, size: int, *, seed: int) -> np.ndarray:
    """The rows of so many groups outside a fold."""
    groups = list(dict.fromkeys(table.groups[outside]))
    if not 4 <= size <= len(groups):
        came = f"{size} of {len(groups)}"
        raise PredictionError("a learning curve's sizes are numbers of configurations outside a fold, from 4", came)
    drawn = {groups[place] for place in np.random.default_rng(seed).permutation(len(groups))[:size]}
    return outside & table.groups.isin(drawn).to_numpy()


def _frame(table: RunTable, inside: np.ndarray, forecast: np.ndarray) -> pd.DataFrame:
    truth = table.final_accuracy.to_numpy(dtype=float)[inside]
    return pd.DataFrame({"run": table.features.index[inside], "truth": truth, "predicted": forecast[:, 0]})
