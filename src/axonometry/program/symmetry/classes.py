"""The permutation symmetries of a network: which neurons can trade places, and what moves along."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonometry.errors import WeightsError
from axonometry.program.graph import NeuralGraph
from axonometry.program.symmetry.atoms import Atoms, Ids

Axis = tuple[str, int]


@dataclass(frozen=True)
class PermutationClass:
    """Neurons, or blocks of neurons, that trade places freely.

    Attributes:
        name: The first tensor axis that it moves, such as ``conv1.weight[0]``; with ``#2`` behind it where several
            classes share that axis.
        size: How many trade places.
        blocks: Whether blocks trade places: attention heads, groups of channels.
        inside: Name of the class of blocks that these stand in; empty where they stand in none.
        axes: The tensor axes that move, each the name of a parameter or buffer and the number of its axis.
    """

    name: str
    size: int
    blocks: bool
    inside: str
    axes: tuple[Axis, ...]


@dataclass(frozen=True, eq=False)
class _Unit:
    """A neuron or a block: where its entries are, what stands in it, and what it can be exchanged with."""

    places: Mapping[Axis, Ids]
    children: tuple[int, ...]
    kind: Any


@dataclass(frozen=True, eq=False)
class Permutation:
    """An exchange of neurons; made by :class:`Permutations`.

    Attributes:
        order: By tensor axis, the entries of the old tensor in their new order; of every name of a shared tensor.
    """

    order: Mapping[Axis, NDArray[np.int64]]

    def inverse(self) -> Permutation:
        """The exchange that undoes this one."""
        return Permutation({axis: np.argsort(order) for axis, order in self.order.items()})


class Permutations(Mapping[str, tuple[str | None, ...]]):
    """All exchanges of neurons that leave a network's outputs as they are.

    By name of a parameter or buffer, for each of its axes the name of the class that moves along it, or None; where
    blocks move along it and neurons inside them, the class of the blocks.

    Attributes:
        classes: The classes by name.
    """

    def __init__(self, atoms: Atoms, tensors: Mapping[str, tuple[Ids, ...]], aliases: Mapping[str, tuple[str, ...]]):
        self._aliases = aliases
        self._shapes = {name: tuple(len(axis) for axis in axes) for name, axes in tensors.items()}
        self._units, self._top = _units(atoms, tensors)
        self.classes: dict[str, PermutationClass] = {}
        self._name(self._top, "")
        outermost: dict[Axis, str] = {}
        for name, one in self.classes.items():
            for axis in one.axes:
                outermost.setdefault(axis, name)
        self._axes = {name: tuple(outermost.get((name, i)) for i in range(len(axes))) for name, axes in tensors.items()}
        for name, others in aliases.items():
            self._axes.update(dict.fromkeys(others, self._axes[name]))

    def __getitem__(self, tensor: str) -> tuple[str | None, ...]:
        return self._axes[tensor]

    def __iter__(self) -> Iterator[str]:
        return iter(self._axes)

    def __len__(self) -> int:
        return len(self._axes)

    def __repr__(self) -> str:
        neurons, blocks = (sum(c.size for c in self.classes.values() if c.blocks is b) for b in (False, True))
        return f"Permutations({len(self.classes)} classes, {neurons:,} neurons, {blocks:,} blocks)"

    def random(self, seed: int = 0) -> Permutation:
        """A random exchange of everything that can be exchanged, drawn uniformly."""
        source = np.arange(len(self._units))
        self._draw(self._top, self._top, source, np.random.default_rng(seed))
        return self._permutation(source)

    def _draw(self, here: tuple[int, ...], there: tuple[int, ...], source: Ids, random: np.random.Generator) -> None:
        """Give each unit of one family the place of a unit of another, of the same kind."""
        for mine, theirs in zip(self._kinds(here), self._kinds(there), strict=True):
            free = self._units[mine[0]].kind[0]
            for unit, other in zip(mine, random.permutation(theirs) if free else theirs, strict=True):
                source[unit] = other
                self._draw(self._units[unit].children, self._units[other].children, source, random)

    def _kinds(self, units: tuple[int, ...]) -> list[list[int]]:
        """Units that can be exchanged, in the order of their first places; those that cannot stand alone."""
        kinds: dict[Any, list[int]] = defaultdict(list)
        for unit in units:
            kinds[self._units[unit].kind].append(unit)
        return [kinds[kind] for kind in sorted(kinds, key=repr)]

    def _permutation(self, source: Ids) -> Permutation:
        order: dict[Axis, NDArray[np.int64]] = {}
        for unit, other in enumerate(source.tolist()):
            for axis, places in self._units[unit].places.items():
                if axis not in order:
                    order[axis] = np.arange(self._shapes[axis[0]][axis[1]])
                order[axis][places] = self._units[other].places[axis]
        moved = {axis: o for axis, o in order.items() if (o != np.arange(len(o))).any()}
        for (name, number), o in list(moved.items()):
            moved.update({(other, number): o for other in self._aliases.get(name, ())})
        return Permutation(moved)

    def _name(self, units: tuple[int, ...], inside: str) -> None:
        for kind in self._kinds(units):
            first = self._units[kind[0]]
            movable, name = first.kind[0] and len(kind) > 1, inside
            if movable:
                name = self._class(tuple(kind), inside)
            for unit in kind:
                if self._units[unit].children:
                    self._name(self._units[unit].children, name)

    def _class(self, units: tuple[int, ...], inside: str) -> str:
        axes = tuple(sorted({axis for unit in units for axis in _below(self._units, unit)}))
        stem, number = f"{axes[0][0]}[{axes[0][1]}]" if axes else "blocks", 2
        name = stem
        while name in self.classes:
            name, number = f"{stem}#{number}", number + 1
        blocks = bool(self._units[units[0]].children)
        self.classes[name] = PermutationClass(name, len(units), blocks, inside, axes)
        return name


def permute(state: Mapping[str, Tensor], graph: NeuralGraph, permutation: Permutation) -> dict[str, Tensor]:
    """The same network with its neurons exchanged.

    Args:
        state: Parameters and buffers by name; other tensors stay as they are. An optimizer's moments by the names of
            their parameters are exchanged likewise.
        graph: The network that the permutation was found for.
        permutation: What to exchange.

    Returns:
        New tensors; the given ones are not changed.

    Raises:
        WeightsError: A tensor has another shape than in the captured network.

    >>> from torch import nn
    >>> from axonometry import capture, permutations, permute
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> graph = capture(net, torch.zeros(1, 3))
    >>> other = permute(net.state_dict(), graph, permutations(graph).random(seed=0))
    >>> sorted(other["0.bias"].tolist()) == sorted(net[0].bias.tolist())
    True
    """
    result = dict(state)
    for (name, axis), order in permutation.order.items():
        if name not in state:
            continue
        expected = tuple(graph.state[name].shape)
        if tuple(state[name].shape) != expected:
            raise WeightsError(
                f"{name!r} has the shape {expected} in the captured network",
                str(tuple(state[name].shape)),
                "Permute the weights of the network whose permutation this is",
            )
        result[name] = result[name].index_select(axis, torch.from_numpy(order).to(result[name].device))
    return result


def _below(units: list[_Unit], unit: int) -> Iterator[Axis]:
    yield from units[unit].places
    for child in units[unit].children:
        yield from _below(units, child)


def _units(atoms: Atoms, tensors: Mapping[str, tuple[Ids, ...]]) -> tuple[list[_Unit], tuple[int, ...]]:
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
    for root in list(fixed):
        block = above[root]
        while block is not None and block not in fixed:
            fixed.add(block)
            block = above[block]
    return _tree(atoms, places, above, fixed)


def _tree(
    atoms: Atoms, places: Mapping[int, Mapping[Axis, Ids]], above: Mapping[int, int | None], fixed: set[int]
) -> tuple[list[_Unit], tuple[int, ...]]:
    children: dict[int | None, list[int]] = defaultdict(list)
    for root, block in above.items():
        children[block].append(root)
    children[None] = [root for root in children[None] if root not in fixed or children.get(root)]
    units: list[_Unit] = []

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
        kind = (free, tuple(sorted(atoms.pins(root))), shape, kinds, None if free else len(units))
        units.append(_Unit(places.get(root, {}), below, kind))
        return len(units) - 1

    return units, tuple(build(root) for root in sorted(children[None], key=first_place))
