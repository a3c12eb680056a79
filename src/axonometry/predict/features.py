"""Runs as a table of named numbers: a row a run; nothing in a column ``...@t`` was known later than after t epochs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, log10, nan, prod
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from axonometry.errors import PredictionError
from axonometry.predict.changes import change_values
from axonometry.predict.feature_sets import (
    ACCURACY,
    CENTRALITY,
    CHANGED,
    CHANGES,
    CONFIGURATION,
    CURVE,
    DEGREE,
    MOVEMENT,
    PARAMETER,
    PARAMETERS,
    PARAMETRIC,
    PROXIES,
    families_of,
)
from axonometry.predict.parametric import parametric_values
from axonometry.predict.selection import finished_runs
from axonometry.progress import Progress
from axonometry.trajectory import Trajectory, load
from axonometry.trajectory.movement import weight_values
from axonometry.trajectory.summary import SummaryKey, snapshot_steps, temporal_values

if TYPE_CHECKING:
    import pandas as pd


Run = Trajectory | str | Path
"""A run, or the folder that holds it."""

KNOWN = "epochs"
"""The column that says after how many whole epochs a row was read."""

_RATES = ("learning_rate", "lr", "weight_decay", "scale", "batch_size")
_LEAST_RATE = 1e-12  # what log10 makes of a rate of zero
_NOT_A_CHOICE = ("seed", "epochs", "max_steps", "record_every")
_ACROSS = ("average", "least", "greatest", "first", "last")


@dataclass(frozen=True)
class RunTable:
    """Many runs, ready for prediction.

    Attributes:
        features: A row a run; see :mod:`axonometry.predict.feature_sets` for what the names say.
        final_accuracy: The accuracy at the last recorded step.
        groups: The configuration without its seed: runs of one group never stand on both sides of a fold.
    """

    features: pd.DataFrame
    final_accuracy: pd.Series
    groups: pd.Series


def read_runs(
    runs: Run | Iterable[Run],
    *,
    epochs: int = 5,
    per_group: bool | None = None,
    features: str | None = None,
    progress: Progress | None = None,
) -> RunTable:
    """Features, final accuracies and groups of finished runs, each run opened once.

    A warning names the runs that are left out: those that were stopped early, are running or were interrupted, whose
    last accuracy is not the final one.

    Args:
        runs: Run folders, or runs.
        epochs: What is known: this many whole epochs.
        per_group: Whether every neuron group and parameter has columns of its own. False gives columns that any
            architecture has; None is True where all the runs are of one architecture.
        features: The set that is needed, or several joined by +; None for all that the runs hold.
        progress: Called with runs read, out of how many, and the run's name.

    Raises:
        PredictionError: There is no run, none is finished, or one has no accuracy.
        RunError: A run is damaged or has not come so far.
    """
    import pandas as pd

    opened = finished_runs(open_runs(runs))
    table = feature_table(opened, epochs=epochs, per_group=per_group, features=features, progress=progress)
    accuracies = pd.Series([final_accuracy(run) for run in opened], index=table.index, name="final_accuracy")
    groups = pd.Series([configuration_group(run) for run in opened], index=table.index, name="group")
    return RunTable(table, accuracies, groups)


def feature_table(
    runs: Run | Iterable[Run],
    *,
    epochs: int = 5,
    per_group: bool | None = None,
    features: str | None = None,
    under_way: bool = False,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The features of runs after ``epochs`` epochs, a row a run and a column a named number.

    Columns: the measures' temporal summaries (``channel_degree.conv1.mean@2``, ``...@2-0`` the change since the
    start), ``movement.*`` and ``parameter.*`` (:mod:`axonometry.trajectory.movement`), the scalars ``accuracy@2``,
    ``loss@2``, ``train_loss@2``, the hyper-parameters ``configuration.*``, and ``epochs``, what is known of the run.
    Without ``per_group``, ``channel_degree.(first).mean@2`` is the mean of the first group that was measured; there
    are also (last), (least), (greatest) and (average) over the groups.

    Args:
        runs: Run folders, or runs.
        epochs: What is known: this many whole epochs.
        per_group: As for :func:`read_runs`.
        features: The set that is needed, or several joined by +; None for all that the runs hold.
        under_way: Whether a run may have fewer epochs; NaN stands for what is not known yet.
        progress: Called with runs read, out of how many, and the run's name.

    Raises:
        PredictionError: There is no run.
        RunError: A run is damaged or has not come so far.
    """
    import pandas as pd

    opened = open_runs(runs)
    each = one_architecture(opened) if per_group is None else per_group
    rows = []
    for number, run in enumerate(opened):
        if progress is not None:
            progress(number, len(opened), run.folder.name)
        known = min(epochs, epochs_of(run)) if under_way else epochs
        rows.append(run_features(run, known, per_group=each, features=features))
    frame = pd.DataFrame(rows, index=pd.Index(names_of(opened), name="run", dtype="str")).astype("float64")
    return fill_one_hot(frame)


