"""The tensors that a module holds, by their path, and what is known of a tensor without its values."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from torch import Tensor, nn


def tensors_of(module: nn.Module) -> Mapping[str, Tensor]:
    """Every tensor of a module by its path: parameters, buffers, and tensors that are plain attributes."""
    found: dict[str, Tensor] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        for held in (part._parameters, part._buffers, vars(part)):
            for name, value in held.items():
                if isinstance(value, Tensor):
                    found[f"{path}.{name}" if path else name] = value
    return found


def layout_of(tensor: Tensor) -> Hashable:
    """Shape, layout in memory, type and device; the stride of an axis of one entry means nothing."""
    strides = tuple(s for s, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1)
    return tuple(tensor.shape), strides, tensor.dtype, tensor.device, tensor.is_conj(), tensor.is_neg()
