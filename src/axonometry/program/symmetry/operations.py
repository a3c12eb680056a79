"""What each operation does with the atoms of its operands.

An operation that is not here fixes all that it reads: nothing is called a symmetry that is not one.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from axonometry.program.symmetry.atoms import FIXED, Atoms
from axonometry.program.symmetry.contraction import contract, elementwise, reduced
from axonometry.program.symmetry.labels import Labels, Layer, Shape, fix, joined_labels, moved, pinned

Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
"""By name of the operation, what gives the labels of its result: ``rule(atoms, shape, *args, **kwargs)``."""

VIEWS = """
    view reshape _unsafe_view flatten unflatten permute transpose t squeeze unsqueeze select slice
    narrow chunk split split_with_sizes unbind clone contiguous detach alias movedim moveaxis swapaxes flip roll repeat
    tile repeat_interleave unfold index_select pixel_shuffle pixel_unshuffle channel_shuffle diagonal view_as reshape_as
""".split()
UNARY = """
    dropout feature_dropout alpha_dropout native_dropout softmax log_softmax _softmax to type_as _to_copy
    lift_fresh_copy
""".split()
POOLS = """
    max_pool avg_pool adaptive_avg_pool adaptive_max_pool _adaptive_avg_pool lp_pool upsample interpolate
    reflection_pad replication_pad
""".split()
REDUCTIONS = "sum mean amax amin var std logsumexp linalg_vector_norm norm prod any all".split()
MANY = {"chunk", "split", "split_with_sizes", "unbind"}


def label_rule(*names: str) -> Callable[[Rule], Rule]:
    """Register what some operations do."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def operation_name(target: Any) -> str:
    """The name of an operation, whatever its overload."""
    return str(getattr(getattr(target, "overloadpacket", target), "__name__", target))


def find_label_rule(target: Any) -> Rule | None:
    """What is known of an operation."""
    name = operation_name(target)
    if name in RULES:
        return RULES[name]
    if name in VIEWS:
        return partial(view_labels, target, name in MANY)
    if any(name.startswith(pool) for pool in POOLS):
        return pool_labels
    if torch.Tag.pointwise in getattr(target, "tags", ()):
        return pointwise_labels
    return None


def view_labels(
    target: Any, several: bool, atoms: Atoms, shape: Shape, value: Labels, *args: Any, **kwargs: Any
) -> Any:
    """Entries that are moved, copied or left out."""
    args, kwargs = _plain(args), _plain(kwargs)
    if not several:
        return moved(atoms, value, lambda full: target(full, *args, **kwargs))
    count = len(target(torch.empty(value.shape, device="meta"), *args, **kwargs))
    return [moved(atoms, value, partial(_part, target, i, args, kwargs)) for i in range(count)]


@label_rule("expand", "expand_as")
def expand_labels(atoms: Atoms, shape: Shape, value: Labels, *_: Any, **__: Any) -> Labels:
    """Entries copied along axes of size one, and along new ones in front."""
    here = moved(atoms, value, lambda full: full.expand(shape))
    sizes = (1,) * (len(shape) - len(value.shape)) + value.shape
    return Labels(shape, here.layers, here.constant, frozenset(axis for axis, n in enumerate(sizes) if n == 1))


@label_rule("glu")
def glu_labels(atoms: Atoms, shape: Shape, value: Labels, axis: int = -1) -> Labels:
    """The first half times a gate of the second: a unit and its gate move together."""
    halves = [moved(atoms, value, lambda full, half=half: full.chunk(2, axis)[half]) for half in (0, 1)]  # type: ignore[misc]
    return elementwise(atoms, halves, shape)


def _part(target: Any, place: int, args: Any, kwargs: Any, full: Tensor) -> Tensor:
    part: Tensor = target(full, *args, **kwargs)[place]
    return part


def pointwise_labels(atoms: Atoms, shape: Shape, *args: Any, **kwargs: Any) -> Labels:
    """An operation on entries in the same place."""
    operands = [value for value in (*args, *kwargs.values()) if isinstance(value, Labels)]
    return elementwise(atoms, operands, shape)


