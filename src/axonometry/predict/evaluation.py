"""What predictions are worth: every feature set and every baseline in the same folds, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float

from axonometry.errors import PredictionError
from axonometry.predict.coverage import coverage_by_third, opened_ends
from axonometry.predict.ensemble import StackedEnsemble, fit_ensemble
from axonometry.predict.feature_sets import BEFORE_TRAINING, FEATURE_SETS, columns_for, parts_of
from axonometry.predict.features import RunTable
from axonometry.predict.folds import fold_numbers, needed_for
from axonometry.predict.repeated import reference_at, repeated_tables
from axonometry.predict.scores import resamples, scores
from axonometry.predict.spread import relative_cv_plus
from axonometry.progress import Progress

EVALUATED = (*FEATURE_SETS, "changes+curve", "graph+curve", "hyperparameters+curve")
"""What is compared unless the user says otherwise."""

INTERVAL = 0.9
"""Level of the predictions' intervals."""

Values = Float[np.ndarray, "_ _"]


@dataclass(frozen=True)
class EvaluationPlan:
    """How an evaluation is done.

    Attributes:
        folds: Into how many folds the runs are cut, groups kept whole.
        repeats: How often they are cut anew; scores are means over the repeats.
        inner_folds: Into how many folds the training runs are cut to combine learners.
        trees: Of each forest.
        threshold: From which final accuracy on a run is good; the median of the runs where None.
        reference: The feature set that all others are compared with; after 0 epochs it is the number of parameters.
        resamples: Of the bootstrap over groups.
        level: Of the intervals.
        seed: Of all that is drawn.
        workers: Processes.

    >>> EvaluationPlan(folds=3).folds, EvaluationPlan().folds
    (3, 10)
    """

    folds: int = 10
    repeats: int = 1
    inner_folds: int = 5
    trees: int = 40
    threshold: float | None = None
    reference: str = "curve"
    resamples: int = 1000
    level: float = 0.95
    seed: int = 0
    workers: int = 1


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        scores: A row a feature set, number of known epochs and score: value, low, high.
        differences: The same for the score minus the reference's on the same resamples.
        predictions: A row a run, feature set, number of known epochs and repeat: fold, truth, predicted, and the ends
            of its 90 % interval, low and high; NaN where too few runs were learned from.
        threshold: From which final accuracy on a run is good.
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    predictions: pd.DataFrame
    threshold: float

    @property
    def coverage(self) -> pd.DataFrame:
        """How many final accuracies lie inside their 90 % intervals, by predicted third."""
        return coverage_by_third(self.predictions)


