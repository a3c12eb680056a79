"""Functions that passes put into the graph in the place of ATen calls: each computes what it says, and has a rule.

Those of recurrent layers stand in :mod:`axonometry.program.cells`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from axonometry.program.registry import overloads

FUSED = overloads("scaled_dot_product_attention")
WRITTEN = set(overloads("einsum"))


def one_hot(indices: Tensor, rows: int) -> Tensor:
    """The numbers of the rows, which stand for one-hot vectors that are never written out."""
    return indices


def look_up(indices: Tensor, table: Tensor) -> Tensor:
    """The rows of the table, of shape (..., columns)."""
    return torch.embedding(table, indices)


def bags(rows: Tensor, offsets: Tensor, mode: int, include_last_offset: bool) -> Tensor:
    """The rows of a look-up in bags, rows ``offsets[i]`` to ``offsets[i + 1]`` in each.

    They are summed (mode 0) or averaged (1), or are the largest of each column (2).

    >>> bags(torch.tensor([[1.0], [2.0], [6.0]]), torch.tensor([0, 1]), 1, False)
    tensor([[1.],
            [4.]])
    """
    numbers = torch.arange(len(rows), device=rows.device)
    return torch.nn.functional.embedding_bag(
        numbers, rows, offsets, mode=("sum", "mean", "max")[mode], include_last_offset=include_last_offset
    )


def routed(left: Tensor, right: Tensor, table: Tensor, place: int) -> Tensor:
    """A matrix product whose operand at ``place`` has been chosen from a table of matrices, one for each expert."""
    return left @ right


def operands_of(node: fx.Node) -> tuple[Any, ...]:
    """What a product multiplies."""
    operands: Any = node.args[1] if node.target in WRITTEN else node.args[:2]
    return tuple(operands)


def equal_shares(weights: Tensor, axis: int) -> Tensor:
    """The same weight for all entries along an axis that a softmax of masked zeros leaves, 0 for the others."""
    permitted = (weights > 0).to(weights.dtype)
    return permitted / permitted.sum(axis, keepdim=True).clamp(min=1)


def permitted_by(mask: Tensor) -> Tensor:
    """Where a mask lets attention through: a boolean one where it is true, another where a softmax of it is not 0."""
    return mask if mask.dtype == torch.bool else torch.softmax(mask.float(), -1) > 0
