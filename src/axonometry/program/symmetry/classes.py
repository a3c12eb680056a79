"""The permutation symmetries of a network: which neurons can trade places, and what moves along."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonometry.annotations import Seed
from axonometry.arguments import argument_errors
from axonometry.errors import ConfigurationError, WeightsError, closest
from axonometry.program.graph import NeuralGraph
from axonometry.program.symmetry.atoms import Atoms, Ids
from axonometry.program.symmetry.units import Axis, axes_below, exchangeable, unit_tree
from axonometry.program.weights.snapshots import of_captured_shape
from axonometry.program.weights.state_names import elsewhere, renamed


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
class Permutation:
    """An exchange of neurons; made by :class:`Permutations`.

    Attributes:
        order: By tensor axis, the entries of the old tensor in their new order; of every name of a shared tensor.
    """

    order: Mapping[Axis, NDArray[np.int64]]

    def inverse(self) -> Permutation:
        """The exchange that undoes this one."""
        return Permutation({axis: np.argsort(order) for axis, order in self.order.items()})


@dataclass(frozen=True)
class Specification:
    """Classes of whole axes, in the two directions in which Git Re-Basin's ``PermutationSpec`` has them.

    Attributes:
        perm_to_axes: By class, the tensor axes that it moves.
        axes_to_perm: By tensor, for each axis its class, or None.
    """

    perm_to_axes: dict[str, list[Axis]]
    axes_to_perm: dict[str, tuple[str | None, ...]]


@argument_errors
class Permutations(Mapping[str, tuple[str | None, ...]]):
    """All exchanges of neurons that leave a network's outputs as they are.

    By name of a parameter or buffer, for each of its axes the name of the class that moves along it, or None; where
    blocks move along it and neurons inside them, the class of the blocks.

    Attributes:
        classes: The classes by name.
        units: The neurons and blocks, and what stands in each.
        outermost: The places among the units of those that stand in no block.
        members: By class, the places among the units of those that are in it.
    """

    def __init__(self, atoms: Atoms, tensors: Mapping[str, tuple[Ids, ...]], aliases: Mapping[str, tuple[str, ...]]):
        self._aliases = aliases
        self._shapes = {name: tuple(len(axis) for axis in axes) for name, axes in tensors.items()}
        self.units, self.outermost = unit_tree(atoms, tensors)
        self.classes: dict[str, PermutationClass] = {}
        self.members: dict[str, tuple[int, ...]] = {}
        self._name(self.outermost, "")
        moving: dict[Axis, str] = {}
        for name, one in self.classes.items():
            for axis in one.axes:
                moving.setdefault(axis, name)
        self._axes = {name: tuple(moving.get((name, i)) for i in range(len(axes))) for name, axes in tensors.items()}
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

    def random(self, seed: Seed = 0) -> Permutation:
        """A random exchange of everything that can be exchanged, drawn uniformly."""
        random = np.random.default_rng(seed)
        return self.arranged(lambda units: random.permutation(units).tolist())

    def arranged(self, order: Callable[[Sequence[int]], Sequence[int]]) -> Permutation:
        """The permutation that puts units of each class, and of each block, into an order.

        Args:
            order: From numbers of units that can be exchanged to the same numbers in the order of their new places.
        """
        source = np.arange(len(self.units))
        self._arrange(self.outermost, self.outermost, source, order)
        return self.permutation(source)

    def _arrange(
        self, here: Sequence[int], there: Sequence[int], source: Ids, order: Callable[[Sequence[int]], Sequence[int]]
    ) -> None:
        """Give each unit of one family the place of a unit of another, of the same kind."""
        for mine, theirs in zip(exchangeable(self.units, here), exchangeable(self.units, there), strict=True):
            free = self.units[mine[0]].free
            for unit, other in zip(mine, order(theirs) if free else theirs, strict=True):
                source[unit] = other
                self._arrange(self.units[unit].children, self.units[other].children, source, order)

    def permutation(self, source: Ids) -> Permutation:
        """The permutation that gives each unit the place of another, of shape (units,)."""
        order: dict[Axis, NDArray[np.int64]] = {}
        for unit, other in enumerate(source.tolist()):
            for axis, places in self.units[unit].places.items():
                if axis not in order:
                    order[axis] = np.arange(self._shapes[axis[0]][axis[1]])
                order[axis][places] = self.units[other].places[axis]
        moved = {axis: o for axis, o in order.items() if (o != np.arange(len(o))).any()}
        for (name, number), o in list(moved.items()):
            moved.update({(other, number): o for other in self._aliases.get(name, ())})
        return Permutation(moved)

    def specification(self) -> Specification:
        """The classes as Git Re-Basin writes them (``PermutationSpec``): by class the axes, by tensor the classes.

        It knows whole axes alone: no blocks, and nothing behind a flatten that keeps positions. Classes that need
        these are left out, which leaves a specification of fewer symmetries and of no wrong ones.

        >>> import torch
        >>> from axonometry import capture, permutations
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> found = permutations(capture(net, torch.zeros(1, 3))).specification()
        >>> found.perm_to_axes
        {'0.bias[0]': [('0.bias', 0), ('0.weight', 0), ('2.weight', 1)]}
        >>> found.axes_to_perm["2.weight"]
        (None, '0.bias[0]')
        """
        whole = {}
        for name, one in self.classes.items():
            sizes = [self._shapes[tensor][axis] for tensor, axis in one.axes]
            if not one.blocks and not one.inside and all(size == one.size for size in sizes):
                whole[name] = list(one.axes)
        axes = {name: tuple(one if one in whole else None for one in self._axes[name]) for name in self._shapes}
        return Specification(whole, axes)

    def dependencies(self, name: str) -> tuple[dict[Axis, NDArray[np.int64]], ...]:
        """What goes with each neuron, or block, of a class: by tensor axis its entries. What pruning has to remove.

        Raises:
            ConfigurationError: There is no such class.

        >>> import torch
        >>> from axonometry import capture, permutations
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(16, 2))
        >>> found = permutations(capture(net, torch.zeros(1, 1, 4, 4)))
        >>> found.dependencies("0.bias[0]")[1]
        {('0.bias', 0): array([1]), ('0.weight', 0): array([1]), ('2.weight', 1): array([4, 5, 6, 7])}
        """
        if name not in self.members:
            raise ConfigurationError("a class has a name of `classes`", repr(name), closest(name, self.members))
        return tuple(self._entries(unit) for unit in self.members[name])

    def _entries(self, unit: int) -> dict[Axis, NDArray[np.int64]]:
        """By tensor axis, the entries of a unit and of what stands in it."""
        found = {axis: [places] for axis, places in self.units[unit].places.items()}
        for child in self.units[unit].children:
            for axis, places in self._entries(child).items():
                found.setdefault(axis, []).append(places)
        return {axis: np.sort(np.concatenate(found[axis])) for axis in sorted(found)}

    def _name(self, units: Sequence[int], inside: str) -> None:
        for kind in exchangeable(self.units, units):
            first = self.units[kind[0]]
            movable, name = first.free and len(kind) > 1, inside
            if movable:
                name = self._class(kind, inside)
            for unit in kind:
                if self.units[unit].children:
                    self._name(self.units[unit].children, name)

    def _class(self, units: Sequence[int], inside: str) -> str:
        axes = tuple(sorted({axis for unit in units for axis in axes_below(self.units, unit)}))
        stem, number = f"{axes[0][0]}[{axes[0][1]}]" if axes else "blocks", 2
        name = stem
        while name in self.classes:
            name, number = f"{stem}#{number}", number + 1
        blocks = bool(self.units[units[0]].children)
        self.members[name] = tuple(units)
        self.classes[name] = PermutationClass(name, len(units), blocks, inside, axes)
        return name


@argument_errors
def permute(state: Mapping[str, Tensor], graph: NeuralGraph, permutation: Permutation) -> dict[str, Tensor]:
    """The same network with its neurons exchanged.

    Args:
        state: Parameters and buffers by name; other tensors stay as they are. An optimizer's moments by the names of
            their parameters are exchanged likewise. Names may have a wrapper's prefix, such as ``module.``.
        graph: The network that the permutation was found for.
        permutation: What to exchange.

    Returns:
        New tensors where something moves, the given ones elsewhere; nothing given is changed.

    Raises:
        WeightsError: A tensor has another shape than in the captured network, or none that moves is there.
        ConfigurationError: The permutation is of another network.

    >>> from torch import nn
    >>> from axonometry import capture, permutations, permute
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> graph = capture(net, torch.zeros(1, 3))
    >>> other = permute(net.state_dict(), graph, permutations(graph).random(seed=0))
    >>> sorted(other["0.bias"].tolist()) == sorted(net[0].bias.tolist())
    True
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in graph.state.items()}
    names = _names_of(permutation, shapes)
    keys = renamed({key: key for key in state}, names)
    if names and not any(name in keys for name in names):
        rule = "a state has the tensors whose neurons are exchanged"
        raise WeightsError(rule, *elsewhere(names[0], f"none called {names[0]!r}", state))
    result = dict(state)
    for name in names:
        if name in keys:
            result[keys[name]] = of_captured_shape({name: state[keys[name]]}, name, shapes[name])
    for (name, axis), order in permutation.order.items():
        if name in keys:
            tensor = result[keys[name]]
            result[keys[name]] = tensor.index_select(axis, torch.from_numpy(order).to(tensor.device))
    return result


def _names_of(permutation: Permutation, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The tensors that a permutation moves.

    Raises:
        ConfigurationError: It moves what the network does not have: it is of another one.
    """
    for (name, axis), order in permutation.order.items():
        shape = shapes.get(name, ())
        if axis >= len(shape) or shape[axis] != len(order):
            came = f"one of another, with {len(order)} entries along axis {axis} of {name!r}"
            remedy = "Find it anew: ax.permutations(graph)"
            raise ConfigurationError("a permutation is of the captured network", came, remedy)
    return list(dict.fromkeys(name for name, _ in permutation.order))
