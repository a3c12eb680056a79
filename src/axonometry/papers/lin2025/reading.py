"""What all six sections do with the table: pick rows, and turn seeds into estimates, tables and charts.

The table has a row a network and recorded step, with what is varied, accuracies and measures as columns:

>>> import pandas as pd
>>> rows = [("a", 0, 0, 0.1), ("a", 0, 9, 0.8), ("a", 1, 9, 0.6), ("b", 0, 9, 0.5)]
>>> table = pd.DataFrame(rows, columns=["condition", "seed", "step", "test_accuracy"])
>>> ends(table)["test_accuracy"].tolist()
[0.8, 0.6, 0.5]
>>> {name: mean(some, "test_accuracy").text(".2f") for name, some in groups(ends(table), "condition").items()}
{'a': '0.70 [0.01, 1.00]', 'b': '0.50'}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import pandas as pd

from axonometry.errors import RunError
from axonometry.experiments import (
    Claim,
    Estimate,
    LineChart,
    Measurements,
    Section,
    Table,
    mean_estimate,
    paired_estimate,
)
from axonometry.statistics import REALS, Range

OURS = "Our question"
"""How a claim begins that the paper does not make."""
SHARES, POSITIVE = ("test_error", "train_error", "features_error"), ("step", "sharpness", "scaled_sharpness", "spread")
"""Columns that are shares; that are above 0."""
LABELS = {"rate": "order kept", "mapped_accuracy": "accuracy of its L-Map", "mapped_error": "error of its L-Map"}
"""Columns whose names do not say what they are; see :func:`label`."""


DRAWN = {
    "test_accuracy": ("Accuracy on test data", "accuracy on test data"),
    "scaled_sharpness": ("Scaled sharpness", "scaled sharpness (nats)"),
    "sample_basin": ("Sample basin", "sample basin (unit of the pixels)"),
    "weight_basin": ("Weight basin", "weight basin (standard deviations of the weights)"),
}
"""By column, a chart's heading and what is on its vertical axis."""


def section(
    versions: str, *, still: bool, settled_by: str
) -> Callable[[Callable[[pd.DataFrame], Section]], Callable[[Measurements], Section]]:
    """The section of the networks that did not diverge; those that did are named in its set-up.

    Where all networks are of one seed nothing is decided, whatever a claim's rule says.

    Args:
        versions: In which versions of the paper its claims stand, unless a claim says so itself; ours are in none.
        still: Whether the authors make them in their last version, the fifth.
        settled_by: What would change its verdicts.

    Raises:
        RunError: All networks diverged; by the section.
    """

    def of(make: Callable[[pd.DataFrame], Section]) -> Callable[[Measurements], Section]:
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
            claims = [claim if claim.versions else stated(claim) for claim in made.claims]
            if last["seed"].nunique() < 2:
                claims = [replace(claim, verdict="undecided", p=math.nan) for claim in claims]
            return replace(made, setup=made.setup + words, claims=tuple(claims))

        return made_of

    def stated(claim: Claim) -> Claim:
        ours = claim.words.startswith(OURS)
        return claim.stated("" if ours else versions, still=None if ours else still, settled_by=settled_by)

    return of


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """The last row of each network, in the order in which networks come first."""
    return table.loc[table.groupby(["condition", "seed"], sort=False)["step"].idxmax()]


def groups(table: pd.DataFrame, column: str) -> dict[Any, pd.DataFrame]:
    """Rows by a column's values: ascending where they are numbers, else in the order in which they come first."""
    return dict(iter(table.groupby(column, sort=table[column].dtype.kind in "if")))


def range_of(column: str) -> Range:
    """The range of a column's numbers: where their intervals end.

    >>> range_of("test_accuracy"), range_of("gradient_3"), range_of("step")
    ((0.0, 1.0), (-6.0, 6.0), (0.0, inf))
    """
    stem = column.rstrip("0123456789").rstrip("_")
    if stem.endswith(("accuracy", "rate", "dead", "cut")) or column in SHARES:
        return (0.0, 1.0)
    if stem in ("gradient", "steep", "tilt", "middle"):
        return (-12.0, 12.0) if stem == "tilt" else (-6.0, 6.0)
    return (0.0, math.inf) if stem in POSITIVE or ("basin" in stem and "gap" not in stem) else REALS


