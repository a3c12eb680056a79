"""Mixtures of experts: a token's products with the weights of the experts that were chosen for it.

Two tokens, each sent to the best of four experts whose matrices lie in one tensor, and what it exports to::

    best = self.router(x).argmax(-1)                 linear = aten.linear(x, p_router_weight)
    w = self.experts[best]                           argmax = aten.argmax(linear, -1)
    return (w @ x[..., None])[..., 0]                index  = aten.index(p_experts, [argmax])       # (2, 5, 3)
                                                     matmul = aten.matmul(index, unsqueeze)          # (2, 5, 1)

The pass tells the product which table its matrices come from::

    routed = routed(index, unsqueeze, p_experts, 0)

``routed`` is a synapse of the parameter ``experts``. The router has no links to it: it chooses. Without data each of
the four experts is met with equal shares, so that a token has links of 1/4 of each expert's weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from axonometry.program.fx_utils import depending, first_value, insert, shape_of, user_inputs
from axonometry.program.primitives import routed
from axonometry.program.registry import overloads

aten = torch.ops.aten
PRODUCTS = set(overloads("matmul", "bmm"))
TURNED = set(overloads("transpose"))


def route(exported: ExportedProgram) -> ExportedProgram:
    """Put a product with the table in the place of products with matrices that were chosen from it, in place."""
    graph, varying = exported.graph, depending(exported, user_inputs(exported))
    for node in list(graph.nodes):
        if node.target not in PRODUCTS:
            continue
        for place in (0, 1):
            table = _table(graph, node.args[place], node, varying)
            if table is None or node.args[1 - place] not in varying:
                continue
            with graph.inserting_before(node):
                call = insert(graph, routed, (*node.args[:2], table, place), shape=shape_of(node), like=node)
            node.replace_all_uses_with(call)
            graph.erase_node(node)
            break
    return exported


def _table(graph: fx.Graph, chosen: Any, product: fx.Node, varying: set[fx.Node]) -> fx.Node | None:
    """The constant, of shape (experts, rows, columns), that a stack of matrices was chosen from."""
    if not isinstance(chosen, fx.Node) or chosen not in varying:
        return None
    args: tuple[Any, ...] = chosen.args
    # experts[best].transpose(1, 2): the table is turned instead, in which the same experts stand in the same order.
    if chosen.target in TURNED and {axis % first_value(chosen).dim() for axis in args[1:]} == {1, 2}:
        table = _table(graph, args[0], product, varying)
        if table is None:
            return None
        experts, rows, columns = shape_of(table)
        with graph.inserting_before(product):
            return insert(graph, aten.transpose.int, (table, 1, 2), shape=(experts, columns, rows), like=product)
    if chosen.target is not aten.index.Tensor or args[0] in varying or len(args[1]) != 1:
        return None
    numbers = args[1][0]
    fits = len(shape_of(args[0])) == 3 and numbers in varying and first_value(numbers).dim() == 1
    found: fx.Node | None = args[0] if fits else None
    return found