def run_features(run: Trajectory, epochs: int, *, per_group: bool, features: str | None = None) -> dict[str, float]:
    """The features of one run after ``epochs`` epochs, by name.

    Args:
        run: The run; what it recorded later is not looked at.
        epochs: What is known: this many whole epochs.
        per_group: Whether groups and parameters have numbers of their own.
        features: The set that is needed; None for all that the run holds.

    Raises:
        RunError: The run has fewer epochs, or lacks a measure that the set needs.
    """
    wanted = families_of(features, run.description.measures)
    if not (run.description.keep_weights and 0 in snapshot_steps(run)):
        # What is not there is missed only where it is asked for by name.
        wanted -= {MOVEMENT} if features else {MOVEMENT, PARAMETER}
    if features is None:
        wanted -= {*DEGREE, *CENTRALITY, PROXIES} - set(run.description.measures)
        wanted -= set() if {MOVEMENT, *CHANGED} & _read_for(run, wanted) else {CHANGES}
    values = _graph_values(run, epochs, _read_for(run, wanted))
    shown = {key: value for key, value in values.items() if key.measure in wanted}
    shown = shown if per_group else _over_groups(shown)
    row = {KNOWN: float(epochs)} | (_size(run) if PARAMETERS in wanted else {})
    row |= {key.name: value for key, value in shown.items()} | _curve(run, epochs, wanted)
    for known in range(1, epochs + 1):
        row |= change_values(values, known) if CHANGES in wanted else {}
        row |= parametric_values(_accuracies(run, known), _planned(run), known) if PARAMETRIC in wanted else {}
    return row | (configuration_values(run.configuration or {}) if CONFIGURATION in wanted else {})


def _read_for(run: Trajectory, wanted: set[str]) -> set[str]:
    """The families that are read for those that are wanted: changes are of others."""
    if CHANGES not in wanted:
        return wanted
    weights = {MOVEMENT} if run.description.keep_weights and 0 in snapshot_steps(run) else set()
    return wanted | weights | (set(CHANGED) & set(run.description.measures))


def _graph_values(run: Trajectory, epochs: int, read: set[str]) -> dict[SummaryKey, float]:
    """What is measured on the graph, the movement of the weights and their statistics, with groups."""
    values: dict[SummaryKey, float] = {}
    if measures := sorted(read - {CONFIGURATION, MOVEMENT, PARAMETER, PARAMETERS, CHANGES, PARAMETRIC, *CURVE}):
        values |= temporal_values(run, measures, epochs=epochs)
    if read & {MOVEMENT, PARAMETER} and epochs > 0:
        values |= weight_values(run, epochs, parameters=PARAMETER in read, movement=MOVEMENT in read)
    return values


def _planned(run: Trajectory) -> int | None:
    """How many epochs the run shall have, where it says so."""
    epochs = (run.configuration or {}).get("epochs")
    return epochs if isinstance(epochs, int) and not isinstance(epochs, bool) and epochs > 0 else None


def _accuracies(run: Trajectory, epochs: int) -> dict[int, float]:
    """The validation accuracy by epoch, from that of the initial network on, where it was recorded."""
    steps = {step: epoch for epoch, step in snapshot_steps(run).items() if epoch <= epochs}
    frame = run.metrics
    rows = frame[(frame["metric"] == ACCURACY) & (frame["group"] == "") & frame["step"].isin(steps)]
    return {steps[step]: float(value) for step, value in zip(rows["step"], rows["value"], strict=True)}


