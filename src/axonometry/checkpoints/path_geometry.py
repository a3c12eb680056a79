"""Where points lie beside a path: which step of a training fits its place, and which belongs elsewhere.

Weights in training move like a walk in very many dimensions: each move is nearly at a right angle to those before, and
squared distances along the way add up, as lengths of a road do::

    steps 0   1   2   3      |x0 - x2|^2 = |x0 - x1|^2 + |x1 - x2|^2

How far a step t is off the road between two neighbours a and b is then half of

    |t - a|^2 + |t - b|^2 - |a - b|^2  =  2 <t - a, t - b>

It is near 0 between the neighbours of its own place, twice the distance along the road anywhere else, and what a high
learning rate adds to one step alone is in all of them alike, so that their order does not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from axonometry.checkpoints.element_types import Array

DETOUR = 3.5
"""Way over a step in squared distances, to the way without it: 1 in a walk, below it in a straight move, 2 between
points drawn from one equilibrium; a step that trades places with its neighbour has 3 of both [our choice]."""
MISPLACED = 0.5
"""How much farther a step is off the road at its place than elsewhere, relative to both: 0 of a step in its place, at
most 1 [our choice: between what trainings of small networks and planted faults showed]."""
CHANCE = 0.3
"""Cosine between two directions that is nothing special."""
_NOTHING = 1e-12


@dataclass(frozen=True)
class PathPlace:
    """How a step lies among others.

    Attributes:
        step: Its number.
        detour: As :data:`DETOUR` says; NaN at either end, where no way leads over it.
        misplaced: As :data:`MISPLACED` says.
        before: Of the two neighbouring steps between which it lies best, the first.
        after: The second.
        detour_there: The detour there.
    """

    step: int
    detour: float
    misplaced: float
    before: int
    after: int
    detour_there: float

    def fits(self, usual: float = 1.0) -> bool:
        """Whether it is where it belongs.

        Args:
            usual: A detour that is nothing special in this sequence.
        """
        return not (self.misplaced > MISPLACED or self.detour > DETOUR * max(1.0, usual))


def squared_distances(records: Array) -> Array:
    """Squared distances between the rows of a matrix."""
    centred = records - records.mean(0)
    products = centred @ centred.T
    squares = np.diag(products)
    return np.maximum(squares[:, None] + squares - 2 * products, 0)


def usual_detour(distances: Array, kept: Sequence[int]) -> float:
    """The third quartile of detours: alternating rates of learning make those of every second step large."""
    a, t, b = (np.asarray(kept)[begin : len(kept) - 2 + begin] for begin in range(3))
    if len(kept) < 3:
        return 1.0
    return float(np.quantile(_detours(distances, a, t, b), 0.75, method="lower"))


def path_places(distances: Array, kept: Sequence[int], steps: Iterable[int] | None = None) -> list[PathPlace]:
    """How each step lies among the others that are kept, in their order.

    Args:
        distances: Squared, of all steps.
        kept: Numbers of the steps that make the road.
        steps: Those that are looked at, which need not be kept; all kept ones where None.
    """
    asked = kept if steps is None else steps
    return [_place(distances, [one for one in kept if one != step], step) for step in asked]


def _place(distances: Array, others: Sequence[int], t: int) -> PathPlace:
    if len(others) < 2:
        return PathPlace(t, np.nan, 0.0, t, t, np.nan)
    a, b = np.asarray(others[:-1]), np.asarray(others[1:])
    off = (distances[t, a] + distances[t, b] - distances[a, b]) / 2
    own = int(np.clip(np.searchsorted(others, t) - 1, 0, len(a) - 1))
    best = int(off.argmin())
    # Directions that have nothing to do with each other are at a right angle up to about one part in thirty.
    chance = CHANCE * float(np.sqrt(distances[t, a[best]] * distances[t, b[best]]))
    noise = _NOTHING * max(float(distances.max()), _NOTHING)
    misplaced = float((off[own] - off[best]) / (abs(off[own]) + abs(off[best]) + chance + noise))
    inside = others[0] < t < others[-1]
    detour, there = (float(_detours(distances, a[[one]], t, b[[one]])[0]) for one in (own, best))
    return PathPlace(t, detour if inside else np.nan, misplaced, int(a[best]), int(b[best]), there)


def _detours(distances: Array, a: Array, t: Array | int, b: Array) -> Array:
    noise = _NOTHING * max(float(distances.max()), _NOTHING)
    found: Array = (distances[a, t] + distances[t, b] + noise) / (distances[a, b] + noise)
    return found


def misfits(distances: Array, steps: Sequence[int]) -> tuple[list[int], list[int]]:
    """The steps that fit their places, and those that have to be left out so that all others do.

    One that is wrong makes others look wrong, too: its neighbours, and what belongs between it and its true place. But
    the way over it is much longer than the way without it, and that over the others is not. So of all that look wrong
    the one is left out that lengthens the way most, and the rest is looked at anew.

    Args:
        distances: Squared.
        steps: The numbers of the steps in their order.

    Returns:
        Steps that are kept, and the others in the order in which they were left out. Where half of the steps would have
        to go, there is no order, and none of these is kept.
    """
    kept: list[int] = list(steps)
    out: list[int] = []
    usual = usual_detour(distances, kept)
    while len(kept) > 3:
        wrong = [place.step for place in path_places(distances, kept) if not place.fits(usual)]
        if not wrong:
            break
        worst = max(wrong, key=lambda step: _lengthened(distances, kept, step))
        kept.remove(worst)
        out.append(worst)
        if 2 * len(out) >= len(steps):
            return [], list(steps)
    for step in list(out):  # what looked wrong only as long as others were there
        if path_places(distances, kept, [step])[0].fits(usual):
            kept = sorted([*kept, step])
            out.remove(step)
    return kept, out


def _lengthened(distances: Array, kept: Sequence[int], step: int) -> float:
    """How much longer the way is over a step, in squared distances; twice the way to it at either end."""
    at = kept.index(step)
    around = [kept[one] for one in (at - 1, at + 1) if 0 <= one < len(kept)]
    if len(around) == 1:
        return 2 * float(distances[step, around[0]])
    return float(distances[around[0], step] + distances[step, around[1]] - distances[around[0], around[1]])
