"""Products with sparse matrices, such as the adjacency of a graph network's graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from axonometry.program.links import Links
from axonometry.program.op_call import Lowering, OpCall
from axonometry.program.registry import op_rule

aten = torch.ops.aten


SPARSE = "only a fixed sparse matrix on the left of a signal has a reading"


def is_sparse(operand: Any) -> bool:
    """Whether a call's operand is a sparse tensor."""
    value = operand.meta.get("val") if isinstance(operand, fx.Node) else None
    return isinstance(value, Tensor) and value.layout != torch.strided


@op_rule(aten._sparse_mm.default)
def sparse_product(call: OpCall) -> Lowering:
    """The product with a fixed sparse matrix, such as the adjacency of a graph network's graph: entry by entry."""
    matrix, signal = call.args[:2]
    fixed = is_sparse(matrix) and not call.is_signal(matrix) and not matrix.meta["val"].requires_grad
    if not fixed or len(call.shape(matrix)) != 2 or not call.is_signal(signal):
        call.refuse(SPARSE)

    def read(links: Links, matrix: Tensor, x: Tensor) -> Tensor:
        entries = matrix.to_sparse_coo().coalesce()
        rows, columns = entries.indices()
        weights = links(entries.values().to(links.dtype))
        sent = x.index_select(0, columns) * weights.reshape(-1, *[1] * (x.dim() - 1))
        return torch.zeros(len(matrix), *x.shape[1:], dtype=x.dtype, device=x.device).index_add(0, rows, sent)

    return Lowering("wiring", read)
