"""What a sum of products, and what an elementwise operation, say about the places of their operands.

Every linear map is a sum over letters, as in ``torch.einsum``: a dense layer is ``"bi,oi->bo"``. Where both operands
move along the summed letter ``i``, their places trade together. Where they move along two letters of which one is
summed, such as the heads h and coordinates d of queries and keys in ``"hqd,hkd->hqk"``, what is left moves as blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from axonometry.program.symmetry.atoms import Atoms, Ids
from axonometry.program.symmetry.labels import Labels, Layer, Shape, disjoint, pin


def contract(atoms: Atoms, operands: Sequence[tuple[Labels, str]], result: str) -> Labels:
    """The labels of an ``einsum``.

    Args:
        atoms: The atoms.
        operands: Each with its letters.
        result: The letters of the result.
    """
    sizes = {letter: n for value, letters in operands for letter, n in zip(letters, value.shape, strict=True) if n > 1}
    layers = _agreed(atoms, operands, sizes)
    kept = []
    for letters, layer in layers.items():
        left = "".join(letter for letter in letters if letter in result)
        if left == letters:
            kept.append((letters, layer))
        # "bhqd,bhkd->bhqk": the layer over heads and coordinates loses d. What is left stands for a head with all
        # coordinates of it: one block for each h, above the atoms of its d.
        elif left:
            order = [letters.index(letter) for letter in left] + [i for i, c in enumerate(letters) if c not in left]
            rows = layer.transpose(order)
            shape = rows.shape[: len(left)]
            kept.append((left, atoms.blocks(rows.reshape(int(np.prod(shape)), -1)).reshape(shape)))
    shape = tuple(sizes.get(letter, 1) for letter in result)
    return Labels(shape, disjoint(atoms, [_placed(letters, layer, result) for letters, layer in kept]))


def elementwise(atoms: Atoms, operands: Sequence[Labels], shape: Shape) -> Labels:
    """The labels of an operation on entries that stand in the same place; shapes broadcast."""
    letters = "".join(chr(ord("a") + axis) for axis in range(len(shape)))
    return contract(atoms, [(value.aligned(len(shape)), letters) for value in operands], letters)


def reduced(atoms: Atoms, value: Labels, axes: Iterable[int], *, keep: bool = False) -> Labels:
    """The labels of a sum, mean, maximum or any other function of the set of entries along some axes."""
    rank = len(value.shape)
    gone = {axis % rank for axis in axes}
    letters = "".join(chr(ord("a") + axis) for axis in range(rank))
    left = "".join(letter for axis, letter in enumerate(letters) if axis not in gone)
    result = contract(atoms, [(value, letters)], left)
    if not keep:
        return result
    order = [axis for axis in range(rank) if axis not in gone]
    layers = tuple(Layer(tuple(order[axis] for axis in layer.axes), layer.atoms) for layer in result.layers)
    return Labels(tuple(1 if axis in gone else n for axis, n in enumerate(value.shape)), layers)


def _agreed(atoms: Atoms, operands: Sequence[tuple[Labels, str]], sizes: dict[str, int]) -> dict[str, Ids]:
    """One layer a set of letters, after the operands have been held against each other."""
    found: dict[str, Ids] = {}
    for value, letters in operands:
        for layer in value.layers:
            name = "".join(letters[axis] for axis in layer.axes)
            order = sorted(range(len(name)), key=lambda i: name[i])
            name, places = "".join(name[i] for i in order), layer.atoms.transpose(order)
            if name in found:
                atoms.join(found[name], places)
            found.setdefault(name, places)
    contained = set()
    for name, places in found.items():
        for value, letters in operands:
            contained.add(_hold(atoms, Layer(tuple(range(len(name))), places), name, value, letters))
    free = {name for name, places in found.items() if not all(map(atoms.is_fixed, places.ravel().tolist()))}
    return {name: places for name, places in found.items() if name not in contained and name in free}


def _hold(atoms: Atoms, layer: Layer, name: str, value: Labels, letters: str) -> str | None:
    """A layer over some letters, held against an operand that has some of these letters.

    Returns:
        The letters of the operand's own layer, where the layer moves along with it from here on.
    """
    shared = [c for c in name if c in letters and value.shape[letters.index(c)] > 1]
    own = {"".join(sorted(letters[axis] for axis in other.axes)): other for other in value.layers}
    if not shared or name in own or any(set(name) < set(other) for other in own):
        return None
    part = own.get("".join(shared))
    if part is None:
        for other, own_layer in own.items():
            if set(other) & set(shared):
                atoms.fix(own_layer.atoms)
        # h * [1, 2, 3, 4] says which neuron is which, and none can move; h * [2, 2, 2, 2] says nothing.
        fixed = [c for c in shared if value.varies(letters.index(c))]
        pin(atoms, layer, [name.index(c) for c in fixed])
        return None
    order = [name.index(c) for c in shared] + [i for i, c in enumerate(name) if c not in shared]
    rows = layer.atoms.transpose(order).reshape(part.atoms.size, -1)
    inner = part.atoms.transpose(sorted(range(len(part.axes)), key=lambda i: letters[part.axes[i]])).reshape(-1)
    if name.startswith("".join(shared)):  # one gate a head: the heads are the blocks of their coordinates
        atoms.blocks(rows, inner)
    else:  # one gain a coordinate, the same in every head
        atoms.join(rows, inner[:, None])
    return "".join(shared)


def _placed(letters: str, places: Ids, result: str) -> Layer:
    axes = [result.index(letter) for letter in letters]
    order = sorted(range(len(axes)), key=lambda i: axes[i])
    return Layer(tuple(axes[i] for i in order), places.transpose(order))
