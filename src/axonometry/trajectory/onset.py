"""The onset of generalisation behind learning by heart (grokking), from weights alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from axonometry.errors import ValuesError
from axonometry.trajectory.level_changes import change_points

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.trajectory.run import Trajectory

WINDOW, APART, QUIET = 5, 10, 10
"""In records: of a slope, between two slopes, and without a larger bend before it is told."""
COLUMNS = ("kurtosis", "norm")


@dataclass(frozen=True)
class GrokkingOnset:
    """Where a run turns from learning by heart to a rule.

    Attributes:
        step: Where the kurtosis bends up.
        told: The step at which that is known: nothing behind it is used.
    """

    step: int
    told: int


def grokking_onset(table: pd.DataFrame, *, false_alarms: float = 0.01) -> GrokkingOnset | None:
    """The step at which a network begins to find a rule behind samples that it knows by heart.

    The excess kurtosis of the weights into the outputs falls while samples are learned by heart and rises when a rule
    concentrates them. Behind the largest norm of all weights, the onset is where the kurtosis bends up most: the
    largest difference of two slopes, of the last 5 records and of 5 records 10 earlier. It is told when it has not
    been larger for 10 records, if the differences of the kurtosis so far have a change point then.

    Args:
        table: A row a record, the steps as its index, columns ``kurtosis`` and ``norm``, as :func:`onset_series`
            gives them.
        false_alarms: As of :func:`change_points`. What counts is a bend upwards that is a change point, too.

    Returns:
        The onset, None where none is told.

    Raises:
        ValuesError: A column is missing, or has a number that is not finite.
        ConfigurationError: The share is not between 0 and 1.
        MissingExtraError: ruptures is not installed.

    Source: [our choice], made on 5 networks that learn addition modulo 59, and tried on 3 others and on 20 trainings
    at rest: ``python -m benchmarks grokking``.

    >>> import pandas as pd
    >>> kurtosis = np.where(np.arange(80) < 40, -1.8, -1.8 + 0.1 * (np.arange(80) - 40))
    >>> noise = 0.01 * np.random.default_rng(0).normal(size=80)
    >>> table = pd.DataFrame({"kurtosis": kurtosis + noise, "norm": 9.0 - np.arange(80) / 80}, index=range(0, 800, 10))
    >>> grokking_onset(table)  # one slope is all behind the bend at 400 then, the other just before it
    GrokkingOnset(step=500, told=600)
    """
    _check(table)
    kurtosis = table.loc[table["norm"].idxmax() :, "kurtosis"]
    # Of records k: (k[t] - k[t-5]) - (k[t-10] - k[t-15]), the slope of the last five less that of five records, ten
    # earlier.
    bend = kurtosis.diff(WINDOW).diff(APART).dropna()
    for place in range(QUIET, len(bend)):
        best = int(np.argmax(bend.iloc[: place + 1]))
        if place - best == QUIET and bend.iloc[best] > 0:  # each bend is tried once: every look is a chance of an alarm
            known = kurtosis.loc[: bend.index[place]].diff().iloc[1:].to_frame()
            if known["kurtosis"].nunique() > 1 and change_points(known, false_alarms=false_alarms):
                return GrokkingOnset(int(bend.index[best]), int(bend.index[place]))
    return None


def onset_series(run: Trajectory) -> pd.DataFrame:
    """Kurtosis of the last layer's weights and norm of all layers' by step, from a run with the measure link_weights.

    Args:
        run: The run.

    Raises:
        ValuesError: Its link weights were not measured.
    """
    import pandas as pd

    rows = run.metrics[run.metrics["metric"] == "link_weights"]
    wide = rows.pivot_table(index="step", columns=["group", "statistic"], values="value")
    layers = [synapse.name for synapse in run.synapses if synapse.name in wide]
    if not layers:
        raise ValuesError("an onset is of link weights", "a run without them", 'Record measures=["link_weights"]')
    squares = [wide[one]["count"] * (wide[one]["mean"] ** 2 + wide[one]["std"] ** 2) for one in layers]
    return pd.DataFrame({"kurtosis": wide[layers[-1]]["kurtosis"], "norm": np.sqrt(sum(squares))})


def _check(table: pd.DataFrame) -> None:
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise ValuesError("an onset is of the columns kurtosis and norm", f"no {missing[0]}", "Use onset_series(run)")
    if not np.isfinite(table[list(COLUMNS)].to_numpy(dtype=float)).all():
        raise ValuesError("an onset is of finite numbers", "NaN or Inf", "Leave those records out")
