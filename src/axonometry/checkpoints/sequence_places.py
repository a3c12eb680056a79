"""Steps on their road: which do not fit, as a whole or in part, and where they belong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.path_geometry import (
    DETOUR,
    LAST_MOVE,
    PathPlace,
    is_calm,
    misfits,
    path_places,
    squared_distances,
)
from axonometry.checkpoints.sequence_copies import interrupted_tensors, shared_tensors
from axonometry.checkpoints.sequence_records import Records, SequenceFinding, some

FEWEST = 4
"""Steps from which places are looked at."""
CONCENTRATED, SMALLEST = 0.8, 64
"""Share of a change that is in a hundredth of a tensor, and the smallest tensor that is looked at for it."""
NEAR = 0.5
"""Weights from the end of training are nearer to the last step than this share of the way from first to last."""
PART, WELL = 0.2, 0.5
"""Of its tensors that fit, from which on a step that does not fit as a whole does so in part; and times what is allowed
that these may be off together: those of another run that fit do so by chance, and not well."""
UNRELATED, RELATED = 4.0, 0.5
"""Standard deviations of chance below which the cosine of two steps says that they have nothing in common; what it is
between steps of a run that follow each other, at least."""
ALONG = 0.5
"""Cosine between what two steps that follow each other are away from the first one, at least."""
LATE = 10.0
"""Times the largest of the last three moves that weights from the end of training may lie behind the last step."""
STRICT = 2.0
"""Times what is allowed to a whole step, of one matrix: there are many, and some go their own way for a while."""


def scaled_records(records: Records, moving: dict[str, float]) -> Array:
    """Records of all steps side by side, each tensor in the unit of its usual move, larger ones with more weight."""
    parts = [
        records.values(name) * math.sqrt(math.sqrt(records.steps[0].tensors[name].size) / square)
        for name, square in moving.items()
    ]
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(records.steps), 1))


@dataclass(frozen=True)
class Placing:
    """Looks for the place of every step.

    Attributes:
        records: All steps.
        road: Numbers of those whose places are looked at.
        moving: The tensors that move, with the usual square of a move of theirs.
        distances: Squared, between all steps, of all tensors in the unit of their usual move.
    """

    records: Records
    road: list[int]
    moving: dict[str, float]
    distances: Array

    def findings(self) -> list[SequenceFinding]:
        """Everything that places tell."""
        if len(self.road) < FEWEST:
            return []
        told = self._of_moving() if self.moving else []
        named = {finding.step for finding in told}
        for step, names in interrupted_tensors(self.records, self.road, self.moving).items():
            if self._name(step) not in named:
                text = f"{len(names)} tensors that stand still have other numbers than before and after: {some(names)}"
                told.append(SequenceFinding("shard", self._name(step), text, names))
        return told

    def _of_moving(self) -> list[SequenceFinding]:
        kept, out = misfits(self.distances, self.road)
        if not kept:
            first, last = (self._name(self.road[end]) for end in (0, -1))
            return [SequenceFinding("order", first, f"no order from here to {last}: most belong elsewhere")]
        shared = shared_tensors(self.records, self.road, self.moving)
        found = [SequenceFinding("shard", self._name(step), *told) for step, told in shared.items()]
        for step in out:
            if step not in shared:
                names = self._wrong_part(step, kept)
                found.append(self._partly(step, kept, names) if names else self._wholly(step, kept))
        if kept[0] not in shared and (text := self._stranger(kept)):
            found.append(SequenceFinding("foreign", self._name(kept[0]), text))
            kept = kept[1:]
        for step, names in self._wrong_matrices([step for step in kept if step not in shared]).items():
            found.append(self._partly(step, kept, names))
        return found

    def _name(self, step: int) -> str:
        return self.records.steps[step].item.name

    def _of(self, names: Sequence[str]) -> Array:
        return squared_distances(scaled_records(self.records, {name: self.moving[name] for name in names}))

    def _wrong_part(self, step: int, kept: Sequence[int]) -> tuple[str, ...]:
        """The tensors of a step that do not fit, where the others do and have no better place; none where none do."""
        right: list[str] = []
        wrong: list[str] = []
        for name in self.moving:
            distances = squared_distances(self.records.values(name))
            (place,) = path_places(distances, kept, [step])
            (right if place.fits() else wrong).append(name)
        if not wrong or len(right) < PART * len(self.moving):
            return ()
        distances = self._of(right)
        (place,) = path_places(distances, kept, [step])
        fits = place.misplaced <= 0 and place.fits(WELL) and self._went_along(distances, step, kept)
        return tuple(wrong) if fits else ()

    def _went_along(self, distances: Array, step: int, kept: Sequence[int]) -> bool:
        """Whether tensors went where those of the next step went: gains and biases of all runs begin alike."""
        begin, later = kept[0], [one for one in kept if one > step]
        if step <= begin or not later:
            return True
        # a|² + |b|² - |a - b|² = 2 <a, b>, and the cosine of a and b is <a, b> / (|a| |b|): all from distances.
        here, there, between = distances[begin, step], distances[begin, later[0]], distances[step, later[0]]
        return bool(here + there - between > 2 * ALONG * math.sqrt(here * there))

    def _stranger(self, kept: Sequence[int]) -> str:
        """What tells that the first step is of another run; empty where nothing does.

        The first move of a training may be of any length, so that the way says nothing. But weights keep something of
        those that they began with, and have nothing in common with others.
        """
        first, second, third = kept[:3]
        moves = [self.distances[a, b] for a, b in pairwise(kept[1:])]
        names = [name for name in self.records.matrices if name in self.moving]
        if not names or self.distances[first, second] < max(moves):
            return ""
        units = []
        for name in names:
            values = self.records.values(name)[[first, second, third]]
            units.append(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-300))
        alike = np.concatenate(units, axis=1)
        chance = UNRELATED * math.sqrt(1 / alike.shape[1])
        here, next_one = (float(alike[a] @ alike[b]) / len(names) for a, b in ((0, 1), (1, 2)))
        if abs(here) > chance or next_one < RELATED:
            return ""
        return f"its cosine with {self._name(second)} is {here:.2g}, and that of this one with the next {next_one:.2g}"

    def _wrong_matrices(self, kept: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """By step that fits as a whole, the matrices that do not."""
        found: dict[int, list[str]] = {}
        for name in self.records.matrices:
            if name not in self.moving:
                continue
            distances, times = squared_distances(self.records.values(name)), self._strict(name)
            for step in () if is_calm(distances, kept, times) else misfits(distances, kept, times)[1]:
                found.setdefault(step, []).append(name)
        told = {}
        for step, names in found.items():
            (place,) = path_places(self._of(names), kept, [step])
            if 2 * len(found) <= len(kept) and not place.fits(min(map(self._strict, names))):
                told[step] = tuple(names)
        return told

    def _strict(self, name: str) -> float:
        """Times what is allowed to a whole step: more where a short record blurs distances, and there are many.

        The record of 17 sums has squared lengths within √(2/17) = 34 %, and of 400,000 ratios of two such some are off
        by five standard deviations: e^(5.1 · 2 / √17) = 12 times.
        """
        tensor = self.records.steps[0].tensors[name]
        if tensor.size <= len(tensor.values):
            return STRICT
        tests = len(self.records.matrices) * len(self.road)
        return STRICT * math.exp(math.sqrt(2 * math.log(tests)) * 2 / math.sqrt(len(tensor.values)))

    def _partly(self, step: int, kept: Sequence[int], names: Sequence[str]) -> SequenceFinding:
        (place,) = path_places(self._of(names), kept, [step])
        which = f"{len(names)} of {len(self.moving)} tensors that move, {some(names)}"
        way = self._way(place)
        if self._is_concentrated(step, kept, names):
            return SequenceFinding("damaged", self._name(step), f"a few values far off in {which}: {way}", tuple(names))
        if place.misplaced > 0 and place.detour_there <= 3:
            text = f"{which}: {way}; they lie between {self._name(place.before)} and {self._name(place.after)}"
        else:
            text = f"{which}, are of no step here: {way}"
        return SequenceFinding("shard", self._name(step), text, tuple(names))

    def _wholly(self, step: int, kept: Sequence[int]) -> SequenceFinding:
        (place,) = path_places(self.distances, kept, [step])
        way = self._way(place)
        if self._is_concentrated(step, kept, tuple(self.moving)):
            return SequenceFinding("damaged", self._name(step), f"a few values far off: {way}")
        if self._is_beyond(step, kept):
            text = f"{way}; it lies behind {self._name(kept[-1])}: weights from the end of training"
            return SequenceFinding("order", self._name(step), text)
        if place.misplaced > 0 and place.detour_there <= 3 * max(1.0, place.usual):
            text = f"{way}; it lies between {self._name(place.before)} and {self._name(place.after)}"
            return SequenceFinding("order", self._name(step), text)
        if self._is_before(step, kept):
            return SequenceFinding("order", self._name(step), f"{way}; it lies before {self._name(kept[0])}")
        near = min(kept, key=lambda one: float(self.distances[step, one]))
        far = math.sqrt(self.distances[step, near] / max(self.distances[kept[0], kept[-1]], 1e-300))
        text = f"{way}; to the nearest step, {self._name(near)}, it is {far:.3g} times as far as from first to last"
        return SequenceFinding("foreign", self._name(step), text)

    def _way(self, place: PathPlace) -> str:
        if math.isnan(place.detour):
            return "it does not fit at this end of the sequence"
        return f"the way over it is {place.detour:.3g} times the way without it"

    def _is_concentrated(self, step: int, kept: Sequence[int], names: Sequence[str]) -> bool:
        """Whether what is off in a tensor is so in a hundredth of its record: single numbers, not the whole."""
        others = [one for one in kept if one != step]
        at = int(np.clip(np.searchsorted(others, step) - 1, 0, len(others) - 2))
        for name in names:
            before, here, after = (self.records.steps[one].tensors[name] for one in (others[at], step, others[at + 1]))
            if here.size >= SMALLEST:
                off = (here.values - (before.values + after.values) / 2) ** 2
                if np.sort(off)[-max(1, len(off) // 100) :].sum() > CONCENTRATED * off.sum():
                    return True
        return False

    def _is_before(self, step: int, kept: Sequence[int]) -> bool:
        """Whether the road begins with a step: the way from it leads over the first one, and is not long.

        Of a training that left the road at its beginning the same is true, but that it goes far.
        """
        first, second = kept[:2]
        moves = max(self.distances[a, b] for a, b in pairwise(kept))
        detour = (self.distances[step, first] + self.distances[first, second]) / self.distances[step, second]
        return bool(detour <= DETOUR and self.distances[step, first] <= moves * (LAST_MOVE if step < second else 2))

    def _is_beyond(self, step: int, kept: Sequence[int]) -> bool:
        """Whether a step continues the road behind its end: the way to it leads over the last one, and not far."""
        last, distances = kept[-1], self.distances
        if step > last or distances[step, last] > NEAR * distances[kept[0], last]:
            return False
        if distances[step, np.asarray(kept[:-1])].min() < distances[step, last]:
            return False
        moves = [distances[a, b] for a, b in zip(kept[-4:-1], kept[-3:], strict=True)]
        detour = (distances[kept[-2], last] + distances[last, step]) / distances[kept[-2], step]
        return bool(distances[step, last] <= LATE * max(moves) and detour <= DETOUR)