def pool_labels(atoms: Atoms, shape: Shape, value: Labels, *_: Any, **__: Any) -> Labels:
    """Channels stay, places are mixed."""
    kept = pinned(atoms, value, range(2, len(value.shape)) if len(value.shape) > 2 else range(1, 2))
    return Labels(shape, kept.layers)


@label_rule(*UNARY)
def unary_labels(atoms: Atoms, shape: Shape, value: Labels, *_: Any, **__: Any) -> Labels:
    """Entries stay where they are."""
    return Labels(shape, value.layers)


@label_rule(*REDUCTIONS)
def reduction_labels(atoms: Atoms, shape: Shape, value: Labels, *args: Any, **kwargs: Any) -> Labels:
    """A function of the entries along some axes, whatever their order."""
    keep = len(shape) == len(value.shape)
    return reduced(atoms, value, _reduced_axes(shape, value, (*args, kwargs.get("dim"))), keep=keep)


def _reduced_axes(shape: Shape, value: Labels, arguments: Sequence[Any]) -> Sequence[int]:
    """The axes that are gone, or have one entry left: as the call says, else all."""
    rank = len(value.shape)
    lists = [a for a in arguments if isinstance(a, (list, tuple))]
    numbers = [a for a in arguments if type(a) is int and -rank <= a < rank]
    for axes in (*lists, *([number] for number in numbers)):
        gone = {axis % rank for axis in axes}
        left = tuple(1 if axis in gone else n for axis, n in enumerate(value.shape))
        if shape in (left, tuple(n for axis, n in enumerate(value.shape) if axis not in gone)) and gone:
            return sorted(gone)
    return range(rank)


