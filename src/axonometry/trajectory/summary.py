"""A run as one row of numbers: the moments of its graph's measures, epoch by epoch, and how they changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from axonometry.errors import RunError
from axonometry.trajectory.run import Trajectory

if TYPE_CHECKING:
    import pandas as pd

MOMENTS = ("mean", "median", "std", "skewness", "kurtosis")
"""What stands for a node measure in one snapshot: definitions.md 3.3, [recalled] from NetSimile."""

KEYS = ["measure", "group", "statistic", "epoch", "since"]
"""What a summary's number is: of which measure and group, which statistic, after how many epochs, against which."""

_COUNTS = ("count", "nonfinite")

LEVEL = -1
"""The value of ``since`` for a number that is no change."""


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

    Args:
        source: A run, or its table of metrics.
        measures: Names in the table's column ``metric``.
        epochs: The last snapshot that is used; see :func:`snapshot_steps` for how they are counted.
        per_group: Whether every group has numbers of its own, beside those of the whole network.
        changes: Whether the changes since the first snapshot are there too.
        statistics: Names in the column ``statistic``; None for all but counts.

    Returns:
        float64, named as above.

    Raises:
        RunError: The run has not come so far, or a measure was not recorded.

    Source: arXiv 2111.05410; that the moments are these and that snapshots are concatenated is [recalled], the first
    snapshot and the changes are [our choice] (definitions.md 3.3).
    """
    values = temporal_values(source, measures, epochs=epochs, changes=changes, statistics=statistics)
    if not per_group:
        values = values[values.index.get_level_values("group") == ""]
    return named(values)


def temporal_values(
    source: Trajectory | pd.DataFrame,
    measures: Iterable[str],
    *,
    epochs: int,
    changes: bool = True,
    statistics: Iterable[str] | None = None,
) -> pd.Series:
    """The numbers of :func:`temporal_summary`, of the whole network and of each group, keyed by ``KEYS``.

    Args:
        source: A run, or its table of metrics.
        measures: Names in the table's column ``metric``.
        epochs: The last snapshot that is used.
        changes: Whether the changes since the first snapshot are there too.
        statistics: Names in the column ``statistic``; None for all but counts.

    Raises:
        RunError: The run has not come so far, or a measure was not recorded.
    """
    import numpy as np
    import pandas as pd

    frame = _frame(source)
    levels = _by_epoch(frame, list(measures), _first_epochs(frame, epochs), statistics)
    levels = pd.concat([levels, _missing_networks(levels)])
    levels = levels.where(np.isfinite(levels))
    parts = [_long(levels, LEVEL)]
    if changes and levels.shape[1] > 1:
        first = levels.columns[0]
        parts.append(_long(levels.iloc[:, 1:].sub(levels[first], axis=0), int(first)))
    return pd.concat(parts)


def named(values: pd.Series) -> pd.Series:
    """The numbers under their names instead of their keys."""
    names = [
        f"{measure}.{group + '.' if group else ''}{statistic}@{epoch}{'' if since == LEVEL else f'-{since}'}"
        for measure, group, statistic, epoch, since in values.index
    ]
    return values.set_axis(names)


def snapshot_steps(source: Trajectory | pd.DataFrame) -> dict[int, int]:
    """The step of each snapshot, by the number of whole epochs before it.

    Where the run has a scalar ``epoch``, these are the steps at which it is a whole number, the first one where there
    are several. Otherwise the records are counted, and the first one is 0: the network before training.
    """
    frame = _frame(source)
    rows = frame[(frame["metric"] == "epoch") & (frame["group"] == "")].sort_values("step")
    if rows.empty:
        return {number: int(step) for number, step in enumerate(sorted(frame["step"].unique()))}
    whole = rows[rows["value"] == rows["value"].round()].drop_duplicates("value")
    return {int(epoch): int(step) for epoch, step in zip(whole["value"], whole["step"], strict=True)}


def _frame(source: Trajectory | pd.DataFrame) -> pd.DataFrame:
    return source.metrics if isinstance(source, Trajectory) else source


def _first_epochs(frame: pd.DataFrame, epochs: int) -> dict[int, int]:
    """The steps of the first snapshot, of 0 or 1 epochs, and of all up to ``epochs``."""
    steps = snapshot_steps(frame)
    first = 0 if 0 in steps else 1
    wanted = range(first, epochs + 1)
    missing = [epoch for epoch in wanted if epoch not in steps]
    if missing or not wanted:
        came = f"a run with snapshots after {', '.join(map(str, steps)) or 'no'} epochs"
        raise RunError(
            f"a summary of {epochs} epochs needs a snapshot after each of them",
            came,
            "Ask for fewer epochs, or record the initial network and then every epoch",
        )
    return {epoch: steps[epoch] for epoch in wanted}


def _by_epoch(
    frame: pd.DataFrame, measures: list[str], steps: dict[int, int], statistics: Iterable[str] | None
) -> pd.DataFrame:
    """A row a measure, group and statistic, a column an epoch."""
    import pandas as pd

    chosen = frame[frame["metric"].isin(measures) & frame["step"].isin(list(steps.values()))]
    missing = sorted(set(measures) - set(chosen["metric"]))
    if missing:
        rule = f"the measures {', '.join(measures)} were recorded"
        remedy = f"Record with: Recorder(..., measures=({', '.join(map(repr, measures))},))"
        raise RunError(rule, f"a run without {', '.join(missing)}", remedy)
    if statistics is None:
        chosen = chosen[~chosen["statistic"].isin(_COUNTS)]
    else:
        chosen = chosen[chosen["statistic"].isin(list(statistics))]
    epoch_of = {step: epoch for epoch, step in steps.items()}
    chosen = chosen.assign(epoch=chosen["step"].map(epoch_of)).rename(columns={"metric": "measure"})
    # pivot sorts; the order of the groups is the network's and has to stay.
    order = pd.MultiIndex.from_frame(chosen[KEYS[:3]].drop_duplicates())
    table = chosen.pivot(index=KEYS[:3], columns="epoch", values="value")
    return table.reindex(index=order, columns=list(steps))


def _missing_networks(levels: pd.DataFrame) -> pd.DataFrame:
    """Averages over groups for the measures that have no row of the whole network."""
    groups = levels.index.get_level_values("group")
    measures = levels.index.get_level_values("measure")
    lacking = levels[~measures.isin(measures[groups == ""])]
    averages = lacking.groupby(level=["measure", "statistic"], sort=False).mean().reset_index()
    return averages.assign(group="").set_index(KEYS[:3])


def _long(levels: pd.DataFrame, since: int) -> pd.Series:
    """One number a row, epochs inside measures."""
    import pandas as pd

    keys = [(*key, int(epoch), since) for key in levels.index for epoch in levels.columns]
    index = pd.MultiIndex.from_tuples(keys, names=KEYS) if keys else pd.MultiIndex.from_arrays([[]] * 5, names=KEYS)
    return pd.Series(levels.to_numpy(dtype=float).ravel(), index=index)
