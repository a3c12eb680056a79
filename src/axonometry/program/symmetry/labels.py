"""Which atom stands behind each entry of a value, axis by axis.

A value has *layers*, each an array of atoms over some of its axes. A weight of shape (out, in) has two, one over axis
0 and one over axis 1; the activations of a convolution, (1, channels, height, width), have one over axis 1; queries of
shape (1, heads, tokens, size) have one over axes 1 and 3 together. Axes without a layer do not move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from axonometry.program.symmetry.atoms import FIXED, Atoms, Ids

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Layer:
    """Atoms over some axes of a value.

    Attributes:
        axes: The axes, ascending.
        atoms: One atom a place, of the shape of these axes.
    """

    axes: tuple[int, ...]
    atoms: Ids

    def full(self, shape: Shape) -> Tensor:
        """The atom of every entry of a value of that shape."""
        sizes = [shape[axis] if axis in self.axes else 1 for axis in range(len(shape))]
        return torch.from_numpy(self.atoms.reshape(sizes)).expand(shape)


@dataclass(frozen=True, eq=False)
class Labels:
    """The layers of a value; no two share an axis.

    Attributes:
        shape: The value's shape.
        layers: Its layers.
        constant: The value itself, where it depends on neither inputs nor parameters.
        repeated: Axes along which all entries are copies of one, as of a norm that was expanded.
    """

    shape: Shape
    layers: tuple[Layer, ...] = ()
    constant: Tensor | None = None
    repeated: frozenset[int] = frozenset()

    def over(self, axes: Iterable[int]) -> Layer | None:
        """The layer over just these axes."""
        wanted = tuple(axes)
        return next((layer for layer in self.layers if layer.axes == wanted), None)

    def varies(self, axis: int) -> bool:
        """Whether entries along an axis that has no layer may differ."""
        if self.shape[axis] == 1 or axis in self.repeated:
            return False
        if self.constant is None:
            return True
        value = self.constant
        return bool((value != value.narrow(axis, 0, 1)).any())

    def aligned(self, rank: int) -> Labels:
        """The same value with axes of size one in front, as broadcasting sees it."""
        more = rank - len(self.shape)
        layers = tuple(Layer(tuple(axis + more for axis in layer.axes), layer.atoms) for layer in self.layers)
        constant = None if self.constant is None else self.constant.reshape((1,) * more + tuple(self.constant.shape))
        return Labels((1,) * more + self.shape, layers, constant, frozenset(axis + more for axis in self.repeated))


def of_parameter(atoms: Atoms, shape: Shape) -> Labels:
    """New atoms along each axis of a parameter."""
    return Labels(shape, tuple(Layer((axis,), atoms.new(size)) for axis, size in enumerate(shape)))


def layer_of(full: Tensor) -> Layer | None:
    """The layer of a value from the atom of every entry; None where all are fixed."""
    axes: list[int] = []
    if not full.numel():
        return None
    for axis, stride in enumerate(full.stride()):
        if stride == 0:  # one entry that stands for all along this axis
            full = full.narrow(axis, 0, 1)
    for axis in range(full.dim()):
        first = full.narrow(axis, 0, 1)
        if full.shape[axis] > 1 and not torch.equal(full, first.expand_as(full)):
            axes.append(axis)
        else:
            full = first
    atoms = full.contiguous().numpy().reshape([full.shape[axis] for axis in axes])
    return Layer(tuple(axes), atoms) if axes else None


def moved(atoms: Atoms, value: Labels, operation: Callable[[Tensor], Tensor]) -> Labels:
    """The labels of a result whose every entry is one entry of a value: of a view, a permutation, a slice."""
    result = operation(torch.empty(value.shape, dtype=torch.int64, device="meta"))
    layers = []
    for layer in value.layers:
        # flatten(1) of (1, 2, 2, 2) with the atoms a, b along axis 1: every entry has its channel's atom, and a a a a b
        # b b b is what the columns of the next weight meet. So a neuron there has four columns, those of its pixels.
        full = _applied(operation, layer.full(value.shape))
        layers.append(layer_of(full))
        if layers[-1] is None and full.numel():  # one entry is taken out, as by x[:, 0]: which one it is has a meaning
            atoms.fix(full.flatten()[:1].numpy())
    constant = None if value.constant is None else operation(value.constant)
    return Labels(tuple(result.shape), disjoint(atoms, [layer for layer in layers if layer]), constant)


def _applied(operation: Callable[[Tensor], Tensor], full: Tensor) -> Tensor:
    """A view of the atoms of every entry, which are written out only where a view asks for it."""
    try:
        return operation(full)
    except RuntimeError:
        return operation(full.contiguous())


def joined_labels(atoms: Atoms, values: Sequence[Labels], axis: int) -> Labels:
    """The labels of values that are put one behind the other along an axis."""
    axis %= len(values[0].shape)
    size = sum(value.shape[axis] for value in values)
    shape = tuple(size if i == axis else n for i, n in enumerate(values[0].shape))
    layers: list[Layer] = []
    for axes in dict.fromkeys(layer.axes for value in values for layer in value.layers):
        rows = [value.over(axes) for value in values]
        if axis in axes:
            layers.append(
                Layer(
                    axes,
                    np.concatenate(
                        [_or_fixed(r, axes, v.shape) for r, v in zip(rows, values, strict=True)], axes.index(axis)
                    ),
                )
            )
            continue
        there = [row for row in rows if row is not None]
        for row in there[1:]:
            atoms.join(there[0].atoms, row.atoms)
        if len(there) < len(values):
            atoms.fix(there[0].atoms)
        layers.append(there[0])
    return Labels(shape, disjoint(atoms, layers))


def _or_fixed(row: Layer | None, axes: tuple[int, ...], shape: Shape) -> Ids:
    return np.full([shape[axis] for axis in axes], FIXED) if row is None else row.atoms


def disjoint(atoms: Atoms, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers that share no axis with another; those over the same axes are joined, others that meet are fixed."""
    by_axes: dict[tuple[int, ...], Layer] = {}
    for layer in layers:
        if layer.axes in by_axes:
            atoms.join(by_axes[layer.axes].atoms, layer.atoms)
        else:
            by_axes[layer.axes] = layer
    kept = []
    for axes, layer in by_axes.items():
        if any(other != axes and set(other) & set(axes) for other in by_axes):
            atoms.fix(layer.atoms)
        else:
            kept.append(layer)
    return tuple(kept)


