"""What pruning on the predicted accuracy saves: Optuna studies replayed over trainings that were recorded whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from optuna.pruners import BasePruner, MedianPruner, SuccessiveHalvingPruner

from axonometry.errors import PredictionError
from axonometry.integrations.optuna import AccuracyPruner, pruners, replay
from axonometry.populations import Population
from axonometry.predict import AccuracyPredictor, RunTable, read_runs
from axonometry.predict.feature_sets import DEFAULT_FEATURES
from axonometry.predict.features import KNOWN
from axonometry.predict.parametric import extrapolate
from axonometry.predict.selection import finished_runs
from axonometry.progress import Progress
from axonometry.statistics import Estimate, estimate_of_draws
from axonometry.trajectory import Trajectory
from axonometry.trajectory.summary import snapshot_steps

if TYPE_CHECKING:
    import pandas as pd


LEVELS, HALVINGS, MARGINS = (0.5, 0.8, 0.9, 0.95), (2, 4), (0.0, 0.05, 0.1)
"""Settings that are compared: of the interval, of successive halving, of the curve families' end."""
QUANTITIES = ("saved", "kept", "lost", "saved_at_equal_best", "good_stopped")
GOOD = 0.25
"""Share of a study's trials, the best ones, that are called good [our choice]."""
Trials = Mapping[str, tuple[float, ...]]
"""By run, its accuracy after each epoch."""


@dataclass(frozen=True)
class Design:
    """How pruners are compared.

    Attributes:
        features: The predictor's feature set.
        epochs: The most epochs that the predictor looks at.
        level: Confidence level of the prediction interval.
        trials: Trials of a study, drawn from the runs that the predictor was not fitted to.
        splits: How often the runs are cut in two halves, one for the predictor and one for the studies.
        studies: Studies per split, each with other trials in another order.
        trees: Of the predictor's forests.
        seed: Of all that is drawn.
    """

    features: str = DEFAULT_FEATURES
    epochs: int = 5
    level: float = 0.9
    trials: int = 40
    splits: int = 5
    studies: int = 20
    trees: int = 40
    seed: int = 0


