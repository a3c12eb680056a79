"""What an estimator may be given: run folders, runs, or tables of numbers; and the targets of its two tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float

from axonometry.errors import PredictionError
from axonometry.predict.features import (
    Run,
    RunTable,
    configuration_group,
    feature_table,
    final_accuracy,
    one_architecture,
    opened_runs,
)
from axonometry.predict.sets import Column
from axonometry.trajectory import Trajectory

GROUPS_PER_FOLD = 2
"""Each learner is judged on two configurations or more: one alone says nothing of how it ranks runs."""


def runs_of(given: Any) -> list[Run]:
    """The runs, where it is runs that are given; empty for a table."""
    if isinstance(given, Trajectory | str | Path):
        return [given]
    if isinstance(given, Mapping):  # a population's runs by name; a pandas frame is none
        given = list(given.values())
    if isinstance(given, list | tuple) and given and all(isinstance(one, Trajectory | str | Path) for one in given):
        return cast("list[Run]", list(given))
    return []


def is_named(table: Any) -> bool:
    """Whether a table has columns of ours, of which a feature set can be chosen."""
    return isinstance(table, pd.DataFrame) and any(Column.of(str(name)) for name in table.columns)


def has_groups(table: Any) -> bool:
    """Whether a table of ours has columns for each neuron group, rather than for how a measure spreads over them."""
    return is_named(table) and not any(".(" in str(name) for name in table.columns)


def training_table(runs: list[Run], y: Any, *, features: str, epochs: int, per_group: bool | None) -> RunTable:
    """The features, final accuracies and groups of runs.

    Args:
        runs: Runs or their folders.
        y: The final accuracies; None for what the runs recorded last.
        features: The feature set.
        epochs: How many epochs are known.
        per_group: Whether neuron groups have features of their own; None where the runs are of one architecture.

    Raises:
        PredictionError: A run has no accuracy.
        RunError: A run is damaged or has not come so far.
    """
    opened = opened_runs(runs)
    each = one_architecture(opened) if per_group is None else per_group
    table = feature_table(opened, epochs=epochs, per_group=each, features=features)
    accuracies = pd.Series([final_accuracy(run) for run in opened] if y is None else list(y), index=table.index)
    groups = pd.Series([configuration_group(run) for run in opened], index=table.index)
    return RunTable(table, accuracies, groups)


def require_enough(runs: int, groups: int, folds: int) -> None:
    """There are enough configurations for every learner to be judged on some that it did not see.

    Args:
        runs: How many runs there are.
        groups: Of how many configurations.
        folds: Into how many folds they are cut.

    Raises:
        PredictionError: There are not.
    """
    least = GROUPS_PER_FOLD * folds
    if groups < least:
        raise PredictionError(
            f"a predictor of {folds} folds needs {least} runs of different configurations, two a fold, "
            "so that every learner is judged on runs that it did not see",
            f"{runs} sample{'s' * (runs != 1)} of {groups} configuration{'s' * (groups != 1)}",
            f"Train {least - groups} more; a useful predictor takes a hundred",
        )


def thresholds_of(classes: int | Sequence[float], y: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " thresholds"]:
    """The accuracies at which a new class begins.

    Args:
        classes: How many classes of equal size, or these accuracies.
        y: The training runs' final accuracies.

    Raises:
        PredictionError: There are fewer than two classes, or they do not ascend.
    """
    if isinstance(classes, int | np.integer):
        found = np.quantile(y, np.arange(1, classes) / classes) if classes > 1 else np.empty(0)
    else:
        found = np.asarray(classes, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not (np.diff(found) > 0).all():
        remedy = "Ask for fewer classes, or name the accuracies at which they begin"
        raise PredictionError("two classes or more begin at accuracies that increase", str(found.tolist()), remedy)
    return found


def indicators(y: Float[np.ndarray, " rows"], thresholds: Float[np.ndarray, " n"]) -> Float[np.ndarray, "rows classes"]:
    """1 for the class of each accuracy; one on a threshold belongs to the class above it."""
    return (np.digitize(y, thresholds)[:, None] == np.arange(len(thresholds) + 1)).astype(np.float64)


def probabilities(scores: Float[np.ndarray, "rows classes"]) -> Float[np.ndarray, "rows classes"]:
    """Least-squares class indicators as probabilities: inside 0 to 1, and adding up to 1."""
    inside = scores.clip(1e-6, 1.0)
    return inside / inside.sum(axis=1, keepdims=True)
