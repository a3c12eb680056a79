"""Steps of a sequence that have the numbers of another one, all of them or some tensors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.path_geometry import path_places
from axonometry.checkpoints.sequence_records import SMALLEST_COPY, Records, SequenceFinding, digest, some

MOST_ALIKE = 8
"""A tensor that has the same numbers in more steps than this one does not always move."""


def copies(records: Records, road: Sequence[int], distances: Array) -> tuple[list[int], list[SequenceFinding]]:
    """The steps without those that have all numbers of another one; of these, the one stays that fits its place best.

    Args:
        records: All steps.
        road: Numbers of those that are looked at.
        distances: Squared, between all steps.

    Returns:
        The steps that stay, and the others.
    """
    alike: dict[bytes, list[int]] = {}
    for step in road:
        alike.setdefault(records.steps[step].digest(records.names), []).append(step)
    single = [group[0] for group in alike.values() if len(group) == 1]
    kept, findings = list(single), []
    for group in (group for group in alike.values() if len(group) > 1):
        found = [(round(place.misplaced, 3), place.step) for place in path_places(distances, single, group)]
        original = min(found)[1] if len(single) > 1 and max(group) - min(group) >= len(group) else group[0]
        kept.append(original)
        name = records.steps[original].item.name
        for step in group:
            if step != original:
                text = f"all {len(records.names)} tensors have the numbers of {name}, bit for bit"
                findings.append(SequenceFinding("copy", records.steps[step].item.name, text))
    return sorted(kept), findings


def shared_tensors(
    records: Records, road: Sequence[int], moving: Sequence[str]
) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Steps of which some tensors have the numbers of another step, though those tensors move all the time.

    Args:
        records: All steps.
        road: Numbers of those that are looked at.
        moving: Names of the tensors that move.

    Returns:
        By step, the evidence and the tensors.
    """
    pairs: dict[tuple[int, int], list[str]] = {}
    for name in moving:
        if records.steps[0].tensors[name].size < SMALLEST_COPY:
            continue
        alike: dict[bytes, list[int]] = {}
        for step in road:
            alike.setdefault(digest(records.steps[step].tensors[name]), []).append(step)
        groups = [group for group in alike.values() if len(group) > 1]
        if sum(map(len, groups)) <= min(MOST_ALIKE, max(2, len(road) // 4)):
            for group in groups:
                for pair in combinations(group, 2):
                    pairs.setdefault(pair, []).append(name)
    found = {}
    for (first, second), names in pairs.items():
        wrong = _wrong(records, road, (first, second), names)
        right = second if wrong == first else first
        text = f"{len(names)} of {len(moving)} tensors that move have the numbers of {records.steps[right].item.name}"
        found[wrong] = (f"{text}: {some(names)}", tuple(names))
    return found


def _wrong(records: Records, road: Sequence[int], pair: tuple[int, int], names: Sequence[str]) -> int:
    """Of two steps with some numbers in common, the one in whose place these fit worse; the second where both do."""
    others = [step for step in road if step not in pair]
    if len(others) < 2:
        return pair[1]
    total = dict.fromkeys(pair, 0.0)
    for name in names:
        values = records.values(name)
        for step in pair:
            at = int(np.clip(np.searchsorted(others, step) - 1, 0, len(others) - 2))
            a, b = values[others[at]], values[others[at + 1]]
            total[step] += float((values[step] - a) @ (values[step] - b)) / max(float(((a - b) ** 2).sum()), 1e-300)
    return pair[0] if total[pair[0]] > total[pair[1]] else pair[1]
