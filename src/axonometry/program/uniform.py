"""Weights that are one number, read at every place: what a network is captured with where its weights are elsewhere.

A product with such a matrix is a sum times the number, without the matrix::

    x W' = (sum over j of x_j) w,     for W = w everywhere, a tensor of one element whose strides are 0
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
LARGE = 2**16
"""Elements from which on a uniform tensor is worth a look at every operator."""


def is_uniform(tensor: Tensor) -> bool:
    """Whether a tensor is one number in memory, read at several places.

    >>> is_uniform(torch.ones(()).expand(3, 2)), is_uniform(torch.ones(3, 2))
    (True, False)
    """
    several = [stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]
    return bool(several) and not any(several) and tensor.numel() > 0


class UniformProducts(TorchDispatchMode):
    """While it is on, products with uniform matrices are computed from sums, and their sums from one number."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Run an operator, or give what a product with one number is."""
        if operation is aten.mm.default and is_uniform(args[1]):
            return _product(args[0], args[1])
        if operation is aten.addmm.default and not kwargs and is_uniform(args[2]):
            return _product(args[1], args[2]) + args[0]
        if operation is aten.sum.dim_IntList and not kwargs and is_uniform(args[0]):
            kept = aten.sum.dim_IntList(args[0][(slice(1),) * args[0].dim()], *args[1:])
            shape = torch.empty(args[0].shape, device="meta").sum(*args[1:]).shape
            return (kept * (args[0].numel() // max(1, shape.numel()))).expand(shape).clone()
        return operation(*args, **(kwargs or {}))


def with_uniform(tensors: Iterable[Any]) -> AbstractContextManager[Any]:
    """The mode where one of the tensors is large and uniform; nothing elsewhere, where it would only take time."""
    large = any(isinstance(one, Tensor) and one.numel() > LARGE and is_uniform(one) for one in tensors)
    return UniformProducts() if large else nullcontext()


def _product(x: Tensor, matrix: Tensor) -> Tensor:
    number = matrix[:1, :1]
    return (x.sum(1, keepdim=True) * number).expand(len(x), matrix.shape[1]).contiguous()
