"""What is kept of every step of a sequence after each was read once, and the findings that reading alone gives."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from axonometry.checkpoints.checkpoint import Checkpoint
from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.opening import open_checkpoint
from axonometry.checkpoints.roles import is_buffer
from axonometry.checkpoints.sequence import Item
from axonometry.checkpoints.sketches import TensorSketch, buckets_for, sketch_tensors
from axonometry.errors import CheckpointError
from axonometry.progress import Progress

KINDS = {
    "unread": "a file that cannot be read",
    "network": "other tensors than the other steps have",
    "damaged": "NaN, infinities, blocks of zeros, a few values far off",
    "replica": "replicas of one step that differ",
    "copy": "the numbers of another step",
    "order": "a step that belongs elsewhere in the sequence",
    "foreign": "a step that fits nowhere: of another run",
    "shard": "some tensors that are not of this step",
    "gap": "a missing step",
}
"""The kinds of findings about a sequence."""
SHOWN = 4
SMALLEST_MATRIX = 256
ZEROS, ZEROS_TIMES = 16, 4
"""Zeros in a tensor are told from so many on, and so many times those of the steps beside it."""
MOST_WIDE, ALIKE = 3, 3
"""Wide distances in a row between steps that are told as gaps; equal ones that tell of a gap at an end."""


@dataclass(frozen=True)
class SequenceFinding:
    """Something that keeps a sequence from being one training run.

    Attributes:
        kind: One of :data:`KINDS`.
        step: Name of the step.
        text: The evidence.
        tensors: Names of the tensors concerned, where these are not all.
    """

    kind: str
    step: str
    text: str
    tensors: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepRecord:
    """A step that was read.

    Attributes:
        item: Where it is.
        tensors: What is kept of its tensors.
    """

    item: Item
    tensors: dict[str, TensorSketch]

    def digest(self, names: Sequence[str]) -> bytes:
        """Equal where all of these tensors have the same numbers."""
        found = hashlib.blake2b(digest_size=16)
        for name in names:
            found.update(digest(self.tensors[name]))
        return found.digest()


@dataclass(frozen=True)
class Records:
    """The steps that have the same tensors.

    Attributes:
        steps: What is kept of each, in order.
        names: Of all tensors, tied ones once.
        learned: Names of those that are learned: no counters, masks and running statistics.
        matrices: Names of those among these that are matrices of some size.
    """

    steps: tuple[StepRecord, ...]
    names: tuple[str, ...]
    learned: tuple[str, ...]
    matrices: tuple[str, ...]

    def values(self, name: str) -> Array:
        """The records of one tensor, a row a step."""
        return np.stack([step.tensors[name].values for step in self.steps])


def digest(tensor: TensorSketch) -> bytes:
    """Equal where tensors have the same numbers."""
    return tensor.values.tobytes() + str(tensor.checksum).encode()


def read_records(items: Sequence[Item], progress: Progress | None = None) -> tuple[Records, list[SequenceFinding]]:
    """Read every step once.

    Args:
        items: The steps.
        progress: Called with steps done, steps in all, and the name of the last one.

    Raises:
        CheckpointError: Fewer than two can be read.
    """
    findings: list[SequenceFinding] = []
    opened = dict(_opened(items, findings))
    forms = {item: _form(checkpoint) for item, checkpoint in opened.items()}
    if len(forms) < 2:
        problem = findings[0].text if findings else "none"
        raise CheckpointError("a sequence has two steps that can be read", f"{len(forms)}: {problem}", "Check the path")
    usual = Counter(forms.values()).most_common(1)[0][0]
    names = [name for name, _ in usual]
    steps = []
    for number, (item, checkpoint) in enumerate(opened.items()):
        if forms[item] != usual:
            findings.append(SequenceFinding("network", item.name, *_other_form(dict(forms[item]), dict(usual))))
        else:
            try:
                steps.append(StepRecord(item, sketch_tensors(checkpoint, names, buckets_for(len(names)))))
            except CheckpointError as error:
                findings.append(SequenceFinding("unread", item.name, str(error)))
        if progress is not None:
            progress(number + 1, len(opened), f"Reading {item.name}")
    example = next(checkpoint for item, checkpoint in opened.items() if forms[item] == usual)
    return _records(steps, example, names), findings


def _opened(items: Sequence[Item], findings: list[SequenceFinding]) -> Iterator[tuple[Item, Checkpoint]]:
    for item in items:
        try:
            found = open_checkpoint(item.path)
        except CheckpointError as error:
            findings.append(SequenceFinding("unread", item.name, str(error)))
        else:
            if found.unread:
                text = f"{len(found.unread)} tensors cannot be read: {some(found.unread)}"
                findings.append(SequenceFinding("unread", item.name, text, found.unread))
            yield item, found


def _form(checkpoint: Checkpoint) -> tuple[tuple[str, tuple[int, ...]], ...]:
    entries = checkpoint.entries.items()
    return tuple(sorted((name, entry.shape) for name, entry in entries if name not in checkpoint.tied))


def _other_form(found: dict[str, tuple[int, ...]], usual: dict[str, tuple[int, ...]]) -> tuple[str, tuple[str, ...]]:
    missing = [name for name in usual if name not in found]
    more = [name for name in found if name not in usual]
    other = [name for name in usual if name in found and found[name] != usual[name]]
    parts = [f"{word} {len(names)} of {len(usual)} tensors: {some(names)}" for word, names in
             (("lacks", missing), ("has other shapes of", other)) if names]  # fmt: skip
    parts += [f"has {len(more)} that the other steps have not: {some(more)}"] if more else []
    return "; ".join(parts), (*missing, *other, *more)


def _records(steps: Sequence[StepRecord], example: Checkpoint, names: Sequence[str]) -> Records:
    learned = [
        name
        for name in names
        if not is_buffer(name, example.entries[name]) and example.entries[name].shape not in ((), (0,))
    ]
    large = [
        name for name in learned
        if len(example.entries[name].shape) > 1 and np.prod(example.entries[name].shape) >= SMALLEST_MATRIX
    ]  # fmt: skip
    return Records(tuple(steps), tuple(names), tuple(learned), tuple(large))


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are.

    >>> some(["a", "b"]), some(list("abcdef"))
    ('a, b', 'a, b, c, d and 2 more')
    """
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def damaged(records: Records, kept: Sequence[int]) -> Iterator[tuple[int, SequenceFinding]]:
    """Steps with NaN and infinities that others have not, or with zeros that the steps beside them have not.

    Args:
        records: The steps.
        kept: Numbers of those that are looked at.
    """
    for name in records.names:
        bad = np.array([records.steps[step].tensors[name].nonfinite for step in kept])
        zeros = np.array([records.steps[step].tensors[name].zeros for step in kept])
        for at in np.flatnonzero(bad > np.median(bad)).tolist():
            text = f"{bad[at]:,} NaN or infinite values in {name}"
            yield kept[at], SequenceFinding("damaged", records.steps[kept[at]].item.name, text, (name,))
        beside = np.maximum(zeros[:-2], zeros[2:])
        size = records.steps[0].tensors[name].size
        untrained = name not in records.matrices  # biases begin with 0, all of them
        for at in (np.flatnonzero(zeros[1:-1] > ZEROS + ZEROS_TIMES * beside) + 1).tolist():
            if untrained and zeros[at] == size:
                continue
            text = f"{zeros[at]:,} of {size:,} values of {name} are 0; {beside[at - 1]:,} in the steps beside it"
            yield kept[at], SequenceFinding("damaged", records.steps[kept[at]].item.name, text, (name,))


