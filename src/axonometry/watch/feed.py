"""What one browser is told: at first all that it shows, from then on what is new.

A feed remembers how far it has told, and compares that with what the follower knows. Nothing waits in a queue for a
browser that is slow, or asleep: it is told less often, and then more at once.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from axonometry.watch.rows import RunRow, row_of
from axonometry.watch.series import DEAD, SeriesKey

if TYPE_CHECKING:
    from axonometry.watch.followed import FollowedRun
    from axonometry.watch.follower import FolderFollower

POINTS = 300_000
"""Points that a browser is sent at first; of longer or more lines only each second, third... point."""
PER_LINE = 2_000
"""Points of one line: more than a screen has columns."""
FEW_RUNS = 12
"""Of more runs than these, layers are shown only when they are asked for."""
SCALARS = ("loss", "train_loss", "val_loss")
LAYERED = ("node_strength.mean", "layer_fluctuation", DEAD, "update_ratio")
MOST_ALERTS = 200

Event = tuple[str, str]
"""A name, and JSON."""


@dataclass(frozen=True)
class Selection:
    """What a browser shows.

    Attributes:
        runs: Numbers of runs, in the order in which they were found; None for all.
        series: Names of series; None for the usual ones.
    """

    runs: frozenset[int] | None = None
    series: tuple[str, ...] | None = None

    @classmethod
    def of(cls, runs: str | None, series: Iterable[str]) -> Selection:
        """The selection of a request.

        >>> Selection.of("0-2,7", ["loss"])
        Selection(runs=frozenset({0, 1, 2, 7}), series=('loss',))
        >>> Selection.of(None, [])
        Selection(runs=None, series=None)

        Args:
            runs: Numbers and ranges of numbers.
            series: Names.

        Raises:
            ValueError: It is no list of numbers.
        """
        chosen = None if runs is None else frozenset(number for part in runs.split(",") for number in _numbers(part))
        return cls(chosen, tuple(dict.fromkeys(series)) or None)

    def names(self, known: Iterable[str], score: str, runs: int) -> tuple[str, ...]:
        """The names of the series to show.

        Args:
            known: All names.
            score: The scalar of the table.
            runs: How many runs are shown.
        """
        wanted = self.series if self.series is not None else (score, *SCALARS, *(LAYERED if runs <= FEW_RUNS else ()))
        there = set(known)
        return tuple(name for name in dict.fromkeys(wanted) if name in there)


class Feed:
    """The events for one browser.

    Args:
        follower: What is shown.
        selection: What of it.
    """

    def __init__(self, follower: FolderFollower, selection: Selection) -> None:
        self._follower, self._selection = follower, selection
        self._about: dict[str, Any] | None = None
        self._rows: dict[int, RunRow] = {}
        self._layers: dict[str, list[str]] = {}
        self._counted = -1
        self._names: tuple[str, ...] = ()
        self._told: dict[int, tuple[int, int]] = {}
        self._alerts = -1

    def events(self, seconds: float = 0.05) -> list[Event]:
        """What is new.

        Args:
            seconds: After which points of more runs are left for the next call.
        """
        begun, score = time.monotonic(), self._follower.score
        found = [*self._about_events(score), *self._row_events(score), *self._series_events(score)]
        if self._alerts != self._follower.alerts.revision:
            self._alerts = self._follower.alerts.revision
            listed = self._follower.alerts.fired[-MOST_ALERTS:]
            found.append(_event("alerts", [_finite(asdict(alert)) for alert in listed]))
        for number, run in self._chosen():
            if run.caught_up and self._told.get(number) != (run.generation, len(run.series.steps)):
                found.append(("points", self._points(number, run)))
                if time.monotonic() - begun > seconds:
                    break
        return found

    def _chosen(self) -> list[tuple[int, FollowedRun]]:
        chosen = self._selection.runs
        return [(n, run) for n, run in enumerate(self._follower.runs) if chosen is None or n in chosen]

    def _about_events(self, score: str) -> list[Event]:
        follower = self._follower
        about = {
            "folder": str(follower.folder),
            "score": score,
            "rules": [str(rule) for rule in follower.alerts.rules],
            "unmet": [str(rule) for rule in follower.unmet()] if self._counted > 0 else [],
            "predicts": follower.predicts,
            "problem": follower.problem,
        }
        if about == self._about:
            return []
        self._about = about
        return [_event("about", about)]

    def _row_events(self, score: str) -> list[Event]:
        changed = []
        for number, run in enumerate(self._follower.runs):
            row = row_of(self._follower, run, score)
            if row != self._rows.get(number):
                self._rows[number] = row
                changed.append({"number": number, **_finite(asdict(row))})
        return [_event("runs", changed)] if changed else []

    def _series_events(self, score: str) -> list[Event]:
        """The names of all series with their layers, and those that are shown."""
        runs = self._follower.runs
        counted = sum(len(run.series.values) for run in runs)
        if counted == self._counted:
            return []
        self._counted = counted
        layers = layers_by_name(runs)
        names = self._selection.names(layers, score, len(self._chosen()))
        if names != self._names:  # earlier values of the new ones are needed, too
            self._told.clear()
        if (layers, names) == (self._layers, self._names):
            return []
        self._layers, self._names = layers, names
        return [_event("series", {"layers": layers, "shown": names})]

    def _points(self, number: int, run: FollowedRun) -> str:
        generation, told = self._told.get(number, (-1, 0))
        steps, reset = run.series.steps, generation != run.generation
        self._told[number] = (run.generation, len(steps))
        keys = [key for key in run.series.values if key.name in self._names]
        places = range(0 if reset else told, len(steps))
        stride = self._stride(len(places), len(keys)) if reset else 1
        # The newest point is always there: [0, 3, 6, 8] of nine steps and every third.
        kept = [*places[::stride], *([places[-1]] if places and (len(places) - 1) % stride else [])]
        lines = [_line(key, map(run.series.values[key].__getitem__, kept)) for key in keys]
        head = json.dumps({"run": number, "reset": reset, "stride": stride, "steps": [steps[place] for place in kept]})
        return f'{head[:-1]},"lines":[{",".join(lines)}]}}'

    def _stride(self, steps: int, lines: int) -> int:
        every = max(len(self._chosen()) * lines, 1)
        return max(1, math.ceil(steps / min(PER_LINE, max(POINTS // every, 50))))


def layers_by_name(runs: Iterable[FollowedRun]) -> dict[str, list[str]]:
    """The layers that each series is of, in the order of the networks; the empty one for the whole run."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, layer in run.series.values:
            found.setdefault(name, {})[layer] = None
    return {name: list(layers) for name, layers in found.items()}


def numbers_text(values: Iterable[float]) -> str:
    """Numbers in JSON with five significant digits, for a screen; null for what is not finite.

    >>> numbers_text([0.5, float("nan"), 1 / 3, float("-inf"), 2e-7])
    '0.5,null,0.33333,null,2e-07'
    """
    return ",".join([f"{value:.5g}" if math.isfinite(value) else "null" for value in values])


def _line(key: SeriesKey, values: Iterable[float]) -> str:
    return f"[{json.dumps(key.name)},{json.dumps(key.layer)},[{numbers_text(values)}]]"


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no word for NaN: the text is shown instead."""
    return {name: str(v) if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}


def _event(name: str, content: Any) -> Event:
    return name, json.dumps(content, allow_nan=False)


def _numbers(part: str) -> range:
    low, _, high = part.partition("-")
    numbers = range(int(low), int(high or low) + 1)
    if numbers.stop - numbers.start > 100_000:  # a longer range may have no len
        raise ValueError("too many runs")
    return numbers
