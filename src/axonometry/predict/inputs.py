"""What an estimator may be given: run folders, runs, or tables of numbers; and the targets of its two tasks."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float

from axonometry.errors import ArgumentError, PredictionError
from axonometry.predict.feature_sets import FeatureName, parts_of
from axonometry.predict.features import (
    Run,
    RunTable,
    configuration_group,
    feature_table,
    final_accuracy,
    one_architecture,
    open_runs,
)
from axonometry.predict.selection import finished_runs
from axonometry.trajectory import Trajectory

GROUPS_PER_FOLD = 2
"""Each learner is scored on two configurations or more: one alone says nothing of how it ranks runs."""


def check_choices(choices: Mapping[str, Any]) -> None:
    """The choices of an estimator exist, and its numbers are large enough.

    Args:
        choices: What it was constructed with, by name.

    Raises:
        PredictionError: It is not so.
    """
    parts_of(choices["features"])
    if choices["task"] not in ("regression", "classification"):
        raise PredictionError("the task is regression or classification", repr(choices["task"]))
    if not isinstance(choices["per_group"], bool | None):
        raise PredictionError("`per_group` is True, False or None", repr(choices["per_group"]))
    for name, least in (("epochs", 1), ("folds", 2), ("trees", 1), ("random_state", 0)):
        value = choices[name]
        if not isinstance(value, int | np.integer) or value < least:
            raise PredictionError(f"`{name}` is a whole number from {least}", repr(value))


@contextmanager
def numbers_of_runs() -> Iterator[None]:
    """What scikit-learn cannot read as a table of numbers, or as targets, is an error of ours with its words.

    >>> with numbers_of_runs():
    ...     float("x")
    Traceback (most recent call last):
        ...
    axonometry.errors.PredictionError: could not convert string to float: 'x'. Pass runs, their folders, or a table ...

    Raises:
        PredictionError: That; an ArgumentError for what is no number at all.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        remedy = "Pass runs, their folders, or a table of numbers, and as many accuracies as it has rows"
        kind = ArgumentError if isinstance(error, TypeError) else PredictionError  # scikit-learn expects the same kind
        raise kind(" ".join(str(error).split()), "", remedy) from error


def runs_of(given: Any) -> list[Run]:
    """The runs, where it is runs that are given; empty for a table.

    >>> runs_of({"a": Path("runs/a")}), runs_of([[0.5, 0.1]])
    ([PosixPath('runs/a')], [])
    """
    if isinstance(given, Trajectory | str | Path):
        return [given]
    if isinstance(given, Mapping):  # a population's runs by name; a pandas frame is none
        given = list(given.values())
    if isinstance(given, list | tuple) and given and all(isinstance(one, Trajectory | str | Path) for one in given):
        return cast("list[Run]", list(given))
    return []


def is_named(table: Any) -> bool:
    """Whether a table has columns that are features by name, of which a set can be chosen.

    >>> is_named(pd.DataFrame({"accuracy@1": [0.5]})), is_named(pd.DataFrame({"age": [3]}))
    (True, False)
    """
    return isinstance(table, pd.DataFrame) and any(FeatureName.parse(str(name)) for name in table.columns)


def has_groups(table: Any) -> bool:
    """Whether a table of features has columns for each neuron group, rather than for how a measure spreads over them.

    >>> [has_groups(pd.DataFrame({name: [0.5]})) for name in ("degree.conv1.mean@1", "degree.(first).mean@1")]
    [True, False]
    """
    return is_named(table) and not any(".(" in str(name) for name in table.columns)


def training_data(runs: Any, y: Any, groups: Any, choices: Mapping[str, Any]) -> tuple[Any, Any, Any, bool]:
    """The training data: a table, the targets, the groups, and whether neuron groups have columns of their own.

    Args:
        runs: Runs or their folders, a table of runs, or any table.
        y: The final accuracies; None for what the runs recorded last, of those that are finished.
        groups: The group of each run; None for what the runs say, which is None for any other table.
        choices: What the estimator was constructed with, by name.

    Raises:
        PredictionError: A run or a table has no accuracy.
        RunError: A run is damaged or has not come so far.
    """
    if given := runs_of(runs):
        opened, each = open_runs(given), choices["per_group"]
        if y is None:  # then the runs say it, and must have come to their end
            kept = finished_runs(opened)
            groups = groups if groups is None else [group for run, group in zip(opened, groups) if run in kept]
            opened = kept
        each = one_architecture(opened) if each is None else each
        table = feature_table(opened, epochs=choices["epochs"], per_group=each, features=choices["features"])
        y = [final_accuracy(run) for run in opened] if y is None else y
        return table, y, [configuration_group(run) for run in opened] if groups is None else groups, each
    if isinstance(runs, RunTable):
        y = runs.final_accuracy if y is None else y
        return runs.features, y, runs.groups if groups is None else groups, has_groups(runs.features)
    if y is None:
        raise PredictionError("requires y to be passed, but the target y is None: the final accuracies")
    return runs, y, groups, has_groups(runs)