def replicas(records: Records) -> tuple[list[int], list[SequenceFinding]]:
    """One of the checkpoints of each step, and those of a step that differ from it."""
    first: dict[int, int] = {}
    kept, findings = [], []
    for number, step in enumerate(records.steps):
        told = step.item.step
        if told is None or told not in first:
            kept.append(number)
            if told is not None:
                first[told] = number
            continue
        other = records.steps[first[told]]
        names = [name for name in records.names if digest(other.tensors[name]) != digest(step.tensors[name])]
        if names:
            text = f"{len(names)} of {len(records.names)} tensors differ from those of {other.item.name}: {some(names)}"
            findings.append(SequenceFinding("replica", step.item.name, text, tuple(names)))
    return kept, findings


def gaps(items: Sequence[Item]) -> Iterator[SequenceFinding]:
    """Missing steps, as the numbers in the names tell: distances that are multiples of those on both sides.

    Steps at even distances, ``500, 1000, 2000, 2500``, and at even ratios, ``1, 2, 8, 16``, are known. Where all other
    distances are one, so is a missing step behind the first or before the last.
    """
    numbers = sorted({item.step for item in items if item.step is not None})
    found: dict[int, tuple[int, float]] = {}
    for at, times, usual in _wide(np.diff(np.array(numbers, float))):
        found[at] = times - 1, numbers[at] + usual
    powers = np.log2(np.maximum(numbers, 0.5))
    for at, times, usual in _wide(np.diff(powers)):
        found.setdefault(at, (times - 1, 2 ** (powers[at] + usual)))
    for at, (missing, step) in sorted(found.items()):
        item = next(one for one in items if one.step == numbers[at + 1])
        text = f"{missing} missing before it: no step {round(step)} after {numbers[at]}"
        yield SequenceFinding("gap", item.name, text)


def _wide(distances: Array) -> Iterator[tuple[int, int, float]]:
    """Where steps are missing: the place, how many times the usual distance it is, and that one.

    A few wide distances count between two that are equal, and one at an end where all others are. So a rhythm that
    changes for good, ``0, 100, 200, 700, 1200``, is none::

        100, 100, 200, 300, 100    the third and the fourth
    """
    found: dict[int, tuple[int, float]] = {}
    for begin in range(1, len(distances) - 1):
        for end in range(begin + 1, min(begin + 1 + MOST_WIDE, len(distances))):
            if math.isclose(distances[begin - 1], distances[end], rel_tol=1e-6):
                times = _multiples(distances[begin:end], distances[end])
                found |= {begin + at: (one, distances[end]) for at, one in enumerate(times)}
    for at in (0, len(distances) - 1):
        others = [one for place, one in enumerate(distances) if place != at and place not in found]
        if len(others) >= ALIKE and np.allclose(others, others[0], rtol=1e-6, atol=0):
            for multiple in _multiples(distances[at : at + 1], others[0]):
                found[at] = multiple, others[0]
    for place, (multiple, usual) in sorted(found.items()):
        yield place, multiple, float(usual)


def _multiples(wide: Array, usual: float) -> list[int]:
    """How many times the usual distance each is; nothing where one is not twice it or more, or between."""
    times = wide / usual if usual > 0 else np.zeros(1)
    whole = np.round(times)
    return whole.astype(int).tolist() if (whole > 1).all() and np.allclose(times, whole, rtol=1e-6, atol=0) else []
