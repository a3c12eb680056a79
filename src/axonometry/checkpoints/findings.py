"""What may be wrong with weights: each finding with its number, the threshold, where that is from, and a reference.

A threshold is a place to look, not a verdict. Where no source is named, it is our choice.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from axonometry.checkpoints.channels import Channels
from axonometry.checkpoints.survey import TensorFacts

KINDS = {
    "nonfinite": "NaN or infinite entries",
    "dead": "rows or columns of which every entry is 0",
    "outlier": "a channel many times as large as the median one",
    "saturated": "codes of eight bits at the ends of their range",
    "initial": "still distributed as an initialiser draws",
    "copies": "nearly the same as another layer",
    "rank": "a matrix that does little more than one direction",
}
"""The kinds of findings."""
OUTLIER, SATURATED, COPIES, RANK = 10.0, 0.01, 0.99, 2.0
FEWEST_CHANNELS, FEWEST_SAMPLED = 8, 64
REFERENCE_RANK = 20.0
"""Only where a random matrix of the shape would have a stable rank above it is one below :data:`RANK` told."""
_OUR_CHOICE = "our choice"
_BANDS, _BITS = 8, 16
MOST_PAIRS = 100
"""Of copies that are told."""


@dataclass(frozen=True)
class WeightFinding:
    """Something to look at.

    Attributes:
        kind: One of :data:`KINDS`.
        tensor: Where it is.
        text: What it is, in a few words.
        value: The number.
        threshold: What it is compared with.
        source: Where the threshold is from.
        reference: What the number would be of an initial distribution of the same shape, or is of the other layers.
    """

    kind: str
    tensor: str
    text: str
    value: float | int
    threshold: float | int
    source: str
    reference: str


def findings(facts: Iterable[TensorFacts], tied: Mapping[str, str] | None = None) -> list[WeightFinding]:
    """All findings, those of one tensor together, copies last.

    Args:
        facts: Of every tensor.
        tied: Names of tensors that are one before them; they are not called copies.
    """
    facts = list(facts)
    found = [finding for one in facts for finding in _of_one(one)]
    return found + list(_copies([one for one in facts if one.name not in (tied or {})]))


def _of_one(one: TensorFacts) -> Iterator[WeightFinding]:
    t = one.statistics
    if t.nonfinite:
        text = f"{t.nan:,} NaN and {t.infinite:,} infinite of {t.count:,}"
        yield WeightFinding(
            "nonfinite", one.name, text, t.nonfinite, 0, "no weight is", "0 in every layer that is whole"
        )
    for what, channels in (("rows", one.rows), ("columns", one.columns)):
        if channels is not None:
            yield from _of_channels(one.name, what, channels)
    if one.code is not None and one.code > SATURATED and t.count >= FEWEST_SAMPLED:
        text = f"{one.code:.1%} of the codes are the least or the greatest of {one.dtype}"
        reference = "1 code a row or block, where its largest entry sets the scale"
        yield WeightFinding("saturated", one.name, text, one.code, SATURATED, _OUR_CHOICE, reference)
    if (drawn := one.drawn) is not None:
        text = f"distributed as {drawn.name}"
        source = "Kolmogorov's and Smirnov's test at 1 %"
        reference = f"an untrained layer lies below {drawn.threshold:.2g} in 99 of 100 draws"
        yield WeightFinding("initial", one.name, text, drawn.distance, drawn.threshold, source, reference)
    if one.spectrum is not None and one.spectrum.stable_rank < RANK:
        rows, columns = one.shape[0], math.prod(one.shape[1:])
        # Of entries of variance s², the squared norm is rows · columns · s² and the largest singular value about
        # (√rows + √columns) s: of 512 x 512 a stable rank of 128.
        random = rows * columns / (math.sqrt(rows) + math.sqrt(columns)) ** 2
        if random > REFERENCE_RANK:
            text = f"stable rank {one.spectrum.stable_rank:.3g} of at most {min(rows, columns):,}"
            reference = f"{random:.3g} of a random matrix of the shape"
            yield WeightFinding("rank", one.name, text, one.spectrum.stable_rank, RANK, _OUR_CHOICE, reference)


def _of_channels(name: str, what: str, channels: Channels) -> Iterator[WeightFinding]:
    if channels.dead:
        text = f"{channels.dead:,} of {channels.count:,} {what} are 0"
        yield WeightFinding("dead", name, text, channels.dead, 0, _OUR_CHOICE, "0 of an initial distribution")
    if channels.count >= FEWEST_CHANNELS and channels.largest > OUTLIER:
        text = f"{what[:-1]} {channels.place:,} is {channels.largest:.3g} times the median one"
        yield WeightFinding(
            "outlier", name, text, channels.largest, OUTLIER, _OUR_CHOICE, "about 1 of an initial distribution"
        )


# copies ---------------------------------------------------------------------------------------------------------------


def _copies(facts: Sequence[TensorFacts]) -> Iterator[WeightFinding]:
    """Pairs of layers of one shape whose sampled entries point in nearly the same direction.

    Comparing all pairs of 20,000 experts would take minutes. Two samples at a cosine of 0.99 differ in the sign of 4.5%
    of their entries, so that 16 of these agree in 48 % of cases, and one of eight groups of 16 in 99.5 %: only layers
    with a group of 16 signs in common are compared.
    """
    by_shape: dict[tuple[int, ...], list[TensorFacts]] = defaultdict(list)
    for one in facts:
        if one.sample is not None and len(one.sample) >= FEWEST_SAMPLED and one.sample.any():
            by_shape[one.shape].append(one)
    told = 0
    for group in by_shape.values():
        for first, second, cosine in _near(group):
            text = f"{'the same as' if cosine > 1 - 1e-6 else 'nearly'} {first.name}"
            reference = f"within {4 / math.sqrt(_size(second)):.2g} of 0 for layers that were drawn"
            reference = f"{reference}; the cosine is of {_size(second):,} sampled, centred entries"
            yield WeightFinding("copies", second.name, text, cosine, COPIES, _OUR_CHOICE, reference)
            told += 1
            if told >= MOST_PAIRS:
                return


def _near(group: Sequence[TensorFacts]) -> Iterator[tuple[TensorFacts, TensorFacts, float]]:
    samples = np.stack([one.sample for one in group if one.sample is not None])
    signs = samples[:, np.linspace(0, samples.shape[1] - 1, _BANDS * _BITS).astype(int)] > 0
    # Sixteen signs as the bits of one number: equal numbers are equal signs.
    keys = signs.reshape(len(group), _BANDS, _BITS) @ (1 << np.arange(_BITS))
    seen: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number in range(len(group)):
        candidates: set[int] = set()
        for band in range(_BANDS):
            bucket = seen[band, int(keys[number, band])]
            candidates.update(bucket[:50])
            bucket.append(number)
        if candidates:
            order = sorted(candidates)
            cosines = samples[order] @ samples[number]
            best = int(cosines.argmax())
            if cosines[best] >= COPIES:
                yield group[order[best]], group[number], float(cosines[best])


def _size(one: TensorFacts) -> int:
    return 0 if one.sample is None else len(one.sample)