def compare_pruners(
    runs: Population | Iterable[Trajectory],
    design: Design | None = None,
    *,
    table: RunTable | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Replay studies with each pruner over the same trials in the same order.

    Runs of one configuration (seeds apart) are on one side of a split, so that the predictor never saw a trial's
    configuration. Studies of one split draw from the same runs.

    Args:
        runs: Whole runs with an accuracy after every epoch; those that were stopped early are left out with a warning.
        design: How they are compared.
        table: The runs' features in their order, where they were read already.
        progress: Called with studies done, out of how many, and a few words.

    Returns:
        A row a study and pruner: split, study, pruner, epochs, best, epochs_to_best, pruned; ``best_of_all`` is the
        greatest final accuracy among the study's trials, and ``epochs_of_all`` their epochs without pruning;
        ``good_stopped``: of the trials whose final accuracy is in the upper quarter of their study, the share that was
        stopped.

    Raises:
        PredictionError: There are too few runs for a study, or a run's curve has gaps.
    """
    design = design or Design()

    def compared(half: _Half) -> Callable[[Trials], Mapping[str, BasePruner]]:
        predictions = _histories(half, design, design.level, _fitted(half, design))
        return lambda trials: pruners(predictions, max(map(len, trials.values())), level=design.level)

    return _replayed(_replays(runs, design, table, progress), compared)


def compare_settings(
    runs: Population | Iterable[Trajectory],
    design: Design | None = None,
    *,
    table: RunTable | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """As :func:`compare_pruners`, with each pruner at several settings, over the same studies.

    The settings are :data:`LEVELS` of the predicted interval, the median after 0 and 3 epochs, Optuna's
    asynchronous successive halving (ASHA) by :data:`HALVINGS`, and the end that four families of fitted curves predict
    (:func:`axonometry.predict.parametric.extrapolate`) plus each of :data:`MARGINS`.

    Args:
        runs: As there.
        design: As there; its level is not used.
        table: As there.
        progress: As there.

    Returns:
        As there; ``pruner`` names pruner and setting.

    Raises:
        PredictionError: As there.
    """
    design = design or Design()

    def compared(half: _Half) -> Callable[[Trials], Mapping[str, BasePruner]]:
        predictor = _fitted(half, design)
        predictions = {f"predicted, {level:.0%}": _histories(half, design, level, predictor) for level in LEVELS}

        def of(trials: Trials) -> dict[str, BasePruner]:
            predicted = {setting: AccuracyPruner(history) for setting, history in predictions.items()}
            return {**predicted, **_by_reported_values(), **_by_curves(trials)}

        return of

    return _replayed(_replays(runs, design, table, progress), compared)


def _replayed(
    replays: Iterable[tuple[_Half, Iterable[tuple[str, Trials]]]],
    compared: Callable[[_Half], Callable[[Trials], Mapping[str, BasePruner]]],
) -> pd.DataFrame:
    """A row a study and pruner; what a half's pruners share is made once for its studies."""
    import pandas as pd

    rows = []
    for half, studies in replays:
        pruners_of = compared(half)
        for name, trials in studies:
            place = dict(zip(("split", "study"), map(int, name.split(".")), strict=True))
            rows += [place | row for row in _study(trials, pruners_of(trials), name)]
    return pd.DataFrame(rows)


def _by_reported_values() -> dict[str, BasePruner]:
    medians = {f"median, from epoch {n + 1} on": MedianPruner(n_warmup_steps=n) for n in (0, 3)}
    return medians | {f"ASHA, 1 of {n}": SuccessiveHalvingPruner(reduction_factor=n) for n in HALVINGS}


def _by_curves(trials: Trials) -> dict[str, BasePruner]:
    """Pruners by where the curve families end after 2, 3... epochs; nothing is known after one."""
    import pandas as pd

    ends = {
        name: pd.Series(
            [extrapolate(dict(enumerate(curve[:epoch], 1)), len(curve))["ensemble"] for epoch in range(1, len(curve))]
        )
        for name, curve in trials.items()
    }
    return {
        f"curve families, margin {margin:g}": AccuracyPruner(
            _Recorded({name: pd.DataFrame({"high": end + margin}) for name, end in ends.items()})
        )
        for margin in MARGINS
    }


def _replays(
    runs: Population | Iterable[Trajectory], design: Design, table: RunTable | None, progress: Progress | None
) -> Iterator[tuple[_Half, Iterator[tuple[str, Trials]]]]:
    """The halves, and the studies of each: their names and their trials' curves."""
    opened = list(runs.runs.values() if isinstance(runs, Population) else runs)
    if table is None and all(run.complete for run in opened):
        opened = finished_runs(opened)
    curves = {str(run.folder): _curve(run) for run in opened}
    table = table or read_runs(opened, epochs=design.epochs, features=design.features)
    table = replace(table, features=table.features.set_axis(list(curves)))

    def studies(split: int, test: np.ndarray) -> Iterator[tuple[str, Trials]]:
        for study in range(design.studies):
            if progress is not None:
                progress(split * design.studies + study, design.splits * design.studies, f"split {split + 1}")
            rng = np.random.default_rng((design.seed, split, 1 + study))  # numpy takes (0, 0) for (0,)
            names = [list(curves)[row] for row in rng.permutation(test)[: design.trials]]
            yield f"{split}.{study}", {name: curves[name] for name in names}

    for split, (train, test) in enumerate(_halves(table.groups.to_numpy(), design)):
        yield _Half(table, train, test), studies(split, test)


def pruner_summary(
    frame: pd.DataFrame, *, within: float = 0.0, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """What each pruner saved and lost, with intervals.

    Args:
        frame: What :func:`compare_pruners` gave.
        within: A study found the best when its best accuracy is at most this much below that of all its trials.
        level: Of the intervals, percentiles of bootstrap samples: of splits, then of studies in them.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.

    Returns:
        A row a pruner and quantity: value, low, high, studies. Quantities: ``saved``, the share of epochs that was
        not trained; ``kept``, the share of studies that found the best; ``lost``, accuracy below the best of all;
        ``saved_at_equal_best``, the share saved in the studies that found the best; ``good_stopped``.
    """
    import pandas as pd

    frame = frame.assign(
        saved=1 - frame["epochs"] / frame["epochs_of_all"],
        lost=frame["best_of_all"] - frame["best"],
        kept=(frame["best_of_all"] - frame["best"] <= within).astype(float),
    )
    frame["saved_at_equal_best"] = frame["saved"].where(frame["kept"] == 1)
    rows = []
    for pruner, part in frame.groupby("pruner", sort=False):
        for quantity in QUANTITIES:
            values = [study[quantity].dropna().to_numpy() for _, study in part.groupby("split")]
            values = [some for some in values if len(some)]
            found = _estimate(values, level, resamples, np.random.default_rng(seed))
            rows.append((pruner, quantity, found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=["pruner", "quantity", "value", "low", "high", "studies"])


@dataclass(frozen=True)
class _Recorded:
    """Predictions made beforehand, as the pruner asks for them."""

    by_run: dict[str, pd.DataFrame]

    def history(self, run: str | Path, level: float = 0.9) -> pd.DataFrame:
        return self.by_run[str(run)]


@dataclass(frozen=True)
class _Half:
    """Runs, the rows that the predictor learns from and those of the studies."""

    table: RunTable
    train: np.ndarray
    test: np.ndarray


def _study(trials: Trials, compared: Mapping[str, BasePruner], name: str) -> Iterator[dict[str, object]]:
    ends = {trial: curve[-1] for trial, curve in trials.items()}
    about = {"best_of_all": max(ends.values()), "epochs_of_all": sum(map(len, trials.values()))}
    good = {trial for trial, end in ends.items() if end >= np.quantile(list(ends.values()), 1 - GOOD)}
    for pruner, instance in compared.items():
        found = asdict(replay(trials, instance, name=name))
        stopped = good.intersection(found.pop("stopped"))
        yield {"pruner": pruner, **found, **about, "good_stopped": len(stopped) / len(good)}


def _curve(run: Trajectory) -> tuple[float, ...]:
    """The accuracy after each epoch, from the first."""
    steps = snapshot_steps(run)
    accuracies = run.scalars()["accuracy"]
    last = max(steps)
    if run.state != "finished" or any(epoch not in steps for epoch in range(1, last + 1)) or last < 1:
        remedy = "Leave it out, or record every epoch"
        raise PredictionError("a study is replayed from whole runs, epoch by epoch", f"{run.folder} with gaps", remedy)
    return tuple(float(accuracies[steps[epoch]]) for epoch in range(1, last + 1))


def _halves(groups: Iterable[object], design: Design) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows for the predictor and rows for the studies; no group is on both sides."""
    _, numbers = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    for split in range(design.splits):
        order = np.random.default_rng((design.seed, split)).permutation(numbers.max() + 1)
        fitted = np.isin(numbers, order[: len(order) // 2])
        train, test = np.flatnonzero(fitted), np.flatnonzero(~fitted)
        if len(test) < design.trials:
            came = f"{len(test)} of {len(numbers)}, the rest is for the predictor"
            raise PredictionError(
                f"a study has {design.trials} trials", came, "Record more runs or ask for fewer trials"
            )
        yield train, test


def _histories(half: _Half, design: Design, level: float, predictor: AccuracyPredictor) -> _Recorded:
    import pandas as pd

    rows = half.table.features.iloc[half.test]
    # A horizon's model has columns of its own epochs alone, whatever else a row holds.
    by_epoch = {
        epoch: predictor.predict_interval(rows.assign(**{KNOWN: float(epoch)}), level)
        for epoch in range(1, design.epochs + 1)
    }
    return _Recorded(
        {name: pd.DataFrame({epoch: frame.loc[name] for epoch, frame in by_epoch.items()}).T for name in rows.index}
    )


def _fitted(half: _Half, design: Design) -> AccuracyPredictor:
    table, train = half.table, half.train
    return AccuracyPredictor(design.features, design.epochs, trees=design.trees, random_state=design.seed).fit(
        RunTable(table.features.iloc[train], table.final_accuracy.iloc[train], table.groups.iloc[train])
    )


def _estimate(values: Sequence[np.ndarray], level: float, resamples: int, rng: np.random.Generator) -> Estimate:
    """The mean of shares and its bootstrap interval; splits are drawn first, then studies in each."""
    if not values:
        return Estimate(math.nan, math.nan, math.nan, 0)
    means = []
    for _ in range(resamples):
        chosen = [values[split] for split in rng.integers(len(values), size=len(values))]
        means.append(np.concatenate([rng.choice(some, len(some)) for some in chosen]).mean())
    every = np.concatenate(list(values))
    return estimate_of_draws(
        float(every.mean()), np.array(means), len(every), "studies", level=level, within=(0.0, 1.0)
    )
