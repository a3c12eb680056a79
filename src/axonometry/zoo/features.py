"""What is known of each network of a zoo after an epoch: weights in numbers, what the graph measures, the curve."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from torch import Tensor

from axonometry.predict.features import configuration_values
from axonometry.progress import Progress, silent
from axonometry.trajectory import Trajectory
from axonometry.trajectory.movement import parameter_statistics
from axonometry.zoo.opening import Zoo, accuracy_by_step

if TYPE_CHECKING:
    import pandas as pd

WEIGHTS, GRAPH, BOTH, LEARNED = "weight statistics", "graph measures", "both", "graph network"
ACCURACY, CHOICES = "accuracy so far", "hyper-parameters"
MEASURED = (WEIGHTS, GRAPH, BOTH)
"""What is compared with the graph network."""
_ACROSS = ("mean", "least", "greatest", "first", "last")
_OF_WEIGHTS = "link_weights"  # a measure of the weights alone, which belongs with their statistics
_FACTS = ("count", "nonfinite")  # the same of all networks of an architecture

Row = dict[tuple[str, str], float]
"""By where (a parameter, a group) and what (a statistic): a number."""


def feature_tables(
    zoo: Zoo, names: Sequence[str], steps: Mapping[str, int], progress: Progress | None = None
) -> dict[str, pd.DataFrame]:
    """A table a feature set, a row a network, in the order of the names.

    ``weight statistics`` are the seven numbers of every parameter of Unterthiner et al. 2020; ``graph measures`` all
    that was measured on the graph at that step; ``both`` their columns together. Where networks differ in architecture
    the numbers of parameters and groups become their mean, least, greatest, first and last.

    Args:
        zoo: The networks.
        names: Of those that are wanted.
        steps: The step of each that is looked at; nothing later is.
        progress: Called with networks read, out of how many, and a name.
    """
    import pandas as pd

    say = progress or silent
    weights: list[Row] = []
    measures: list[Row] = []
    curve, choices = [], []
    for number, name in enumerate(names):
        say(number, len(names), name)
        run, step = zoo.runs[name], steps[name]
        parameters = {entry.parameter for entry in run.coverage}
        weights.append(_weights({n: t for n, t in zoo.weights(name, step).items() if n in parameters}))
        measures.append(_measures(run, step))
        curve.append({"accuracy": accuracy_by_step(run).get(step, math.nan)})
        choices.append(configuration_values(run.configuration or {}))
    tables = {
        WEIGHTS: _frame(weights, names),
        GRAPH: _frame(measures, names),
        ACCURACY: pd.DataFrame(curve, index=list(names)),
        CHOICES: pd.DataFrame(choices, index=list(names)).fillna(0.0),
    }
    both = [tables[name].add_prefix(f"{name}: ") for name in (WEIGHTS, GRAPH)]
    return {**tables, BOTH: pd.concat(both, axis=1)}


def _weights(state: Mapping[str, Tensor]) -> Row:
    return dict(parameter_statistics(state))


def _measures(run: Trajectory, step: int) -> Row:
    frame = run.metrics
    rows = frame[
        (frame["step"] == step)
        & frame["metric"].isin(set(run.description.measures) - {_OF_WEIGHTS})
        & ~frame["statistic"].isin(_FACTS)
    ]
    return {
        (group, f"{metric}.{statistic}"): float(value)
        for group, metric, statistic, value in zip(
            rows["group"], rows["metric"], rows["statistic"], rows["value"], strict=True
        )
    }


def _frame(rows: Sequence[Row], names: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    alike = len({tuple(row) for row in rows}) == 1
    kept = rows if alike else [_spread(row) for row in rows]
    flat = [{f"{where}.{what}": value for (where, what), value in row.items()} for row in kept]
    return pd.DataFrame(flat, index=list(names), dtype="float64")


def _spread(row: Row) -> Row:
    """Each statistic over the parameters or groups, in their order, for networks of any depth."""
    found: Row = {}
    for what in dict.fromkeys(what for _, what in row):
        values = [value for (_, own), value in row.items() if own == what]
        found |= dict(zip(((name, what) for name in _ACROSS), _over(values), strict=True))
    return found


def _over(values: Iterable[float]) -> tuple[float, ...]:
    listed = list(values)
    known = [value for value in listed if math.isfinite(value)] or [math.nan]
    return fmean(known), min(known), max(known), listed[0], listed[-1]
