"""Strides that tell entries of a tensor which does not lie in memory row by row: it is laid out so first.

Attention in windows that overlap is written as a view, of a tensor whose axes have been exchanged, for one of shape
(2, 3) with the strides (1, 2)::

    x.as_strided((2, 2), (2, 1))            permute = aten.permute(x, [1, 0])      # (3, 2), as it lies in memory
                                            clone = aten.clone(permute)
                                            as_strided = aten.as_strided(clone, [2, 2], [2, 1])

What lies where is known when the module is exported, and not kept by later passes or by readings.
"""

from __future__ import annotations

import torch
from torch import fx
from torch.export import ExportedProgram

from axonometry.program.fx_utils import insert

aten = torch.ops.aten


def lay_out(exported: ExportedProgram) -> ExportedProgram:
    """Put copies in memory's order in front of strided views of what lies otherwise, in place."""
    graph = exported.graph
    for node in [node for node in graph.nodes if node.target is aten.as_strided.default]:
        operand = node.args[0]
        if not isinstance(operand, fx.Node):
            continue
        value = operand.meta["val"]
        # x.T of x (3, 2) is (2, 3) with strides (1, 2): axis 1 has the larger stride, so that memory holds axis 1 by
        # axis 0. Permuted so, the strides are (2, 1), row by row.
        order = sorted(range(value.dim()), key=lambda axis: -value.stride(axis))
        ordered = value.permute(order)
        offset = node.args[3] if len(node.args) > 3 else None
        if value.is_contiguous() or not ordered.is_contiguous() or offset not in (None, 0):
            continue
        with graph.inserting_before(node):
            turned = insert(graph, aten.permute.default, (operand, order), shape=ordered.shape, like=operand)
            copy = insert(graph, aten.clone.default, (turned,), shape=ordered.shape, like=operand)
        copy.kwargs = {"memory_format": torch.contiguous_format}
        node.args = (copy, *node.args[1:])
    return exported
