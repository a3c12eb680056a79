"""Whether checkpoints are the steps of one training run, told step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.path_geometry import path_places, squared_distances
from axonometry.checkpoints.sequence import Item, sequence
from axonometry.checkpoints.sequence_copies import copies
from axonometry.checkpoints.sequence_places import Placing, scaled_records
from axonometry.checkpoints.sequence_records import (
    Records,
    SequenceFinding,
    damaged,
    gaps,
    read_records,
    replicas,
)
from axonometry.progress import Progress

STILL = 1e-18
"""Squared change, relative to the weights, below which a tensor is taken not to move."""


@dataclass(frozen=True)
class StepPlace:
    """A step of a sequence.

    Attributes:
        step: Its name.
        moved: Length of the way from the step before, over the length of the weights; NaN for the first.
        detour: Way over it in squared distances, to the way without it: 1 in a random walk, at most about 2 in a
            training. NaN at either end.
        kinds: Of what was found about it.
    """

    step: str
    moved: float
    detour: float
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class SequenceReport:
    """What is known of a sequence.

    Attributes:
        steps: All of them, in order.
        findings: What keeps them from being one run; none where they may be one.
        tensors: How many tensors each has.
        moving: How many of these are learned and change.
    """

    steps: tuple[StepPlace, ...]
    findings: tuple[SequenceFinding, ...]
    tensors: int
    moving: int


def verify_sequence(paths: Sequence[str | Path], *, progress: Progress | None = None) -> SequenceReport:
    """Whether checkpoints are the steps of one training run; each is read once.

    Args:
        paths: A folder of steps or of a recorded run, a ``.txt`` file with a path a line, or checkpoints in order.
        progress: Called with steps done, steps in all, and the name of the last one.

    Raises:
        CheckpointError: There are fewer than two steps that can be read.
    """
    items = sequence(paths)
    records, findings = read_records(items, progress)
    findings += gaps(items)
    road, told = replicas(records)
    findings += told
    if any(records.steps[step].item.step is not None for step in road):  # last.ckpt and best.ckpt have no place
        road = [step for step in road if records.steps[step].item.step is not None]
    wounds = list(damaged(records, road))
    findings += [finding for _, finding in wounds]
    road = [step for step in road if step not in {step for step, _ in wounds}]
    moving = _moving(records, road)
    distances = squared_distances(scaled_records(records, moving))
    road, told = copies(records, road, distances)
    findings += told
    findings += Placing(records, road, moving, distances).findings()
    ordered = _in_order(items, findings)
    return SequenceReport(_steps(items, records, ordered, distances), ordered, len(records.names), len(moving))


def _moving(records: Records, road: Sequence[int]) -> dict[str, float]:
    """Tensors that are learned and change, with the usual square of a move of theirs."""
    found = {}
    for name in records.learned:
        values = records.values(name)[list(road)]
        squares = ((values[1:] - values[:-1]) ** 2).sum(1)
        size = float(np.median((values**2).sum(1))) if len(values) else 0.0
        moves = squares[squares > STILL * size]
        if len(moves) and 2 * len(moves) >= len(squares):
            found[name] = float(np.median(moves))
    return found


def _steps(
    items: Sequence[Item], records: Records, findings: Sequence[SequenceFinding], distances: Array
) -> tuple[StepPlace, ...]:
    """Every step with its numbers, whatever was found about it."""
    at = {step.item: number for number, step in enumerate(records.steps)}
    found, before = [], None
    every = list(range(len(records.steps)))
    shown = {place.step: place for place in path_places(distances, every)} if len(every) > 2 else {}
    for item in items:
        number, moved, detour = at.get(item), math.nan, math.nan
        if number is not None:
            moved = math.nan if before is None else _moved(records, before, number)
            detour = shown[number].detour if number in shown else math.nan
            before = number
        kinds = dict.fromkeys(finding.kind for finding in findings if finding.step == item.name)
        found.append(StepPlace(item.name, moved, detour, tuple(kinds)))
    return tuple(found)


def _moved(records: Records, before: int, now: int) -> float:
    moved = size = 0.0
    for name in records.learned:
        a, b = (records.steps[step].tensors[name].values for step in (before, now))
        moved += float(((b - a) ** 2).sum())
        size += float((a**2).sum())
    return math.sqrt(moved / size) if size else math.nan


def _in_order(items: Sequence[Item], findings: Sequence[SequenceFinding]) -> tuple[SequenceFinding, ...]:
    place: dict[str, Any] = {item.name: number for number, item in enumerate(items)}
    return tuple(sorted(findings, key=lambda finding: place[finding.step]))
