"""Products with large matrices, block by block: numbers in half precision, or under a map, are never written out.

A matrix of 100 MB in bfloat16 is 200 MB in float32, and again as much where its absolute values are wanted: to write
and to read these takes several times as long as to multiply. So a block of rows is made float32, mapped and multiplied
while a core's cache holds it::

    x |W|' = (x |W_1|', x |W_2|', ...)        blocks of rows of W
    y |W|  =  y_1 |W_1| + y_2 |W_2| + ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from axonometry.program.links import Links, Map, absolute

aten = torch.ops.aten
SMALL = 2**18
"""Elements up to which a matrix is written out."""
BLOCK = 2**17
"""Elements of a block: half a megabyte of float32."""


class BlockedMatrix(Tensor):
    """A matrix as it is held, standing for the mapped one in another type; whatever is no product writes that out.

    >>> weights = torch.tensor([[1.0, -2.0], [3.0, 4.0]], dtype=torch.bfloat16)
    >>> torch.tensor([1.0, 10.0]) @ blocked(weights, (abs,), torch.float32)
    tensor([31., 42.])
    """

    maps: tuple[Map, ...]
    number: torch.dtype
    sums: tuple[Tensor, Tensor] | None

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Products and sums block by block; all else as of the matrix that it stands for."""
        if func == _TENSOR.dtype.__get__:
            return args[0].number
        known = _PRODUCTS.get(func)
        if known is not None and not _is_differentiated(args):
            found = known(*args, **(kwargs or {}))
            if found is not NotImplemented:
                return found
        if func in _FACTS:
            inherited: Any = super().__torch_function__
            return inherited(func, types, args, kwargs or {})
        args, kwargs = tree_map_only(BlockedMatrix, _written_out, (args, kwargs or {}))
        return func(*args, **kwargs)


def blocked(matrix: Tensor, maps: tuple[Map, ...], dtype: torch.dtype) -> BlockedMatrix:
    """A matrix that stands for a mapped one of another type.

    Args:
        matrix: Of two axes, and contiguous.
        maps: Applied to every number, one after the other.
        dtype: The type in which it is mapped and multiplied.
    """
    found: BlockedMatrix = matrix.detach().as_subclass(BlockedMatrix)
    found.maps, found.number, found.sums = maps, dtype, None
    return found


class BlockedLinks(Links):
    """Link weights whose large matrices are not written out."""

    def __call__(self, coefficient: Any) -> Any:
        """The link weight that a coefficient stands for."""
        if isinstance(coefficient, Tensor) and coefficient.dim() == 2 and coefficient.numel() > SMALL:
            converted = not self.identity or coefficient.dtype != self.dtype
            if converted and coefficient.is_contiguous() and coefficient.is_floating_point():
                return blocked(coefficient, self.maps, self.dtype)
        return super().__call__(coefficient)


def _is_differentiated(args: tuple[Any, ...]) -> bool:
    return torch.is_grad_enabled() and any(isinstance(one, Tensor) and one.requires_grad for one in args)


def _written_out(matrix: BlockedMatrix) -> Tensor:
    found = _held(matrix).to(matrix.number)
    for function in matrix.maps:
        found = function(found)
    return found


def _held(matrix: BlockedMatrix) -> Tensor:
    with torch._C.DisableTorchFunctionSubclass():
        return matrix.as_subclass(Tensor)


def _blocks(matrix: BlockedMatrix) -> Iterator[Tensor]:
    """Blocks of rows as they are meant; each is gone with the next."""
    held = _held(matrix)
    rows = max(1, BLOCK // held.shape[1])
    memory = torch.empty(min(rows, len(held)), held.shape[1], dtype=matrix.number)
    for part in held.split(rows):
        block = memory[: len(part)].copy_(part)
        for function in matrix.maps:
            block = block.abs_() if function is absolute else function(block)
        yield block


def _linear(x: Tensor, matrix: Any, bias: Tensor | None = None) -> Any:
    """X W' + b."""
    if not isinstance(matrix, BlockedMatrix) or isinstance(x, BlockedMatrix):
        return NotImplemented
    found = x.new_empty(*x.shape[:-1], len(matrix))
    for place, block in _placed(matrix):
        found[..., place] = x @ block.T
    return found if bias is None else found + bias


def _product(x: Tensor, matrix: Any) -> Any:
    """X W."""
    if not isinstance(matrix, BlockedMatrix) or isinstance(x, BlockedMatrix):
        return NotImplemented
    found = x.new_zeros(*x.shape[:-1], matrix.shape[1])
    for place, block in _placed(matrix):
        found += x[..., place] @ block
    return found


def _sum(matrix: Any, axis: Any = None, **named: Any) -> Any:
    """Sums of rows or of columns; who asks for one asks for the other next, so both are taken in one go."""
    if axis not in (0, 1, (0,), (1,)) or named.get("dtype", matrix.number) != matrix.number or named.keys() - {"dtype"}:
        return NotImplemented
    if matrix.sums is None:
        sums = [(block.sum(0), block.sum(1)) for block in _blocks(matrix)]
        matrix.sums = torch.stack([one for one, _ in sums]).sum(0), torch.cat([one for _, one in sums])
    return matrix.sums[axis if isinstance(axis, int) else axis[0]]


def _placed(matrix: BlockedMatrix) -> Iterator[tuple[slice, Tensor]]:
    end = 0
    for block in _blocks(matrix):
        begin, end = end, end + len(block)
        yield slice(begin, end), block


_TENSOR: Any = Tensor  # whose attributes are known to type checkers by their values, and not as descriptors
_PRODUCTS: dict[Any, Callable[..., Any]] = {
    aten.linear: _linear,
    aten.linear.default: _linear,
    torch.nn.functional.linear: _linear,
    Tensor.matmul: _product,
    Tensor.__matmul__: _product,
    torch.matmul: _product,
    Tensor.sum: _sum,
}
_FACTS = {
    *(_TENSOR.shape.__get__, _TENSOR.device.__get__, _TENSOR.requires_grad.__get__),
    *(Tensor.dim, Tensor.numel, Tensor.size, Tensor.__len__, Tensor.is_floating_point),
}
"""What is known without the numbers."""
