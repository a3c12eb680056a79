"""What changed between two checkpoints: names, shapes, types, and how far and where each tensor moved."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from axonometry.checkpoints.channels import is_matrix
from axonometry.checkpoints.checkpoint import Checkpoint
from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.floats import floats, rounding
from axonometry.checkpoints.pattern_counts import BLOCK
from axonometry.checkpoints.survey import numbers_of

LARGEST_SIDE = 4096
"""Of the smaller side of a matrix whose change's rank is counted."""


@dataclass(frozen=True)
class TensorChange:
    """How a tensor changed.

    Attributes:
        tensor: Its name in the first checkpoint.
        renamed: Its name in the second one, where that is another; else empty.
        shape: Its shape.
        dtype: Its type, and the second one's behind an arrow where that is another.
        identical: Whether all bits are the same.
        relative: Norm of the change over the norm of the first; infinite from 0.
        cosine: Between both; NaN where one is 0.
        changed: Share of entries that are not equal.
        flipped: Share of entries whose sign turned.
        norm: Norm of the first.
        second_norm: Norm of the second.
        rank: Rank of the change beyond what rounding makes; None where it was not asked for or is no matrix.
    """

    tensor: str
    renamed: str
    shape: tuple[int, ...]
    dtype: str
    identical: bool
    relative: float
    cosine: float
    changed: float
    flipped: float
    norm: float
    second_norm: float
    rank: int | None = None


@dataclass(frozen=True)
class Pairing:
    """Which tensors of two checkpoints are compared.

    Attributes:
        pairs: Names in the first and in the second one.
        removed: Names that only the first one has.
        added: Names that only the second one has.
        reshaped: Names of tensors whose shapes differ, with both.
        prefixes: What names of the first one begin with, and what it was replaced by; None where names are the same.
    """

    pairs: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    prefixes: tuple[str, str] | None = None


def pair(first: Checkpoint, second: Checkpoint) -> Pairing:
    """Find tensors of two checkpoints that belong together: by name, or by name behind another prefix.

    ``module.fc.weight`` and ``fc.weight`` are one tensor where that prefix explains more names than any other.
    """
    common = [name for name in first if name in second]
    removed = [name for name in first if name not in second]
    added = [name for name in second if name not in first]
    prefixes = _prefixes(first, second, removed, added)
    pairs = [(name, name) for name in common]
    if prefixes is not None:
        old, new = prefixes
        moved = {name: new + name.removeprefix(old) for name in removed if name.startswith(old)}
        moved = {name: other for name, other in moved.items() if other in set(added)}
        pairs += moved.items()
        removed = [name for name in removed if name not in moved]
        added = [name for name in added if name not in set(moved.values())]
    shapes = [(name, first.entries[name].shape, second.entries[other].shape) for name, other in pairs]
    reshaped = tuple(one for one in shapes if one[1] != one[2])
    other_shape = {name for name, _, _ in reshaped}
    kept = tuple(one for one in pairs if one[0] not in other_shape)
    return Pairing(kept, tuple(removed), tuple(added), reshaped, prefixes)


def _prefixes(
    first: Checkpoint, second: Checkpoint, removed: Sequence[str], added: Sequence[str]
) -> tuple[str, str] | None:
    """The exchange of prefixes that explains most names; None where there is none."""
    by_end: dict[str, list[str]] = {}
    for name in added:
        for begin in _begins(name):
            by_end.setdefault(name[begin:], []).append(name)
    votes: Counter[tuple[str, str]] = Counter()
    for name in removed:
        for begin in _begins(name):  # the longest end that both have, and that no other name has
            others = [
                one for one in by_end.get(name[begin:], ()) if second.entries[one].shape == first.entries[name].shape
            ]
            if len(others) == 1:
                votes[name[:begin], others[0].removesuffix(name[begin:])] += 1
                break
    return votes.most_common(1)[0][0] if votes else None


def _begins(name: str) -> list[int]:
    return [0, *(found.end() for found in re.finditer(r"[./]", name))][:8]