def check_groups(groups: Iterable[Hashable] | None, runs: int, folds: int) -> list[Hashable]:
    """The group of each run; every run is one where None.

    Args:
        groups: The groups.
        runs: How many runs there are.
        folds: Into how many folds they are cut.

    Raises:
        PredictionError: There is not one for each run, or there are too few for the folds.

    >>> check_groups(["a", "a", "b", "c", "d"], 5, folds=2)
    ['a', 'a', 'b', 'c', 'd']
    """
    found = [*(range(runs) if groups is None else groups)]
    if len(found) != runs:
        raise PredictionError("every run has a group", f"{len(found)} groups of {runs} runs")
    require_enough(runs, len(set(found)), folds)
    return found


def require_enough(runs: int, groups: int, folds: int) -> None:
    """There are enough configurations for every learner to be scored on some that it did not see.

    Args:
        runs: How many runs there are.
        groups: Of how many configurations.
        folds: Into how many folds they are cut.

    Raises:
        PredictionError: There are not.

    >>> require_enough(runs=9, groups=3, folds=5)
    Traceback (most recent call last):
        ...
    axonometry.errors.PredictionError: a predictor of 5 folds needs 10 runs of different ...
    """
    least = GROUPS_PER_FOLD * folds
    if groups < least:
        raise PredictionError(
            f"a predictor of {folds} folds needs {least} runs of different configurations, two a fold, "
            "so that every learner is scored on runs that it did not see",
            f"{runs} sample{'s' * (runs != 1)} of {groups} configuration{'s' * (groups != 1)}",
            f"Train {least - groups} more; a useful predictor takes a hundred",
        )


def class_thresholds(classes: int | Sequence[float], y: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " thresholds"]:
    """The accuracies at which a new class begins.

    Args:
        classes: How many classes of equal size, or these accuracies.
        y: The training runs' final accuracies.

    Raises:
        PredictionError: There are fewer than two classes, or they do not ascend.

    >>> class_thresholds(3, np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])).round(3).tolist()
    [0.3, 0.5]
    """
    if isinstance(classes, int | np.integer):
        found = np.quantile(y, np.arange(1, classes) / classes) if classes > 1 else np.empty(0)
    else:
        found = np.asarray(classes, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not (np.diff(found) > 0).all():
        remedy = "Ask for fewer classes, or name the accuracies at which they begin"
        raise PredictionError("two classes or more begin at accuracies that increase", str(found.tolist()), remedy)
    return found


def class_indicators(
    y: Float[np.ndarray, " rows"], thresholds: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "rows classes"]:
    """1 for the class of each accuracy; one on a threshold belongs to the class above it.

    >>> class_indicators(np.array([0.3, 0.5]), np.array([0.5]))
    array([[1., 0.],
           [0., 1.]])
    """
    # digitize counts the thresholds at or below y: of 0.5 that is 0 for 0.3 and 1 for 0.5 itself, the upper class.
    return (np.digitize(y, thresholds)[:, None] == np.arange(len(thresholds) + 1)).astype(np.float64)


def probabilities(scores: Float[np.ndarray, "rows classes"]) -> Float[np.ndarray, "rows classes"]:
    """Least-squares class indicators as probabilities: inside 0 to 1, and adding up to 1.

    >>> probabilities(np.array([[0.6, 0.2], [1.3, -0.3]])).round(2).tolist()
    [[0.75, 0.25], [1.0, 0.0]]
    """
    # Not 0: a run that no class claims, whose scores all are negative, has to add up to 1 too, and becomes even.
    inside = scores.clip(1e-6, 1.0)
    return inside / inside.sum(axis=1, keepdims=True)