@label_rule("pad", "constant_pad_nd")
def pad_labels(
    atoms: Atoms, shape: Shape, value: Labels, widths: Sequence[int], mode: Any = "constant", *_: Any
) -> Labels | None:
    """Entries around what is there. Along an axis that moves, as of channels added to a shortcut, they stay."""
    before = {len(shape) - 1 - i // 2: n for i, n in enumerate(widths) if i % 2 == 0}
    layers = []
    for layer in value.layers:
        padded = any(shape[axis] != value.shape[axis] for axis in layer.axes)
        if padded and mode in ("reflect", "replicate", "circular"):
            atoms.fix(layer.atoms)  # copies of entries along an axis that moves
            continue
        around = [(before.get(a, 0), shape[a] - value.shape[a] - before.get(a, 0)) for a in layer.axes]
        if any(n < 0 for pair in around for n in pair):  # a negative width cuts off
            return None
        layers.append(Layer(layer.axes, np.pad(layer.atoms, around, constant_values=FIXED)))
    return Labels(shape, tuple(layers))


@label_rule("cat", "concat", "concatenate")
def cat_labels(
    atoms: Atoms, shape: Shape, values: Sequence[Labels], axis: int = 0, *, dim: int | None = None
) -> Labels:
    """One behind the other."""
    return joined_labels(
        atoms, [value for value in values if len(value.shape) == len(shape)], axis if dim is None else dim
    )


@label_rule("stack")
def stack_labels(
    atoms: Atoms, shape: Shape, values: Sequence[Labels], axis: int = 0, *, dim: int | None = None
) -> Labels:
    """One beside the other, along a new axis."""
    axis = (axis if dim is None else dim) % len(shape)
    return joined_labels(atoms, [moved(atoms, value, lambda full: full.unsqueeze(axis)) for value in values], axis)


@label_rule("getitem")
def getitem_labels(atoms: Atoms, shape: Shape, values: Any, place: Any) -> Any:
    """One of several results."""
    return values[place] if isinstance(values, (list, tuple)) else values


# sums of products -------------------------------------------------------------------------------------------------


def _letters(rank: int) -> str:
    return string.ascii_uppercase[:rank]


def _plus(atoms: Atoms, result: Labels, bias: Any) -> Labels:
    return elementwise(atoms, [result, bias], result.shape) if isinstance(bias, Labels) else result


@label_rule("linear")
def linear_labels(atoms: Atoms, shape: Shape, value: Labels, weight: Labels, bias: Labels | None = None) -> Labels:
    """X W^T + b."""
    batch = _letters(len(value.shape) - 1)
    if len(weight.shape) == 1:
        return contract(atoms, [(value, batch + "i"), (weight, "i")], batch)
    return _plus(atoms, contract(atoms, [(value, batch + "i"), (weight, "oi")], batch + "o"), bias)


@label_rule("mm", "matmul", "bmm")
def matmul_labels(atoms: Atoms, shape: Shape, a: Labels, b: Labels) -> Labels:
    """A B, of matrices or of stacks of them."""
    if len(a.shape) == 1 or len(b.shape) == 1:
        left, right = ("i", "ij"[: len(b.shape)]) if len(a.shape) == 1 else ("ij", "j")
        return contract(
            atoms, [(a, left), (b, right)], "".join(c for c in left + right if (left + right).count(c) == 1)
        )
    batch = _letters(max(len(a.shape), len(b.shape)) - 2)
    left, right = batch[len(batch) - len(a.shape) + 2 :] + "ij", batch[len(batch) - len(b.shape) + 2 :] + "jk"
    return contract(atoms, [(a, left), (b, right)], batch + "ik")


@label_rule("addmm", "baddbmm")
def addmm_labels(atoms: Atoms, shape: Shape, bias: Labels, a: Labels, b: Labels, **_: Any) -> Labels:
    """C + A B."""
    return _plus(atoms, matmul_labels(atoms, shape, a, b), bias)


@label_rule("einsum")
def einsum_labels(atoms: Atoms, shape: Shape, equation: str, operands: Sequence[Labels], **_: Any) -> Labels | None:
    """What its equation says."""
    equation = equation.replace(" ", "")
    if "." in equation:
        return None
    terms, _arrow, result = equation.partition("->")
    names = terms.split(",")
    if any(len(set(term)) < len(term) for term in names):
        return None
    if not _arrow:
        result = "".join(sorted(c for c in set(terms) - {","} if terms.count(c) == 1))
    return contract(atoms, list(zip(operands, names, strict=True)), result)


@label_rule("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu")
def attention_labels(
    atoms: Atoms, shape: Shape, q: Labels, k: Labels, v: Labels, mask: Any = None, *_: Any, **more: Any
) -> Labels:
    """Softmax(Q K^T) V; the letters of batch and heads come before those of places and coordinates."""
    rank = len(q.shape) - 2
    if more.get("enable_gqa") and k.shape[-3] != q.shape[-3]:
        k, v = (moved(atoms, x, lambda t: t.repeat_interleave(q.shape[-3] // k.shape[-3], -3)) for x in (k, v))
    batch = _letters(rank)
    mask = more.get("attn_mask", mask)
    scores = contract(atoms, [(q, batch + "ld"), (k, batch + "sd")], batch + "ls")
    scores = elementwise(atoms, [scores, mask], scores.shape) if isinstance(mask, Labels) else scores
    return contract(atoms, [(scores, batch + "ls"), (v, batch + "sv")], batch + "lv")


@label_rule("embedding", "look_up")
def embedding_labels(atoms: Atoms, shape: Shape, first: Any, second: Any, *_: Any, **__: Any) -> Labels:
    """Rows of a table by number: they are what the input says, and stay."""
    table, numbers = (first, second) if isinstance(first, Labels) and first.layers else (second, first)
    fix(atoms, numbers)
    fix(atoms, table, [0])
    columns = table.over([1])
    return Labels(shape, (Layer((len(shape) - 1,), columns.atoms),) if columns else ())


@label_rule("one_hot")
def one_hot_labels(atoms: Atoms, shape: Shape, *_: Any, **__: Any) -> Labels:
    """Inputs do not move."""
    return Labels(shape)


def _plain(arguments: Any) -> Any:
    """Arguments in which tensors that say a shape are zeros of that shape, and constants are themselves."""
    if isinstance(arguments, Labels):
        zeros: Tensor = torch.zeros(1, dtype=torch.int64).expand(arguments.shape)
        return zeros if arguments.constant is None else arguments.constant
    if isinstance(arguments, dict):
        return {key: _plain(value) for key, value in arguments.items()}
    return type(arguments)(map(_plain, arguments)) if isinstance(arguments, (list, tuple)) else arguments
