"""What is kept of every step of a sequence after each was read once, and the findings that reading alone gives."""

from __future__ import annotations

import hashlib
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
SMALLEST_MATRIX, SMALLEST_COPY = 256, 16
ZEROS, ZEROS_TIMES = 16, 4
"""Zeros in a tensor are told from so many on, and so many times those of the steps beside it."""


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
        for at in (np.flatnonzero(zeros[1:-1] > ZEROS + ZEROS_TIMES * beside) + 1).tolist():
            size = records.steps[kept[at]].tensors[name].size
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
    """Missing steps, as the numbers in the names tell: a distance between two that is a multiple of those around it.

    Steps at even distances, ``500, 1000, 2000, 2500``, and at even ratios, ``1, 2, 8, 16``, are known.
    """
    numbers = sorted({item.step for item in items if item.step is not None})
    for at in range(1, len(numbers) - 2):
        for measure in (np.array(numbers, float), np.log2(np.maximum(numbers, 0.5))):
            before, here, after = np.diff(measure[at - 1 : at + 3])
            times = here / before if before > 0 else 0.0
            if np.isclose(before, after) and times > 1.5 and np.isclose(times, round(times)):
                missing = 2 ** measure[at] if measure[0] != numbers[0] else measure[at]
                step = missing * 2**before if measure[0] != numbers[0] else missing + before
                item = next(one for one in items if one.step == numbers[at + 1])
                text = f"{round(times) - 1} missing before it: no step {round(step)} after {numbers[at]}"
                yield SequenceFinding("gap", item.name, text)
                break
