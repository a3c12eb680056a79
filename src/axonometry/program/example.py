"""The example inputs of a capture: which axis counts samples, and the first sample alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from axonometry.errors import CaptureError

BatchAxis = int | Sequence[int | None]
PACKED = CaptureError(
    "a program's values have fixed shapes",
    "a packed sequence",
    "Pass padded sequences of one length; a mask can be an input of its own",
)


def first_sample(inputs: tuple[Any, ...], batch_axis: BatchAxis) -> tuple[Any, ...]:
    """One sample of a batch; of an input without samples, such as a mask that all share, the whole."""
    leaves, spec = torch.utils._pytree.tree_flatten(inputs, is_leaf=lambda x: isinstance(x, PackedSequence))
    if any(isinstance(leaf, PackedSequence) for leaf in leaves):
        raise PACKED
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    if not tensors:
        raise CaptureError(
            "capture needs example inputs",
            "none that is a tensor",
            "Call ax.capture(module, example) with a batch of inputs",
        )
    axes = iter(batch_axes(tensors, batch_axis))
    sliced = [_one(leaf, next(axes)) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    return torch.utils._pytree.tree_unflatten(sliced, spec)


def batch_axes(tensors: Sequence[Tensor], batch_axis: BatchAxis) -> tuple[int | None, ...]:
    """The axis of each input along which samples lie; None where all samples share it.

    Of one axis for all, the inputs have it that are as long there as the first.

    Raises:
        CaptureError: There is not one entry a tensor, or an axis that a tensor does not have.
    """
    if not isinstance(batch_axis, int):
        axes = tuple(batch_axis)
        fits = [axis is None or 0 <= axis < tensor.dim() for tensor, axis in zip(tensors, axes, strict=False)]
        if len(axes) != len(tensors) or not all(fits):
            came = f"{axes} for inputs of shapes {[tuple(tensor.shape) for tensor in tensors]}"
            raise CaptureError(
                "batch_axis has an axis for every tensor among the inputs, or None", came, "Give one each"
            )
        return axes
    sizes = [tensor.shape[batch_axis] if tensor.dim() > batch_axis else None for tensor in tensors]
    first = next((size for size in sizes if size is not None), None)
    return tuple(batch_axis if size is not None and size == first else None for size in sizes)


def axis_of_first(batch_axis: BatchAxis) -> int:
    """The axis of samples in hidden values: that of the first input that has one."""
    return batch_axis if isinstance(batch_axis, int) else next((axis for axis in batch_axis if axis is not None), 0)


def _one(tensor: Tensor, axis: int | None) -> Tensor:
    return tensor.detach() if axis is None else tensor.narrow(axis, 0, 1).detach()


def noisy(leaf: Tensor, generator: torch.Generator) -> Tensor:
    """A floating-point input times factors from 1/2 to 3/2, so that signs and zeros stay; of zeros alone, noise."""
    noise = torch.rand(leaf.shape, generator=generator).to(leaf.device, torch.promote_types(leaf.dtype, torch.float32))
    return (leaf * (noise + 0.5) if bool(leaf.any()) else 2 * noise - 1).to(leaf.dtype)
