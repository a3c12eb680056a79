"""Attention: the products of a softmax with a signal, and which tokens each may attend to.

A softmax's result is no signal but the weights of links from token to token. Without data all tokens that a mask lets
through weigh alike; the mask is found by running what stands between the scores and the softmax with all scores zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from axonometry.program.registry import overloads
from axonometry.program.surgery import depending, insert, shape_of, user_inputs

aten = torch.ops.aten

SOFTMAX = set(overloads("softmax", "_softmax", "_safe_softmax"))
PRODUCTS = set(overloads("matmul", "bmm", "einsum"))
UNCHANGED = set(overloads(*"dropout native_dropout clone contiguous alias detach to _to_copy type_as".split()))
RESHAPED = set(overloads(*"view _unsafe_view reshape expand unsqueeze squeeze flatten unflatten".split()))
POINTWISE = set(overloads(*"add sub mul div masked_fill where transpose permute slice clamp tanh".split()))
FORBIDDEN = torch.finfo(torch.float16).min / 2
"""Scores with at least so much taken off get no attention; half precision's masks are the smallest in use."""


def find_attention(exported: ExportedProgram) -> None:
    """Tell every product of a softmax with a signal which entries of the softmax are never zero by a mask, in place.

    The node of these entries stands in the product's ``meta["permitted"]``: true where attention is possible.
    """
    graph = exported.graph
    signals = depending(exported, [n for n in user_inputs(exported) if _is_float(n)] + _one_hots(graph))
    for node in list(graph.nodes):
        if node.target not in PRODUCTS:
            continue
        operands = node.args[1] if node.target in overloads("einsum") else node.args[:2]
        if len(operands) != 2 or not all(operand in signals for operand in operands):
            continue
        softmax = _softmax_behind(operands[0])
        if softmax is None:
            continue
        with graph.inserting_before(node):
            copies: dict[fx.Node, fx.Node] = {}
            shares = _copied(graph, operands[0], signals, copies)
            node.meta["permitted"] = insert(
                graph, permitted_of, (shares,), shape=shape_of(operands[0]), like=node, dtype=torch.bool
            )


def permitted_of(shares: Tensor) -> Tensor:
    """Where a softmax of masked zeros is not zero."""
    return shares > 0


def permitted_by(mask: Tensor) -> Tensor:
    """Where a mask lets attention through: a boolean one where it is true, another where it takes little off."""
    return mask if mask.dtype == torch.bool else mask > FORBIDDEN


def _is_float(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()


def _one_hots(graph: fx.Graph) -> list[fx.Node]:
    from axonometry.program.lookup import one_hot

    return [node for node in graph.nodes if node.target is one_hot]


def _softmax_behind(node: Any) -> fx.Node | None:
    """The softmax that a value is, up to its type and shape."""
    while isinstance(node, fx.Node):
        if node.target in SOFTMAX:
            return node
        if node.target not in UNCHANGED | RESHAPED:
            return None
        node = node.args[0]
    return None


def _copied(graph: fx.Graph, node: fx.Node, signals: set[fx.Node], copies: dict[fx.Node, fx.Node]) -> fx.Node:
    """The same computation with zeros in the place of the scores: of every signal that comes from a product."""
    if node not in signals:
        return node
    if node not in copies:
        known = SOFTMAX | UNCHANGED | RESHAPED | POINTWISE
        if node.target in known:
            copies[node] = graph.node_copy(node, lambda n: _copied(graph, n, signals, copies))
        elif node.target is aten.baddbmm.default and node.args[0] not in signals:
            beta = node.kwargs.get("beta", 1)
            zeros = insert(graph, aten.zeros_like.default, (node,), shape=shape_of(node), like=node)
            args: tuple[Any, ...] = (zeros, node.args[0])
            copies[node] = insert(graph, aten.add.Tensor, args, shape=shape_of(node), like=node)
            copies[node].kwargs = {"alpha": beta}
        else:
            copies[node] = insert(graph, aten.zeros_like.default, (node,), shape=shape_of(node), like=node)
    return copies[node]