def changes(
    first: Checkpoint,
    second: Checkpoint,
    pairing: Pairing,
    *,
    ranks: bool = False,
    aligned: Mapping[str, Array] | None = None,
) -> Iterator[TensorChange]:
    """How each pair of tensors changed, one pair in memory at a time.

    Args:
        first: What was before.
        second: What is now.
        pairing: What is compared.
        ranks: Whether the rank of each matrix's change is counted, which takes a singular value decomposition.
        aligned: Tensors of the second one that are compared in place of its own, by its names.
    """
    for name, other in pairing.pairs:
        a, kind_a, _ = numbers_of(first, name)
        b, kind_b, _ = numbers_of(second, other)
        b = b if aligned is None or other not in aligned else aligned[other]
        types = dict.fromkeys((first.entries[name].dtype, second.entries[other].dtype))
        same = kind_a == kind_b and a.shape == b.shape and bool((_bits(a) == _bits(b)).all())
        told = (same, *(_moved(a, kind_a, a, kind_a) if same else _moved(a, kind_a, b, kind_b)))
        rank = None
        if ranks and is_matrix(a.shape) and min(a.shape[0], a.size // a.shape[0]) <= LARGEST_SIDE:
            rank = 0 if same else _rank_of_change(a, kind_a, b, kind_b)
        yield TensorChange(name, "" if other == name else other, a.shape, " → ".join(types), *told, rank)


def _bits(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def whole_change(changed: Sequence[TensorChange]) -> tuple[float, float]:
    """Change of all tensors together, relative to the norm before, and the cosine between both.

    >>> one = TensorChange("w", "", (2,), "float32", False, 0.5, 1.0, 1.0, 0.0, 2.0, 3.0)
    >>> whole_change([one])
    (0.5, 1.0)

    Args:
        changed: How each tensor changed.
    """
    first, second = sum(c.norm**2 for c in changed), sum(c.second_norm**2 for c in changed)
    products = sum(c.cosine * c.norm * c.second_norm for c in changed if not math.isnan(c.cosine))
    moved = sum((c.relative * c.norm if c.norm else c.second_norm) ** 2 for c in changed)
    cosine = products / math.sqrt(first * second) if first and second else math.nan
    return math.sqrt(moved / first) if first else (math.inf if moved else 0.0), cosine


def _moved(a: Array, kind_a: str, b: Array, kind_b: str) -> tuple[float, float, float, float, float, float]:
    """Relative change, cosine, share of entries that changed, share of signs that turned, both norms."""
    flat_a, flat_b, n = a.reshape(-1), b.reshape(-1), max(1, a.size)
    sums, changed, flipped = np.zeros(4), 0, 0
    for begin in range(0, a.size, BLOCK):
        x = floats(flat_a[begin : begin + BLOCK], kind_a).astype(np.float64)
        y = floats(flat_b[begin : begin + BLOCK], kind_b).astype(np.float64)
        difference = y - x
        sums += (difference @ difference, x @ x, y @ y, x @ y)
        changed += int(np.count_nonzero(difference))
        flipped += int((x * y < 0).sum())
    moved, norm_a, norm_b, product = sums
    relative = math.sqrt(moved / norm_a) if norm_a else (math.inf if moved else 0.0)
    cosine = float(np.clip(product / math.sqrt(norm_a * norm_b), -1, 1)) if norm_a and norm_b else math.nan
    return relative, cosine, changed / n, flipped / n, math.sqrt(norm_a), math.sqrt(norm_b)


def _rank_of_change(a: Array, kind_a: str, b: Array, kind_b: str) -> int:
    """Singular values of the change above those that rounding to the coarser type makes.

    Rounding moves each entry w by up to ε|w|, evenly: by ε|w|/√3 in the root mean square. The two weights are rounded,
    and so was what was added to one of them. A matrix of such noise has singular values up to about the length of its
    largest row and that of its largest column together (Latała 2005): of a change that sits in few rows and columns,
    more than a matrix of even noise of the same size.
    """
    x, y = (floats(one, kind).astype(np.float64).reshape(len(one), -1) for one, kind in ((a, kind_a), (b, kind_b)))
    change = y - x
    coarser = max(rounding(kind) for kind in (kind_a, kind_b))
    squares = x * x + y * y + change * change
    lengths = math.sqrt(float(squares.sum(0).max())) + math.sqrt(float(squares.sum(1).max()))
    return int((np.linalg.svd(change, compute_uv=False) > 1.5 * coarser * lengths / math.sqrt(3)).sum())
