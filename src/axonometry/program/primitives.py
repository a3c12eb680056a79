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


def bags(
    rows: Tensor,
    offsets: Tensor,
    mode: int,
    include_last_offset: bool,
    numbers: Tensor | None = None,
    padding: int | None = None,
) -> Tensor:
    """The rows of a look-up in bags, rows ``offsets[i]`` to ``offsets[i + 1]`` in each.

    They are summed (mode 0) or averaged (1), or are the largest of each column (2). Rows whose number is ``padding``
    are in no bag.

    >>> bags(torch.tensor([[1.0], [2.0], [6.0]]), torch.tensor([0, 1]), 1, False)
    tensor([[1.],
            [4.]])
    """
    owners, kept = owners_of(rows, offsets, include_last_offset), in_bags(rows, numbers, padding)
    empty = rows.new_zeros(len(offsets) - include_last_offset, rows.shape[1])
    if mode == 2:
        places, low = owners[:, None].expand(rows.shape), torch.finfo(rows.dtype).min
        found = empty.scatter_reduce(0, places, rows.where(kept[:, None] > 0, low), "amax", include_self=False)
        return found.where(found > low, 0.0)
    total = empty.index_add(0, owners, rows * kept[:, None])
    if mode == 0:
        return total
    members = torch.zeros_like(empty[:, 0]).index_add(0, owners, kept)
    return total / members.clamp(min=1)[:, None]


def in_bags(rows: Tensor, numbers: Tensor | None, padding: int | None) -> Tensor:
    """1 for each row that is in a bag, 0 for padding."""
    if numbers is None or padding is None:
        return torch.ones_like(rows[:, 0])
    return numbers.ne(padding).to(rows.dtype)


def owners_of(rows: Tensor, offsets: Tensor, include_last_offset: bool) -> Tensor:
    """The number of each row's bag.

    >>> owners_of(torch.zeros(4, 1), torch.tensor([0, 3]), False)
    tensor([0, 0, 0, 1])
    """
    starts = offsets[:-1] if include_last_offset else offsets
    return torch.searchsorted(starts.contiguous(), torch.arange(len(rows), device=rows.device), right=True) - 1


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