def evaluate(
    table: RunTable,
    features: Iterable[str] = EVALUATED,
    epochs: Iterable[int] = (1, 2, 3, 4, 5),
    *,
    plan: EvaluationPlan | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Predict every run from others, with every feature set after every number of epochs, in the same folds.

    Args:
        table: Finished runs.
        features: Feature sets, or several joined by +.
        epochs: The numbers of known epochs; after 0 of them, sets that look at the initial network are compared with
            the number of parameters.
        plan: How it is done.
        progress: Called with fits done, out of how many, and a few words.

    Raises:
        PredictionError: There are too few runs, or the table has not the columns of a feature set.

    Accuracies that the curve gives away and degrees that do not vary:

    >>> names = [f"run {number}" for number in range(20)]
    >>> accuracy = pd.Series(np.linspace(0.1, 0.9, 20), index=names)
    >>> frame = pd.DataFrame({"accuracy@1": accuracy - 0.1, "channel_degree.mean@1": 1.0})
    >>> table = RunTable(frame, accuracy, pd.Series(names, index=names))
    >>> plan = EvaluationPlan(folds=4, inner_folds=3, trees=5, resamples=100)
    >>> scores = evaluate(table, ["curve", "degree"], [1], plan=plan).scores
    >>> scores[scores["score"] == "r2"].set_index("features")["value"].round(1).to_dict()
    {'curve': 1.0, 'degree': -0.1}
    """
    plan, sets, horizons = plan or EvaluationPlan(), list(dict.fromkeys(features)), list(dict.fromkeys(epochs))
    cuts = [fold_numbers(list(table.groups), plan.folds, plan.seed + repeat) for repeat in range(plan.repeats)]
    places = [(name, horizon) for name in sets for horizon in horizons if is_known_at(name, horizon)]
    # One list of fits, each by itself: workers take any of them, and all feature sets see the same folds.
    jobs = [
        Job(name, horizon, repeat, fold)
        for name, horizon in places
        for repeat in range(plan.repeats)
        for fold in range(plan.folds)
    ]
    chosen = {place: view_values(table, *place) for place in places}
    inside = [cuts[job.repeat] == job.fold for job in jobs]
    work = (
        fit_task(table, chosen[job.features, job.epochs], ~new, new, plan)
        for job, new in zip(jobs, inside, strict=True)
    )
    truth = table.final_accuracy.to_numpy(dtype=float)
    rows: list[pd.DataFrame] = []
    for job, new, predicted in zip(jobs, inside, run_fit_tasks(work, plan.workers), strict=True):
        if progress is not None:
            progress(len(rows) + 1, len(jobs), f"{job.features}, epoch {job.epochs}")
        frame = pd.DataFrame(predicted, columns=["predicted", "low", "high"])
        rows.append(frame.assign(run=table.features.index[new], truth=truth[new], **asdict(job)))
    predictions = pd.concat(rows, ignore_index=True)
    return score_predictions(predictions, table, plan)


def is_known_at(name: str, epochs: int) -> bool:
    """Whether a feature set is compared after so many epochs: what looks at the initial network alone, after none.

    >>> is_known_at("proxies+hyperparameters", 0), is_known_at("curve", 0)
    (True, False)
    >>> is_known_at("initial", 1), is_known_at("hyperparameters", 1), is_known_at("initial+curve", 1)
    (False, True, True)
    """
    parts = parts_of(name)
    if epochs == 0:
        return all(part in (*BEFORE_TRAINING, "hyperparameters") for part in parts)
    return not all(part in BEFORE_TRAINING for part in parts)


def available(table: RunTable, epochs: int) -> list[str]:
    """The feature sets that a table has the columns of, out of those that are compared by default.

    >>> columns = pd.DataFrame({"accuracy@1": [0.5]})
    >>> available(RunTable(columns, columns["accuracy@1"], columns["accuracy@1"]), 1)
    ['last-accuracy', 'curve']
    """
    found = []
    for name in EVALUATED:
        with suppress(PredictionError):
            columns_for(map(str, table.features), name, epochs)
            found.append(name)
    return found


@dataclass(frozen=True)
class Job:
    """One fit: a feature set and a number of known epochs, and the fold that is predicted."""

    features: str
    epochs: int
    repeat: int
    fold: int


@dataclass(frozen=True)
class FitTask:
    """What a worker process gets: the views of the training rows and of the rows to predict."""

    train: tuple[Values, ...]
    targets: Values
    groups: tuple[object, ...]
    test: tuple[Values, ...]
    plan: EvaluationPlan = field(default_factory=EvaluationPlan)

    def fit(self) -> StackedEnsemble:
        """What is learned of the training rows."""
        fold_of = fold_numbers(self.groups, min(self.plan.inner_folds, len(set(self.groups))), self.plan.seed)
        return fit_ensemble(self.train, self.targets, fold_of, trees=self.plan.trees, seed=self.plan.seed)

    def predict(self) -> Float[np.ndarray, " rows"]:
        """Predictions of the rows."""
        return self.forecast()[:, 0]

    def forecast(self) -> Float[np.ndarray, "rows 3"]:
        """Predictions of the rows with the ends of their intervals, NaN where there are too few runs for the level."""
        ensemble = self.fit()
        by_fold = ensemble.by_fold(self.test)
        enough = len(self.targets) >= needed_for(INTERVAL)
        missing = np.full((by_fold.shape[1], 2), np.nan)
        ends = relative_cv_plus(ensemble, by_fold, INTERVAL) if enough else missing
        return np.hstack([by_fold.mean(axis=0)[:, :1], ends])


def view_values(table: RunTable, features: str, epochs: int) -> list[Values]:
    """The columns of each view of a feature set.

    >>> columns = pd.DataFrame({"accuracy@1": [0.5], "loss@1": [2.0], "accuracy@2": [0.6]})
    >>> view_values(RunTable(columns, columns["accuracy@1"], columns["accuracy@1"]), "curve", 1)
    [array([[0.5, 2. ]])]
    """
    return [
        table.features[view].to_numpy(dtype=float) for view in columns_for(map(str, table.features), features, epochs)
    ]


def fit_task(
    table: RunTable, chosen: Sequence[Values], known: np.ndarray, new: np.ndarray, plan: EvaluationPlan
) -> FitTask:
    """The work of predicting some rows from others.

    Args:
        table: The runs.
        chosen: The columns of each view.
        known: Training rows.
        new: Which rows are predicted.
        plan: How.
    """
    targets = table.final_accuracy.to_numpy(dtype=float)[:, None]
    train, test = tuple(view[known] for view in chosen), tuple(view[new] for view in chosen)
    return FitTask(train, targets[known], tuple(table.groups[known]), test, plan)


def run_fit_tasks(tasks: Iterable[FitTask], workers: int) -> Iterator[Float[np.ndarray, "rows 3"]]:
    """The predictions with their intervals in order, each as soon as it is there."""
    if workers == 1:
        return (task.forecast() for task in tasks)
    from sklearn.utils.parallel import Parallel, delayed

    return iter(Parallel(workers, return_as="generator")(delayed(FitTask.forecast)(task) for task in tasks))


def score_predictions(predictions: pd.DataFrame, table: RunTable, plan: EvaluationPlan) -> Evaluation:
    """Predictions of all rows of a table with their scores and intervals.

    Of one repeat, intervals are percentiles of resamples of groups, which say how much the runs that were predicted
    matter. Of several, they are those of :mod:`axonometry.predict.repeated`: each repeat fits all models anew, so that
    what was learned from matters too. No score has one of zero width; a difference has where all folds agree.

    Args:
        predictions: Columns run, features, epochs, repeat, predicted.
        table: The runs.
        plan: How.

    >>> names = [f"run {number}" for number in range(20)]
    >>> accuracy = pd.Series(np.linspace(0.1, 0.9, 20), index=names)
    >>> frame = pd.DataFrame({"accuracy@1": accuracy - 0.1, "channel_degree.mean@1": 1.0})
    >>> table = RunTable(frame, accuracy, pd.Series(names, index=names))
    >>> predictions = pd.DataFrame({"run": names, "features": "curve", "epochs": 1, "repeat": 0, "predicted": accuracy})
    >>> scores = score_predictions(
    ...     predictions.assign(predicted=accuracy.to_numpy() + 0.1), table, EvaluationPlan()
    ... ).scores
    >>> scores.set_index("score")["value"].round(3).to_dict()
    {'r2': 0.83, 'rmse': 0.1, 'tau': 1.0, 'accuracy': 0.9, 'auc': 1.0}
    """
    threshold = float(table.final_accuracy.median()) if plan.threshold is None else plan.threshold
    if "fold" in predictions and predictions["repeat"].nunique() > 1:
        tables = repeated_tables(predictions, threshold, plan.reference, plan.level)
        return Evaluation(*tables, predictions, threshold)
    # The same resamples for all feature sets: a difference of two scores is taken resample by resample, in which a draw
    # of easy runs is easy for both.
    counts = resamples(list(table.groups), plan.resamples, plan.seed)
    truth = table.final_accuracy.to_numpy(dtype=float)
    found: dict[tuple[str, int], Mapping[str, np.ndarray]] = {}
    places = predictions[["features", "epochs"]].drop_duplicates()
    for name, horizon in zip(places["features"].tolist(), places["epochs"].tolist(), strict=True):
        part = predictions[(predictions["features"] == name) & (predictions["epochs"] == horizon)]
        wide = part.pivot(index="run", columns="repeat", values="predicted").reindex(table.features.index)
        each = [scores(truth, wide[repeat].to_numpy(), counts, threshold) for repeat in wide]
        found[name, horizon] = {score: np.mean([one[score] for one in each], axis=0) for score in each[0]}
    differences = {
        (name, epochs): {score: values - found[reference, epochs][score] for score, values in of.items()}
        for (name, epochs), of in found.items()
        for reference in [reference_at(plan.reference, epochs)]
        if (reference, epochs) in found and name != reference
    }
    opened = _open(_table(found, plan.level), table.groups.nunique(), plan.level)
    return Evaluation(opened, _table(differences, plan.level), predictions, threshold)


def _table(found: Mapping[tuple[str, int], Mapping[str, np.ndarray]], level: float) -> pd.DataFrame:
    """The first resample is the value, the percentiles of the others are the interval."""
    tail = (1 - level) / 2
    rows = [
        (name, epochs, score, float(values[0]), *_percentiles(values[1:], tail))
        for (name, epochs), of in found.items()
        for score, values in of.items()
    ]
    return pd.DataFrame(rows, columns=["features", "epochs", "score", "value", "low", "high"])


def _open(rows: pd.DataFrame, n: int, level: float) -> pd.DataFrame:
    """The intervals of scores, none of zero width."""
    columns = (rows[name].tolist() for name in ("score", "value", "low", "high"))
    ends = [
        (low, high) if score == "rmse" else opened_ends(value, low, high, n, level=level)
        for score, value, low, high in zip(*columns, strict=True)
    ]
    return rows.assign(low=[low for low, _ in ends], high=[high for _, high in ends])


def _percentiles(values: np.ndarray, tail: float) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