def mean(some: pd.DataFrame, column: str) -> Estimate:
    """A column's mean over networks."""
    return mean_estimate(some[column].astype(float), within=range_of(column))


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
    low, high = range_of(column)
    return paired_estimate(ours, theirs, within=(low - high, high - low))


def over_seeds(some: pd.DataFrame, x: str, column: str) -> pd.DataFrame:
    """A column with a row an x, ascending, and a column a seed."""
    return some.dropna(subset=[column]).pivot_table(index=x, columns="seed", values=column)


def chosen_by_others(
    wide: pd.DataFrame, choose: Callable[[pd.Series[float]], Any] = pd.Series.idxmax
) -> dict[int, Any]:
    """What is chosen for each seed by the mean over the other seeds, so that its own noise has no part in the choice.

    The greatest of many noisy numbers is above their mean even where all are alike; that of the *others'* is not.

    Args:
        wide: As :func:`over_seeds` gives it.
        choose: From the mean over seeds, by x, to one of these x or several; that of the greatest mean.

    >>> wide = pd.DataFrame({0: [9.0, 0.0], 1: [0.0, 1.0], 2: [0.0, 1.0]}, index=[10, 20])
    >>> [int(x) for x in chosen_by_others(wide).values()]  # seed 0 alone is greatest at 10, which the others do not say
    [20, 10, 10]
    """
    seeds: list[Any] = wide.columns.tolist()
    whole = {seed: wide.drop(columns=seed) if wide.shape[1] > 1 else wide for seed in seeds}
    return {seed: choose(others.mean(axis=1)) for seed, others in whole.items()}


def at_chosen(wide: pd.DataFrame, chosen: Mapping[int, Any]) -> dict[int, float]:
    """By seed, the number at the x that was chosen for it."""
    return {seed: float(wide[seed].to_dict()[x]) for seed, x in chosen.items()}


def at_end(wide: pd.DataFrame) -> dict[int, float]:
    """By seed, the number at the last x."""
    seeds: list[Any] = wide.columns.tolist()
    return {seed: float(wide[seed].iloc[-1]) for seed in seeds}


def turning(some: pd.DataFrame, column: str) -> tuple[Estimate, Estimate]:
    """How far a column rises over training from the start to its turn, and how far it falls from there to the end.

    Over seeds; of 0.2, 0.9, 0.6 it rises by 0.7 and falls by 0.3. A seed's turn is the step at which the mean over the
    other seeds is greatest.
    """
    wide = over_seeds(some, "step", column)
    turn, (low, high) = at_chosen(wide, chosen_by_others(wide)), range_of(column)
    rise, fall = (
        paired_estimate(turn, one, within=(low - high, high - low)) for one in (at_end(wide.iloc[:1]), at_end(wide))
    )
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
    return mean_estimate((correlation(list(one[first]), list(one[second])) for one in seeds), within=(-1.0, 1.0))


def partly_correlated(some: pd.DataFrame, first: str, second: str, given: str) -> Estimate:
    """Spearman's ρ of two columns less what both share with a third, seed by seed, and then its mean over seeds.

    (r12 - r13 r23) / √((1 - r13²)(1 - r23²)) of the three rank correlations: 0 where the third explains all.
    """
    found = []
    for rows in some.groupby("seed").groups.values():
        x, y, z = (list(some.loc[rows, column].astype(float)) for column in (first, second, given))
        both, of_x, of_y = correlation(x, y), correlation(x, z), correlation(y, z)
        rest = (1 - of_x**2) * (1 - of_y**2)
        found.append((both - of_x * of_y) / math.sqrt(rest) if rest > 0 else math.nan)
    return mean_estimate(found, within=(-1.0, 1.0))


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
