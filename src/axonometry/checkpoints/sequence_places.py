"""Steps on their road: which do not fit, as a whole or in part, and where they belong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.path_geometry import PathPlace, misfits, path_places, squared_distances, usual_detour
from axonometry.checkpoints.sequence_copies import shared_tensors
from axonometry.checkpoints.sequence_records import Records, SequenceFinding, some

FEWEST = 4
"""Steps from which places are looked at."""
CONCENTRATED, SMALLEST = 0.8, 64
"""Share of a change that is in a hundredth of a tensor, and the smallest tensor that is looked at for it."""
NEAR = 0.5
"""Weights from the end of training are nearer to the last step than this share of the way from first to last."""
PART = 0.2
"""Of its tensors that fit, from which on a step that does not fit as a whole does so in part."""
CALM = 1.8
"""A matrix with a smaller detour is in its place; it is not looked for elsewhere."""


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
        if not self.moving or len(self.road) < FEWEST:
            return []
        kept, out = misfits(self.distances, self.road)
        if not kept:
            first, last = (self._name(self.road[end]) for end in (0, -1))
            return [SequenceFinding("order", first, f"no order from here to {last}: most belong elsewhere")]
        shared = shared_tensors(self.records, self.road, tuple(self.moving))
        found = [SequenceFinding("shard", self._name(step), *told) for step, told in shared.items()]
        for step in out:
            if step not in shared:
                names = self._wrong_part(step, kept)
                found.append(self._partly(step, kept, names) if names else self._wholly(step, kept))
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
            (right if place.fits(usual_detour(distances, kept)) else wrong).append(name)
        if not wrong or len(right) < PART * len(self.moving):
            return ()
        (place,) = path_places(self._of(right), kept, [step])
        return tuple(wrong) if place.misplaced <= 0 and place.fits() else ()

    def _wrong_matrices(self, kept: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """By step that fits as a whole, the matrices that do not."""
        found: dict[int, list[str]] = {}
        for name in self.records.matrices:
            if name not in self.moving:
                continue
            distances = squared_distances(self.records.values(name))
            usual = usual_detour(distances, kept)
            if all(place.detour <= CALM or place.fits(usual) for place in path_places(distances, kept)[1:-1]):
                continue
            for step in misfits(distances, kept)[1]:
                found.setdefault(step, []).append(name)
        told = {}
        for step, names in found.items():
            distances = self._of(names)
            (place,) = path_places(distances, kept, [step])
            if 2 * len(found) <= len(kept) and not place.fits(usual_detour(distances, kept)) and place.detour > CALM:
                told[step] = tuple(names)
        return told

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
        if place.misplaced > 0 and place.detour_there <= 3 * max(1.0, usual_detour(self.distances, kept)):
            text = f"{way}; it lies between {self._name(place.before)} and {self._name(place.after)}"
            return SequenceFinding("order", self._name(step), text)
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

    def _is_beyond(self, step: int, kept: Sequence[int]) -> bool:
        """Whether a step continues the road behind its end: near the last, and far from what that is far from."""
        last, before = kept[-1], np.asarray(kept[:-1])
        if step > last or self.distances[step, last] > NEAR * self.distances[kept[0], last]:
            return False
        if self.distances[step, before].min() < self.distances[step, last]:
            return False
        return float(np.corrcoef(self.distances[step, before], self.distances[last, before])[0, 1]) > 0.9
