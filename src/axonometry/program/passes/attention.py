"""Attention: the products of a softmax with a signal, and which tokens each may attend to.

A softmax's result is no signal but the weights of links from token to token. Without data all tokens that a mask lets
through weigh alike; the mask is found by running what stands between the scores and the softmax with all scores zero.

Take attention with a causal mask over three tokens, with linear maps ``q``, ``k``, ``v``, and what it exports to (the
linear maps left out)::

    scores = q(x) @ k(x).transpose(1, 2)        matmul   = aten.matmul(linear, transpose)      # (1, 3, 3)
    masked = scores + full(-inf).triu(1)        add      = aten.add(matmul, triu)
    return masked.softmax(-1) @ v(x)            softmax  = aten.softmax(add, -1)
                                                matmul_1 = aten.matmul(softmax, linear_2)      # (1, 3, 4)

The pass copies what stands between ``matmul`` and ``matmul_1``, with zeros for the scores, and tells ``matmul_1``::

    zeros_like_default = aten.zeros_like(matmul)
    add_1 = aten.add(zeros_like_default, triu)
    softmax_1 = aten.softmax(add_1, -1)
    equal_shares = equal_shares(softmax_1, -1)  # matmul_1.meta["shares"], with meta["weights_at"] = 0

``equal_shares`` is [[1, 0, 0], [1/2, 1/2, 0], [1/3, 1/3, 1/3]]: a linear map ``o`` of the result has links from the
values ``v`` of 1, 2 and 3 tokens. Queries and keys make the weights of links and have no links to ``o``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from axonometry.program.fx_utils import depending, insert, is_float, shape_of, user_inputs
from axonometry.program.passes.edges import edge_shares, weigh_first
from axonometry.program.passes.shares import MOVED, SOFTMAX, share_of_choice, share_of_routing
from axonometry.program.primitives import FUSED, WRITTEN, equal_shares, one_hot, operands_of
from axonometry.program.registry import overloads

aten = torch.ops.aten

PRODUCTS = {*overloads("matmul", "bmm", "mul"), *WRITTEN}
AVERAGED = {*overloads("mean"), *MOVED}
POINTWISE = set(overloads(*"add sub rsub mul div masked_fill where clamp tanh".split()))


def find_attention(exported: ExportedProgram) -> ExportedProgram:
    """Tell every product of a softmax with a signal what the softmax is without data, in place.

    The node of these weights stands in the product's ``meta["shares"]``, their place among the operands in
    ``meta["weights_at"]``: 1/n for each of the n entries that a mask leaves, 0 for the others. The softmax itself is
    ``meta["softmax"]``. Floating-point inputs that do nothing but mask attention are marked by ``meta["control"]``.
    """
    graph = exported.graph
    inputs = [node for node in user_inputs(exported) if is_float(node)]
    for node in inputs:
        if _masks_only(node):
            node.meta["control"] = True
    sources = [n for n in inputs if "control" not in n.meta] + [n for n in graph.nodes if n.target is one_hot]
    # Sums over edges are written anew first: their quotients e / total are new nodes, which have to count as signals
    # below.
    weigh_first(exported, depending(exported, sources))
    signals = depending(exported, sources)
    for node in list(graph.nodes):
        if node.target not in PRODUCTS:
            continue
        operands = operands_of(node)
        if len(operands) == 2 and all(operand in signals for operand in operands):
            _tell_shares(graph, node, operands, signals)
    return exported


def _tell_shares(graph: fx.Graph, node: fx.Node, operands: tuple[Any, ...], signals: set[fx.Node]) -> None:
    """Find which operand of a product, if any, is the weights of links, and what they are without data."""
    found = [place for place in (0, 1) if _softmax_behind(operands[place]) is not None]
    with graph.inserting_before(node):
        if found:
            node.meta["shares"] = _copied(graph, operands[found[0]], signals, {})
            node.meta["weights_at"] = found[0]
            node.meta["softmax"] = _softmax_behind(operands[found[0]])
            return
        # No softmax: gates of experts, choices by an argmax, or a softmax over edges that is written by scattering.
        for place, weights in enumerate(operands):
            share = share_of_routing(weights, signals) or share_of_choice(weights, signals)
            if share:
                args = (list(shape_of(weights)), share)
                node.meta["shares"] = insert(graph, aten.full.default, args, shape=shape_of(weights), like=weights)
                node.meta["shares"].kwargs = {"dtype": torch.float64}
            else:
                node.meta["shares"] = edge_shares(graph, weights, signals)
            node.meta["weights_at"] = place
            if node.meta["shares"] is not None:
                return
    del node.meta["shares"], node.meta["weights_at"]


def is_attention(node: fx.Node) -> bool:
    """Whether a value is the probabilities of an attention, or their mean over heads."""
    while node.target in AVERAGED:
        operand = node.args[0]
        if not isinstance(operand, fx.Node):
            return False
        node = operand
    softmax = _softmax_behind(node)
    return softmax is not None and _weighs(softmax)


def _masks_only(node: fx.Node) -> bool:
    """Whether a value is used for nothing but to be added to the scores of attention."""
    pending, masked = [node], False
    while pending:
        value = pending.pop()
        for user in value.users:
            # An input that is query, key or value of fused attention is a signal; as the mask it only says who sees
            # whom.
            fused = user.target in FUSED and value not in user.args[:3]
            if fused or (user.target in SOFTMAX and _weighs(user)):
                masked = True
            elif user.target in MOVED | POINTWISE:
                pending.append(user)
            else:
                return False
    return masked


def _weighs(softmax: fx.Node) -> bool:
    """Whether a softmax is multiplied with something."""
    pending = [softmax]
    while pending:
        for user in pending.pop().users:
            if user.target in PRODUCTS:
                return True
            pending += [user] if user.target in MOVED else []
    return False


def _softmax_behind(node: Any) -> fx.Node | None:
    """The softmax that a value is, up to its type and the places of its entries."""
    while isinstance(node, fx.Node):
        if node.target in SOFTMAX:
            return node
        if node.target not in MOVED:
            return None
        node = node.args[0]
    return None


def _copied(graph: fx.Graph, node: fx.Node, signals: set[fx.Node], copies: dict[fx.Node, fx.Node]) -> fx.Node:
    """The same computation with zeros in the place of the scores: of every signal that comes from a product."""
    if node not in signals:
        return node
    if node not in copies:
        if node.target in SOFTMAX | MOVED | POINTWISE:
            copy = graph.node_copy(node, lambda n: _copied(graph, n, signals, copies))
            if node.target in SOFTMAX:
                copy = insert(graph, equal_shares, (copy, node.args[1]), shape=shape_of(node), like=node)
            copies[node] = copy
        # baddbmm(mask, q, k, beta=1) adds the mask in the call that multiplies: of mask + q k, zeros + mask is left.
        elif node.target is aten.baddbmm.default and node.args[0] not in signals:
            zeros = insert(graph, aten.zeros_like.default, (node,), shape=shape_of(node), like=node)
            args: tuple[Any, ...] = (zeros, node.args[0])
            copies[node] = insert(graph, aten.add.Tensor, args, shape=shape_of(node), like=node)
            copies[node].kwargs = {"alpha": node.kwargs.get("beta", 1)}
        else:
            copies[node] = insert(graph, aten.zeros_like.default, (node,), shape=shape_of(node), like=node)
    return copies[node]
