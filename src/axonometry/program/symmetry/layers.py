"""What layers that treat channels apart do with the atoms of their operands: convolutions and normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axonometry.program.symmetry.atoms import Atoms, Ids
from axonometry.program.symmetry.contraction import contract, elementwise
from axonometry.program.symmetry.labels import Labels, Layer, Shape, fix, moved, pinned
from axonometry.program.symmetry.operations import label_rule


@label_rule("conv1d", "conv2d", "conv3d")
def convolution_labels(
    atoms: Atoms, shape: Shape, value: Labels, weight: Labels, bias: Any = None, *args: Any, **kwargs: Any
) -> Labels:
    """Sums over channels and places; in groups, channels of one do not see the other's."""
    groups = kwargs.get("groups", args[3] if len(args) > 3 else 1)
    value, weight = pinned(atoms, value, range(2, len(value.shape))), pinned(atoms, weight, range(2, len(weight.shape)))
    if groups == 1:
        kernel = Labels(weight.shape[:2], weight.layers)
        flat = Labels(value.shape[:2], value.layers)
        result = contract(atoms, [(flat, "ni"), (kernel, "oi")], "no")
        return _plus_channels(atoms, Labels(shape, result.layers), bias)
    # A weight of (out, in / groups): the columns of all groups lie along one axis. Exchanging inputs 0 and 1 of one
    # group alone would exchange columns for some rows only, which is no permutation of that axis. So inputs keep their
    # place inside a group, and groups trade places as wholes.
    fix(atoms, weight, [1])
    rows, inputs = weight.over([0]), value.over([1])
    if rows is None and groups == shape[1] == value.shape[1] and not weight.varies(0):  # a blur: one kernel for all
        return _plus_channels(atoms, Labels(shape, value.layers), bias)
    if rows is None:
        fix(atoms, value)
        return Labels(shape)
    outputs = rows.atoms.reshape(groups, -1)
    if inputs is None:
        fix(atoms, value)
        blocks = atoms.new(groups)
        atoms.fix(blocks)
        atoms.blocks(outputs, blocks)
    else:
        _in_groups(atoms, inputs.atoms.reshape(groups, -1), outputs)
    return _plus_channels(atoms, Labels(shape, (Layer((1,), rows.atoms),)), bias)


def _in_groups(atoms: Atoms, inputs: Ids, outputs: Ids) -> None:
    """Groups move as blocks: their inputs in order, their outputs in any; one input alone is its block.

    Of a transposed convolution the outputs are in order, and the inputs in any.
    """
    if inputs.shape[1] == 1 and outputs.shape[1] == 1:
        atoms.join(inputs, outputs)
    elif inputs.shape[1] == 1:
        atoms.blocks(outputs, inputs[:, 0])
    elif outputs.shape[1] == 1:
        atoms.join(atoms.pin_down(inputs), outputs[:, 0])
    else:
        atoms.blocks(outputs, atoms.pin_down(inputs))


@label_rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution_labels(
    atoms: Atoms, shape: Shape, value: Labels, weight: Labels, bias: Any = None, *args: Any, **kwargs: Any
) -> Labels | None:
    """The kernel's first axis counts inputs; in groups, its second counts outputs inside each."""
    groups = kwargs.get("groups", args[3] if len(args) > 3 else 1)
    value, weight = pinned(atoms, value, range(2, len(value.shape))), pinned(atoms, weight, range(2, len(weight.shape)))
    flat, kernel = Labels(value.shape[:2], value.layers), Labels(weight.shape[:2], weight.layers)
    if groups == 1:
        result = contract(atoms, [(flat, "ni"), (kernel, "io")], "no")
        return _plus_channels(atoms, Labels(shape, result.layers), bias)
    fix(atoms, weight, [1])
    rows, inputs = weight.over([0]), value.over([1])
    if rows is None or inputs is None:
        if rows is None and groups == shape[1] == value.shape[1] and not weight.varies(0):  # one kernel for all
            return _plus_channels(atoms, Labels(shape, value.layers), bias)
        return None
    atoms.join(rows.atoms, inputs.atoms)
    outputs = atoms.new(shape[1])
    _in_groups(atoms, outputs.reshape(groups, -1), rows.atoms.reshape(groups, -1))
    return _plus_channels(atoms, Labels(shape, (Layer((1,), outputs),)), bias)


def _plus_channels(atoms: Atoms, value: Labels, bias: Any) -> Labels:
    return by_channel(atoms, value, [bias]) if isinstance(bias, Labels) else value


def by_channel(atoms: Atoms, value: Labels, numbers: Sequence[Any]) -> Labels:
    """One number a channel, of axis 1."""
    shape = (-1, *(1,) * (len(value.shape) - 2))
    there = [moved(atoms, one, lambda full: full.reshape(shape)) for one in numbers if isinstance(one, Labels)]
    return elementwise(atoms, [value, *there], value.shape)


@label_rule("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm", "instance_norm")
def batch_norm_labels(atoms: Atoms, shape: Shape, value: Labels, *args: Any, **_: Any) -> Labels:
    """Gain, shift, mean and variance of each channel."""
    return by_channel(atoms, value, [one for one in args if isinstance(one, Labels)])


@label_rule("layer_norm", "rms_norm", "native_layer_norm")
def layer_norm_labels(atoms: Atoms, shape: Shape, value: Labels, over: Any, *args: Any, **_: Any) -> Labels:
    """Mean and variance do not depend on the order of entries; gain and shift belong to them."""
    return elementwise(atoms, [value, *(one for one in args if isinstance(one, Labels))], value.shape)


@label_rule("_weight_norm", "_weight_norm_interface")
def weight_norm_labels(atoms: Atoms, shape: Shape, value: Labels, length: Labels, *_: Any) -> Labels:
    """A weight's direction and its lengths along the axis that is not normed."""
    return elementwise(atoms, [value, length], shape)


@label_rule("group_norm", "native_group_norm")
def group_norm_labels(atoms: Atoms, shape: Shape, value: Labels, groups: int, *args: Any, **_: Any) -> Labels:
    """Channels trade places inside a group, groups as blocks."""
    value = by_channel(atoms, value, [one for one in args if isinstance(one, Labels)])
    channels = value.over([1])
    if channels is not None and 1 < groups < len(channels.atoms):
        atoms.blocks(channels.atoms.reshape(groups, -1))
    return value


@label_rule("prelu", "_prelu_kernel")
def prelu_labels(atoms: Atoms, shape: Shape, value: Labels, slope: Labels) -> Labels:
    """One slope for all, or one a channel."""
    return by_channel(atoms, value, [slope] if slope.shape != (1,) and len(slope.shape) == 1 else [])
