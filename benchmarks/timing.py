"""Timing two things in turn, so that a change in the machine's speed meets both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import axonometry as ax
from axonometry.program.sharing import store as sharing


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What is compared with what.
        measured: The figure, with its unit.
        goal: What it should be.
        reached: Whether it is.
        n: How many pairs were timed.
        detail: The two times behind a ratio.
    """

    what: str
    measured: str
    goal: str
    reached: bool
    n: int
    detail: str


@dataclass(frozen=True)
class Ratio:
    """Medians over the pairs: of the two times in seconds, and of their ratio."""

    first: float
    second: float
    ratio: float
    n: int

    @property
    def detail(self) -> str:
        """The two times in milliseconds."""
        return f"{1e3 * self.first:.3g} ms against {1e3 * self.second:.3g} ms"

    def at_most(self, what: str, goal: float, unit: str = "times") -> Row:
        """A line that is reached when the ratio is small enough."""
        return Row(what, f"{self.ratio:.2f} {unit}", f"at most {goal:g}", self.ratio <= goal, self.n, self.detail)

    def at_least(self, what: str, goal: float) -> Row:
        """A line that is reached when the second takes that many times as long as the first."""
        return Row(
            what,
            f"{1 / self.ratio:,.0f} times faster",
            f"at least {goal:,.0f}",
            1 / self.ratio >= goal,
            self.n,
            self.detail,
        )


def fresh_capture(*arguments: Any, **options: Any) -> ax.NeuralGraph:
    """``ax.capture`` of an architecture as if the process had not seen it before."""
    sharing.forget()
    return ax.capture(*arguments, **options)


def seconds(function: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(first: Callable[[], object], second: Callable[[], object], *, n: int = 15) -> Ratio:
    """Time the two in turn, n times after one call of each that is not counted."""
    first(), second()
    pairs = [(seconds(first), seconds(second)) for _ in range(n)]
    return Ratio(
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
        n,
    )
