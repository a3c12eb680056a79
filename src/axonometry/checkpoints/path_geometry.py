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

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from axonometry.checkpoints.element_types import Array

DETOUR, TIMES = 2.0, 2.8
"""Way over a step in squared distances, to the way without it: 1/2 in a straight move, 1 in a walk, 2 between points
drawn from one equilibrium; a step that trades places with its neighbour has 3 in a walk and 5 in a straight move. A
step does not fit from this on, or from so many times what is usual in its sequence [our choice: trainings of 32 kinds
had at most 1.5 times the usual, and steps of other runs at least 3.7]."""
MISPLACED, TURNED = 0.5, 1.7
"""How much farther a step is off the road at its place than elsewhere, relative to both: 0 of a step in its place, at
most 1; and how many times the usual its detour is at least, for small steps at the edge of stability turn back and
forth [our choice, from the same trainings]."""
CHANCE = 0.3
"""Cosine between two directions that is nothing special."""
LAST_MOVE, GROWTH = 8.0, 8.0
"""Times the largest other move, in squared distances, from which on a last one leads away; where moves grow, as between
steps 256, 512 and 1024, so many times their growth, up to the second number [our choice]."""
TRIED = 5
"""Steps that are tried before one of them is left out."""
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
        usual: A detour that is nothing special among the others.
        beyond: At the last place, the move there to the largest that is nothing special; 0 elsewhere.
    """

    step: int
    detour: float
    misplaced: float
    before: int
    after: int
    detour_there: float
    usual: float = 1.0
    beyond: float = 0.0

    def fits(self, times: float = 1.0) -> bool:
        """Whether it is where it belongs.

        Args:
            times: How many times what is allowed is allowed here.
        """
        at_end = math.isnan(self.detour)  # where a tensor alone may well turn back
        turned = times <= 1 if at_end else self.detour > times * TURNED * self.usual
        if (self.misplaced > MISPLACED and turned) or self.beyond > times:
            return False
        return not self.detour > times * max(DETOUR, TIMES * self.usual)


def squared_distances(records: Array) -> Array:
    """Squared distances between the rows of a matrix.

    They are taken from the median of the rows: from the mean, one row that is far off would leave the others without
    any digits, ``1e16 + 1 - 1e16``.

    >>> squared_distances(np.array([[0.0], [1.0], [3.0], [1e12]]))[0, :3]
    array([0., 1., 9.])
    """
    centred = records - np.median(records, axis=0)
    products = centred @ centred.T
    squares = np.diag(products)
    return np.maximum(squares[:, None] + squares - 2 * products, 0)


def usual_detour(distances: Array, kept: Sequence[int]) -> float:
    """The third quartile of detours: alternating rates of learning make those of every second step large."""
    found = _detours_along(distances, kept)
    return float(np.quantile(found, 0.75, method="lower")) if len(found) else 1.0


def is_calm(distances: Array, kept: Sequence[int], times: float) -> bool:
    """Whether all steps fit, as far as one look at all of them tells: what takes a look at each is not done then.

    A usual detour is 1/2 at least, that of a straight move.
    """
    found = _detours_along(distances, kept)
    (last,) = path_places(distances, kept, kept[-1:])
    return bool(found.max(initial=0.0) <= times * TURNED / 2) and last.fits(times)


def _detours_along(distances: Array, kept: Sequence[int]) -> Array:
    if len(kept) < 3:
        return np.zeros(0)
    a, t, b = (np.asarray(kept)[begin : len(kept) - 2 + begin] for begin in range(3))
    return _detours(distances, a, t, b)


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
    # A walk of moves of squared length 1: steps 0 1 2 3 4 and t = 1, taken out. Between 0 and 2 it is off by (1 + 1 -
    # 2) / 2 = 0, between 2 and 3 by (1 + 2 - 1) / 2 = 1, between 3 and 4 by (2 + 3 - 1) / 2 = 2: its place is the
    # first.
    off = (distances[t, a] + distances[t, b] - distances[a, b]) / 2
    own = int(np.clip(np.searchsorted(others, t) - 1, 0, len(a) - 1))
    best = int(off.argmin())
    # Directions that have nothing to do with each other are at a right angle up to about one part in thirty.
    chance = CHANCE * float(np.sqrt(distances[t, a[best]] * distances[t, b[best]]))
    noise = _noise(distances[a, b])
    misplaced = float((off[own] - off[best]) / (abs(off[own]) + abs(off[best]) + chance + noise))
    inside = others[0] < t < others[-1]
    detour, there = (float(_detours(distances, a[[one]], t, b[[one]])[0]) for one in (own, best))
    usual = usual_detour(distances, others)
    beyond = _beyond(distances[a, b], float(distances[others[-1], t])) if t > others[-1] else 0.0
    return PathPlace(t, detour if inside else np.nan, misplaced, int(a[best]), int(b[best]), there, usual, beyond)


def _beyond(moves: Array, move: float) -> float:
    """A move behind others, in the largest that would be nothing special."""
    growth = moves[-1] / max(float(moves[-2]), 1e-300) if len(moves) > 1 else 1.0
    return move / (LAST_MOVE * float(np.clip(growth, 1.0, GROWTH)) * float(moves.max()) + _noise(moves))


def _detours(distances: Array, a: Array, t: Array | int, b: Array) -> Array:
    noise = _noise(distances[a, b])
    found: Array = (distances[a, t] + distances[t, b] + noise) / (distances[a, b] + noise)
    return found


def _noise(moves: Array) -> float:
    """What is nothing beside moves; beside their median, for one of them may lead to a value of 1e30."""
    return _NOTHING * max(float(np.median(moves)), _NOTHING)


def misfits(distances: Array, steps: Sequence[int], times: float = 1.0) -> tuple[list[int], list[int]]:
    """The steps that fit their places, and those that have to be left out so that all others do.

    One that is wrong makes others look wrong, too: its neighbours, and what belongs between it and its true place. So
    of those that look wrong and lengthen the way most, the one is left out without which most of the others look right,
    and the rest is looked at anew.

    Args:
        distances: Squared.
        steps: The numbers of the steps in their order.
        times: As :meth:`PathPlace.fits` has it.

    Returns:
        Steps that are kept, and the others in the order in which they were left out. Where half of the steps would have
        to go, there is no order, and none of these is kept.
    """
    kept: list[int] = list(steps)
    out: list[int] = []
    while len(kept) > 3:
        wrong = _wrong(distances, kept, times)
        if not wrong:
            break
        longest = sorted(wrong, key=lambda step: -_lengthened(distances, kept, step))[:TRIED]
        ends = (kept[0], kept[-1])  # where less is known of a step
        left = {step: len(_wrong(distances, [one for one in kept if one != step], times)) for step in longest}
        worst = min(longest, key=lambda step: (left[step], step in ends))
        kept.remove(worst)
        out.append(worst)
        if 2 * len(out) >= len(steps):
            return [], list(steps)
    kept, out = _taken_back(distances, kept, out, times)
    for step in list(kept) if len(out) > 2 else ():  # 1, 4, 2, 3, 5: without one step in place of three
        fewer = _taken_back(distances, [one for one in kept if one != step], out, times)
        if len(fewer[1]) + 1 < len(out):
            kept, out = fewer[0], [step, *fewer[1]]
    return kept, out


def _taken_back(distances: Array, kept: list[int], out: list[int], times: float) -> tuple[list[int], list[int]]:
    """Without what looked wrong only as long as others were there."""
    left = []
    for step in out:
        if path_places(distances, kept, [step])[0].fits(times):
            kept = sorted([*kept, step])
        else:
            left.append(step)
    return kept, left


def _wrong(distances: Array, kept: Sequence[int], times: float) -> list[int]:
    return [place.step for place in path_places(distances, kept) if not place.fits(times)]


def _lengthened(distances: Array, kept: Sequence[int], step: int) -> float:
    """How much longer the way is over a step, in squared distances; twice the way to it at either end."""
    at = kept.index(step)
    around = [kept[one] for one in (at - 1, at + 1) if 0 <= one < len(kept)]
    if len(around) == 1:
        return 2 * float(distances[step, around[0]])
    return float(distances[around[0], step] + distances[step, around[1]] - distances[around[0], around[1]])