def fix(atoms: Atoms, value: Any, axes: Iterable[int] | None = None) -> None:
    """What stands behind a value, or behind some of its axes, does not move."""
    wanted = None if axes is None else set(axes)
    for layer in value.layers:
        if wanted is None or wanted & set(layer.axes):
            atoms.fix(layer.atoms)


def pin(atoms: Atoms, layer: Layer, axes: Iterable[int]) -> Layer | None:
    """Entries along some axes of a layer cannot trade places.

    Where these come first, such as heads in front of their coordinates, what is left trades places inside each; where
    they come last, such as pixels behind channels, what is left moves as blocks, the entries of each in their order.

    Returns:
        The layer of what is left: the same one, or one of blocks over the other axes, or None.
    """
    kept = [axis for axis in layer.axes if axis in set(axes)]
    rest = [axis for axis in layer.axes if axis not in kept]
    if not kept:
        return layer
    if not rest:
        atoms.fix(layer.atoms)
        return None
    first = max(kept) < min(rest)
    order = [layer.axes.index(axis) for axis in ((*kept, *rest) if first else (*rest, *kept))]
    rows = layer.atoms.transpose(order)
    shape = rows.shape[: len(kept if first else rest)]
    if first:
        atoms.fix(atoms.blocks(rows.reshape(int(np.prod(shape)), -1)))
        return layer
    return Layer(tuple(rest), atoms.pin_down(rows.reshape(int(np.prod(shape)), -1)).reshape(shape))


def pinned(atoms: Atoms, value: Labels, axes: Iterable[int]) -> Labels:
    """A value of which some axes are places: pixels, time steps."""
    axes = list(axes)
    layers = [pin(atoms, layer, axes) for layer in value.layers]
    return Labels(value.shape, disjoint(atoms, [layer for layer in layers if layer is not None]), value.constant)
