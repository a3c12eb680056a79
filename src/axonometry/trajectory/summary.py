"""A run as one row of numbers: the moments of its graph's measures, epoch by epoch, and how they changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from axonometry.arguments import argument_errors
from axonometry.errors import RunError
from axonometry.trajectory.run import Trajectory

if TYPE_CHECKING:
    import pandas as pd

MOMENTS = ("mean", "median", "std", "skewness", "kurtosis")
"""Statistics of a node measure in one snapshot: definitions.md 3.3, [recalled] from NetSimile."""

_COUNTS = ("count", "nonfinite")
_Levels = dict[tuple[str, str, str], dict[int, float]]


class SummaryKey(NamedTuple):
    """What a summary's number is.

    >>> SummaryKey("channel_degree", "conv1", "mean", epoch=2).name
    'channel_degree.conv1.mean@2'
    >>> SummaryKey("channel_degree", "", "mean", epoch=2, since=0).name
    'channel_degree.mean@2-0'

    Attributes:
        measure: Of which measure.
        group: Of which neuron group, synapse or parameter; empty for the whole network.
        statistic: Which statistic.
        epoch: After how many epochs.
        since: Against which epoch the change is; None for a number that is no change.
    """

    measure: str
    group: str
    statistic: str
    epoch: int
    since: int | None = None

    @property
    def name(self) -> str:
        """As in ``channel_degree.conv1.mean@2-0``."""
        change = "" if self.since is None else f"-{self.since}"
        return f"{self.measure}.{self.group + '.' if self.group else ''}{self.statistic}@{self.epoch}{change}"


@argument_errors
def temporal_summary(
    source: Trajectory | pd.DataFrame,
    measures: Iterable[str] = ("channel_degree", "channel_centrality"),
    *,
    epochs: int = 5,
    per_group: bool = False,
    changes: bool = True,
    statistics: Iterable[str] | None = MOMENTS,
) -> pd.Series:
    """The temporal summary of Vahedian et al. 2021: statistics of each measure, one snapshot after the other.

    The names say what a number is: ``channel_degree.mean@2`` after two epochs, ``channel_degree.conv1.mean@2`` of one
    group, ``channel_degree.mean@2-0`` the change since the first snapshot, which is a plain difference. Summaries of
    whole networks have the same names whatever the network's depth; a measure without rows of the whole network is
    averaged over its groups. What is not finite is NaN.

    >>> import pandas as pd
    >>> rows = [(step, "", "channel_degree", "mean", 2.0 + step) for step in (0, 1)]
    >>> table = pd.DataFrame(rows, columns=["step", "group", "metric", "statistic", "value"])
    >>> temporal_summary(table, ["channel_degree"], epochs=1).to_dict()
    {'channel_degree.mean@0': 2.0, 'channel_degree.mean@1': 3.0, 'channel_degree.mean@1-0': 1.0}

    Args:
        source: A run, or its table of metrics.
        measures: Names in the table's column ``metric``.
        epochs: The last snapshot that is used; see :func:`snapshot_steps` for how they are counted.
        per_group: Whether every group has its own numbers, beside those of the network.
        changes: Whether the changes since the first snapshot are there too.
        statistics: Names in the column ``statistic``; None for all but counts.

    Returns:
        float64, named as above.

    Raises:
        RunError: The run is shorter, or a measure was not recorded.

    Source: arXiv 2111.05410; that the moments are these and that snapshots are concatenated is [recalled], the first
    snapshot and the changes are [our choice] (definitions.md 3.3).
    """
    import pandas as pd

    values = temporal_values(source, measures, epochs=epochs, changes=changes, statistics=statistics)
    chosen = {key.name: value for key, value in values.items() if per_group or not key.group}
    return pd.Series(chosen, dtype="float64")


def temporal_values(
    source: Trajectory | pd.DataFrame,
    measures: Iterable[str],
    *,
    epochs: int,
    changes: bool = True,
    statistics: Iterable[str] | None = None,
) -> dict[SummaryKey, float]:
    """The numbers of :func:`temporal_summary`, of the whole network and of each group, by what they are.

    Args:
        source: A run, or its table of metrics.
        measures: Names in the table's column ``metric``.
        epochs: The last snapshot that is used.
        changes: Whether the changes since the first snapshot are there too.
        statistics: Names in the column ``statistic``; None for all but counts.

    Raises:
        RunError: The run is shorter, or a measure was not recorded.
    """
    frame = source.metrics if isinstance(source, Trajectory) else source
    steps = _snapshots(frame, epochs)
    levels = _by_epoch(frame, list(measures), steps, None if statistics is None else set(statistics))
    levels |= _averages(levels)
    values: dict[SummaryKey, float] = {}
    for (measure, group, statistic), of in levels.items():
        level = {epoch: of.get(epoch, math.nan) for epoch in steps}
        values |= {SummaryKey(measure, group, statistic, epoch): value for epoch, value in level.items()}
        if changes:
            (first, start), *later = level.items()
            values |= {SummaryKey(measure, group, statistic, epoch, first): value - start for epoch, value in later}
    return values


def snapshot_steps(source: Trajectory | pd.DataFrame) -> dict[int, int]:
    """The step of each snapshot, by the number of whole epochs before it.

    Where the run has a scalar ``epoch``, these are the steps at which it is a whole number, the first one where there
    are several. Otherwise the records are counted, and the first one is 0: the network before training.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"step": [0, 30, 60], "group": "", "metric": "epoch", "value": [0.0, 0.5, 1.0]})
    >>> snapshot_steps(table)
    {0: 0, 1: 60}
    >>> snapshot_steps(table.assign(metric="loss"))
    {0: 0, 1: 30, 2: 60}
    """
    frame = source.metrics if isinstance(source, Trajectory) else source
    rows = frame[(frame["metric"] == "epoch") & (frame["group"] == "")].sort_values("step", kind="stable")
    if rows.empty:
        return {number: int(step) for number, step in enumerate(sorted(frame["step"].unique()))}
    steps: dict[int, int] = {}
    for step, epoch in zip(rows["step"], rows["value"], strict=True):
        if float(epoch).is_integer():
            steps.setdefault(int(epoch), int(step))
    return steps


def _snapshots(frame: pd.DataFrame, epochs: int) -> dict[int, int]:
    """The steps of the first snapshot, of 0 or 1 epochs, and of all up to ``epochs``."""
    steps = snapshot_steps(frame)
    wanted = range(0 if 0 in steps else 1, epochs + 1)
    if not wanted or any(epoch not in steps for epoch in wanted):
        raise RunError(
            f"a summary of {epochs} epochs needs a snapshot after each of them",
            f"snapshots after {', '.join(map(str, steps)) or 'no'} epochs",
            "Ask for fewer epochs, or record the initial network and then every epoch",
        )
    return {epoch: steps[epoch] for epoch in wanted}


def _by_epoch(
    frame: pd.DataFrame, measures: list[str], steps: Mapping[int, int], statistics: set[str] | None
) -> _Levels:
    """For each measure, group and statistic, in the table's order, the finite values by epoch."""
    rows = frame[frame["metric"].isin(measures) & frame["step"].isin(list(steps.values()))]
    missing = sorted(set(measures) - set(rows["metric"]))
    if missing:
        rule, came = f"the measures {', '.join(measures)} were recorded", f"a run without {', '.join(missing)}"
        remedy = f"Record with: Recorder(..., measures=({', '.join(map(repr, measures))},))"
        raise RunError(rule, came, f"{remedy}, or: axonometry runs measure FOLDER --measure {missing[0]}")
    epoch_of = {step: epoch for epoch, step in steps.items()}
    found: _Levels = {}
    columns = [rows[name].tolist() for name in ("step", "metric", "group", "statistic", "value")]
    for step, measure, group, statistic, value in zip(*columns, strict=True):
        if statistic in _COUNTS if statistics is None else statistic not in statistics:
            continue
        of = found.setdefault((measure, group, statistic), {})
        if math.isfinite(value):
            of[epoch_of[step]] = value
    return found


def _averages(levels: _Levels) -> _Levels:
    """The means over groups, for the measures that have no row of the whole network."""
    of_network = {measure for measure, group, _ in levels if not group}
    gathered: dict[tuple[str, str, str], dict[int, list[float]]] = {}
    for (measure, _, statistic), of in levels.items():
        if measure not in of_network:
            lists = gathered.setdefault((measure, "", statistic), {})
            for epoch, value in of.items():
                lists.setdefault(epoch, []).append(value)
    return {key: {epoch: math.fsum(v) / len(v) for epoch, v in lists.items()} for key, lists in gathered.items()}
