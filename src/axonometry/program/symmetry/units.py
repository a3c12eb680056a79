"""The neurons and blocks of a network as a tree: where the entries of each are, and what stands in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from axonometry.program.symmetry.atoms import Atoms, Ids

Axis = tuple[str, int]


@dataclass(frozen=True, eq=False)
class Unit:
    """A neuron or a block.

    Attributes:
        places: By tensor axis, the entries that move with it, ascending.
        children: The places among all units of those that stand in it, in the order of their first entries.
        free: Whether it can be exchanged at all.
        kind: What it has in common with those that it can be exchanged with.
    """

    places: Mapping[Axis, Ids]
    children: tuple[int, ...]
    free: bool
    kind: Any


def exchangeable(units: Sequence[Unit], some: Sequence[int]) -> list[list[int]]:
    """Units that can be exchanged, in the order of their first entries; those that cannot stand alone."""
    kinds: dict[Any, list[int]] = defaultdict(list)
    for unit in some:
        kinds[units[unit].kind].append(unit)
    return [kinds[kind] for kind in sorted(kinds, key=repr)]


def axes_below(units: Sequence[Unit], unit: int) -> Iterator[Axis]:
    """The tensor axes that move with a unit or with what stands in it."""
    yield from units[unit].places
    for child in units[unit].children:
        yield from axes_below(units, child)


def unit_tree(atoms: Atoms, tensors: Mapping[str, tuple[Ids, ...]]) -> tuple[list[Unit], tuple[int, ...]]:
    """The clusters that stand in tensors, and the blocks above them; and those of them that stand in no block."""
    places: dict[int, dict[Axis, Ids]] = defaultdict(dict)
    for name, axes in tensors.items():
        for number, axis in enumerate(axes):
            if not len(axis):
                continue
            roots = atoms.roots(axis)
            by_root = np.argsort(roots, kind="stable")
            some, starts = np.unique(roots[by_root], return_index=True)
            for root, entries in zip(some.tolist(), np.split(by_root, starts[1:]), strict=True):
                places[root][name, number] = entries
    above: dict[int, int | None] = {}
    pending = list(places)
    while pending:
        root = pending.pop()
        if root not in above:
            block = above[root] = atoms.above(root)
            pending += [] if block is None else [block]
    fixed = {root for root in above if atoms.is_fixed(root)}
    # A block that holds something fixed cannot trade places as a whole.
    for root in list(fixed):
        block = above[root]
        while block is not None and block not in fixed:
            fixed.add(block)
            block = above[block]
    return _tree(atoms, places, above, fixed)


def _tree(
    atoms: Atoms, places: Mapping[int, Mapping[Axis, Ids]], above: Mapping[int, int | None], fixed: set[int]
) -> tuple[list[Unit], tuple[int, ...]]:
    children: dict[int | None, list[int]] = defaultdict(list)
    for root, block in above.items():
        children[block].append(root)
    children[None] = [root for root in children[None] if root not in fixed or children.get(root)]
    units: list[Unit] = []

    def first_place(root: int) -> Any:
        own = min(((axis, int(p[0])) for axis, p in places.get(root, {}).items()), default=None)
        return min(
            [own] * (own is not None) + [first_place(child) for child in children.get(root, ())], default=(("", 0), 0)
        )

    def build(root: int) -> int:
        below = tuple(build(child) for child in sorted(children.get(root, ()), key=first_place))
        shape = tuple(sorted((axis, len(p)) for axis, p in places.get(root, {}).items()))
        kinds = tuple(sorted((units[child].kind for child in below), key=repr))
        free = root not in fixed
        # What is fixed gets a number that no other has, so that it is alone in its kind.
        kind = (tuple(sorted(atoms.pins(root))), shape, kinds, None if free else len(units))
        units.append(Unit(places.get(root, {}), below, free, kind))
        return len(units) - 1

    return units, tuple(build(root) for root in sorted(children[None], key=first_place))
