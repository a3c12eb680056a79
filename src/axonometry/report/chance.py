"""Divergences beside what chance gives in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from axonometry.metrics import divergence_null
from axonometry.report.page import Table
from axonometry.report.samples import Samples, varies

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

NULL_VALUES, NULL_DRAWS = 1000, 10
"""Of relabelled halves: 10 draws of 1,000 values take about as long as one divergence of 10,000."""
MOST_PAIRS = 200
"""Pairs of a matrix that are held against chance."""

Row = tuple[str, str, str, str, float, float, float]
"""Measure, group, two names, divergence, mean and 97.5 % quantile of relabelled halves."""


def beside_chance(
    samples: Samples, matrices: Mapping[tuple[str, str], pd.DataFrame], most: int = MOST_PAIRS
) -> list[Row]:
    """Each pair's divergence, and what chance gives in its place: that of relabelled halves of the pooled pair.

    Of at most :data:`NULL_VALUES` values of a sample, :data:`NULL_DRAWS` times: chance shrinks as samples grow, so that
    for larger samples this is an upper bound.

    Args:
        samples: What the divergences are of.
        matrices: Of :func:`divergences`.
        most: Pairs of a matrix; where there are more, those farthest apart.

    Returns:
        Measure, group, the two names, divergence, mean and 97.5 % quantile of chance; pairs of a constant one are left
        out.

    >>> from axonometry.report.samples import divergences
    >>> ramp = np.arange(100, dtype=np.float32)
    >>> found = {("node_strength", "fc1"): {"low": ramp, "high": ramp + 50, "top": np.ones(9, np.float32)}}
    >>> [(*pair, value, mean, high)] = beside_chance(found, divergences(found))
    >>> pair, round(value, 1), 0 <= mean <= high < 0.5
    (['node_strength', 'fc1', 'low', 'high'], 4.2, True)
    """
    rows: list[Row] = []
    for (metric, group), matrix in matrices.items():
        pairs = [pair for pair in combinations(matrix.index, 2) if np.isfinite(matrix.loc[pair])]
        if len(pairs) > most:
            pairs = sorted(pairs, key=lambda pair: -matrix.loc[pair])[:most]
        for first, second in pairs:
            one, other = (_some(samples[metric, group][name]) for name in (first, second))
            null = divergence_null(one, other, draws=NULL_DRAWS)
            rows.append((metric, group, first, second, float(matrix.loc[first, second]), null.value, null.high))
    return rows


def _some(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most :data:`NULL_VALUES` of the values, drawn, of which two differ."""
    if len(values) <= NULL_VALUES:
        return values
    drawn = np.random.default_rng(len(values)).choice(values, NULL_VALUES, replace=False)
    return drawn if varies(drawn) else np.append(drawn, [values.min(), values.max()])


def chance_table(rows: Sequence[tuple[object, ...]], metric: str) -> tuple[Table, ...]:
    """The divergences of one measure beside those of relabelled halves; no table where there is none.

    Args:
        rows: Of :func:`beside_chance`.
        metric: The measure.
    """
    mine = [row[1:] for row in rows if row[0] == metric]
    if not mine:
        return ()
    layered = any(row[0] for row in mine)
    heads = ("layer", "of", "and", "divergence (nats)", "relabelled halves, mean", "97.5 %")
    caption = (
        "Beside each divergence, what chance gives: that of two halves of the pooled values, relabelled at random. A "
        "divergence not above the last column is none. Of at most 1,000 values; of more, chance gives less."
    )
    title = f"{metric.replace('_', ' ').capitalize()}: divergence beside chance"
    shown = [row if layered else row[1:] for row in mine]
    return (Table(heads if layered else heads[1:], tuple(shown), title, caption),)
