"""What is known of a tensor without its values."""

from __future__ import annotations

from collections.abc import Hashable

from torch import Tensor


def layout_of(tensor: Tensor) -> Hashable:
    """Shape, layout in memory, type and device; the stride of an axis of one entry means nothing."""
    strides = tuple(s for s, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1)
    return tuple(tensor.shape), strides, tensor.dtype, tensor.device, tensor.is_conj(), tensor.is_neg()
