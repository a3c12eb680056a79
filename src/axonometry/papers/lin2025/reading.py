"""What all six sections do with the table: pick rows, and turn seeds into estimates, tables and charts.

The table has a row a network and recorded step, with what is varied, accuracies and measures as columns:

>>> import pandas as pd
>>> rows = [("a", 0, 0, 0.1), ("a", 0, 9, 0.8), ("a", 1, 9, 0.6), ("b", 0, 9, 0.5)]
>>> table = pd.DataFrame(rows, columns=["condition", "seed", "step", "test_accuracy"])
>>> ends(table)["test_accuracy"].tolist()
[0.8, 0.6, 0.5]
>>> {name: mean(some, "test_accuracy").text(".2f") for name, some in groups(ends(table), "condition").items()}
{'a': '0.70 [−0.57, 1.97]', 'b': '0.50'}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import pandas as pd

from axonometry.errors import RunError
from axonometry.experiments import Estimate, LineChart, Measurements, Section, Table, mean_estimate, paired_estimate

LABELS = {"rate": "order kept", "mapped_accuracy": "accuracy of its L-Map", "mapped_error": "error of its L-Map"}
"""Columns whose names do not say what they are; see :func:`label`."""


DRAWN = {
    "test_accuracy": ("Accuracy on test data", "accuracy on test data"),
    "scaled_sharpness": ("Scaled sharpness", "scaled sharpness (nats)"),
    "sample_basin": ("Sample basin", "sample basin (unit of the pixels)"),
    "weight_basin": ("Weight basin", "weight basin (standard deviations of the weights)"),
}
"""By column, a chart's heading and what is on its vertical axis."""


def section(make: Callable[[pd.DataFrame], Section]) -> Callable[[Measurements], Section]:
    """The section of the networks that did not diverge; those that did are named in its set-up.

    Where all networks are of one seed nothing is decided, whatever a claim's rule says.

    Args:
        make: Reads the table of these networks.

    Raises:
        RunError: All networks diverged; by the section.
    """

    @wraps(make)
    def made_of(found: Measurements) -> Section:
        last = ends(found.table)
        lost = last[~last["train_loss"].map(math.isfinite)]
        if len(lost) == len(last):
            rule = f"some network of {make.__name__.replace('_', '-')} learns without diverging"
            raise RunError(rule, "none", "Lower the learning rates")
        made = make(found.table[~found.table["run"].isin(lost["run"])])
        named = "; ".join(f"{row['condition']}, seed {row['seed']}" for _, row in lost.iterrows())
        words = f" Networks whose training diverged, to which nothing here applies: {named}." if named else ""
        undecided = last["seed"].nunique() < 2
        claims = (replace(claim, verdict="undecided") if undecided else claim for claim in made.claims)
        return replace(made, setup=made.setup + words, claims=tuple(claims))

    return made_of


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """The last row of each network, in the order in which networks come first."""
    return table.loc[table.groupby(["condition", "seed"], sort=False)["step"].idxmax()]


def groups(table: pd.DataFrame, column: str) -> dict[Any, pd.DataFrame]:
    """Rows by a column's values: ascending where they are numbers, else in the order in which they come first."""
    return dict(iter(table.groupby(column, sort=table[column].dtype.kind in "if")))


def mean(some: pd.DataFrame, column: str) -> Estimate:
    """A column's mean over networks."""
    return mean_estimate(some[column].astype(float))


def means(title: str, rows: Mapping[Any, pd.DataFrame], heads: Sequence[str], columns: Sequence[str]) -> Table:
    """A table of means over networks.

    Args:
        title: Its heading.
        rows: The networks of each row, by the row's first cells, a tuple.
        heads: Headings of these.
        columns: What is averaged.
    """

    def cell(some: pd.DataFrame, column: str) -> Estimate | str:
        return mean(some, column).text(",.0f") if column == "step" else mean(some, column)

    cells = tuple((*first, *(cell(some, column) for column in columns)) for first, some in rows.items())
    return Table((*heads, *map(label, columns)), cells, title)


def label(column: str) -> str:
    """A column in words.

    >>> label("test_accuracy"), label("rate_2")
    ('test accuracy', 'order kept, layer 2')
    """
    stem, _, layer = column.rpartition("_")
    return f"{label(stem)}, layer {layer}" if layer.isdigit() else LABELS.get(column, column.replace("_", " "))


def paired(first: pd.DataFrame, second: pd.DataFrame, column: str) -> Estimate:
    """The mean over seeds of a column of the first less that of the second; seeds that only one has are left out."""
    ours, theirs = (dict(zip(some["seed"], some[column], strict=True)) for some in (first, second))
    return paired_estimate(ours, theirs)


def rises(table: pd.DataFrame, column: str = "gradient_1") -> tuple[Estimate, Estimate]:
    """How far a column rises from the start to its maximum over training, and how far it falls from there to the end.

    Over seeds; of 0.2, 0.9, 0.6 it rises by 0.7 and falls by 0.3.
    """
    paths = [one.sort_values("step")[column] for one in groups(table, "seed").values()]
    rise, fall = (mean_estimate(path.max() - path.iloc[at] for path in paths) for at in (0, -1))
    return rise, fall


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's ρ; NaN where one of them does not vary."""
    from scipy import stats

    if len(first) < 3 or len(set(first)) < 2 or len(set(second)) < 2:
        return math.nan
    return float(stats.spearmanr(first, second).statistic)


def correlated(some: pd.DataFrame, first: str, second: str) -> Estimate:
    """Spearman's ρ of two columns, seed by seed, and then its mean over seeds."""
    seeds = [some.loc[rows, [first, second]].astype(float) for rows in some.groupby("seed").groups.values()]
    return mean_estimate(correlation(list(one[first]), list(one[second])) for one in seeds)


def in_pairs(found: Mapping[str, object]) -> str:
    """``a: 1; b: 2``."""
    return "; ".join(f"{name}: {one}" for name, one in found.items())


def chart(
    title: str, axes: tuple[str, str], x: str, lines: Mapping[str, tuple[pd.DataFrame, str]], caption: str = ""
) -> LineChart:
    """A line a name: the mean over seeds of a column at each x; step 0 is drawn at 1, since the axis is logarithmic.

    Args:
        title: The chart's heading.
        axes: Names and units of the horizontal and the vertical axis.
        x: The column that is on the horizontal axis.
        lines: By the line's name, rows and the column that is averaged.
        caption: What to see.
    """
    points = [
        (name, max(1.0, float(at)), mean(rows, column))
        for name, (some, column) in lines.items()
        for at, rows in groups(some.dropna(subset=[column]), x).items()
    ]
    return replace(LineChart.of(title, points, *axes), caption=caption)
