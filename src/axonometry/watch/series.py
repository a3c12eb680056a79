"""What a run recorded, by series: the values of one number over the steps."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

DEAD = "dead"
"""The share of a layer's neurons that have one value at all samples; recorded as their number."""


class SeriesKey(NamedTuple):
    """Which number: a name, and a layer; the empty layer for numbers of the whole run."""

    name: str
    layer: str


class Value(NamedTuple):
    """One recorded number."""

    key: SeriesKey
    step: int
    value: float


def series_name(metric: str, statistic: str) -> str:
    """What a measure's statistic is called here.

    >>> series_name("accuracy", "value"), series_name("node_strength", "std"), series_name("neuron_activation", "dead")
    ('accuracy', 'node_strength.std', 'dead')
    """
    if statistic == DEAD:
        return DEAD
    return metric if statistic == "value" else f"{metric}.{statistic}"


@dataclass
class RunSeries:
    """All series of a run, each with a place for every step; NaN also stands for what a step does not have.

    Attributes:
        steps: Ascending.
        values: As many numbers as there are steps, by key.
        last: The last recorded number of each series; one of them may be NaN.
    """

    steps: list[int] = field(default_factory=list)
    values: dict[SeriesKey, array[float]] = field(default_factory=dict)
    last: dict[SeriesKey, Value] = field(default_factory=dict)

    def add(self, step: int, numbers: Mapping[SeriesKey, float]) -> None:
        """Add a step behind the others.

        >>> series = RunSeries()
        >>> series.add(0, {SeriesKey("loss", ""): 2.0})
        >>> series.add(1, {SeriesKey("accuracy", ""): 0.5})
        >>> series.steps, [list(values) for values in series.values.values()]
        ([0, 1], [[2.0, nan], [nan, 0.5]])
        """
        missing = len(self.steps)
        self.steps.append(step)
        for key, value in numbers.items():
            if key not in self.values:
                self.values[key] = array("d", [math.nan]) * missing
            self.values[key].append(value)
            if key not in self.last or self.last[key].step <= step:
                self.last[key] = Value(key, step, value)
        for key in self.values.keys() - numbers.keys():
            self.values[key].append(math.nan)

    def extend(self, later: RunSeries) -> None:
        """Add all steps of other series behind these."""
        before, after = len(self.steps), len(later.steps)
        for key in {**self.values, **later.values}:
            mine = self.values.setdefault(key, array("d", [math.nan]) * before)
            mine.extend(later.values.get(key, array("d", [math.nan]) * after))
        self.steps += later.steps
        self.last |= {k: v for k, v in later.last.items() if k not in self.last or self.last[k].step <= v.step}

    def continues(self, earlier: RunSeries) -> bool:
        """Whether all that was known earlier is the same here, and nothing is new but steps."""
        known = len(earlier.steps)
        same = self.steps[:known] == earlier.steps and (not known or self.values.keys() == earlier.values.keys())
        # Bytes, since NaN is equal to nothing, also not to itself.
        return same and all(
            self.values[key][:known].tobytes() == values.tobytes() for key, values in earlier.values.items()
        )


def step_numbers(table: pa.Table, neurons: Mapping[str, int]) -> dict[SeriesKey, float]:
    """The numbers of one step's table.

    Args:
        table: Columns group, metric, statistic and value.
        neurons: How many neurons each layer has.
    """
    return dict(_rows(table.to_pydict(), neurons))


def series_of(table: pa.Table, steps: tuple[int, ...], neurons: Mapping[str, int]) -> RunSeries:
    """The series of a table of many steps.

    Args:
        table: Columns step, group, metric, statistic and value.
        steps: All of the table's steps, also those without a row, ascending.
        neurons: How many neurons each layer has.
    """
    import numpy as np

    found = RunSeries(steps=list(steps))
    names = [table[column].combine_chunks().dictionary_encode() for column in ("metric", "statistic", "group")]
    sizes = [max(len(name.dictionary), 1) for name in names]
    codes = np.zeros(len(table), dtype=np.int64)
    for name, size in zip(names, sizes, strict=True):
        codes = codes * size + name.indices.to_numpy(zero_copy_only=False)
    place = np.searchsorted(np.asarray(steps, dtype=np.int64), table["step"].to_numpy())
    value = table["value"].to_numpy()
    # Sorted by series and then by step: each series is a slice, instead of a search through all rows for each.
    order = np.lexsort((place, codes))
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else ():
        metric, statistic, group = (name[int(rows[0])].as_py() for name in names)
        key = SeriesKey(series_name(metric, statistic), group)
        of = value[rows] / neurons.get(group, 1) if statistic == DEAD else value[rows]
        filled = np.full(len(steps), np.nan)
        filled[place[rows]] = of
        found.values[key] = array("d", filled.tobytes())
        found.last[key] = Value(key, steps[place[rows[-1]]], float(of[-1]))
    return found


def _rows(columns: Mapping[str, list[object]], neurons: Mapping[str, int]) -> Iterator[tuple[SeriesKey, float]]:
    named = zip(columns["group"], columns["metric"], columns["statistic"], columns["value"], strict=True)
    for group, metric, statistic, value in named:
        share = neurons.get(str(group), 1) if statistic == DEAD else 1
        yield SeriesKey(series_name(str(metric), str(statistic)), str(group)), float(value) / share  # type: ignore[arg-type]
