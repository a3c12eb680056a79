"""Weights that are stored as codes of few bits, and the scales beside them without which the codes mean nothing.

``layer.weight`` in fp8 or int8 beside ``layer.weight_scale_inv`` (a number for each block of 128 x 128, DeepSeek),
``layer.weight_scale``, ``layer.scale`` or ``layer.scale_weight`` (one number, one a row, or one a group of columns) or
``layer.SCB`` (one a row, over 127, bitsandbytes) is the product of both, less ``layer.weight_zero_point`` first::

    weight [[1, 2], [4, 8]], weight_scale [[0.5], [0.25]]  ->  [[0.5, 1], [1, 2]]
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

from axonometry.checkpoints.element_types import PAIRS, as_array, held_as, name_of, patterns, unpacked

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = ("_scale_inv", "_scale")
"""What a scale's name adds to that of its weight."""
BLOCK = 128
"""The side of blocks where their number leaves the choice."""
BESIDE = (".scale", ".scale_weight", ".SCB")
"""Names of scales beside ``layer.weight``, behind ``layer``."""
ZERO_POINTS = ("_zero_point", "_zeros")
"""What the name of the code that stands for zero adds to that of its weight."""
SIGNS = (".absmax", ".quant_map", ".nested_absmax", *ZERO_POINTS)
"""What stands beside codes that are no plain multiples of their scale, behind their name."""
PACKED = ("qweight", "_blocks", "_packed")
"""Ends of names of tensors that hold several codes in one number."""
NOT_DONE = "codes, not multiplied with their scale"


def scale_of(name: str, names: Container[str]) -> str | None:
    """The name of the tensor that holds a weight's scales; None where there is none."""
    stem = name.removesuffix(".weight")
    beside = [stem + end for end in BESIDE] if stem != name else []
    candidates = (*(name + suffix for suffix in SUFFIXES), *beside)
    return next((one for one in candidates if one in names), None)


def needs_more(name: str, names: Container[str]) -> bool:
    """Whether there are tensors beside a weight's codes without which its scale alone does not make them numbers."""
    return any(name + end in names for end in SIGNS)


def is_coded(dtype: str) -> bool:
    """Whether numbers of a type, by its name, may be codes: eight bits or fewer."""
    return held_as(dtype).itemsize == 1 and dtype != "bool"


def is_packed(name: str, dtype: str) -> bool:
    """Whether a tensor's numbers hold several codes each, as its name says."""
    return dtype in ("uint8", "int32") and name.endswith(PACKED)


def dequantised(name: str, tensor: Tensor, tensors: Mapping[str, Tensor]) -> tuple[Tensor, str]:
    """A tensor as numbers, and in words what its scale was.

    Args:
        name: Of the tensor.
        tensor: As it is stored.
        tensors: The checkpoint or state dict that may hold its scales.

    Returns:
        The tensor times its scales, and their name; the tensor as it is and :data:`NOT_DONE` where its codes are not
        understood; the tensor as it is and an empty text where it has no scale.
    """
    dtype = name_of(tensor.dtype)
    if is_packed(name, dtype):
        return tensor, NOT_DONE
    tensor = _unpacked(tensor, dtype)
    found = scale_of(name, tensors) if is_coded(dtype) else None
    if found is None:
        return tensor, NOT_DONE if is_coded(dtype) and needs_more(name, tensors) else ""
    zero = next((tensors[name + end] for end in ZERO_POINTS if name + end in tensors), None)
    scale = tensors[found].float()
    # ".SCB" holds the largest entry of each row, which the code 127 stands for; the others hold what a code of 1 stands
    # for.
    spread = spread_over(scale / 127 if found.endswith(".SCB") else scale, tensor.shape)
    zeros = None if zero is None else spread_over(zero.float(), tensor.shape)
    if spread is None or (zero is not None and zeros is None) or (zero is None and dtype == "uint8"):
        return tensor, NOT_DONE
    codes = tensor.float() if zeros is None else tensor.float() - zeros
    return codes * spread, f"times {found}"


def _unpacked(tensor: Tensor, dtype: str) -> Tensor:
    """Floats of four bits as float32, one each; all others as they are."""
    if dtype != PAIRS:
        return tensor
    import torch

    codes, name = unpacked(*as_array(tensor))
    return torch.from_numpy(patterns(name))[torch.from_numpy(codes).int()].float()


def spread_over(scale: Tensor, shape: Sequence[int]) -> Tensor | None:
    """Scales of blocks, rows or the whole, repeated over a shape; None where they do not go with it.

    >>> import torch
    >>> spread_over(torch.tensor([[1.0, 2.0]]), (1, 4))
    tensor([[1., 1., 2., 2.]])
    """
    if scale.numel() == 1:
        return scale.reshape([1] * len(shape))
    if scale.dim() == 1 and len(shape) > 1:
        scale = scale.reshape(-1, *[1] * (len(shape) - 1))
    if scale.dim() != len(shape):
        return None
    for axis, (size, count) in enumerate(zip(shape, scale.shape, strict=True)):
        block = _block(size, count)
        if block is None:
            return None
        if count > 1:
            scale = scale.repeat_interleave(block, axis).narrow(axis, 0, size)
    return scale


def _block(size: int, count: int) -> int | None:
    """How many neighbours along an axis share one of so many scales; the last block may be shorter."""
    if count == 1:
        return size
    # 300 entries and 3 scales: blocks of 128 (128, 128, 44) fit as well as blocks of 100. The usual size is tried
    # first.
    sides = (BLOCK, *([size // count] if size % count == 0 else []), *(2**power for power in range(1, 12)))
    return next((side for side in sides if -(-size // side) == count), None)
