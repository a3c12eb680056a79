"""Steps of a sequence that have the numbers of another one, all of them or some tensors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from itertools import combinations

import numpy as np

from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.floats import rounding
from axonometry.checkpoints.path_geometry import path_places
from axonometry.checkpoints.sequence_records import Records, SequenceFinding, digest, some

MOST_ALIKE = 8
"""A tensor that has the same numbers in more steps than this one does not always move."""
STILL_SHARE, TURNS = 0.7, 8.0
"""Share of the steps in which a tensor that stands still has the same numbers; roundings by which it may turn."""
SURE, DOUBT = 30.0, 10.0
"""Logarithm of the odds from which on equal numbers are copies; times that a tensor may move less than others do, in
squared distances [our choice]."""


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
    records: Records, road: Sequence[int], moving: Mapping[str, float]
) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Steps of which some tensors have the numbers of another step, though those tensors move all the time.

    Args:
        records: All steps.
        road: Numbers of those that are looked at.
        moving: The tensors that move, with the usual square of a move of theirs.

    Returns:
        By step, the evidence and the tensors.
    """
    pairs: dict[tuple[int, int], list[str]] = {}
    for name in moving:
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
        if not _is_incredible(records, moving, (first, second), names):
            continue
        wrong = _wrong(records, road, (first, second), names)
        right = second if wrong == first else first
        text = f"{len(names)} of {len(moving)} tensors that move have the numbers of {records.steps[right].item.name}"
        found[wrong] = (f"{text}: {some(names)}", tuple(names))
    return found


def interrupted_tensors(records: Records, road: Sequence[int], moving: Container[str]) -> dict[int, tuple[str, ...]]:
    """Steps with other numbers in tensors that stand still: those before and after are the same, bit for bit.

    Frozen layers, masks and tables are in every checkpoint, and no move tells whose they are.

    Args:
        records: All steps.
        road: Numbers of those that are looked at.
        moving: Names of the tensors that move.
    """
    found: dict[int, list[str]] = {}
    for name in records.names:
        if name in moving:
            continue
        tensors = [records.steps[step].tensors[name] for step in road]
        usual, often = Counter(map(digest, tensors)).most_common(1)[0]
        if often < STILL_SHARE * len(road):
            continue
        still = next(tensor for tensor in tensors if digest(tensor) == usual)
        limit = (TURNS * rounding(still.kind)) ** 2 * float((still.values**2).sum())
        for at, tensor in enumerate(tensors):
            beside = {digest(tensors[one]) for one in (at - 1, at + 1) if 0 <= one < len(tensors)}
            if beside == {usual} != {digest(tensor)} and float(((tensor.values - still.values) ** 2).sum()) >= limit:
                found.setdefault(road[at], []).append(name)
    return {step: tuple(names) for step, names in found.items()}


def _is_incredible(records: Records, moving: Mapping[str, float], pair: tuple[int, int], names: Sequence[str]) -> bool:
    """Whether tensors of two steps can't have the same numbers because nothing moved by more than rounding.

    How far these would have moved follows from the others. Of n numbers w that would move by δ|w|, where neighbouring
    numbers are 2ε|w| apart, about n (δ/2ε)² would change where δ is smaller, and all of them where it is larger::

        48 numbers in bfloat16 near 1 that move by a thousandth: 48 (0.001 / 0.004)^2 = 3, of which none may well happen
        the same in float32: 48 log(0.001 / 1.2e-7), and none happens once in e^480 cases
    """
    others = [name for name in moving if name not in names]
    ratios = [_moved(records, name, pair) / moving[name] for name in others]
    if not ratios:
        return True
    scale = float(np.median(ratios)) / DOUBT
    told = 0.0
    for name in names:
        tensor = records.steps[pair[0]].tensors[name]
        size = float((tensor.values**2).sum())
        spacing = 2 * rounding(tensor.kind)
        steps = moving[name] * scale / (spacing**2 * size) if size else math.inf
        told += tensor.size * (steps if steps < 1 else 1 + math.log(steps) / 2)
    return told > SURE


def _moved(records: Records, name: str, pair: tuple[int, int]) -> float:
    a, b = (records.steps[step].tensors[name].values for step in pair)
    return float(((b - a) ** 2).sum())


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
            # (x - a)(x - b) / |a - b|²: -1/4 half way between the neighbours, 0 at either, and the larger the farther
            # away.
            total[step] += float((values[step] - a) @ (values[step] - b)) / max(float(((a - b) ** 2).sum()), 1e-300)
    return pair[0] if total[pair[0]] > total[pair[1]] else pair[1]