def fill_one_hot(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with 0 for every text that a run's configuration does not have.

    >>> import pandas as pd
    >>> name = "configuration.optimiser=sgd"
    >>> fill_one_hot(pd.DataFrame({name: [1.0, None], "accuracy@1": [0.5, None]}))[[name]].to_numpy().ravel()
    array([1., 0.])
    """
    texts = [name for name in map(str, frame) if "=" in name and name.startswith(CONFIGURATION)]
    return frame.fillna(dict.fromkeys(texts, 0.0))


def open_runs(runs: Run | Iterable[Run]) -> list[Trajectory]:
    """The runs, opened where a folder is named.

    Raises:
        PredictionError: There is none.
        RunError: A folder is no run.
    """
    listed = [runs] if isinstance(runs, Trajectory | str | Path) else list(runs)
    if not listed:
        raise PredictionError("prediction is made from runs", "none", "Pass run folders, or train some")
    return [run if isinstance(run, Trajectory) else load(run) for run in listed]


def names_of(runs: Sequence[Trajectory]) -> list[str]:
    """The runs' folders by name, by path where two have the same name."""
    names = [run.folder.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def one_architecture(runs: Sequence[Trajectory]) -> bool:
    """Whether all the runs have the same neuron groups and synapses, whatever their sizes."""
    layouts = {(tuple(g.name for g in run.groups), tuple(s.name for s in run.synapses)) for run in runs}
    return len(layouts) == 1


def epochs_of(run: Trajectory) -> int:
    """How many whole epochs of a run were recorded without a gap; 0 where there is the initial network alone.

    Raises:
        PredictionError: There is nothing yet.
    """
    steps = snapshot_steps(run)
    if not steps:
        raise PredictionError("a run has at least one whole step", f"{run.folder}, which has none", "Wait for it")
    epoch = min(steps)
    while epoch + 1 in steps:
        epoch += 1
    return epoch


def final_accuracy(run: Trajectory) -> float:
    """The accuracy at the last step that has one.

    Raises:
        PredictionError: No step has one.
    """
    frame = run.metrics
    rows = frame[(frame["metric"] == "accuracy") & (frame["group"] == "")].sort_values("step")
    if rows.empty:
        remedy = "Record it with: recorder.record(step, accuracy=...)"
        raise PredictionError("a run's final accuracy is its last scalar `accuracy`", f"{run.folder} without", remedy)
    return float(rows["value"].iloc[-1])


def configuration_group(run: Trajectory) -> str:
    """What a run shares with those that differ by their seed alone; runs without a configuration share nothing."""
    if not run.configuration:
        return str(run.folder)
    return json.dumps({key: value for key, value in run.configuration.items() if key != "seed"}, sort_keys=True)


def _size(run: Trajectory) -> dict[str, float]:
    """The logarithm of the number of parameters, known before training; none of a run that does not say its tensors."""
    names = {claim.parameter for claim in run.coverage}
    shapes = [shape for name, shape in (run.description.tensors or {}).items() if name in names]
    return {f"{PARAMETERS}@0": log10(max(sum(map(prod, shapes)), 1))} if shapes else {}


def _curve(run: Trajectory, epochs: int, wanted: set[str]) -> dict[str, float]:
    frame, steps = run.metrics, snapshot_steps(run)
    epoch_of = {step: epoch for epoch, step in steps.items() if epoch <= epochs}
    rows = frame[
        frame["metric"].isin(wanted.intersection(CURVE)) & (frame["group"] == "") & frame["step"].isin(epoch_of)
    ]
    return {
        f"{metric}@{epoch_of[step]}": float(value)
        for metric, step, value in zip(rows["metric"], rows["step"], rows["value"], strict=True)
    }


def configuration_values(configuration: Mapping[str, Any]) -> dict[str, float]:
    """Hyper-parameters as numbers: log10 of rates, 1 for the text that was chosen; what is no choice is left out.

    >>> configuration_values({"learning_rate": 0.01, "optimiser": "sgd", "seed": 3})
    {'configuration.learning_rate': -2.0, 'configuration.optimiser=sgd': 1.0}
    """
    row = {}
    for key, value in _flat(configuration):
        if isinstance(value, str):
            row[f"{CONFIGURATION}.{key}={value}"] = 1.0
        elif value is not None:
            rate = key.rsplit(".", 1)[-1] in _RATES
            row[f"{CONFIGURATION}.{key}"] = log10(max(value, _LEAST_RATE)) if rate else float(value)
    return row


def _flat(configuration: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | float | None]]:
    for key, value in configuration.items():
        if key in _NOT_A_CHOICE:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, json.dumps(value) if isinstance(value, list) else value


def _over_groups(values: Mapping[SummaryKey, float]) -> dict[SummaryKey, float]:
    """The numbers of the whole network, and for each measure how they spread over its groups, in the groups' order."""
    whole = {key: value for key, value in values.items() if not key.group}
    inside: dict[SummaryKey, list[float]] = {}
    for key, value in values.items():
        if key.group:
            inside.setdefault(key._replace(group=""), []).append(value)
    for key, of in inside.items():
        known = [value for value in of if isfinite(value)]
        spread = (fmean(known), min(known), max(known)) if known else (nan, nan, nan)
        folded = zip(_ACROSS, (*spread, of[0], of[-1]), strict=True)
        whole |= {key._replace(group=f"({name})"): value for name, value in folded}
    return whole
